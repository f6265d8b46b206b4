"""structlog's set-up, the names of all events, and what never appears in a log.

Recipients appear in no event above debug, and the token in none at all: it lives in a SecretStr, which prints as stars.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import orjson
import structlog

from sender.errors import InputError
from sender.outcome import ChunkState, Outcome

RUN_STARTED: Final = "run.started"
RUN_WAITING: Final = "run.waiting"
RUN_GOES_ON: Final = "run.goes_on"
RUN_STOPPING: Final = "run.stopping"
RUN_FINISHED: Final = "run.finished"
NOTICE: Final = "notice"
RUN_DOES_NOT_RECONCILE: Final = "run.does_not_reconcile"
PLAN_BUILT: Final = "plan.built"
PLAN_RESUMED: Final = "plan.resumed"
PLAN_FROZEN: Final = "plan.frozen"
EXCLUSIONS_APPLIED: Final = "exclusions.applied"
MEDIA_UPLOADED: Final = "media.uploaded"
MEDIA_REUSED: Final = "media.reused"
POST_FOUND: Final = "post.found"
CHUNK_SENDING: Final = "chunk.sending"
CHUNK_ACCEPTED: Final = "chunk.accepted"
CHUNK_REJECTED: Final = "chunk.rejected"
CHUNK_UNKNOWN: Final = "chunk.unknown"
CHUNK_SPLIT: Final = "chunk.split"
CHUNK_RETRY: Final = "chunk.retry"
ACCOUNT_PAUSED: Final = "account.paused"
API_ILL: Final = "api.ill"
API_WELL: Final = "api.well"
LEVER_OBEYED: Final = "lever.obeyed"
NOTIFY_SENT: Final = "notify.sent"
NOTIFY_FAILED: Final = "notify.failed"
SCHEDULE_STARTED: Final = "schedule.started"
SCHEDULE_BAD_FILE: Final = "schedule.bad_file"
SCHEDULE_FAULT: Final = "schedule.fault"
SCHEDULE_DUE: Final = "schedule.due"
SCHEDULE_SENT: Final = "schedule.sent"
SCHEDULE_STOPPING: Final = "schedule.stopping"
SCHEDULE_ENDED: Final = "schedule.ended"

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("json", "console")
AS_JSON: Final = {"CAMPAIGN_LOG_FORMAT": "json"}


def configure(environ: Mapping[str, str], *, is_terminal: bool, is_quiet: bool | None = None) -> None:
    """Sets structlog up: JSON lines, or coloured ones on a terminal; from `info` on, or `warning` when quiet.

    Quiet is what shows a progress bar, which is everything on a terminal, unless told otherwise.

    Raises InputError when CAMPAIGN_LOG_LEVEL or CAMPAIGN_LOG_FORMAT is none of those above.
    """
    is_quiet = is_terminal if is_quiet is None else is_quiet
    level = _choice(environ, "CAMPAIGN_LOG_LEVEL", LEVELS, "warning" if is_quiet else "info")
    form = _choice(environ, "CAMPAIGN_LOG_FORMAT", FORMATS, "console" if is_terminal else "json")
    renderer: Any = structlog.processors.JSONRenderer(serializer=_serialize)
    if form == "console":
        # No local variables in tracebacks: the token may be among them.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=is_terminal and not environ.get("NO_COLOR"), exception_formatter=plain
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if form == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: structlog.WriteLogger(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


class _StandardError:
    """Whatever `sys.stderr` is at the moment: a progress bar replaces it, so as not to be written over.

    A line that can't be written is dropped: the ledger knows what happens, and no message may depend on a log.
    """

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


def get_logger(**bound: object) -> structlog.typing.FilteringBoundLogger:
    """A logger with these values bound to every event."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**bound)
    return logger


def _serialize(event: Any, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # a file name that is no UTF-8; its bytes come out escaped
        return json.dumps(event, default=str)


def _choice(environ: Mapping[str, str], name: str, accepted: tuple[str, ...], default: str) -> str:
    value = environ.get(name, "").lower() or default
    if value not in accepted:
        raise InputError(f"{name} is {environ[name]!r}: expected one of {', '.join(accepted)}")
    return value


def chunk_outcome(log: structlog.typing.FilteringBoundLogger, outcome: Outcome, *, parts: int) -> None:
    """One line for each reply, under the event's stable name; `parts` is into how many a refused chunk was cut."""
    facts = {
        "status": outcome.status,
        "seconds": round(outcome.seconds, 4),
        "request_id": outcome.request_id,
        **({"reason": outcome.reason} if outcome.reason else {}),
        **({"not_found": outcome.not_found_count} if outcome.not_found_count else {}),
    }
    match outcome.chunk:
        case _ if parts:
            log.warning(CHUNK_SPLIT, parts=parts, **facts)
        case ChunkState.ACCEPTED:
            log.info(CHUNK_ACCEPTED, **facts)
        case ChunkState.REJECTED:
            log.warning(CHUNK_REJECTED, **facts)
        case ChunkState.PENDING:
            log.info(CHUNK_RETRY, **facts)  # `account.paused` follows, and warns
        case _:
            log.warning(CHUNK_UNKNOWN, **facts)
