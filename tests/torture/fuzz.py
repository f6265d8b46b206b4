"""Spoilt campaign files, CSVs and replies: every reader says what is wrong with them, and none breaks."""

import asyncio
import gzip
import math
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaigns.audience import read_audience
from campaigns.errors import AudienceError, CampaignFileError
from campaigns.loading import load_campaign
from campaigns.model import Audience
from campaigns.plan import plan_chunks
from sender.errors import SendingStopped
from sender.inro import wire
from sender.inro.account import Account
from sender.inro.wire import Content, FilePart, NoReply, Reply
from sender.ledger.packing import pack, unpack
from sender.outcome import ChunkState, Outcome, Then
from sender.retry import Policy
from tests.acceptance.command import Command
from tests.torture.mutations import spoil

CONFIGS = Path(__file__).parents[2] / "configs"
YAMLS = [path.read_bytes() for path in sorted(CONFIGS.glob("*.yaml"))]
CSVS = [b"".join(path.read_bytes().splitlines(keepends=True)[:60]) for path in sorted(CONFIGS.glob("*.csv"))] + [
    'Username;E-mail;Country\r\n"@ann";ann@example.com;FR\r\n"b\nob";;BE\r\n'.encode("utf-16"),
    b"contact_id\tusername\n1\thttps://www.instagram.com/ann/?hl=en\n\n2\t\n",
    b'email,"first, last"\nann@example.com,"A ""quoted"" name"\n',
]
BODIES = [
    b'{"batch_task_id": "bt_1", "status": "queued", "accepted_count": 2, "not_found": [{"username": "bob"}]}',
    b'{"accepted_count": 1, "not_found_count": 1, "created_at": "2026-01-02T03:04:05Z"}',
    b'{"error": "invalid recipients", "invalid": ["ann", {"username": "@bob", "reason": "no"}], "accepted_count": 0}',
    b'{"errors": [{"field": "contact_usernames", "detail": ["is too long"]}], "message": {"a": 1.5}}',
    b'{"medias": [{"id": 17, "media_id": "178", "media_type": "REELS", "permalink": "https://x.test/reel/C1/?a=b#c"}]}',
    b'{"media_files": [{"id": 3, "media_type": "image", "url": "https://x.test/a.png", "caption": null}], "page": 1}',
    b'{"media_file": {"id": 3, "url": "https://x.test/a.png"}}',
    b'{"batch_tasks": [{"id": 1, "status": "done", "accepted_count": 3}], "batch_task": {"id": "b", "status": null}}',
    b"OK",
    b"",
    b"<!doctype html><title>Bad gateway</title>",
]
HEADERS = [
    b"5",
    b"0",
    b"120.5",
    b"Fri, 31 Dec 9999 23:59:59 GMT",
    b"Fri, 31 Dec 1999 23:59:59 -2359",
    b"Thu, 01 Jan 2026 00:00:00 GMT",
    b"Thursday, 01-Jan-26 00:00:00 GMT",
    b"2026-01-02T03:04:05Z",
    b"text/html; charset=utf-8",
    b"application/json",
]
STATUSES = (
    200,
    201,
    202,
    204,
    301,
    307,
    400,
    401,
    403,
    404,
    408,
    409,
    413,
    418,
    422,
    425,
    429,
    500,
    502,
    503,
    504,
    599,
)
REFUSALS = (400, 404, 413, 422)
ADDRESSES = ("ann", "bob", "carla")
CONTENT = Content(fields={"type": "text", "text": "Hello"})
EXIT_CODES = frozenset({0, 2, 3, 4, 5, 6, 7})
SECONDS = 20.0


@dataclass(kw_only=True)
class Findings:
    """How many inputs of which sort were tried, how many of them were taken, and what broke."""

    tried: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def judge(self, sort: str, spoilt: object, read: Callable[[], bool]) -> None:
        """Counts one input; `read` returns whether it was taken, and raises when something broke."""
        self.tried[sort] += 1
        try:
            self.taken[sort] += read()
        except Exception as error:
            text = repr(spoilt)
            self.broken.append(f"{sort}: {type(error).__name__}: {error!s:.300}\n    {text:.400}")

    def __str__(self) -> str:
        sorts = ", ".join(f"{count:,} {sort} ({self.taken[sort]:,} taken)" for sort, count in self.tried.items())
        shown = "".join(f"\n  {words}" for words in self.broken[:20])
        return f"{self.tried.total():,} spoilt inputs: {sorts}; broken: {len(self.broken)}{shown}"


def fuzz(folder: Path, dice: random.Random, *, inputs: int, commands: int) -> bool:
    """So many spoilt inputs in this process, so many through the command; prints the figures. Whether nothing broke."""
    folder.mkdir(parents=True, exist_ok=True)
    findings = Findings()
    for _ in range(inputs // 4):
        _campaign_file(folder, dice, findings)
        _csv(folder, dice, findings)
        _reply(dice, findings)
        _account(dice, findings)
    began, codes = time.monotonic(), Counter[int]()
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_command, folder / str(n), dice.randrange(2**32), findings, codes) for n in range(commands)]
    for job in jobs:
        job.result()
    print(findings, flush=True)
    print(f"  commands: {time.monotonic() - began:.0f} s, exit codes {dict(sorted(codes.items()))}", flush=True)
    return not findings.broken


def _campaign_file(folder: Path, dice: random.Random, findings: Findings) -> None:
    file, spoilt = folder / "campaign.yaml", spoil(YAMLS, dice)
    file.write_bytes(spoilt)

    def read() -> bool:
        try:
            load_campaign(file, {"HOME": "/home/ann"})
        except CampaignFileError as error:
            problems = error.problems
        else:
            return True
        assert problems
        assert all(problem.place.file == str(file) for problem in problems)
        return False

    findings.judge("campaign files", spoilt, read)


def _csv(folder: Path, dice: random.Random, findings: Findings) -> None:
    spoilt, optouts = spoil(CSVS, dice), dice.choice((b"username\nann\n", spoil(CSVS, dice)))
    is_packed = dice.random() < 0.1
    if is_packed:
        spoilt = gzip.compress(spoilt, mtime=0)
        spoilt = spoil([spoilt], dice) if dice.random() < 0.5 else spoilt
    csv, exclude = folder / ("people.csv.gz" if is_packed else "people.csv"), folder / "optouts.csv"
    csv.write_bytes(spoilt)
    exclude.write_bytes(optouts)
    excluded = (str(exclude),) if dice.random() < 0.5 else ()
    where = {"country": ("FR", "BE")} if dice.random() < 0.2 else {}
    audience = Audience.model_construct(csv=(str(csv),), exclude=excluded, where=where)
    findings.judge("CSVs", (spoilt, optouts, audience), lambda: _read_csv(audience))


def _read_csv(audience: Audience) -> bool:
    reading = read_audience(audience)
    try:
        kept = list(reading)
    except AudienceError:
        return False
    counts = reading.counts
    assert counts.kept == len(kept)
    assert counts.rows == counts.kept + counts.invalid + counts.duplicates + counts.excluded + counts.filtered
    assert not kept or unpack(pack(kept)) == tuple(kept)
    for chunk in plan_chunks(kept, identify_by=audience.identify_by, chunk_size=7):
        addresses = [recipient.address(chunk.kind) for recipient in chunk.recipients]
        assert wire.message_request(chunk.kind, addresses, CONTENT, idempotency_key="k").body
    return bool(kept)


def _spoilt_reply(dice: random.Random) -> Reply | NoReply:
    if dice.random() < 0.02:
        return NoReply(began=dice.random() < 0.5, reason="the connection broke")
    names = [name for name in wire.REPLY_HEADERS if dice.random() < 0.4]
    return Reply(
        status=dice.choice(STATUSES) if dice.random() < 0.9 else dice.randrange(200, 1000),
        headers={name: spoil(HEADERS, dice).decode("utf-8", "surrogateescape") for name in names},
        body=spoil(BODIES, dice),
        complete=dice.random() < 0.8,
    )


def _reply(dice: random.Random, findings: Findings) -> None:
    reply, addresses = _spoilt_reply(dice), dice.choice((ADDRESSES, ADDRESSES[:1], (1, 2)))

    def read() -> bool:
        wire.probe_outcome(reply)
        outcome = wire.outcome(reply, addresses)
        _check(outcome, reply, len(addresses))
        return outcome.chunk is ChunkState.ACCEPTED

    findings.judge("replies", reply, read)


def _check(outcome: Outcome, reply: Reply | NoReply, size: int) -> None:
    """Whether an outcome stands in the design's table, and nothing in it breaks who reads it."""
    status = reply.status if isinstance(reply, Reply) else None
    match outcome.chunk:
        case ChunkState.PENDING:
            assert outcome.then is not Then.GO_ON
            assert status is None or 300 <= status < 500 or status == 503
        case ChunkState.ACCEPTED:
            assert status is not None
            assert 200 <= status < 300
            assert outcome.then is Then.GO_ON
        case ChunkState.REJECTED:
            assert status in REFUSALS
            assert outcome.then is Then.GO_ON
        case state:
            assert state is ChunkState.UNKNOWN
    assert len(outcome.not_found) <= outcome.not_found_count <= size
    assert len(outcome.refused) <= size
    assert outcome.reason.isprintable()
    assert len(outcome.reason) < 400
    assert outcome.retry_after_seconds is None or 0 <= outcome.retry_after_seconds < math.inf


class _Client:
    """Answers every call with one reply."""

    def __init__(self, reply: Reply | NoReply) -> None:
        self._reply = reply

    async def get(self, *_: object) -> Reply | NoReply:
        return self._reply

    async def upload(self, *_: object) -> Reply | NoReply:
        return self._reply


def _account(dice: random.Random, findings: Findings) -> None:
    reply = _spoilt_reply(dice)
    client: Any = _Client(reply)
    account = Account(client, Policy(base_seconds=0.0, max_wait_seconds=0.0))
    part = FilePart(field="file", path=Path("a.png"), content_type="image/png")

    async def ask() -> None:
        for listed in (account.posts(), account.files("image"), account.batch_tasks()):
            async for _ in listed:
                pass
        await account.batch_task("bt_1")
        await account.upload(part)

    def read() -> bool:
        try:
            asyncio.run(ask())
        except SendingStopped:
            return False
        return True

    findings.judge("replies about the account", reply, read)


def _command(folder: Path, seed: int, findings: Findings, codes: Counter[int]) -> None:
    dice = random.Random(seed)
    folder.mkdir()
    file, csv = folder / "campaign.yaml", folder / "people.csv"
    yaml = (CONFIGS / dice.choice(("text.yaml", "image-url.yaml", "share-post.yaml"))).read_bytes()
    file.write_bytes(spoil([yaml], dice) if dice.random() < 0.6 else yaml)
    csv.write_bytes(spoil(CSVS, dice) if dice.random() < 0.8 else CSVS[-1])
    (folder / "optouts.csv").write_bytes(spoil(CSVS, dice) if dice.random() < 0.3 else b"username\nann\n")
    arguments: list[str | Path] = dice.choice(
        [["plan", file, "--json"], ["check", file], ["send", file, "--sandbox", "--yes", "--rate", "1000/s"]]
    )
    arguments += ["--strict"] if dice.random() < 0.1 else []

    def read() -> bool:
        began = time.monotonic()
        try:
            ended = Command(folder=folder)(*arguments)
        except subprocess.TimeoutExpired as error:
            raise AssertionError("never ended") from error
        codes[ended.code] += 1
        assert ended.code in EXIT_CODES, (ended.code, ended.err)
        assert "Traceback" not in ended.err, ended.err
        assert time.monotonic() - began < SECONDS, "took too long"
        return ended.code == 0

    findings.judge("commands", (arguments[0], file.read_bytes(), csv.read_bytes()), read)
