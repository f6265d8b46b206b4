"""The rate of one account, on a clock that is moved: never more than asked for, in any window, and little less."""

import asyncio
import math
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campaigns.model import Rate
from sender.throttle import RECOVERY, SLOWEST, Throttle
from tests import clock

ULP_SECONDS = 1e-6  # what floating point may lose; no server's window is that sharp

rates = st.one_of(
    st.builds(Rate, count=st.integers(1, 400), period_seconds=st.sampled_from([1.0, 1.0, 60.0, 3600.0, 300.0])),
    st.builds(Rate, count=st.integers(1, 30), period_seconds=st.floats(0.5, 20)),
)


def most_in_a_window(moments: Sequence[float], seconds: float, weights: Sequence[int] | None = None) -> int:
    """The largest sum in any half-open window of that length; it is enough to look at those that begin at a call."""
    loads = weights or [1] * len(moments)
    return max(
        (
            sum(loads[start : bisect_left(moments, moment + seconds - ULP_SECONDS, start)])
            for start, moment in enumerate(moments)
        ),
        default=0,
    )


async def sent(throttle: Throttle, calls: int, *, recipients: int = 1) -> list[float]:
    """When each of so many calls left that were all asked for at once."""
    moments = []
    for _ in range(calls):
        await throttle.acquire(recipients)
        moments.append(time.monotonic())
    return moments


@dataclass(frozen=True)
class Calls:
    """So many workers ask at once, each for a call."""

    number: int


@dataclass(frozen=True)
class Idle:
    """Nobody asks for so long."""

    seconds: float


@dataclass(frozen=True)
class Paused:
    """The API asks the account to wait."""

    seconds: float


@dataclass(frozen=True)
class Eased:
    """A 429."""


@dataclass(frozen=True)
class Recovered:
    """So many calls are accepted."""

    calls: int


@dataclass(frozen=True)
class Restarted:
    """The process ends; the next one knows what the ledger has noted."""


Event = Calls | Idle | Paused | Eased | Recovered | Restarted
spans = st.floats(0, 3) | st.floats(0, 400)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Calls, st.integers(1, 60)),
    st.builds(Calls, st.integers(1, 60)),
    st.builds(Idle, spans),
    st.builds(Paused, spans),
    st.builds(Eased),
    st.builds(Recovered, st.integers(1, 60)),
    st.builds(Restarted),
)


async def moments_of(rate: Rate, story: Sequence[Event]) -> list[float]:
    throttle, moments = Throttle(rate), list[float]()

    async def call() -> None:
        await throttle.acquire(1)
        moments.append(time.monotonic())

    for event in story:
        match event:
            case Calls(number):
                await asyncio.gather(*(call() for _ in range(number)))
            case Idle(seconds):
                await asyncio.sleep(seconds)
            case Paused(seconds):
                throttle.pause(seconds)
            case Eased():
                throttle.ease()
            case Recovered(calls):
                for _ in range(calls):
                    throttle.recover()
            case Restarted():
                now, throttle = time.monotonic(), Throttle(rate)
                throttle.remember((now - moment, 1) for moment in moments if now - moment < rate.period_seconds)
    return moments


@given(rate=rates, story=st.lists(events, min_size=1, max_size=8))
@example(rate=Rate(count=2, period_seconds=1.0), story=[Calls(3), Paused(0.7), Calls(3), Restarted(), Calls(4)])
@example(rate=Rate(count=50, period_seconds=1.0), story=[Eased(), Calls(60), Recovered(60), Calls(60)])
@settings(deadline=None, max_examples=120)
def test_no_window_of_the_period_ever_holds_more_calls_than_the_rate(rate: Rate, story: list[Event]) -> None:
    moments = clock.run(moments_of(rate, story))

    assert most_in_a_window(moments, rate.period_seconds) <= rate.count


@given(rate=rates, calls=st.integers(2, 150))
@settings(deadline=None, max_examples=60)
def test_no_tenth_of_a_second_holds_more_than_twice_its_share(rate: Rate, calls: int) -> None:
    moments = clock.run(sent(Throttle(rate), calls))

    assert most_in_a_window(moments, 0.1) <= max(1, math.ceil(2 * rate.per_second / 10))


@pytest.mark.parametrize(
    "count",
    [1, 2, 9, 10, 15, 20, 100, 300, 1000, 25, 199],
)
def test_no_tenth_of_a_second_holds_more_than_its_share_rounded_up(count: int) -> None:
    moments = clock.run(sent(Throttle(Rate(count=count, period_seconds=1.0)), count))

    assert most_in_a_window(moments, 0.1) <= math.ceil(count / 10)


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_slow_rate_is_paced_call_by_call_from_the_first(count: int) -> None:
    moments = clock.run(sent(Throttle(Rate(count=count, period_seconds=1.0)), 3 * count))

    steps = [after - before for before, after in pairwise(moments)]
    assert all(1 / count <= step <= 1 / count * 1.05 for step in steps)


@pytest.mark.parametrize(
    "written", ["1/s", "2/s", "7/s", "10/s", "19/s", "25/s", "100/s", "333/s", "1000/s", "120/min", "500/h", "300/5min"]
)
def test_over_a_long_run_the_rate_is_reached_within_five_percent(written: str) -> None:
    rate = Rate.parse(written)
    calls = max(200, 3 * rate.count)

    moments = clock.run(sent(Throttle(rate), calls + 1))

    assert rate.per_second * 0.95 <= calls / (moments[-1] - moments[0]) <= rate.per_second * 1.05


@given(
    rate=st.builds(Rate, count=st.integers(10, 1000), period_seconds=st.sampled_from([1.0, 60.0, 3600.0])),
    calls=st.lists(st.tuples(st.integers(1, 10), st.floats(0, 1)), min_size=1, max_size=40),
    restart_at=st.integers(0, 40),
)
@settings(deadline=None, max_examples=80)
def test_no_window_holds_more_recipients_than_their_rate_also_across_a_restart(
    rate: Rate, calls: list[tuple[int, float]], restart_at: int
) -> None:
    calls_rate = Rate(count=1000, period_seconds=1.0)

    async def story() -> list[tuple[float, int]]:
        throttle, noted = Throttle(calls_rate, rate), list[tuple[float, int]]()
        for number, (recipients, idle) in enumerate(calls):
            if number == restart_at:
                throttle = Throttle(calls_rate, rate)
                now = time.monotonic()
                throttle.remember((now - moment, size) for moment, size in noted)
            await asyncio.sleep(idle)
            await throttle.acquire(recipients)
            noted.append((time.monotonic(), recipients))
        return noted

    noted = clock.run(story())

    moments, weights = [moment for moment, _ in noted], [size for _, size in noted]
    assert most_in_a_window(moments, rate.period_seconds, weights) <= rate.count


def test_recipients_are_charged_by_their_number_and_the_budget_frees_as_it_was_used() -> None:
    throttle = Throttle(Rate(count=100, period_seconds=1.0), Rate(count=1000, period_seconds=60.0))

    async def story() -> list[float]:
        began = time.monotonic()
        moments = []
        for recipients, idle in ((600, 0.0), (400, 10.0), (600, 0.0), (400, 0.0)):
            await asyncio.sleep(idle)
            await throttle.acquire(recipients)
            moments.append(time.monotonic() - began)
        return moments

    assert clock.run(story()) == pytest.approx([0, 10, 60, 70], abs=0.01)


def test_who_waits_is_served_in_order() -> None:
    throttle, served = Throttle(Rate(count=5, period_seconds=1.0), Rate(count=50, period_seconds=10.0)), list[int]()

    async def worker(number: int) -> None:
        await throttle.acquire(1 + (number * 7) % 20)
        served.append(number)

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
        await throttle.acquire(1)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await throttle.acquire(1)
        await throttle.acquire(1)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(10, abs=0.01)


def test_a_pause_holds_everyone_even_those_who_wait_already() -> None:
    throttle, moments = Throttle(Rate(count=2, period_seconds=1.0)), list[float]()

    async def worker() -> None:
        await throttle.acquire(1)
        moments.append(time.monotonic())

    async def story() -> float:
        async with asyncio.TaskGroup() as workers:
            for _ in range(6):
                workers.create_task(worker())
            await asyncio.sleep(0.8)
            throttle.pause(30)
            return throttle.paused_until

    until = clock.run(story())

    assert len([moment for moment in moments if moment < until]) == 2
    assert until == clock.START_SECONDS + 30.8


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    throttle = Throttle(Rate(count=100, period_seconds=1.0))

    async def story() -> float:
        began = time.monotonic()
        throttle.pause(60)
        throttle.pause(1)
        await throttle.acquire(1)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(60, abs=0.01)


def test_easing_halves_the_rate_down_to_a_thirty_second_part() -> None:
    throttle = Throttle(Rate(count=10, period_seconds=1.0))
    shares = []
    for _ in range(8):
        throttle.ease()
        shares.append(throttle.share)

    assert shares == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 32, 1 / 32, 1 / 32]
    assert SLOWEST == 1 / 32


@given(st.lists(st.booleans(), max_size=200))
def test_the_share_is_never_above_what_was_asked_nor_below_the_floor(steps: list[bool]) -> None:
    throttle = Throttle(Rate(count=10, period_seconds=1.0))
    for is_eased in steps:
        before = throttle.share
        if is_eased:
            throttle.ease()
            assert throttle.share == max(SLOWEST, before / 2)
        else:
            throttle.recover()
            assert before <= throttle.share <= before + RECOVERY * 1.001
        assert SLOWEST <= throttle.share <= 1


@pytest.mark.parametrize(("eased", "part"), [(0, 1), (1, 2), (2, 4), (5, 32), (9, 32)])
def test_an_eased_rate_is_what_is_sent(eased: int, part: int) -> None:
    throttle = Throttle(Rate(count=64, period_seconds=1.0))
    for _ in range(eased):
        throttle.ease()

    moments = clock.run(sent(throttle, 201))

    assert 200 / (moments[-1] - moments[0]) == pytest.approx(64 / part, rel=0.05)


def test_after_enough_accepted_calls_the_whole_rate_is_back() -> None:
    throttle = Throttle(Rate(count=64, period_seconds=1.0))
    for _ in range(5):
        throttle.ease()
    for _ in range(50):
        throttle.recover()

    assert throttle.share == 1.0
    moments = clock.run(sent(throttle, 201))
    assert 200 / (moments[-1] - moments[0]) == pytest.approx(64, rel=0.05)


def test_another_rate_holds_from_then_on() -> None:
    throttle = Throttle(Rate(count=10, period_seconds=1.0))

    async def story() -> tuple[list[float], list[float]]:
        before = await sent(throttle, 20)
        throttle.set_rate(Rate(count=2, period_seconds=1.0), [(time.monotonic() - moment, 1) for moment in before])
        return before, await sent(throttle, 20)

    before, after = clock.run(story())

    assert most_in_a_window(before, 1.0) <= 10
    assert most_in_a_window(after, 1.0) <= 2
    assert after[-1] - after[0] == pytest.approx(9.5, rel=0.05)


def test_what_was_sent_before_counts_in_the_longer_period_of_another_rate() -> None:
    throttle = Throttle(Rate(count=10, period_seconds=1.0))

    async def story() -> float:
        moments = await sent(throttle, 30)
        began = time.monotonic()
        throttle.set_rate(Rate(count=30, period_seconds=3600.0), [(began - moment, 1) for moment in moments])
        await throttle.acquire(1)
        await throttle.acquire(1)
        return time.monotonic() - began

    assert clock.run(story()) > 3500


def test_a_faster_rate_reaches_those_who_wait_already() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=3600.0))

    async def story() -> float:
        began = time.monotonic()
        await throttle.acquire(1)
        waiting = asyncio.create_task(throttle.acquire(1))
        await asyncio.sleep(10)
        throttle.set_rate(Rate(count=5, period_seconds=1.0), [])
        await waiting
        return time.monotonic() - began

    assert clock.run(story()) < 60


def test_calls_that_the_clock_says_are_yet_to_come_count_as_now() -> None:
    throttle = Throttle(Rate(count=1, period_seconds=10.0))

    async def story() -> float:
        began = time.monotonic()
        throttle.remember([(-3600.0, 1)])
        await throttle.acquire(1)
        return time.monotonic() - began

    assert clock.run(story()) == pytest.approx(10, abs=0.01)


def test_waiting_wakes_the_process_once_a_call_however_many_workers_wait() -> None:
    throttle, sleeps = Throttle(Rate(count=1, period_seconds=60.0)), 0
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        await sleep(seconds)

    async def story() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio, "sleep", counted)
            await asyncio.gather(*(throttle.acquire(1) for _ in range(50)))

    clock.run(story())

    assert sleeps <= 2 * 49
