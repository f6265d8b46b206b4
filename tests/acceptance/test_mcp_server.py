"""`campaign mcp` as agents' clients start it: with the official client, over both transports; killed; asked twice."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.acceptance.command import EXECUTABLE, Command, Running
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

TOKEN = "a-token-for-agents-4711"
PEOPLE = [f"person{number}" for number in range(12)]


class Agent:
    """Calls tools, and remembers which."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.called: set[str] = set()
        self.progress: list[float] = []

    async def call(self, tool: str, **arguments: Any) -> Any:
        """What the tool returns; what it refuses is under `refused`."""
        self.called.add(tool)
        result = await self.client.call_tool(tool, arguments, progress_callback=self._note)
        if result.is_error:
            return {"refused": str(getattr(result.content[0], "text", ""))}
        return result.structured_content

    async def _note(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(progress)

    async def look_around(self) -> None:
        """Calls what neither writes to a run nor needs one."""
        assert (await self.call("check_campaign"))["files"][0]["ok"]
        assert (await self.call("send_test", to="@ann", message={"type": "share", "post": "latest"}))["accepted"]
        assert (await self.call("list_medias"))["medias"]
        assert (await self.call("find_contact", who="@ann"))["is_exact"]
        assert "no run 'other'" in (await self.call("cancel_run", run="other"))["refused"]
        assert "leads outside" in (await self.call("plan_campaign", file="../people.csv"))["refused"]

    async def has_called_all(self) -> bool:
        """Whether there is no tool that it has not called."""
        return {tool.name for tool in (await self.client.list_tools()).tools} == self.called


@asynccontextmanager
async def over_http(url: str) -> AsyncIterator[Agent]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield Agent(client)


@asynccontextmanager
async def over_stdio(campaign: Command, root: Path, log: Path) -> AsyncIterator[Agent]:
    server = StdioServerParameters(
        command=str(EXECUTABLE), args=["mcp", "--root", str(root)], env=campaign.environ, cwd=root
    )
    with log.open("w") as errors:
        async with Client(stdio_client(server, errlog=errors)) as client:
            yield Agent(client)


async def statuses(url: str) -> list[int]:
    """What the server answers without a token, with a wrong one, and for a name of another host."""
    right = {"Authorization": f"Bearer {TOKEN}"}
    tries: list[dict[str, str]] = [{}, {"Authorization": "Bearer no"}, {**right, "Host": "evil.example"}]
    async with httpx2.AsyncClient() as http:
        return [(await http.post(url, json={}, headers=headers)).status_code for headers in tries]


async def begin(agent: Agent, server: Running) -> None:
    """Sends, at a call an hour, pauses the run, and kills the server while the tool waits."""
    await agent.look_around()
    plan = await agent.call("plan_campaign", file="spring.yaml")
    agreed = {"plan_fingerprint": plan["plan_fingerprint"], "recipients": plan["recipients"]}
    sending = asyncio.create_task(agent.call("send_campaign", file="spring.yaml", **agreed, wait_seconds=60))
    while not agent.progress:  # noqa: ASYNC110 – a progress that is told by a callback of the SDK
        await asyncio.sleep(0.01)
    for tool in ("pause_run", "resume_run", "pause_run"):
        assert (await agent.call(tool, run="spring"))["by_sender"]
    assert (await agent.call("run_status"))["live"]["sender"]
    assert (await agent.call("run_report", run="spring"))["is_being_sent"]
    assert await agent.has_called_all()
    server.process.kill()
    await asyncio.wait([sending])
    sending.exception()


async def go_on(agent: Agent, campaign: Command) -> None:
    """Finds the run at work, does not double it, and sees it end once an operator has raised its rate."""
    await agent.look_around()
    plan = await agent.call("plan_campaign", file="spring.yaml")
    agreed = {"plan_fingerprint": plan["plan_fingerprint"], "recipients": plan["recipients"]}
    found = await agent.call("send_campaign", file="spring.yaml", **agreed, wait_seconds=0)
    assert (found["started_now"], found["is_being_sent"], found["state"]) == (False, True, "paused")
    assert found["note"] == "The run is paused; resume_run lifts that."
    assert (await asyncio.to_thread(campaign, "rate", "spring", "1000/s")).code == 0
    assert (await agent.call("resume_run", run="spring"))["by_sender"]
    ended = await agent.call("send_campaign", file="spring.yaml", **agreed, wait_seconds=60)
    assert (ended["state"], ended["report"]["recipients"]["accepted"]) == ("completed", len(PEOPLE))
    for tool in ("pause_run", "resume_run", "run_status", "run_report"):
        assert "refused" not in await agent.call(tool, run="spring")
    assert await agent.has_called_all()


def test_a_killed_server_stops_no_run_and_another_one_does_not_double_it(tmp_path: Path) -> None:
    root = tmp_path / "campaigns"
    root.mkdir()
    write_campaign(root, PEOPLE, delivery="{rate: 1/h, chunk_size: 2}")
    with serving() as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        server = campaign.start("mcp", "--root", root, "--http", "0", environ={"CAMPAIGN_MCP_TOKEN": TOKEN})
        server.wait_for(lambda: "Serving MCP at" in server.err)
        url = re.findall(r"http://127\.0\.0\.1:\d+/mcp", server.err)[0]

        async def first() -> list[int]:
            async with over_http(url) as agent:
                refused = await statuses(url)
                await begin(agent, server)
            return refused

        async def second() -> None:
            async with over_stdio(campaign, root, tmp_path / "errors") as agent:
                await go_on(agent, campaign)

        try:
            assert asyncio.run(first()) == [401, 401, 421]
        finally:
            server.process.kill()
            server.end()
        asyncio.run(second())
        deliveries = sandbox.stats()["deliveries"]

    assert {name: deliveries[f"username:{name}"] for name in PEOPLE} == dict.fromkeys(PEOPLE, 1)
    assert server.out == ""
    logs = server.err + (tmp_path / "errors").read_text("utf-8")
    assert "person" not in logs + (tmp_path / "state" / "ledger.db-spring.log").read_text("utf-8")
    assert TOKEN not in logs


def test_what_keeps_a_server_from_starting_is_said_before_the_protocol_begins(tmp_path: Path) -> None:
    campaign = Command(folder=tmp_path)
    short = campaign("mcp", "--root", ".", "--http", "0", environ={"CAMPAIGN_MCP_TOKEN": "short"})
    assert (short.code, short.out) == (2, "")
    assert short.err.startswith("campaign: --http needs a token that its clients show: set CAMPAIGN_MCP_TOKEN to 20 ")
    assert "short" not in short.err
