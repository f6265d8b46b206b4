"""The sandbox as a server: it starts, has an address, and stops."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from sender.sandbox import api, console, mcp
from sender.sandbox.body import MAX_MULTIPART_BYTES
from sender.sandbox.faults import Faults
from sender.sandbox.gate import BASE, MCP, gate
from sender.sandbox.limits import LimiterKind
from sender.sandbox.options import Options, Plan, ReplyStyle, RetryAfterStyle
from sender.sandbox.world import WORLD, World

_SHUTDOWN_SECONDS = 0.2


class Sandbox:
    """A stand-in for the Inrō API inside the running event loop; see Options and Faults for what can be set.

    Stopped and started again it keeps its port and all that it has received, so that a test can take it away
    and bring it back. `clock` gives monotonic seconds (the loop's own by default) and moves limits and tasks;
    `sleep` spends latency. Values that do not fit are a ValueError at once.
    """

    def __init__(
        self,
        *,
        token: str,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        plan: Plan = "pro",
        rate_limit: str | None = None,
        limiter: LimiterKind = "sliding",
        burst: int | None = None,
        retry_after: RetryAfterStyle = "seconds",
        reply: ReplyStyle = "batch",
        unknown_contacts: Iterable[str | int] = (),
        poison: Iterable[str | int] = (),
        text_field: str = "text",
        clock_skew_seconds: float = 0.0,
        keep_requests: int = 10_000,
        seed: int | str | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        options = Options(
            token=token,
            plan=plan,
            rate_limit=rate_limit,
            limiter=limiter,
            burst=burst,
            retry_after=retry_after,
            reply=reply,
            unknown_contacts=frozenset(str(name).lower() for name in unknown_contacts),
            poison=frozenset(str(name).lower() for name in poison),
            text_field=text_field,
            clock_skew_seconds=clock_skew_seconds,
            keep_requests=keep_requests,
            seed=seed,
        )
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._world = World(options, faults or Faults(), clock=clock or _loop_time, sleep=sleep)

    async def start(self) -> None:
        """Listen; OSError when the address is taken."""
        self._world.closing.clear()
        app = web.Application(middlewares=[gate], client_max_size=MAX_MULTIPART_BYTES)
        app[WORLD] = self._world
        app.add_routes([*api.ROUTES, *mcp.ROUTES, *console.ROUTES])
        app.on_shutdown.append(_release)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop every connection, hanging ones too, within a fraction of a second."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def origin(self) -> str:
        """Where its page is, such as `http://127.0.0.1:43211`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The API's base URL, such as `http://127.0.0.1:43211/api/v1`."""
        return self.origin + BASE

    @property
    def mcp_url(self) -> str:
        """The address of its MCP server, such as `http://127.0.0.1:43211/mcp`."""
        return self.origin + MCP

    @property
    def faults(self) -> Faults:
        """What is set to go wrong; may be set while it runs."""
        return self._world.dice.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._world.dice.faults = faults

    def stats(self) -> dict[str, Any]:
        """All counters, the same as GET /sandbox/stats."""
        return self._world.stats()

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The recorded requests after that number, the same as GET /sandbox/requests."""
        return self._world.recorder.since(since)

    def reset(self) -> None:
        """Forget everything received."""
        self._world.reset()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


async def _release(app: web.Application) -> None:
    app[WORLD].closing.set()
