"""Tells the address of the campaign's `notify` how a run ended: a signed summary in JSON, see docs/notify.md.

What goes wrong here is a warning and changes nothing about the run, which is over by then. A weakness: news whose reply
was lost arrives again, up to three times; X-Campaign-Delivery is then the same.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import orjson
from pydantic import SecretStr

from campaigns.model import Campaign
from sender import logs
from sender.inro.client import proxy_for, user_agent
from sender.report import Report
from sender.session import View
from sender.settings import SANDBOX_ORIGIN, Settings
from sender.signals import Signals

TIMEOUT_SECONDS = 10.0
WAITS_SECONDS = (1.0, 4.0)  # before the second and the third try
PATIENCE_SECONDS = 2.0  # until a person is told what is waited for
AGAIN = frozenset({408, 425, 429, *range(500, 600)})


class NotTold(Exception):
    """The news did not arrive; the text says why, without the URL, which may hold a secret."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        self.again = again
        super().__init__(reason)


def payload(report: Report) -> bytes:
    """The summary as `send --json` prints it, without the API's words, which may name a recipient."""
    document = report.as_json()
    if report.reason:
        document["reason"] = re.sub(r"(HTTP \d{3}): .*", r"\1", report.reason, flags=re.DOTALL)
    return orjson.dumps(document)


def signature(secret: SecretStr, timestamp: int, body: bytes) -> str:
    """The value of X-Campaign-Signature: HMAC-SHA256 of `TIMESTAMP.BODY`, in hexadecimal."""
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()}"


@asynccontextmanager
async def telling(
    campaign: Campaign, settings: Settings, signals: Signals, view: View
) -> AsyncIterator[Callable[[Report], None]]:
    """Tells, when the context ends, of the last report that it was given; of nothing if it was given none."""
    reports: list[Report] = []
    try:
        yield reports.append
    finally:
        if campaign.notify and reports:
            if settings.origin == SANDBOX_ORIGIN:
                view.notice(f"A rehearsal tells nobody; the real thing tells {_host(campaign.notify.url)}.")
            else:
                await _tell(campaign.notify.url, reports[-1], settings.notify_secret, signals, view)


async def _tell(url: str, report: Report, secret: SecretStr | None, signals: Signals, view: View) -> None:
    host, log = _host(url), logs.get_logger(run=report.run)
    news = asyncio.create_task(deliver(url, payload(report), secret))
    with signals.instead(news.cancel):
        _, waiting = await asyncio.wait({news}, timeout=PATIENCE_SECONDS)
        if waiting:
            view.notice(f"Telling {host} how it ended; ^C gives that up.")
            await asyncio.wait(waiting)
    # Whatever it is, a mistake of ours included: it must not look as if the run had failed.
    error = asyncio.CancelledError("given up") if news.cancelled() else news.exception()
    if error is None:
        log.info(logs.NOTIFY_SENT, host=host, signed=secret is not None)
        return
    reason = str(error) if isinstance(error, NotTold | asyncio.CancelledError) else type(error).__name__
    log.warning(logs.NOTIFY_FAILED, host=host, reason=reason)
    view.notice(f"{host} was not told how the run ended ({reason}); nothing else depends on that.")


async def deliver(url: str, body: bytes, secret: SecretStr | None) -> None:
    """Posts the body, in at most three tries. Raises NotTold.

    It takes no longer than 35 s. Neither the API's token nor a cookie goes along, and no redirect is followed.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": user_agent(),
        "X-Campaign-Delivery": secrets.token_hex(16),
    }
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        proxy=proxy_for(url),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        for wait in (*WAITS_SECONDS, None):
            try:
                await _post(session, url, body, secret)
                return
            except NotTold as error:
                if wait is None or not error.again:
                    raise
                await asyncio.sleep(wait)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, secret: SecretStr | None) -> None:
    headers = {"X-Campaign-Signature": signature(secret, int(time.time()), body)} if secret else {}
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            status = response.status
    except TimeoutError as error:
        raise NotTold(f"no reply within {TIMEOUT_SECONDS:g} s", again=True) from error
    except aiohttp.ClientConnectorError as error:
        raise NotTold(f"no connection: {error.strerror or type(error).__name__}", again=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise NotTold(type(error).__name__, again=True) from error
    if not 200 <= status < 300:
        raise NotTold(f"HTTP {status}", again=status in AGAIN)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
