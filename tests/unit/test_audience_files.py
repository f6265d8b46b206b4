"""What is wrong with a whole file, and what its owner reads."""

import gc
import gzip
import io
import os
import re
import threading
from pathlib import Path

import pytest

from campaigns.audience import AudienceReading, RejectedRow, SourceStamp, read_audience, stamp, textfile
from campaigns.errors import AudienceError
from campaigns.model import Audience

NAMES = "accepted are id, contact_id, username, contact_username, email, contact_email"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reading(content: bytes, **settings: object) -> AudienceReading:
    path = Path("people.csv").absolute()
    path.write_bytes(content)
    return read_audience(Audience.model_validate({"csv": (str(path),), **settings}))


FAULTY: dict[str, tuple[bytes, dict[str, object], str]] = {
    "empty": (b"", {}, "the file is empty; accepted is a header such as username, then one row each"),
    "only blank lines": (
        b"\n \r\n",
        {},
        "the file is empty; accepted is a header such as username, then one row each",
    ),
    "a header that stands twice": (
        b"id,contact_id\n1,2\n",
        {},
        "found 2 columns for id, 'id' and 'contact_id'; accepted is one: remove or rename the rest",
    ),
    "no usable column": (
        b"name,city\nA,B\n",
        {},
        f"no column holds recipients; the columns are 'name', 'city'; {NAMES}, or another name that `columns:` maps",
    ),
    "only columns that identify_by leaves out": (
        b"email\na@example.com\n",
        {"identify_by": ("username",)},
        "no column holds recipients; the columns are 'email'; accepted are username, contact_username, "
        "or another name that `columns:` maps",
    ),
    "an e-mail instead of a header": (
        b"bob@example.com\n",
        {},
        "the first line looks like a recipient ('bob@example.com'), not like the names of the columns; "
        f"{NAMES}: put such a line above it",
    ),
    "a username instead of a header": (
        b"@bob,Bob\n",
        {},
        "the first line looks like a recipient ('@bob'), not like the names of the columns; "
        f"{NAMES}: put such a line above it",
    ),
    "a mapped column that is not there": (
        b"username\nalice\n",
        {"columns": {"username": "handle"}},
        "found no column 'handle', which `columns: username` names; accepted are the columns 'username'",
    ),
    "a where column that is not there": (
        b"username\nalice\n",
        {"where": {"country": ("FR",)}},
        "found no column 'country', which `where` names; accepted are the columns 'username'",
    ),
    "UTF-16 without its mark": (
        "username\nalice\n".encode("utf-16-le"),
        {},
        "found NUL characters in the header; if this is UTF-16, name it: `encoding: utf-16-le`",
    ),
    "an Excel workbook": (
        b"PK\x03\x04\x14",
        {},
        'found a ZIP archive or an Excel workbook; accepted is CSV: export the sheet as "CSV UTF-8"',
    ),
    "a quote in the header": (
        b'"username\nalice\n',
        {},
        "the header has a stray quote; accepted are names with quotes in pairs, or none",
    ),
    "gzip cut short": (
        gzip.compress(b"username\n" + b"alice\n" * 10_000)[:-20],
        {},
        "the gzip file is damaged or incomplete (Compressed file ended before the end-of-stream marker was reached); "
        "pack it again",
    ),
    "gzip of one byte": (
        b"\x1f\x8b\x08",
        {},
        "the gzip file is damaged or incomplete (Compressed file ended before the end-of-stream marker was reached); "
        "pack it again",
    ),
    "gzip with rubbish behind": (
        gzip.compress(b"username\nalice\n") + b"junk",
        {},
        "the gzip file is damaged or incomplete (Not a gzipped file (b'ju')); pack it again",
    ),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_file_is_refused_and_its_owner_reads_why(case: str) -> None:
    content, settings, message = FAULTY[case]

    with pytest.raises(AudienceError) as caught:
        list(reading(content, **settings))

    assert str(caught.value) == f"people.csv:1:1: {message}"


def test_gzip_with_a_flipped_bit_is_refused() -> None:
    packed = bytearray(gzip.compress(b"username\nalice\n"))
    packed[-6] ^= 1

    with pytest.raises(AudienceError, match="the gzip file is damaged or incomplete"):
        list(reading(bytes(packed)))


def test_gzip_is_known_by_its_first_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    assert [r.username for r in reading(gzip.compress(b"username\nalice\n"))] == ["alice"]
    (tmp_path / "plain.csv.gz").write_bytes(b"username\nbob\n")
    assert [r.username for r in read_audience(Audience(csv=(str(tmp_path / "plain.csv.gz"),)))] == ["bob"]


def test_a_missing_file_a_folder_and_an_impossible_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudienceError, match=r"^gone\.csv:1:1: found no such file; check the name"):
        list(read_audience(Audience(csv=(str(tmp_path / "gone.csv"),))))
    (tmp_path / "folder").mkdir()
    with pytest.raises(AudienceError, match=r"^folder:1:1: found a folder; accepted is a CSV file"):
        list(read_audience(Audience(csv=(str(tmp_path / "folder"),))))
    with pytest.raises(AudienceError, match="the file can't be read: embedded null byte"):
        list(read_audience(Audience.model_construct(csv=("/a\0b",))))


def test_a_file_without_permission_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by chmod: the tests may run as root, who may read everything.
    refused = reading(b"username\n")

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(AudienceError, match=r"^people\.csv:1:1: no permission to read the file; make it readable"):
        list(refused)


@pytest.mark.parametrize("encoding", ["hex", "undefined", "punycode", "utf-16"])
def test_an_encoding_that_cannot_read_the_file_is_refused(encoding: str) -> None:
    path = Path("people.csv").absolute()
    path.write_bytes(b"username\nalice\n")

    with pytest.raises(AudienceError, match=r"^people\.csv:1:1: (found the encoding|the file can't be read as)"):
        list(read_audience(Audience.model_construct(csv=(str(path),), encoding=encoding)))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfile, "MAX_LINE_CHARACTERS", 100_000)

    with pytest.raises(AudienceError, match=r"found a line of more than 100,000 characters; this is no CSV"):
        list(reading(b"username\n" + b"x" * 300_000))


def test_a_file_outside_the_current_folder_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    refused = reading(b"")
    monkeypatch.chdir(tmp_path / "below")

    with pytest.raises(AudienceError, match="^" + re.escape(f"{tmp_path / 'people.csv'}:1:1: ")):
        list(refused)


def test_a_file_that_changes_while_it_is_read_is_refused() -> None:
    def grow(_: RejectedRow) -> None:
        with Path("people.csv").open("ab") as file:
            file.write(b"carl\n")

    Path("people.csv").write_bytes(b"username\nalice\nb b\nbob\n")
    rows = read_audience(Audience(csv=(str(Path("people.csv").absolute()),)), on_rejected=grow)

    with pytest.raises(AudienceError, match="the file changed while it was being read; try again"):
        list(rows)


def test_standard_input_has_its_opt_outs_left_out_and_stays_open(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"username\nalice\n")
    stdin = io.BytesIO(b"id,username\n1,alice\n1,\n2,bob\n3,b b\n")
    audience = Audience(csv=("-",), exclude=(str(tmp_path / "out.csv"),))
    places: list[str] = []
    read = read_audience(audience, stdin=stdin, on_rejected=lambda row: places.append(str(row.place)))

    assert [r.username for r in read] == ["bob"]
    assert places == ["<stdin>:5:2"]
    assert read.sources == (SourceStamp("-", -1, 0, 0),)
    assert not stdin.closed


def test_standard_input_may_be_gzip() -> None:
    stdin = io.BytesIO(gzip.compress(b"username\nalice\n"))

    assert [r.username for r in read_audience(Audience(csv=("-",)), stdin=stdin)] == ["alice"]


def test_standard_input_that_is_not_there_is_refused() -> None:
    with pytest.raises(AudienceError, match=r"^<stdin>:1:1: found no standard input"):
        list(read_audience(Audience(csv=("-",))))


def test_a_named_pipe_is_read_with_its_opt_outs_left_out(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "out.csv").write_bytes(b"id\n1\n")
    writer = threading.Thread(target=pipe.write_bytes, args=(b"id\n1\n2\n",))
    writer.start()

    read = read_audience(Audience(csv=(str(pipe),), exclude=(str(tmp_path / "out.csv"),)))

    assert [r.id for r in read] == [2]
    writer.join()


def test_the_sources_are_stamped_as_they_were_opened() -> None:
    read = reading(b"username\nalice\n")
    list(read)

    path = Path("people.csv").absolute()
    assert read.sources == (stamp(path),)
    assert read.sources[0].size == 15
    path.unlink()
    assert stamp(path) is None
    assert stamp("-") is None


def test_a_reading_that_is_abandoned_leaves_no_file_open() -> None:
    rows = iter(reading(b"username\nalice\nbob\n"))
    next(rows)
    open_files = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else None
    del rows
    gc.collect()

    if open_files is not None:
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files - 1


def test_a_reading_is_iterated_once() -> None:
    read = reading(b"username\nalice\n")
    list(read)

    with pytest.raises(RuntimeError, match="an audience can be iterated once"):
        iter(read)


def test_what_a_callback_raises_stops_the_reading_as_it_is() -> None:
    Path("people.csv").write_bytes(b"username\n" + b"".join(b"user%d\n" % n for n in range(2500)))
    seen: list[int] = []

    def stop(rows: int) -> None:
        seen.append(rows)
        if rows == 2000:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        list(read_audience(Audience(csv=(str(Path("people.csv").absolute()),)), on_progress=stop))
    assert seen == [1000, 2000]
