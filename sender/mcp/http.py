"""The server over HTTP, on this machine alone, for clients that show the token."""

import hmac
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sender.errors import InputError

HOST = "127.0.0.1"
PATH = "/mcp"
FAREWELL_SECONDS = 1


async def serve_http(server: MCPServer[Any], port: int, token: SecretStr, on_listening: Callable[[str], None]) -> None:
    """Serves until a signal ends it; `on_listening` is told the address. Raises InputError when the port is taken.

    The SDK lets in only requests whose Host and Origin are this machine's, so that no web page can reach it.
    """
    app = Guarded(server.streamable_http_app(streamable_http_path=PATH, host=HOST), token)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=FAREWELL_SECONDS)
    with _listening(port) as listening:
        on_listening(f"http://{HOST}:{listening.getsockname()[1]}{PATH}")
        await uvicorn.Server(config).serve(sockets=[listening])


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise InputError(f"--http: nothing can listen on {HOST}:{port}: {error.strerror}") from error


class Guarded:
    """An application that answers 401 to whoever does not show the token."""

    def __init__(self, app: ASGIApp, token: SecretStr) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._knows(Headers(scope=scope).get("authorization", "")):
            refusal = PlainTextResponse(
                "This server needs `Authorization: Bearer` with the token that CAMPAIGN_MCP_TOKEN has.\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, authorization: str) -> bool:
        scheme, _, shown = authorization.partition(" ")
        right = self._token.get_secret_value().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode("latin-1", "replace"), right)
