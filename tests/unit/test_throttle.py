"""The rate of one sender, on a clock that is moved: never more than asked for, in any window, and little less."""

import asyncio
import math
import random
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campaigns.model import Rate
from sender.outcome import Outcome
from sender.sandbox.limits import Limit, LimiterKind
from sender.throttle import CATCH_UP_SECONDS, Permit, Throttle
from tests import clock
from tests.limited_api import ACCEPTED, REFUSED, LimitedApi, send

ULP_SECONDS = 1e-6  # what floating point may lose; no server's window is that sharp

rates = st.one_of(
    st.builds(Rate, count=st.integers(1, 400), period_seconds=st.sampled_from([1.0, 1.0, 60.0, 3600.0, 300.0])),
    st.builds(Rate, count=st.integers(1, 30), period_seconds=st.floats(0.5, 20)),
)


def most_in_a_window(moments: Sequence[float], seconds: float) -> int:
    """The most in any half-open window of that length; it is enough to look at those that begin at a call."""
    found = sorted(moments)
    return max((bisect_left(found, at + seconds - ULP_SECONDS, n) - n for n, at in enumerate(found)), default=0)


async def leave(throttle: Throttle) -> Permit:
    """A permit, at its moment."""
    permit = await throttle.acquire()
    await asyncio.sleep(max(0.0, permit.moment - time.monotonic()))
    return permit


async def sent(throttle: Throttle, calls: int) -> list[float]:
    """When each of so many calls left that were all asked for at once, and answered at once."""
    moments = []
    for _ in range(calls):
        permit = await leave(throttle)
        moments.append(permit.moment)
        await throttle.answered(permit, ACCEPTED)
    return moments


@dataclass(frozen=True)
class Calls:
    """So many workers ask at once; each call lasts up to so long, and reaches the server somewhere in between."""

    number: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Idle:
    """Nobody asks for so long."""

    seconds: float


@dataclass(frozen=True)
class Paused:
    """The API asks the account to wait."""

    seconds: float


Event = Calls | Idle | Paused
spans = st.floats(0, 3) | st.floats(0, 400)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Calls, st.integers(1, 60), st.floats(0, 5)),
    st.builds(Calls, st.integers(1, 60), st.floats(0, 0.2)),
    st.builds(Idle, spans),
    st.builds(Paused, spans),
)


async def arrivals_of(rate: Rate, story: Sequence[Event], dice: random.Random) -> list[float]:
    throttle, arrivals = Throttle(rate), list[float]()

    async def call(seconds: float) -> None:
        permit = await leave(throttle)
        before, after = dice.uniform(0, seconds / 2), dice.uniform(0, seconds / 2)
        await asyncio.sleep(before)
        arrivals.append(time.monotonic())
        await asyncio.sleep(after)
        outcome = dice.choice([ACCEPTED, ACCEPTED, ACCEPTED, REFUSED])
        await throttle.answered(permit, outcome)
        if outcome is REFUSED:
            throttle.refused(permit, 0.5)

    for event in story:
        match event:
            case Calls(number, seconds):
                await asyncio.gather(*(call(seconds) for _ in range(number)))
            case Idle(seconds):
                await asyncio.sleep(seconds)
            case Paused(seconds):
                throttle.pause(seconds)
    return arrivals


@given(rate=rates, story=st.lists(events, min_size=1, max_size=6), seed=st.integers(0, 2**32))
@example(rate=Rate(count=2, period_seconds=1.0), story=[Calls(3, 0.4), Paused(0.7), Calls(9, 0.1)], seed=1)
@settings(deadline=None, max_examples=80)
def test_no_window_of_the_server_s_ever_holds_more_calls_than_the_rate_whatever_the_way_takes(
    rate: Rate, story: list[Event], seed: int
) -> None:
    arrivals = clock.run(arrivals_of(rate, story, random.Random(seed)))

    assert most_in_a_window(arrivals, rate.period_seconds) <= rate.count


@pytest.mark.parametrize("count", [1, 2, 9, 10, 15, 20, 100, 300, 1000, 25, 199])
def test_no_tenth_of_a_second_holds_more_than_its_share_rounded_up(count: int) -> None:
    moments = clock.run(sent(Throttle(Rate(count=count, period_seconds=1.0)), count))

    assert most_in_a_window(moments, 0.1) <= math.ceil(count / 10)


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_slow_rate_is_paced_call_by_call_from_the_first(count: int) -> None:
    moments = clock.run(sent(Throttle(Rate(count=count, period_seconds=1.0)), 3 * count))

    steps = [after - before for before, after in pairwise(moments)]
    assert all(0.999 / count <= step <= 1 / count * 1.05 for step in steps)


@pytest.mark.parametrize(
    "written", ["1/s", "2/s", "7/s", "19/s", "25/s", "333/s", "1000/s", "120/min", "500/h", "300/5min"]
)
def test_over_a_long_run_the_rate_is_reached_within_half_a_percent(written: str) -> None:
    rate = Rate.parse(written)
    calls = max(200, 3 * rate.count)

    moments = clock.run(sent(Throttle(rate), calls + 1))

    assert rate.per_second * 0.995 <= calls / (moments[-1] - moments[0]) <= rate.per_second * 1.001


@pytest.mark.parametrize("late_seconds", [0.03, 0.06])
def test_a_machine_that_wakes_late_loses_nothing(late_seconds: float) -> None:
    async def story() -> float:
        throttle, dice = Throttle(Rate(count=20, period_seconds=1.0)), random.Random(1)
        began = time.monotonic()
        for _ in range(200):
            permit = await leave(throttle)
            await throttle.answered(permit, ACCEPTED)
            await asyncio.sleep(dice.choice([0, 0, late_seconds]))
        return 199 / (time.monotonic() - began)

    assert clock.run(story()) >= 19.8


def test_more_than_a_tenth_of_a_second_is_not_caught_up() -> None:
    async def story() -> list[float]:
        throttle = Throttle(Rate(count=20, period_seconds=1.0))
        await sent(throttle, 5)
        await asyncio.sleep(30)
        return await sent(throttle, 20)

    moments = clock.run(story())

    assert most_in_a_window(moments, 0.04) == 1 + int(CATCH_UP_SECONDS * 20)


KINDS: list[LimiterKind] = ["sliding", "fixed", "token-bucket"]


@pytest.mark.parametrize("jitter_seconds", [0.0, 0.05])
@pytest.mark.parametrize("rate", ["20/s", "200/s"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_allows_what_was_asked_never_refuses_and_is_used_to_its_bound(
    kind: LimiterKind, rate: str, jitter_seconds: float
) -> None:
    async def story() -> LimitedApi:
        api = LimitedApi(kind=kind, limits=[(0, rate)], jitter_seconds=jitter_seconds)
        return await send(rate, 400 / Rate.parse(rate).per_second + 5, api)

    api = clock.run(story())

    assert api.refused == []
    assert api.share(rate) >= 0.99 / (1 + api.rtt_seconds + jitter_seconds / 2)


def test_a_bucket_with_little_burst_is_satisfied_too() -> None:
    async def story() -> LimitedApi:
        return await send(
            "20/s", 20, LimitedApi(kind="token-bucket", limits=[(0, "20/s")], burst=6, jitter_seconds=0.05)
        )

    assert clock.run(story()).refused == []


def test_a_server_without_any_burst_is_recognised_and_gets_one_call_at_a_time() -> None:
    async def story() -> LimitedApi:
        api = LimitedApi(kind="token-bucket", limits=[(0, "20/s")], burst=1, jitter_seconds=0.05, says_when=False)
        return await send("20/s", 60, api)

    api = clock.run(story())

    assert len(api.refused) <= 4
    assert api.share("20/s") >= 0.6


@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize(("kind", "burst"), [("sliding", None), ("fixed", None), ("token-bucket", 10)])
def test_a_limit_lower_than_we_were_told_is_found_and_held(kind: LimiterKind, burst: int, says_when: bool) -> None:
    async def story() -> LimitedApi:
        api = LimitedApi(kind=kind, limits=[(0, "10/s")], burst=burst, says_when=says_when)
        return await send("20/s", 120, api)

    api = clock.run(story())

    assert api.share("10/s", 30, 120) >= 0.9
    assert api.refused_share() <= 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_that_is_halved_and_given_back_is_found_both_times(kind: LimiterKind) -> None:
    async def story() -> LimitedApi:
        return await send("20/s", 140, LimitedApi(kind=kind, limits=[(0, "20/s"), (20, "10/s"), (70, "20/s")]))

    api = clock.run(story())

    assert api.share("10/s", 30, 70) >= 0.9
    assert api.share("20/s", 100, 140) >= 0.9
    assert api.refused_share() <= 0.01
    assert most_in_a_window(api.arrived, 1.0) <= 20


@pytest.mark.parametrize("window", ["20/s", "300/min"])
def test_where_replies_tell_what_is_left_it_never_hits_zero(window: str) -> None:
    async def story() -> LimitedApi:
        limit = Limit.parse(window)
        api = LimitedApi(kind="fixed", limits=[(0, window)], quota_window=limit)
        return await send("20/s", 3 * limit.period_seconds + 30, api)

    api = clock.run(story())

    assert api.refused == []
    assert api.share(window) >= 0.9


# Who waits


def test_who_waits_is_served_in_order() -> None:
    throttle, served = Throttle(Rate(count=5, period_seconds=1.0)), list[int]()

    async def worker(number: int) -> None:
        permit = await leave(throttle)
        served.append(number)
        await asyncio.sleep(0.3 * (number % 3))
        await throttle.answered(permit, ACCEPTED)

    async def story() -> None:
        throttle.pause(3)
        async with asyncio.TaskGroup() as workers:
            for number in range(30):
                workers.create_task(worker(number))

    clock.run(story())

    assert served == list(range(30))


def test_who_gives_up_waiting_uses_nothing_and_holds_nobody() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=10.0))

    async def story() -> float:
        await sent(throttle, 1)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await leave(throttle)
        await leave(throttle)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(10, abs=0.01)


def test_a_permit_that_was_not_used_is_free_at_once() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=3600.0))

    async def story() -> float:
        throttle.give_back(await throttle.acquire())
        began = time.monotonic()
        throttle.set_rate(Rate(count=1, period_seconds=1.0))
        await sent(throttle, 1)
        return time.monotonic() - began

    assert clock.run(story()) <= 1


def test_who_was_deferred_before_the_first_call_waits_no_step_on_top() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=3600.0))

    async def story() -> float:
        began = time.monotonic()
        throttle.give_back(await leave(throttle))
        throttle.defer(60)
        throttle.give_back(await leave(throttle))
        throttle.defer(10)
        await leave(throttle)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(70, abs=0.1)


def test_a_slot_that_was_given_back_late_moves_no_later_one() -> None:
    throttle = Throttle(Rate(count=2, period_seconds=1.0))

    async def story() -> float:
        early = await leave(throttle)
        await sent(throttle, 1)
        throttle.give_back(early)
        began = time.monotonic()
        await sent(throttle, 1)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(0.5, abs=0.05)


def test_a_call_under_way_holds_its_place_however_long_it_takes() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=1.0))

    async def story() -> float:
        first = await leave(throttle)
        began = time.monotonic()
        asyncio.get_running_loop().call_later(25, lambda: asyncio.ensure_future(throttle.answered(first, ACCEPTED)))
        await leave(throttle)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(26, abs=0.01)


def test_a_pause_holds_everyone_even_those_who_wait_already() -> None:
    throttle, moments = Throttle(Rate(count=2, period_seconds=1.0)), list[float]()

    async def worker() -> None:
        permit = await leave(throttle)
        moments.append(time.monotonic())
        await throttle.answered(permit, ACCEPTED)

    async def story() -> float:
        async with asyncio.TaskGroup() as workers:
            for _ in range(6):
                workers.create_task(worker())
            await asyncio.sleep(0.8)
            throttle.pause(30)
            return time.monotonic() + 30

    until = clock.run(story())

    assert len([moment for moment in moments if moment < until]) == 2


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    throttle = Throttle(Rate(count=100, period_seconds=1.0))

    async def story() -> float:
        began = time.monotonic()
        throttle.pause(60)
        throttle.pause(1)
        await leave(throttle)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(60, abs=0.01)


def test_after_a_pause_nothing_is_caught_up() -> None:
    throttle = Throttle(Rate(count=20, period_seconds=1.0))

    async def story() -> list[float]:
        await sent(throttle, 3)
        throttle.pause(10)
        return await sent(throttle, 10)

    moments = clock.run(story())

    assert all(after - before >= 0.0499 for before, after in pairwise(moments))


def test_while_others_come_first_the_schedule_stays() -> None:
    throttle = Throttle(Rate(count=20, period_seconds=1.0))

    async def story() -> list[float]:
        moments = []
        for _ in range(20):
            moments += await sent(throttle, 1)
            throttle.let_others_first(0.075)
        return moments

    moments = clock.run(story())

    assert moments[-1] - moments[0] == pytest.approx(19 * 0.075, rel=0.05)
    assert clock.run(_after_courtesy()) >= 19


async def _after_courtesy() -> float:
    throttle = Throttle(Rate(count=20, period_seconds=1.0))
    began = time.monotonic()
    for _ in range(100):
        await sent(throttle, 1)
        throttle.let_others_first(0.04)
    return 99 / (time.monotonic() - began)


def test_another_rate_holds_from_then_on() -> None:
    throttle = Throttle(Rate(count=10, period_seconds=1.0))

    async def story() -> list[float]:
        await sent(throttle, 20)
        throttle.set_rate(Rate(count=2, period_seconds=1.0))
        return await sent(throttle, 20)

    after = clock.run(story())

    assert most_in_a_window(after, 1.0) <= 2
    assert after[-1] - after[0] == pytest.approx(9.5, rel=0.05)


@pytest.mark.parametrize("deferred", [0.0, 3000.0])
def test_a_faster_rate_reaches_those_who_wait_already(deferred: float) -> None:
    throttle = Throttle(Rate(count=1, period_seconds=3600.0))

    async def story() -> float:
        began = time.monotonic()
        await sent(throttle, 1)
        throttle.defer(deferred)
        waiting = asyncio.create_task(leave(throttle))
        await asyncio.sleep(10)
        throttle.set_rate(Rate(count=5, period_seconds=1.0))
        await waiting
        return time.monotonic() - began

    assert clock.run(story()) < 11


def test_an_answer_to_a_call_from_before_the_rate_changed_counts_for_nothing_now() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=3600.0))

    async def story() -> float:
        early = await leave(throttle)
        throttle.set_rate(Rate(count=1, period_seconds=5.0))
        await throttle.answered(early, ACCEPTED)
        began = time.monotonic()
        await sent(throttle, 2)
        return time.monotonic() - began

    assert clock.run(story()) <= 10.01


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED])
def test_whatever_was_answered_the_place_is_free_one_period_later(outcome: Outcome) -> None:
    throttle = Throttle(Rate(count=1, period_seconds=10.0))

    async def story() -> float:
        permit: Permit = await leave(throttle)
        await asyncio.sleep(2)
        await throttle.answered(permit, outcome)
        began = time.monotonic()
        await leave(throttle)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(10, abs=0.01)


def test_waiting_wakes_the_process_once_a_call_however_many_workers_wait() -> None:
    throttle, wakes = Throttle(Rate(count=1, period_seconds=60.0)), 0
    look = throttle._wait_seconds

    def counted(now: float) -> float:
        nonlocal wakes
        wakes += 1
        return look(now)

    async def worker() -> None:
        await throttle.answered(await leave(throttle), ACCEPTED)

    async def story() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patched: Any = counted
            patch.setattr(throttle, "_wait_seconds", patched)
            await asyncio.gather(*(worker() for _ in range(50)))

    clock.run(story())

    assert wakes <= 4 * 50
