"""The server: every tool with its hints, the resources, the prompt; over standard input and output."""

import asyncio
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import ValidationError

from sender.mcp.authoring import Authoring
from sender.mcp.looking import Looking
from sender.mcp.resources import Resources
from sender.mcp.scope import SINGLES, Scope
from sender.mcp.sending import Sending
from sender.mcp.steering import Steering
from sender.report import spelled

BUG = "Its log has more. What was sent is in the ledger: look with run_status before anything is sent again."

LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
LOOKS_AT_INRO = ToolAnnotations(read_only_hint=True, open_world_hint=True)
STEERS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True)
WRITES_ONCE = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)


class PlainServer(MCPServer[Any]):
    """A server whose tools' errors are sentences, without the SDK's words around them."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """What the tool returns. Raises ToolError with what an agent should know."""
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError as error:
            raise UnexpectedToolError(f"{name} failed by a bug of this server. {BUG}") from error.__cause__
        except ToolError as error:
            match error.__cause__:
                case ToolError() as said:
                    raise said from said.__cause__
                case ValidationError() as invalid:
                    raise ToolError(_explained(invalid)) from invalid
            raise


def _explained(invalid: ValidationError) -> str:
    """What is wrong with a tool's arguments, without their values."""
    wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in invalid.errors())
    return f"the arguments do not fit; {'; '.join(wrong)}"


def make_server(scope: Scope) -> MCPServer[Any]:
    """A server with everything that an agent may do in this scope."""
    # The SDK would set up logging by itself, with boxes and colours; its lines below a warning hold arguments.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    resources = Resources(scope)
    server = PlainServer(
        "inro-campaigns",
        title="Inrō campaigns",
        version=version("inro-campaigns"),
        instructions=resources.instructions(),
        log_level="WARNING",
    )
    for tool, title, hints in _tools(scope):
        about = f"{inspect.cleandoc(tool.__doc__ or '')}\n\n{_bounds(tool.__name__, scope)}".strip()
        server.add_tool(tool, title=title, description=about, annotations=hints, structured_output=True)
    server.resource("campaign://schema", mime_type="application/schema+json")(resources.schema)
    server.resource("campaign://runs", mime_type="application/json")(resources.runs)
    server.resource("campaign://runs/{run}", mime_type="application/json")(resources.run)
    server.prompt(title="New campaign")(resources.new_campaign)
    return server


def _tools(scope: Scope) -> list[tuple[Callable[..., Any], str, ToolAnnotations]]:
    authoring, sending, looking, steering = Authoring(scope), Sending(scope), Looking(scope), Steering(scope)
    return [
        (authoring.check_campaign, "Check campaign files", LOOKS),
        (authoring.plan_campaign, "Plan a campaign", LOOKS),
        (sending.send_test, "Send one message to one contact", WRITES),
        (sending.send_campaign, "Send a planned campaign", WRITES_ONCE),
        (looking.run_status, "Where a run stands", LOOKS),
        (looking.run_report, "What happened in a run", LOOKS),
        (steering.pause_run, "Pause a run", STEERS),
        (steering.resume_run, "Resume a run", STEERS),
        (steering.cancel_run, "Cancel what is pending of a run", ENDS),
        (looking.list_medias, "The account's posts and reels", LOOKS_AT_INRO),
        (looking.find_contact, "Find a contact", LOOKS_AT_INRO),
    ]


def _bounds(tool: str, scope: Scope) -> str:
    """The limits of this server that the tool's caller should know."""
    folders = ", ".join(map(str, scope.roots.folders))
    most = f"A campaign may have at most {spelled(scope.max_recipients, 'recipient')}."
    where = f"Campaign files, their CSVs, exclusion lists and media lie in: {folders}"
    match tool:
        case "check_campaign" | "plan_campaign" | "send_campaign":
            return f"{most} {where}"
        case "send_test":
            return f"At most {SINGLES} single messages an hour. {where}"
        case _:
            return ""


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serves the one client that started this process, until it closes standard input."""
    # The SDK reads standard input in a thread that a ^C would wait for; there is nothing to clean up.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, os._exit, 128 + signal.SIGINT)
    await server.run_stdio_async()
