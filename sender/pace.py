"""How fast an API lets an account go, learned from its 429s: never above the rate asked for. Time comes in.

After CUBIC (RFC 9438): a 429 takes the rate to a bit below what was accepted until then; from there it rises, ever
slower, towards that, stays about there, and then ever faster, to find what may have been given back. A 429 costs a
pause, so it comes once in 200 calls and a twentieth of the time at most.

A refusal before a window is full has one of two causes: a limit that is lower than we were told, or no burst at all,
so that two calls came too close for the server. The first one is taken for the latter: one call at a time from then
on, each a step after the last one's answer. When that is refused, too, it was the former.

Its weakness: one at a time costs a round trip for each call, much of the rate of a server that is far away.
"""

from collections import deque
from typing import Final

from campaigns.model import Rate
from sender.outcome import Quota

FULL: Final = 0.9  # of the rate: a window with so much in it was full, as far as can be told from here
NEW: Final = 1.2  # of a window: answers come late, so what was let through in one may take a little longer to get here
START: Final = 0.95  # of what was accepted
DEBT: Final = 1.05  # what was accepted, pauses included, is a bit below what may be where a pause fills no bucket
FLOOR: Final = 1 / 32  # of the rate asked for
# Until more is tried: the longest of these. 429s and their pauses stay few, and what is given back is found in 30 s.
PLATEAU_SECONDS: Final = 20.0
PLATEAU_CALLS: Final = 200
PLATEAU_PAUSES: Final = 20
PROBE: Final = 0.4  # of the plateau: after it, the time in which the rate doubles
WHOLE_SECOND: Final = 1.0


class Pace:
    """The rate of now, in calls a second, and whether they go one at a time."""

    def __init__(self, rate: Rate) -> None:
        self._asked = rate.per_second
        # Long enough to measure in, and short enough to learn from within an hour's window.
        self._measure_seconds = min(rate.period_seconds, max(1.0, 10 / rate.per_second))
        self._accepted: deque[float] = deque()
        self._accepted_since = 0
        self._since: float | None = None  # the last refusal, or the first answer
        self._resumed_at = float("-inf")
        self._refused_at = float("-inf")
        self._found: float | None = None  # calls a second that were accepted when it was refused; None: all of them
        self._plateau_seconds = PLATEAU_SECONDS
        self._single_until = float("-inf")
        self._single_seconds = PLATEAU_SECONDS
        self._quota_step = 0.0

    def is_single(self, now: float) -> bool:
        """Whether calls go one at a time."""
        return now < self._single_until

    def per_second(self, now: float) -> float:
        """Calls a second, learned from refusals alone."""
        if self._found is None:
            return self._asked
        passed = max(0.0, now - self._resumed_at) / self._plateau_seconds
        if passed < 1:
            return self._found * (1 - (1 - START) * (1 - passed) ** 3)
        speed = self._found * (1 + ((passed - 1) / PROBE) ** 3)
        if speed >= self._asked:
            self._found = None
        return min(speed, self._asked)

    def step_seconds(self, now: float) -> float:
        """From one call to the next, as both refusals and quotas have it."""
        return max(1 / self.per_second(now), self._quota_step)

    def accepted(self, now: float) -> None:
        """A call was let through, whatever became of it then."""
        if self._since is None:
            self._since = now
        self._accepted_since += 1
        self._accepted.append(now)
        self._forget(now)

    def refused(self, sent_at: float, now: float, pause_seconds: float) -> None:
        """A 429 after which nothing is sent for so long; those that were under way with one are the same refusal."""
        if sent_at <= self._refused_at:
            return
        speed = self.per_second(now)
        is_single = self.is_single(now)
        self._forget(now)
        measured = self._measured(now)
        if measured < FULL * speed and self._found is None and not is_single:
            self._single_until = now + pause_seconds + self._single_seconds
            self._single_seconds *= 2
        else:
            if is_single:
                self._single_until, self._single_seconds = float("-inf"), PLATEAU_SECONDS
            found = measured if measured < FULL * speed else DEBT * self._with_pauses(now)
            self._ease(found, speed, now, pause_seconds)
        self._refused_at = self._since = now
        self._resumed_at = now + pause_seconds
        self._accepted_since = 0

    def heed(self, quotas: tuple[Quota, ...], under_way: int) -> float:
        """Spreads what is left of the API's own limits; returns for how many seconds nothing may leave at all."""
        self._quota_step = max((_step_seconds(quota, under_way) for quota in quotas), default=0.0)
        return max((quota.reset_seconds for quota in quotas if quota.remaining <= under_way), default=0.0)

    def _ease(self, found: float, speed: float, now: float, pause_seconds: float) -> None:
        self._found = max(self._asked * FLOOR, speed / 2, min(found, speed))
        self._plateau_seconds = max(PLATEAU_SECONDS, PLATEAU_CALLS / self._found, PLATEAU_PAUSES * pause_seconds)

    def _measured(self, now: float) -> float:
        """What was accepted a second just now; of what began only then everything, however late its answers came."""
        is_new = now - self._resumed_at <= NEW * self._measure_seconds
        return max(len(self._accepted), self._accepted_since if is_new else 0) / self._measure_seconds

    def _with_pauses(self, now: float) -> float:
        """What was accepted a second since the last refusal: a bucket fills in the pause, so that counts, too."""
        since = now if self._since is None else self._since
        return self._accepted_since / max(now - since, self._measure_seconds)

    def _forget(self, now: float) -> None:
        while self._accepted and self._accepted[0] <= now - self._measure_seconds:
            self._accepted.popleft()


def _step_seconds(quota: Quota, under_way: int) -> float:
    """The step with which a quota lasts to its end, one call left; 0 when it says nothing of that."""
    # A reset is told in whole seconds, rounded up: one of a second says no more than that the window is one.
    is_short = quota.reset_seconds <= WHOLE_SECOND
    window_seconds = quota.window_seconds or (WHOLE_SECOND if is_short else None)
    step = window_seconds / (quota.limit - 1) if window_seconds and quota.limit and quota.limit > 1 else 0.0
    left = quota.remaining - under_way
    return step if is_short or left <= 0 else max(step, quota.reset_seconds / left)
