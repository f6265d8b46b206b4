"""What the sandbox does wrong on purpose, seen from the wire."""

import asyncio
import email.utils

import aiohttp
import pytest

from sender.sandbox import Faults
from tests.integration.sandbox_caller import Caller, calling


async def _headers_have_come(caller: Caller) -> None:
    while not (await caller.get("!/sandbox/requests")).json["requests"]:
        pass


async def _body_has_come(caller: Caller) -> None:
    await _headers_have_come(caller)
    while caller.sandbox.requests()[0]["json"] is None:
        await caller.get("!/sandbox/requests")


async def _outcomes(caller: Caller, calls: int) -> list[object]:
    outcomes: list[object] = []
    for number in range(calls):
        try:
            outcomes.append((await caller.send(contact_username=f"user{number}")).status)
        except aiohttp.ClientError as error:
            outcomes.append(type(error).__name__)
    return outcomes


@pytest.mark.parametrize(
    ("name", "status", "accepted"),
    [
        ("429", 429, 0),
        ("429-bare", 429, 0),
        ("503", 503, 0),
        ("500", 500, 0),
        ("500-before", 500, 0),
        ("502", 502, 0),
        ("408", 408, 0),
        ("500-after", 500, 1),
        ("409-after", 409, 1),
        ("html", 200, 0),
        ("redirect", 302, 0),
        ("ok", 202, 1),
    ],
)
async def test_a_scripted_fault_answers_and_accepts_as_it_says(name: str, status: int, accepted: int) -> None:
    async with calling(faults=Faults(script=(name,))) as caller:
        answer = await caller.send()
        assert caller.sandbox.stats()["deliveries_total"] == accepted
        assert (await caller.send()).status == 202
    assert answer.status == status


@pytest.mark.parametrize(("name", "told"), [("429", "7"), ("503", "7"), ("503-bare", None), ("500", None)])
async def test_retry_after_is_told_by_the_faults_that_promise_it(name: str, told: str | None) -> None:
    async with calling(faults=Faults(script=(name,), retry_after_seconds=7)) as caller:
        assert (await caller.send()).headers.get("Retry-After") == told


async def test_a_date_in_retry_after_is_measured_from_the_servers_own_clock() -> None:
    faults = Faults(script=("429-date",), retry_after_seconds=7)
    async with calling(faults=faults, clock_skew_seconds=-3_600) as caller:
        headers = (await caller.send()).headers
    date, until = (email.utils.parsedate_to_datetime(headers[name]) for name in ("Date", "Retry-After"))
    assert (until - date).total_seconds() == 7


@pytest.mark.parametrize(("name", "accepted"), [("reset-before", 0), ("reset-after", 1)])
async def test_a_reset_breaks_the_connection_without_a_reply(name: str, accepted: int) -> None:
    async with calling(faults=Faults(script=(name,))) as caller:
        with pytest.raises(aiohttp.ClientOSError):
            await caller.send()
        stats = caller.sandbox.stats()
    assert stats["deliveries_total"] == accepted
    assert stats["messages"]["unanswered"] == 1


async def test_a_cut_reply_breaks_off_after_its_headers() -> None:
    async with calling(faults=Faults(script=("cut",))) as caller:
        payload = {"contact_username": "ann", "text": "Hello"}
        async with caller.session.post(caller.sandbox.url + "/messages", json=payload) as reply:
            assert reply.status == 202
            with pytest.raises(aiohttp.ClientPayloadError):
                await reply.read()
        assert caller.sandbox.stats()["deliveries"] == {"username:ann": 1}


@pytest.mark.parametrize(("name", "accepted"), [("hang", 1), ("hang-before", 0)])
async def test_a_hanging_call_is_let_go_when_the_sandbox_stops(name: str, accepted: int) -> None:
    async with calling(faults=Faults(script=(name,))) as caller:
        hanging = asyncio.create_task(caller.send())
        await _body_has_come(caller)
        await asyncio.wait_for(caller.sandbox.stop(), timeout=0.5)
        with pytest.raises(aiohttp.ClientError):
            await hanging
        assert caller.sandbox.stats()["deliveries_total"] == accepted


async def test_a_half_sent_body_does_not_hold_up_the_stop() -> None:
    async with calling() as caller:
        host, port = caller.sandbox.origin.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 100\r\n\r\n{")
        await _headers_have_come(caller)
        await asyncio.wait_for(caller.sandbox.stop(), timeout=0.8)
        writer.close()


async def test_a_client_that_goes_away_in_the_middle_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with calling() as caller:
        host, port = caller.sandbox.origin.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 100\r\n\r\n{")
        await _headers_have_come(caller)
        writer.close()
        while caller.sandbox.stats()["messages"]["unanswered"] == 0:
            await caller.get("!/sandbox/stats")
        assert (await caller.send()).status == 202
    assert caplog.records == []


async def test_a_partial_refusal_accepts_the_first_half_and_says_so() -> None:
    async with calling(faults=Faults(script=("422-partial",))) as caller:
        answer = await caller.send_exactly(contact_ids=[1, 2, 3, 4], text="Hello")
        assert caller.sandbox.stats()["deliveries"] == {"id:1": 1, "id:2": 1}
    assert answer.status == 422
    assert (answer.json["accepted_count"], answer.json["batch_task_id"]) == (2, 1)


async def test_a_call_that_is_refused_anyway_is_refused_before_it_can_be_spoilt() -> None:
    async with calling(faults=Faults(script=("500-after",))) as caller:
        assert (await caller.send(text="")).status == 422


async def test_a_redirect_stays_on_this_server() -> None:
    async with calling(faults=Faults(script=("redirect",))) as caller:
        assert (await caller.send()).headers["Location"] == "/api/v1/moved"


async def test_the_same_seed_gives_the_same_run() -> None:
    faults = Faults(rate_429=0.3, rate_500_after=0.2, rate_reset_before=0.2, rate_cut=0.1)
    runs = []
    for seed in (7, 7, 8):
        async with calling(faults=faults, seed=seed) as caller:
            runs.append((await _outcomes(caller, 20), caller.sandbox.stats()["deliveries"]))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("name", [name for name in Faults().rates if not name.startswith("hang")])
async def test_every_rate_is_a_probability_of_its_fault(name: str) -> None:
    faults = Faults.parse({f"rate-{name}": 1.0})
    async with calling(faults=faults) as always, calling(faults=Faults(script=(name,) * 2)) as scripted:
        assert await _outcomes(always, 2) == await _outcomes(scripted, 2)
        assert always.sandbox.requests()[0]["fault"] == name


async def test_faults_strike_other_calls_only_when_told_so() -> None:
    async with calling(faults=Faults(rate_500_before=1)) as caller:
        assert (await caller.get("/medias")).status == 200
        caller.sandbox.faults = Faults(rate_500_before=1, everywhere=True)
        assert (await caller.get("/medias")).status == 500


async def test_the_token_stops_working_from_a_chosen_call_on() -> None:
    async with calling(faults=Faults(unauthorized_from=3)) as caller:
        assert await _outcomes(caller, 4) == [202, 202, 401, 401]
        assert (await caller.get("/medias")).status == 401


async def test_latency_passes_half_before_and_half_after_acceptance() -> None:
    callers: list[Caller] = []
    slept: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        slept.append((seconds, callers[0].sandbox.stats()["deliveries_total"]))

    async with calling(faults=Faults(latency="80ms"), sleep=sleep) as caller:
        callers.append(caller)
        await caller.send()
    assert slept == [(0.04, 0), (0.04, 1)]


async def test_a_range_of_latency_is_drawn_from() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(2 * seconds)

    async with calling(faults=Faults(latency="10ms-80ms"), sleep=sleep, seed=1) as caller:
        await _outcomes(caller, 10)
    assert all(0.01 <= seconds <= 0.08 for seconds in slept)
    assert len(set(slept)) == 10


async def test_it_can_die_and_come_back_at_another_processs_word() -> None:
    async with calling() as caller:
        dead = await caller.call("POST", "!/sandbox/faults", json={"down": True})
        assert dead.json["faults"]["down"] is True
        with pytest.raises(aiohttp.ClientError):
            await caller.get("/medias")
        await caller.call("POST", "!/sandbox/faults", json={})
        assert (await caller.get("/medias")).status == 200


async def test_a_stopped_sandbox_comes_back_on_its_port_with_what_it_knew() -> None:
    async with calling() as caller:
        await caller.send()
        url = caller.sandbox.url
        await caller.sandbox.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.send()
        await caller.sandbox.start()
        assert (await caller.send()).status == 202
        assert (caller.sandbox.url, caller.sandbox.stats()["most_to_one"]) == (url, 2)


async def test_new_faults_begin_their_script_afresh() -> None:
    async with calling(faults=Faults(script=("500", "500"))) as caller:
        assert (await caller.send()).status == 500
        caller.sandbox.faults = Faults(script=("ok", "503"))
        assert await _outcomes(caller, 3) == [202, 503, 202]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"rate_429": 2}, "between 0 and 1"),
        ({"rate_429": 0.6, "rate_503": 0.6}, "together"),
        ({"rate_492": 0.1}, "rate_429"),
        ({"rate_429": "often"}, "rate_429"),
        ({"latency": "soon"}, "latency"),
        ({"latency": "80ms-10ms"}, "before it begins"),
        ({"script": "ok,boom"}, "boom"),
        ({"down": "perhaps"}, "down"),
        ([], "object"),
    ],
)
async def test_faults_that_do_not_fit_are_named_and_change_nothing(body: object, words: str) -> None:
    async with calling(faults=Faults(rate_503=0.5)) as caller:
        answer = await caller.call("POST", "!/sandbox/faults", json=body)
        assert (await caller.get("!/sandbox/faults")).json["faults"]["rate_503"] == 0.5
    assert answer.status == 422
    assert words in answer.json["error"]


def test_faults_are_parsed_from_flags() -> None:
    flags = {"rate-500-after": "0.25", "latency": "10ms-80ms", "script": "ok, 429", "down": "true"}
    assert Faults.parse(flags) == Faults(rate_500_after=0.25, latency="10ms-80ms", script=("ok", "429"), down=True)
