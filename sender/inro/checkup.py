"""Is the API there, does it take this token, does its clock agree with ours? One harmless GET, and what it tells."""

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import SecretStr

from sender.inro import wire
from sender.inro.client import connect, proxy_for
from sender.inro.wire import NoReply, Reply

TIMEOUT_SECONDS = 30.0


class Verdict(StrEnum):
    """What the reply to a harmless GET means."""

    WORKS = "works"
    UNREACHED = "unreached"  # no reply: no such host, no connection, TLS, too slow
    BAD_TOKEN = "bad token"  # noqa: S105 – a word, no token
    FORBIDDEN = "forbidden"  # the token is known, but its plan does not include the API
    REDIRECTED = "redirected"  # the token follows no redirect
    ELSEWHERE = "elsewhere"  # something answers that is not the API
    BUSY = "busy"  # too many calls at the moment
    ILL = "ill"


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What one harmless GET told.

    verdict               what it means
    status                the HTTP status, None when no reply came
    reason                the API's own words, or what kept a reply from coming
    leads_to              where a redirect leads, without its query
    clock_ahead_seconds   by how much the API's clock is ahead of ours, None when its reply tells no time
    seconds               how long the reply took
    """

    verdict: Verdict
    status: int | None = None
    reason: str = ""
    leads_to: str = ""
    clock_ahead_seconds: float | None = None
    seconds: float = 0.0


async def check_up(api_url: str, token: SecretStr | None) -> Checkup:
    """What the API answers now; without a token it can only refuse, and shows that it is there."""
    async with connect(api_url=api_url, token=token or SecretStr(""), timeout_seconds=TIMEOUT_SECONDS) as client:
        answer = await client.get("/contacts", {"page": 1, "per_page": 1})
        return read_checkup(answer, now=time.time())


def read_checkup(answer: Reply | NoReply, *, now: float) -> Checkup:
    """What a reply that ended at `now`, or its absence, means."""
    if isinstance(answer, NoReply):
        return Checkup(verdict=Verdict.UNREACHED, reason=answer.reason, seconds=answer.seconds)
    return Checkup(
        verdict=_verdict(answer),
        status=answer.status,
        reason=wire.reason(answer),
        leads_to=_without_query(answer.headers.get("location", "")),
        clock_ahead_seconds=_clock_ahead(answer, now),
        seconds=answer.seconds,
    )


def proxy_host(api_url: str) -> str | None:
    """Host and port of the proxy that calls to the API go through, without its credentials; None without a proxy.

    Empty when the proxy's address has no host.
    """
    proxy = proxy_for(api_url)
    if proxy is None:
        return None
    # By hand, since a password may hold anything.
    return re.split(r"[/?#]", proxy.rpartition("://")[2].rpartition("@")[2])[0]


def _verdict(reply: Reply) -> Verdict:
    match reply.status:
        case 401:
            return Verdict.BAD_TOKEN
        case 403:
            return Verdict.FORBIDDEN
        case 425 | 429:
            return Verdict.BUSY
        case status if 300 <= status < 400:
            return Verdict.REDIRECTED
        case status if status >= 500:
            return Verdict.ILL
        case status if status >= 400 or wire.is_html(reply):
            return Verdict.ELSEWHERE
        case _:
            return Verdict.WORKS


def _clock_ahead(reply: Reply, now: float) -> float | None:
    """`Date` has whole seconds, and was written at some moment of the call: both are halved."""
    told = wire.http_date(reply.headers.get("date", ""))
    return None if told is None else told.timestamp() + 0.5 - (now - reply.seconds / 2)


def _without_query(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
