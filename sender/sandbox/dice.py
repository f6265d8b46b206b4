"""The dice that choose what goes wrong with which call."""

import random

from sender.sandbox.faults import Faults
from sender.sandbox.mishaps import Mishap, mishap
from sender.sandbox.options import span


class Dice:
    """Chooses what happens to each call; the same seed and the same calls give the same run."""

    def __init__(self, seed: int | str | None, faults: Faults) -> None:
        self._faults_random = random.Random(f"{seed}/faults" if seed is not None else None)  # noqa: S311
        self._latency_random = random.Random(f"{seed}/latency" if seed is not None else None)  # noqa: S311
        self._faults = faults
        self._calls = 0
        self._thrown = 0

    @property
    def faults(self) -> Faults:
        """What is set now; setting it begins its script and its count of calls afresh."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults, self._calls, self._thrown = faults, 0, 0

    def count_call(self) -> None:
        """Count one POST /messages, for `unauthorized_from`."""
        self._calls += 1

    @property
    def token_expired(self) -> bool:
        """Whether `unauthorized_from` has been reached."""
        start = self._faults.unauthorized_from
        return start is not None and self._calls >= start

    def throw(self, *, scripted: bool) -> Mishap | None:
        """The mishap for the next call, or None; only a `scripted` call takes a line of the script."""
        if scripted and self._thrown < len(self._faults.script):
            self._thrown += 1
            return mishap(self._faults.script[self._thrown - 1])
        if not scripted and not self._faults.everywhere:
            return None
        point = self._faults_random.random()
        for name, rate in self._faults.rates.items():
            point -= rate
            if point < 0:
                return mishap(name)
        return None

    def latency_seconds(self) -> float:
        """How long the next call takes."""
        low, high = span(self._faults.latency)
        return low if low == high else self._latency_random.uniform(low, high)
