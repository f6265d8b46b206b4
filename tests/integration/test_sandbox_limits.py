"""The sandbox's rate limits, by a clock that the test moves, and the meter that proves a sender's pace."""

import email.utils

import pytest

from tests.integration.sandbox_caller import Caller, Clock, calling


async def _statuses(caller: Caller, calls: int) -> list[int]:
    return [(await caller.get("/batch_tasks")).status for _ in range(calls)]


async def test_without_a_limit_nothing_is_refused() -> None:
    async with calling(clock=Clock()) as caller:
        assert await _statuses(caller, 5) == [200] * 5


async def test_a_sliding_window_never_lets_more_than_the_limit_through() -> None:
    clock = Clock()
    async with calling(clock=clock, rate_limit="2/s") as caller:
        assert await _statuses(caller, 1) == [200]
        clock.now += 0.6
        assert await _statuses(caller, 2) == [200, 429]
        clock.now += 0.4
        assert await _statuses(caller, 2) == [200, 429]


async def test_a_fixed_window_starts_afresh_with_each_period() -> None:
    clock = Clock()
    async with calling(clock=clock, rate_limit="2/s", limiter="fixed") as caller:
        clock.now += 0.9
        assert await _statuses(caller, 3) == [200, 200, 429]
        clock.now += 0.1
        assert await _statuses(caller, 3) == [200, 200, 429]


async def test_a_token_bucket_refills_evenly() -> None:
    clock = Clock()
    async with calling(clock=clock, rate_limit="10/s", limiter="token-bucket", burst=1) as caller:
        assert await _statuses(caller, 2) == [200, 429]
        clock.now += 0.1
        assert await _statuses(caller, 2) == [200, 429]
        clock.now += 5
        assert await _statuses(caller, 2) == [200, 429]


async def test_a_limited_call_accepts_nothing_and_is_counted_apart() -> None:
    async with calling(clock=Clock(), rate_limit="1/min") as caller:
        assert [(await caller.send()).status for _ in range(3)] == [202, 429, 429]
        stats = caller.sandbox.stats()
    assert stats["deliveries_total"] == 1
    assert stats["messages"]["rate_limited"] == 2
    assert stats["messages"]["refused"] == 0
    assert stats["messages"]["by_status"] == {"202": 1, "429": 2}


async def test_retry_after_counts_the_seconds_until_a_call_may_pass() -> None:
    clock = Clock()
    async with calling(clock=clock, rate_limit="1/min") as caller:
        await caller.send()
        clock.now += 17.5
        assert (await caller.send()).headers["Retry-After"] == "43"
        clock.now += 42.5
        assert (await caller.send()).status == 202


async def test_retry_after_can_be_a_date() -> None:
    async with calling(clock=Clock(), rate_limit="1/min", retry_after="date") as caller:
        await caller.send()
        headers = (await caller.send()).headers
    date, until = (email.utils.parsedate_to_datetime(headers[name]) for name in ("Date", "Retry-After"))
    assert (until - date).total_seconds() == 60


async def test_retry_after_can_be_missing() -> None:
    async with calling(clock=Clock(), rate_limit="1/min", retry_after="none") as caller:
        await caller.send()
        assert "Retry-After" not in (await caller.send()).headers


async def test_the_meter_finds_the_busiest_window_wherever_it_lies() -> None:
    clock = Clock()
    async with calling(clock=clock, rate_limit="100/s") as caller:
        for pause in (0.5, 0.3, 0.3, 0.3, 0.3, 2.0, 1.0):
            clock.now += pause
            await caller.send()
        assert caller.sandbox.stats()["peak_per_window"] == 4
        clock.now += 0.5
        await _statuses(caller, 6)
        stats = caller.sandbox.stats()
    assert (stats["peak_per_window"], stats["peak_messages_per_window"]) == (7, 4)


@pytest.mark.parametrize("rate", ["fast", "0/s", "1/0s", "2/day", "-1/s"])
async def test_a_limit_that_makes_no_sense_is_refused_at_once(rate: str) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        async with calling(rate_limit=rate):
            pass


@pytest.mark.parametrize("option", [{"limiter": "leaky"}, {"plan": "gold"}, {"reply": "sms"}])
async def test_an_option_that_does_not_exist_is_refused_at_once(option: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        async with calling(**option):
            pass
