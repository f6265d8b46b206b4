"""The page at `/`: what the sandbox has received, for people. It needs no other file and no other server."""

import base64
import hashlib
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from sender.sandbox.faults import Faults
from sender.sandbox.recorder import Entry, Recorder
from sender.sandbox.world import World

_PARTS = files("sender.sandbox")
_STYLE = _PARTS.joinpath("page.css").read_text("utf-8")
_SCRIPT = _PARTS.joinpath("page.js").read_text("utf-8")
_TEMPLATE = Template(_PARTS.joinpath("page.html").read_text("utf-8"))


def _hash(source: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() + "'"


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only the page's own style and script run, whatever a recipient is called."""


def render(world: World, api_url: str) -> bytes:
    """The whole page, in UTF-8; `api_url` is shown to those who have sent nothing yet."""
    stats = world.summary()
    aside = f"<aside>{_recipients(world)}{_uploads(world.recorder)}</aside>"
    columns = f"<div class=columns>{_messages(world)}{aside}</div>"
    body = (
        _tiles(stats)
        + _rules(world)
        + (columns if stats["messages"]["received"] else _welcome(columns, stats, api_url))
    )
    return _TEMPLATE.substitute(style=_STYLE, script=_SCRIPT, main=body).encode("utf-8", "replace")


def _tiles(stats: dict[str, Any]) -> str:
    messages, most = stats["messages"], stats["most_to_one"]
    lost = messages["failed"] + messages["unanswered"]
    return _wrap(
        "div",
        "tiles",
        (
            _tile(stats["recipients"], "recipients"),
            _tile(stats["deliveries_total"], "deliveries"),
            _tile(most, "most to one", "bad" if most > 1 else "good" if most else ""),
            _tile(messages["accepted"], "calls accepted"),
            _tile(messages["refused"], "refused", "warn" if messages["refused"] else ""),
            _tile(messages["rate_limited"], "rate limited", "warn" if messages["rate_limited"] else ""),
            _tile(lost, "failed or silent", "bad" if lost else ""),
            _tile(stats["peak_per_window"], "busiest window"),
        ),
    )


def _tile(value: int, label: str, mood: str = "") -> str:
    # A narrow space every three digits reads alike in every language.
    figure = f"{value:,}".replace(",", "\u202f")
    return f'<div class="tile {mood}"><b>{figure}</b><span>{escape(label)}</span></div>'


def _rules(world: World) -> str:
    options, faults = world.options, world.dice.faults
    limit = f"{options.rate_limit}, {options.limiter}" if options.rate_limit else "no rate limit"
    wrong = "".join(f"<span class=fault>{escape(each)}</span>" for each in _wrongs(faults))
    return _wrap("div", "rules", (f"<span>{escape(limit)}</span>", wrong or "<span>nothing goes wrong</span>"))


def _wrongs(faults: Faults) -> Iterable[str]:
    for name, value in asdict(faults).items():
        if name.startswith("rate_") and value:
            yield f"{name.removeprefix('rate_').replace('_', ' ')} {value * 100:.3g} %"
        elif value and name in ("latency", "script", "unauthorized_from"):
            yield f"{name.replace('_', ' ')} {', '.join(value) if isinstance(value, tuple) else value}"
        elif value and name == "down":
            yield "down"


def _welcome(columns: str, stats: dict[str, Any], api_url: str) -> str:
    hint = (
        f'curl {api_url}/messages -H "Authorization: Bearer $INRO_API_TOKEN" \\\n'
        '  --json \'{"contact_username": "ann", "text": "Hello"}\''
    )
    welcome = (
        "<section><h2>Waiting for the first message</h2>"
        f"<p>Point a client at this server, or try it by hand:</p><pre>{escape(hint)}</pre></section>"
    )
    return welcome if not stats["uploads"] else welcome + "<br>" + columns


def _messages(world: World) -> str:
    # The clock of the sandbox may be any monotonic one; people read the time of day.
    offset = time.time() - world.clock()
    rows = "".join(_row(entry, offset) for entry in world.recorder.recent_messages)
    head = "<tr><th>Time<th>Type<th>By<th class=number>Contacts<th>Answer</tr>"
    return f"<section><h2>Last messages</h2><table>{head}{rows}</table></section>"


def _row(entry: Entry, offset: float) -> str:
    moment = datetime.fromtimestamp(entry.arrived_at + offset).astimezone()
    message = entry.message
    cells = (
        (message.message_type, message.kind, f"{len(message.recipients):,}".replace(",", "\u202f"))
        if message
        else ("–", "–", "–")
    )
    told = entry.mishap if entry.mishap and entry.mishap != str(entry.status) else ""
    mishap = f"<span class=quiet>{escape(told)}</span>" if told else ""
    return (
        f"<tr><td>{moment:%H:%M:%S}<td>{escape(cells[0])}<td>{escape(cells[1])}"
        f"<td class=number>{escape(cells[2])}<td>{_badge(entry.status)}{mishap}</tr>"
    )


def _badge(status: int | None) -> str:
    if status is None:
        return '<span class="badge mute">none</span>'
    mood = "good" if status < 300 else "warn" if status < 500 else "bad"
    return f'<span class="badge {mood}">{status}</span>'


def _recipients(world: World) -> str:
    counts, recent = world.deliveries.counts, dict.fromkeys(world.deliveries.recent)
    chips = "".join(_chip(recipient, counts[recipient]) for recipient in recent)
    return f"<section><h2>Latest recipients</h2><div class=chips>{chips or _quiet('nobody yet')}</div></section>"


def _chip(recipient: str, count: int) -> str:
    kind, _, name = recipient.partition(":")
    shown = {"username": f"@{name}", "id": f"#{name}"}.get(kind, name) + (f" ×{count}" if count > 1 else "")
    return f'<span class="chip{" bad" if count > 1 else ""}" title="{escape(recipient)}">{escape(shown)}</span>'


def _uploads(recorder: Recorder) -> str:
    rows = "".join(
        f"<li><strong>{escape(upload.filename)}</strong>"
        f"<span>{escape(upload.content_type)}, {_size(upload.size)}, sha256 {upload.sha256[:10]}…</span></li>"
        for upload in recorder.recent_uploads
    )
    return f"<section><h2>Uploads</h2><ul>{rows or _quiet('no file yet')}</ul></section>"


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MB" if size >= 1 << 20 else f"{max(1, size // 1024)} KB"


def _quiet(words: str) -> str:
    return f"<span class=quiet>{escape(words)}</span>"


def _wrap(tag: str, name: str, parts: Iterable[str]) -> str:
    return f'<{tag} class="{name}">{"".join(parts)}</{tag}>'
