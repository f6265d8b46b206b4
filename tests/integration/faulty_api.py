"""An API made by hand that fails as it is told to, and knows exactly whom it has taken a message on for.

It reads the request's own body and answers with a reply that `wire` has to understand, so that nothing of what the
sender believes about a chunk gets in here.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson

from sender.inro import wire
from sender.inro.wire import Content, NoReply, Reply, Request
from sender.ledger import StoredChunk
from sender.outcome import Outcome

CONTENT = Content(fields={"type": "text", "text": "Hello"})


class Answer(Enum):
    """How one call is answered. Where poisoned recipients are in the call, the last five refuse it instead."""

    UNREACHED = auto()
    WAIT = auto()  # 429, Retry-After: 0
    BUSY = auto()  # 503, Retry-After: 0
    UNAUTHORIZED = auto()
    REFUSED_MESSAGE = auto()  # 400 whoever it is for
    LOST = auto()  # the connection broke before the API had done anything, after the request began
    CONFLICT = auto()  # 409, nothing done
    LOST_REPLY = auto()  # accepted, then the connection broke
    FAILED_REPLY = auto()  # accepted, then 500
    PAGE = auto()  # accepted, then 200 with HTML
    PARTLY = auto()  # the poisoned refused with 422, the others accepted
    NAMED = auto()  # 202 that names whom it did not find; 422 that names the poisoned
    COUNTED = auto()  # 202 with not_found_count; 422 without names
    SUMMED = auto()  # 202 with accepted_count alone; 422 without names


UNTOUCHED: dict[Answer, Reply | NoReply] = {
    Answer.UNREACHED: NoReply(began=False, reason="no connection"),
    Answer.WAIT: Reply(status=429, headers={"retry-after": "0"}),
    Answer.BUSY: Reply(status=503, headers={"retry-after": "0"}),
    Answer.UNAUTHORIZED: Reply(status=401, body=b'{"error": "bad token"}'),
    Answer.REFUSED_MESSAGE: Reply(status=400, body=b'{"error": "text is too long"}'),
    Answer.LOST: NoReply(began=True, reason="the connection broke"),
    Answer.CONFLICT: Reply(status=409),
}
ACCEPTED_UNSAID: dict[Answer, Reply | NoReply] = {
    Answer.LOST_REPLY: NoReply(began=True, reason="no reply within 30 s"),
    Answer.FAILED_REPLY: Reply(status=500),
    Answer.PAGE: Reply(status=200, headers={"content-type": "text/html"}, body=b"<html>"),
}


@dataclass(kw_only=True)
class FaultyApi:
    """Answers calls from `script`, then well. `unfindable` match no contact; `poisoned` make a call be refused.

    before, after   run in each call before the API does anything, and after it has done it but not replied
    """

    unfindable: frozenset[str] = frozenset()
    poisoned: set[str] = field(default_factory=set)
    script: deque[Answer] = field(default_factory=deque)
    probes: deque[bool] = field(default_factory=deque)
    before: Callable[[StoredChunk], Awaitable[None]] | None = None
    after: Callable[[StoredChunk], Awaitable[None]] | None = None
    accepted: Counter[str] = field(default_factory=Counter)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    probed: int = 0

    def request(self, chunk: StoredChunk) -> Request:
        return wire.message_request(chunk.kind, chunk.addresses, CONTENT, idempotency_key=str(chunk.id))

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        names = tuple(_names(orjson.loads(request.body)))
        self.calls.append(names)
        self.under_way += Counter(names)
        try:
            if self.before:
                await self.before(chunk)
            reply = self._answer(self.script.popleft() if self.script else Answer.NAMED, names)
            if self.after:
                await self.after(chunk)
        finally:
            self.under_way -= Counter(names)
        return wire.outcome(reply, chunk.addresses)

    async def probe(self) -> Outcome:
        self.probed += 1
        await asyncio.sleep(0)
        is_well = self.probes.popleft() if self.probes else True
        return wire.probe_outcome(Reply(status=200) if is_well else NoReply(began=True, reason="no connection"))

    def _answer(self, answer: Answer, names: Sequence[str]) -> Reply | NoReply:
        if answer in UNTOUCHED:
            return UNTOUCHED[answer]
        poisoned = [name for name in names if name in self.poisoned]
        if poisoned and answer is not Answer.PARTLY:
            return _refusal(poisoned if answer is Answer.NAMED else ())
        found = [name for name in names if name not in self.unfindable and name not in self.poisoned]
        self.accepted.update(found)
        if poisoned and found:
            return _json(422, {"error": "not all of them", "accepted_count": len(found), "invalid": poisoned})
        if poisoned:
            return _refusal(poisoned)
        return ACCEPTED_UNSAID.get(answer) or _acceptance(answer, names, found)


def _refusal(poisoned: Iterable[str]) -> Reply:
    return _json(422, {"error": "invalid recipients", "invalid": [{"username": f"@{name}"} for name in poisoned]})


def _acceptance(answer: Answer, names: Sequence[str], found: Sequence[str]) -> Reply:
    missing = [name for name in names if name not in found]
    said: dict[str, Any] = {"accepted_count": len(found)}
    if answer is Answer.COUNTED:
        said["not_found_count"] = len(missing)
    elif answer is not Answer.SUMMED and missing:
        said["not_found"] = [{"username": name} for name in missing]
    return _json(202, said)


def _json(status: int, said: dict[str, Any]) -> Reply:
    return Reply(status=status, headers={"content-type": "application/json"}, body=orjson.dumps(said))


def _names(said: dict[str, Any]) -> list[str]:
    return list(said["contact_usernames"] if "contact_usernames" in said else [said["contact_username"]])
