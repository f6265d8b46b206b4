"""Bytes -> lines of text, in blocks: unpacks gzip, finds the encoding, splits at `\\n`, `\\r\\n` and `\\r`.

A byte that can't be decoded becomes a lone surrogate, U+DC00 plus its value, so that only its row suffers.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Final, cast

from campaigns.audience.sources import explained, file_error

BLOCK_BYTES: Final = 1 << 16
MAX_LINE_CHARACTERS: Final = 1 << 24
GZIP_MAGIC: Final = b"\x1f\x8b"
DEFAULT_ENCODING: Final = "utf-8"

# The first that fits counts: UTF-32-LE begins like UTF-16-LE. These decoders take the mark away.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS: Final = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"%PDF-", "a PDF"),
)
_find_undecodable = re.compile("[\ud800-\udfff]").search


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    # "surrogateescape" gives up on bytes below 0x80, which UTF-16 and the Asian encodings stumble over.
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("campaigns.keep_bytes", _keep_bytes)


def undecodable(text: str) -> str | None:
    """How a message names the first part of `text` that could not be decoded: `byte 0xe9`, or None."""
    found = None if text.isascii() else _find_undecodable(text)
    if found is None:
        return None
    code = ord(found[0])
    return f"byte 0x{code - 0xDC00:02x}" if 0xDC00 <= code <= 0xDCFF else f"surrogate U+{code:04X}"


def line_blocks(stream: IO[bytes], path: str, encoding: str | None) -> Iterator[list[str]]:
    """The lines of the file, ends included, in blocks. A byte order mark outranks `encoding`.

    Raises AudienceError, also in the midst of it: damaged gzip, a disk that fails, something that is no text.
    """
    read = _reader(stream, path)
    start = read(BLOCK_BYTES)
    for magic, name in _OTHER_FORMATS:
        if start.startswith(magic):
            raise file_error(path, f'found {name}; accepted is CSV: export the sheet as "CSV UTF-8"')
    decode = _decoder(start, path, encoding)
    rest = ""
    while start:
        text = rest + decode(start, False)
        lines = list(io.StringIO(text, newline=""))
        # The last line may go on in the next block; so may "\r", whose "\n" is yet to come.
        rest = lines.pop() if lines and not text.endswith("\n") else ""
        if len(rest) > MAX_LINE_CHARACTERS:
            raise file_error(path, f"found a line of more than {MAX_LINE_CHARACTERS:,} characters; this is no CSV")
        if lines:
            yield lines
        start = read(BLOCK_BYTES)
    yield list(io.StringIO(rest + decode(b"", True), newline=""))


def _reader(stream: IO[bytes], path: str) -> Callable[[int], bytes]:
    with explained(path):
        packed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        stream.seek(0)
    source = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream

    def read(size: int) -> bytes:
        with explained(path):
            try:
                return source.read(size)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                message = f"the gzip file is damaged or incomplete ({error}); pack it again"
                raise file_error(path, message) from error

    return read


def _decoder(start: bytes, path: str, encoding: str | None) -> Callable[[bytes, bool], str]:
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)
    name = marked or encoding or DEFAULT_ENCODING
    try:
        "".encode(name)  # LookupError for codecs such as hex, which make no text
        decode = codecs.getincrementaldecoder(name)("campaigns.keep_bytes").decode
    except (LookupError, UnicodeError) as error:
        raise file_error(path, f"found the encoding {name!r}, which can't be read; accepted is utf-8") from error

    def decoded(data: bytes, final: bool) -> str:
        try:
            return decode(data, final)
        except UnicodeError as error:
            raise file_error(path, f"the file can't be read as {name}: {error}") from error

    return decoded
