"""`campaign mcp` as the MCP Inspector sees it, a client that shares no code with the SDK. `make inspector` runs it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import EXECUTABLE
from tests.acceptance.files import write_campaign

INSPECTOR = Path(__file__).parents[2] / ".inspector" / "node_modules" / ".bin" / "mcp-inspector"

pytestmark = pytest.mark.skipif(
    not INSPECTOR.exists(), reason="the MCP Inspector is not installed: `make inspector` gets it from npm"
)


def inspect(folder: Path, *asked: str) -> Any:
    """What the Inspector prints after it has asked a server for that folder."""
    done = subprocess.run(
        [INSPECTOR, "--cli", EXECUTABLE, "mcp", "--root", folder, "--sandbox", *asked],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_it_lists_the_tools_and_calls_one(tmp_path: Path) -> None:
    write_campaign(tmp_path)

    listed = inspect(tmp_path, "--method", "tools/list")
    planned = inspect(
        tmp_path, "--method", "tools/call", "--tool-name", "plan_campaign", "--tool-arg", "file=spring.yaml"
    )

    assert len(listed["tools"]) == 11
    assert all({"annotations", "inputSchema", "outputSchema"} <= tool.keys() for tool in listed["tools"])
    assert planned["structuredContent"]["recipients"] == 2
