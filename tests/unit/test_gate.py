"""When a call may begin, on a clock that is moved: window, deadline, and an operator's hold."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.model import Window
from campaigns.timetable import span
from sender.gate import Gate
from tests import clock
from tests.clock import START_SECONDS

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)  # 09:00 in Paris
SECONDS = timedelta(seconds=1)


def hours(begin: str = "09:00", end: str = "20:00", days: str = "mon") -> Window:
    return Window.model_validate({"from": begin, "to": end, "days": [days], "timezone": "Europe/Paris"})


@dataclass
class Wall:
    """A clock on the wall that goes with the loop's; whoever sets it changes `offset`."""

    start: datetime
    offset: timedelta = timedelta()
    told: list[tuple[str, datetime]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.start + self.offset + timedelta(seconds=time.monotonic() - START_SECONDS)

    def gate(self, window: Window | None = None, deadline: datetime | None = None) -> Gate:
        async def closed(until: datetime) -> None:
            self.told.append(("closed", until))

        async def opened(until: datetime) -> None:
            self.told.append(("opened", until))

        return Gate(window, deadline, on_closed=closed, on_opened=opened, clock=lambda: self.now.timestamp())


Story = Callable[[Wall], Coroutine[Any, Any, None]]


def tell(start: datetime, story: Story) -> Wall:
    wall: list[Wall] = []

    async def whole() -> None:
        wall.append(Wall(start))
        await story(wall[0])

    clock.run(whole())
    return wall[0]


async def at(wall: Wall, moment: datetime) -> None:
    await asyncio.sleep((moment - wall.now).total_seconds())


def near(moment: datetime, expected: datetime) -> bool:
    """Equal but for the rounding of seconds since 1970, and never early."""
    return timedelta() <= moment - expected < timedelta(milliseconds=1)


def test_without_window_deadline_and_hold_it_is_open() -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate()
        assert gate.is_open
        await gate.opened()
        assert not gate.is_late

    assert tell(MONDAY, story).told == []


@pytest.mark.parametrize("hours_before", [0.001, 1, 13])
def test_it_waits_exactly_until_the_window_opens_and_says_so_once(hours_before: float) -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate(hours())
        assert not gate.is_open
        await gate.opened()
        assert gate.is_open
        assert near(wall.now, MONDAY)

    told = tell(MONDAY - timedelta(hours=hours_before), story).told
    assert told == [("closed", MONDAY), ("opened", MONDAY)]


def test_it_closes_at_the_second_at_which_the_window_ends() -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate(hours())
        await at(wall, MONDAY + timedelta(hours=11) - SECONDS)
        assert gate.is_open
        await at(wall, MONDAY + timedelta(hours=11) + timedelta(milliseconds=1))
        assert not gate.is_open

    tell(MONDAY, story)


def test_held_in_a_closed_window_it_waits_for_both_and_a_release_alone_opens_nothing() -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate(hours())
        waiting = asyncio.create_task(gate.opened())
        await asyncio.sleep(60)
        gate.hold()
        await asyncio.sleep(60)
        gate.release()
        await asyncio.sleep(60)
        assert not waiting.done()
        gate.hold()
        await at(wall, MONDAY + timedelta(hours=1))
        assert not waiting.done()
        gate.release()
        await waiting
        assert near(wall.now, MONDAY + timedelta(hours=1))

    told = tell(MONDAY - timedelta(hours=1), story).told
    assert told == [("closed", MONDAY), ("closed", MONDAY)], "once more after the hold, whose state it has replaced"


def test_a_hold_is_lifted_at_once() -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate()
        gate.hold()
        asyncio.get_running_loop().call_later(7, gate.release)
        await gate.opened()
        assert near(wall.now, MONDAY + 7 * SECONDS)

    tell(MONDAY, story)


def test_after_the_deadline_it_never_opens_and_tells_of_no_window() -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate(hours(), MONDAY + timedelta(minutes=5))
        await gate.opened()
        await gate.over()
        assert near(wall.now, MONDAY + timedelta(minutes=5))
        assert gate.is_late
        assert not gate.is_open
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await gate.opened()

    assert tell(MONDAY, story).told == []


def test_without_a_deadline_it_is_never_over() -> None:
    async def story(wall: Wall) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await wall.gate(hours()).over()

    tell(MONDAY, story)


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(days=6), timedelta(days=7, hours=13)])
def test_a_machine_that_slept_over_the_opening_goes_on_within_half_a_minute(jump: timedelta) -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate(hours("09:00", "09:00"))  # all of Monday
        waiting = asyncio.create_task(gate.opened())
        await asyncio.sleep(10)
        wall.offset = jump
        before = time.monotonic()
        await waiting
        assert time.monotonic() - before <= 30
        assert span(hours("09:00", "09:00"), wall.now).is_open

    tell(MONDAY - jump, story)


def test_a_clock_that_is_set_back_closes_the_window_again_and_one_set_forward_ends_it() -> None:
    async def story(wall: Wall) -> None:
        gate = wall.gate(hours(), MONDAY + timedelta(days=30))
        assert gate.is_open
        wall.offset = timedelta(hours=-2)
        assert not gate.is_open
        wall.offset = timedelta(hours=10)
        assert gate.is_open
        wall.offset = timedelta(hours=11)
        assert not gate.is_open
        wall.offset = timedelta(days=30)
        assert gate.is_late
        wall.offset = timedelta(days=28)
        assert gate.is_open

    tell(MONDAY, story)


JUMPS = st.lists(st.tuples(st.floats(0, 4_000), st.integers(-100_000, 400_000), st.booleans()), min_size=1, max_size=6)


@settings(deadline=None, max_examples=40)
@given(begin=st.integers(0, 23), end=st.integers(0, 23), jumps=JUMPS)
def test_nothing_begins_outside_the_window_after_the_deadline_or_while_held_however_the_clock_is_set(
    begin: int, end: int, jumps: list[tuple[float, int, bool]]
) -> None:
    window = hours(f"{begin:02}:00", f"{end:02}:00", "mon")
    deadline = MONDAY + timedelta(days=9)

    async def story(wall: Wall) -> None:
        gate, held = wall.gate(window, deadline), False

        async def begin_calls() -> None:
            while True:
                await gate.opened()
                assert span(window, wall.now).is_open
                assert wall.now < deadline
                assert not held
                await asyncio.sleep(600)

        calls = asyncio.create_task(begin_calls())
        for seconds, jump, holds in jumps:
            await asyncio.sleep(seconds)
            wall.offset += timedelta(seconds=jump)
            held = holds
            (gate.hold if holds else gate.release)()
        assert not calls.done()
        calls.cancel()

    tell(MONDAY - timedelta(days=1), story)
