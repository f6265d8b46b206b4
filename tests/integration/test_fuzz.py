"""A small sample of what `make torture` spoils, and what it has broken so far."""

import random
from pathlib import Path

from sender.inro import wire
from sender.inro.wire import Reply
from sender.outcome import ChunkState
from tests.torture.fuzz import fuzz


def test_spoilt_files_and_replies_are_explained_or_taken_and_break_nothing(tmp_path: Path) -> None:
    assert fuzz(tmp_path / "fuzz", random.Random(4711), inputs=800, commands=6)


def test_a_refusal_whose_words_are_nested_beyond_reason_is_a_refusal_still() -> None:
    body = b'{"error": ' + b"[" * 300 + b"]" * 300 + b"}"
    assert wire.outcome(Reply(status=422, body=body), ["ann"]).chunk is ChunkState.REJECTED
