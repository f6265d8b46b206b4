"""The tools as an agent calls them, with the official client, in this process, against a sandbox."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from sender.mcp import scope as bounds
from sender.mcp.roots import Roots
from sender.mcp.scope import Scope
from sender.mcp.server import make_server
from sender.rehearsal import SANDBOX_TOKEN
from sender.sandbox import Sandbox
from sender.settings import sandbox_settings
from tests.acceptance.files import write_campaign

READERS = {"check_campaign", "plan_campaign", "run_status", "run_report", "list_medias", "find_contact"}
LEVERS = {"pause_run", "resume_run", "cancel_run"}
WRITERS = {"send_test", "send_campaign"}


class Agent:
    """Calls tools, and knows the sandbox that they send to."""

    def __init__(self, client: Client, sandbox: Sandbox, folder: Path) -> None:
        self.client = client
        self.sandbox = sandbox
        self.folder = folder
        self.progress: list[tuple[float, float | None, str | None]] = []

    async def call(self, tool: str, **arguments: Any) -> Any:
        """What the tool returns, as structured content."""
        result = await self.client.call_tool(tool, arguments, progress_callback=self._note)
        assert not result.is_error, result.content
        return result.structured_content

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """The sentence with which the tool refuses."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        [content] = result.content
        assert isinstance(content, TextContent)
        return content.text

    async def _note(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))

    @property
    def bodies(self) -> list[Any]:
        """The messages that reached the sandbox."""
        return [each["json"] for each in self.sandbox.requests() if each["path"] == "/messages"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMPAIGN_LEDGER", str(tmp_path / "state" / "ledger.db"))
    (tmp_path / "campaigns").mkdir()
    return tmp_path / "campaigns"


@asynccontextmanager
async def serving(folder: Path, *, max_recipients: int = 100) -> AsyncIterator[Agent]:
    """An agent of a server for that folder. Not a fixture: the SDK has to leave its contexts in the task it entered."""
    async with Sandbox(token=SANDBOX_TOKEN) as sandbox:
        settings = sandbox_settings(os.environ, api_url=sandbox.url, token=SANDBOX_TOKEN)
        scope = Scope(
            roots=Roots.of([folder]), settings=settings, max_recipients=max_recipients, sandbox_url=sandbox.url
        )
        async with Client(make_server(scope)) as client:
            yield Agent(client, sandbox, folder)


async def test_every_tool_says_what_it_does_to_the_world_and_what_it_returns(folder: Path) -> None:
    async with serving(folder, max_recipients=1234) as agent:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}

    assert set(tools) == READERS | LEVERS | WRITERS
    assert all(tool.output_schema and tool.description and tool.title for tool in tools.values())
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations}
    assert {name for name, hint in hints.items() if hint.read_only_hint} == READERS
    assert {name for name, hint in hints.items() if hint.destructive_hint} == WRITERS | {"cancel_run"}
    assert {name for name, hint in hints.items() if hint.idempotent_hint} == LEVERS | {"send_campaign"}
    for name in ("check_campaign", "plan_campaign", "send_campaign"):
        assert "A campaign may have at most 1,234 recipients." in str(tools[name].description)
        assert f"Campaign files, their CSVs, exclusion lists and media lie in: {folder}" in str(tools[name].description)
    assert "At most 60 single messages an hour." in str(tools["send_test"].description)


async def test_what_can_be_read_without_a_tool(folder: Path) -> None:
    async with serving(folder) as agent:
        client = agent.client
        assert "campaign://schema" in {found.uri for found in (await client.list_resources()).resources}
        [schema] = (await client.read_resource("campaign://schema")).contents
        [runs] = (await client.read_resource("campaign://runs")).contents
        prompt = await client.get_prompt("new_campaign", {"idea": "a spring sale", "test_contact": "@ann"})
        with pytest.raises(Exception, match="there is no ledger"):
            await client.read_resource("campaign://runs/spring")
        instructions = str(client.instructions)

    assert '"title": "Inrō campaign"' in str(getattr(schema, "text", ""))
    assert getattr(runs, "text", "") == '{\n  "runs": []\n}'
    text = getattr(prompt.messages[0].content, "text", "")
    assert "a spring sale" in text
    assert text.index("send_test with this file to @ann") < text.index("plan_campaign") < text.index("send_campaign")
    assert "nobody gets anything" in instructions


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"text": "Hello"}, {"message_type": "text", "text": "Hello"}),
        ({"type": "video", "video": "https://x.org/a.mp4"}, {"message_type": "video", "video": "https://x.org/a.mp4"}),
        ({"type": "share", "post": "latest-reel"}, {"message_type": "share", "media_id": "17912345678904550"}),
    ],
)
async def test_one_call_writes_to_one_contact(folder: Path, message: Any, sent: Any) -> None:
    async with serving(folder) as agent:
        said = await agent.call("send_test", to="@Ann", message=message)
        assert agent.bodies == [{**sent, "contact_username": "ann"}]

    assert (said["accepted"], said["outcome"], said["to"]) == (True, "accepted", "ann")
    assert "whether Instagram delivers is not known" in said["note"]
    assert "a second call would send it a second time" in said["note"]


async def test_a_message_to_one_contact_may_be_a_campaigns_and_is_refused_in_sentences(folder: Path) -> None:
    write_campaign(folder)
    async with serving(folder) as agent:
        assert (await agent.call("send_test", to="ann@example.com", file="spring.yaml"))["kind"] == "email"
        missing = await agent.call("send_test", to="nobody", message={"text": "Hi"})
        assert (missing["accepted"], missing["outcome"]) == (False, "not_found")
        begun = len(agent.bodies)

        refused = [
            await agent.refusal("send_test", to="@ann"),
            await agent.refusal("send_test", to="@ann", message={"text": "Hi"}, file="spring.yaml"),
            await agent.refusal("send_test", to="@ann", message={"type": "video", "vidio": "x"}),
            await agent.refusal("send_test", to="no name", message={"text": "Hi"}),
            await agent.refusal("send_test", to="@ann", message={"type": "image", "image": "/etc/hostname.png"}),
            await agent.refusal("send_test", message="secret words"),
            await agent.refusal("send_campaign", file="spring.yaml", plan_fingerprint="a\0b", recipients=-1),
        ]
        assert len(agent.bodies) == begun

    assert (
        refused[0]
        == refused[1]
        == "give either `message` or `file`: the message itself, or the campaign file that has it"
    )
    assert refused[2].endswith("message.vidio: unknown key; did you mean video?")
    assert refused[3].startswith("to: ")
    assert "leads outside the folders" in refused[4]
    assert refused[5].startswith("the arguments do not fit; to: Field required")
    assert "secret" not in refused[5]
    assert refused[6].startswith("the arguments do not fit; plan_fingerprint: ")
    assert "recipients: Input should be greater than or equal to 0" in refused[6]


async def test_single_messages_are_bounded_so_that_nobody_loops_over_a_list(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SINGLES", 1)
    async with serving(folder) as agent:
        await agent.call("send_test", to="@ann", message={"text": "Hi"})
        refused = await agent.refusal("send_test", to="@bob", message={"text": "Hi"})
        assert len(agent.bodies) == 1
        now = time.monotonic() + bounds.SINGLES_SECONDS
        monkeypatch.setattr("sender.mcp.scope.time.monotonic", lambda: now)
        await agent.call("send_test", to="@bob", message={"text": "Hi"})
    assert refused.startswith("1 single messages were sent in the last hour")


async def test_contacts_and_posts_are_found(folder: Path) -> None:
    async with serving(folder) as agent:
        for who in ("@ann", "101", "ann@example.com"):
            found = await agent.call("find_contact", who=who)
            assert (found["is_exact"], found["contacts"][0]["username"]) == (True, "ann")
        by_words = await agent.call("find_contact", who="Ann Mar")
        assert (by_words["is_exact"], [each["username"] for each in by_words["contacts"]]) == (False, ["ann"])
        assert (await agent.call("find_contact", who="nobody"))["contacts"] == []
        assert (await agent.call("find_contact", who="@optout1"))["contacts"][0]["status"] == "optout"
        reels = await agent.call("list_medias", kind="reels", limit=2)
        assert reels["is_cut"]
        assert all("/reel/" in each["permalink"] for each in reels["medias"])
        assert len((await agent.call("list_medias"))["medias"]) > 4


async def test_campaigns_are_found_checked_and_planned(folder: Path) -> None:
    write_campaign(
        folder, "username\nann\nbob\nno name\n", name="good", more="notify: {url: https://hooks.example.com}\n"
    )
    write_campaign(folder, "username\nann\nbob\nno name\n", name="bad", message="{txt: Hi}")
    async with serving(folder) as agent:
        bad, good = (await agent.call("check_campaign"))["files"]
        plan = await agent.call("plan_campaign", file="good.yaml")
        assert agent.sandbox.requests() == []

    assert not bad["ok"]
    assert bad["problems"][1] == f"{folder}/bad.yaml:4:11: message.txt: unknown key; did you mean text?"
    assert (good["ok"], good["recipients"], good["rejected_rows"]) == (True, 2, 1)
    assert (plan["recipients"], plan["run"], plan["run_state"], plan["calls"]) == (2, "good", None, 1)
    assert (plan["message"], plan["first_recipients"]) == ({"type": "text", "text": "Hello"}, ["ann", "bob"])
    assert plan["rejected_rows"][0].startswith(f"{folder}/people.csv:4:1: ")
    assert plan["notes"] == ["When the run ends, its numbers are posted to https://hooks.example.com"]


async def test_more_recipients_than_the_ceiling_are_refused_before_all_are_read(folder: Path) -> None:
    write_campaign(folder, [f"person{n}" for n in range(500)], delivery="{chunk_size: 10}")
    (folder / "nobody.csv").write_text("username\n", "utf-8")
    (folder / "empty.yaml").write_text("campaign: empty\naudience: {csv: nobody.csv}\nmessage: {text: Hi}\n", "utf-8")
    async with serving(folder, max_recipients=100) as agent:
        for tool, more in (("plan_campaign", {}), ("send_campaign", {"plan_fingerprint": "0" * 32, "recipients": 101})):
            said = await agent.refusal(tool, file="spring.yaml", **more)
            assert said.startswith("more than 100 recipients (--max-recipients) may not be sent to over this server")
        [checked] = [each for each in (await agent.call("check_campaign"))["files"] if "spring" in each["file"]]
        assert checked["problems"][0].startswith("more than 100 recipients")
        assert "nobody is left to send to" in await agent.refusal("plan_campaign", file="empty.yaml")
        assert agent.sandbox.requests() == []


async def test_other_people_make_another_fingerprint_also_when_they_are_as_many(folder: Path) -> None:
    write_campaign(folder, ["ann", "bob", "carla"], audience="  exclude: optouts.csv\n")
    fingerprints = set()
    async with serving(folder) as agent:
        for optout in ("ann", "bob", "carla"):
            (folder / "optouts.csv").write_text(f"username\n{optout}\n", "utf-8")
            plan = await agent.call("plan_campaign", file="spring.yaml")
            assert plan["recipients"] == 2
            fingerprints.add(plan["plan_fingerprint"])
    assert len(fingerprints) == 3


async def test_only_what_was_planned_and_shown_is_sent_and_only_once(folder: Path) -> None:
    write_campaign(folder, ["ann", "bob", "carla"], audience="  exclude: optouts.csv\n")
    optouts = folder / "optouts.csv"
    optouts.write_text("username\nann\n", "utf-8")
    async with serving(folder) as agent:
        shown = await agent.call("plan_campaign", file="spring.yaml")
        agreed = {"file": "spring.yaml", "plan_fingerprint": shown["plan_fingerprint"], "recipients": 2}

        optouts.write_text("username\nbob\n", "utf-8")  # as many as before, but others
        refused = await agent.refusal("send_campaign", **agreed)
        assert refused == (
            "the plan of spring is not the one that was shown: its message, its recipients or their order have changed "
            "since. Plan it again, and look at what that shows; nothing was sent"
        )
        assert agent.bodies == []

        optouts.write_text("username\nann\n", "utf-8")
        sent = await agent.call("send_campaign", **agreed)
        assert (sent["state"], sent["started_now"], sent["is_being_sent"]) == ("completed", True, False)
        assert agent.progress[-1] == (2.0, 2.0, "2 of 2 recipients decided, 2 accepted")
        assert "whether Instagram delivers is not known" in sent["note"]
        again = await agent.call("plan_campaign", file="spring.yaml")
        assert (again["run_state"], again["pending"], again["plan_fingerprint"]) == (
            "completed",
            0,
            shown["plan_fingerprint"],
        )
        another = await agent.call("plan_campaign", file="spring.yaml", run="second")
        assert another["notes"] == [
            "This campaign has had runs before (spring): who got its message then gets one again."
        ]
        assert "is not the one that was shown" in await agent.refusal("send_campaign", **agreed, run="second")
        write_campaign(folder, message="{text: Other}", audience="  exclude: optouts.csv\n")
        assert "began with another message" in await agent.refusal("plan_campaign", file="spring.yaml")
        assert agent.sandbox.stats()["most_to_one"] == 1
        details = await agent.call("run_report", run="spring", states=["accepted"], limit=1)

    log = await asyncio.to_thread(Path(sent["log"]).read_text, "utf-8")
    assert "chunk.accepted" in log
    assert "bob" not in log
    assert details["recipients_csv"].splitlines()[1].startswith(",bob,,username,")
    assert (details["is_cut"], details["is_being_sent"]) == (True, False)
