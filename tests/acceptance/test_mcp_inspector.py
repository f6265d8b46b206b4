"""`campaign mcp` as the MCP Inspector sees it, a client that shares no code with the SDK. `make inspector` runs it."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import EXECUTABLE, SECONDS, Command
from tests.acceptance.files import write_campaign

INSPECTOR = Path(__file__).parents[2] / ".inspector" / "node_modules" / ".bin" / "mcp-inspector"
TOKEN = "a-token-for-agents-4711"

Entry = dict[str, Any]  # a server, as the clients' configuration files name it

pytestmark = pytest.mark.skipif(
    not INSPECTOR.exists(), reason="the MCP Inspector is not installed: `make inspector` gets it from npm"
)


@contextmanager
def over_stdio(home: Path, root: Path) -> Iterator[Entry]:
    """A server that the Inspector starts anew each time it is asked; only the ledger lasts."""
    yield {"type": "stdio", "command": str(EXECUTABLE), "args": ["mcp", "--root", str(root), "--sandbox"]}


@contextmanager
def over_http(home: Path, root: Path) -> Iterator[Entry]:
    """A server that runs already, and wants the token."""
    environ = {"CAMPAIGN_MCP_TOKEN": TOKEN}
    server = Command(folder=home).start("mcp", "--root", root, "--sandbox", "--http", "0", environ=environ)
    try:
        server.wait_for(lambda: "Serving MCP at" in server.err)
        url = re.findall(r"http://127\.0\.0\.1:\d+/mcp", server.err)[0]
        yield {"type": "streamable-http", "url": url, "headers": {"Authorization": f"Bearer {TOKEN}"}}
    finally:
        server.process.kill()
        server.end()


class Inspector:
    """Asks a server one thing at a time, each with a start of the Inspector, and remembers which tools it called."""

    def __init__(self, home: Path, server: Entry) -> None:
        self.home = home
        self.called: set[str] = set()
        self.config = home / "servers.json"
        self.config.write_text(json.dumps({"mcpServers": {"campaigns": server}}), "utf-8")

    def ask(self, method: str, *more: str) -> Any:
        """What it prints; a tool that refuses fails the test, as the Inspector exits with 5."""
        done = subprocess.run(
            [INSPECTOR, "--cli", "--config", self.config, "--server", "campaigns", "--method", method, *more],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "MCP_INSPECTOR_SECRET_STORE": "memory"},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{method} {more}: {done.stderr.decode()}"
        return json.loads(done.stdout)

    def call(self, tool: str, **arguments: Any) -> Any:
        """What the tool returns."""
        self.called.add(tool)
        called = self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return called["structuredContent"]


def look_around(inspector: Inspector) -> None:
    """Calls what needs no run."""
    assert [file["ok"] for file in inspector.call("check_campaign")["files"]] == [True]
    assert inspector.call("list_medias", limit=2)["medias"]
    assert inspector.call("find_contact", who="@ann")["is_exact"]
    assert inspector.call("send_test", to="@ann", message={"type": "text", "text": "Hello"})["accepted"]


def send(inspector: Inspector) -> None:
    """Plans and sends a campaign to its end, and pulls the levers, which change nothing of a run that is over."""
    plan = inspector.call("plan_campaign", file="spring.yaml")
    agreed = {"plan_fingerprint": plan["plan_fingerprint"], "recipients": 2}
    sent = inspector.call("send_campaign", file="spring.yaml", **agreed, wait_seconds=SECONDS)
    assert (sent["started_now"], sent["state"]) == (True, "completed")
    for lever in ("pause_run", "resume_run", "cancel_run"):
        pulled = inspector.call(lever, run="spring")
        assert (pulled["recipients_changed"], pulled["state"]) == (0, "completed")
    assert inspector.call("run_status")["recipients"]["accepted"] == 2
    assert inspector.call("run_report", run="spring")["report"]["recipients"]["accepted"] == 2


@pytest.mark.parametrize("serving", [over_stdio, over_http])
def test_it_lists_everything_and_calls_every_tool(
    tmp_path: Path, serving: Callable[[Path, Path], AbstractContextManager[Entry]]
) -> None:
    root = tmp_path / "campaigns"
    root.mkdir()
    write_campaign(root)

    with serving(tmp_path, root) as server:
        inspector = Inspector(tmp_path, server)
        tools = inspector.ask("tools/list", "--strict")["tools"]
        resources = inspector.ask("resources/list")["resources"]
        prompts = inspector.ask("prompts/list")["prompts"]
        look_around(inspector)
        send(inspector)

    assert len(tools) == 11
    assert {tool["name"] for tool in tools} == inspector.called
    assert all({"annotations", "inputSchema", "outputSchema"} <= tool.keys() for tool in tools)
    assert {resource["uri"] for resource in resources} == {"campaign://schema", "campaign://runs"}
    assert [prompt["name"] for prompt in prompts] == ["new_campaign"]
