"""Spoilt bytes: what a typing error, a broken disk, a careless export or an unkind API make of good ones."""

import random
import re
from collections.abc import Callable, Sequence

ODD = [
    text.encode("utf-8", "surrogatepass")
    for text in (
        "\0",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\ufffd",
        "\ud800",
        "𝒶",
        "İ",
        "ﬀ",
        "\r",
        "\t",
    )
] + [
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b'"',
    b"'",
    b"`",
    b"#",
    b"&a",
    b"*a",
    b"!!python/none",
    b"${HOME}",
    b"%",
    b"|",
    b"?",
]
NUMBERS = [
    b"0",
    b"-1",
    b"9" * 19,
    b"9" * 400,
    b"1e999",
    b"1" * 5000,
    b".5",
    b"0x10",
    b"00",
    b"NaN",
    b"1_000",
    "٣".encode(),
]
DEEP = [b"[" * 2000, b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300, b"- " * 1000, b"(" * 500]

VALUES = [b":", b": []", b": {}", b": null", b": true", b": -1", b': "\\ud800"', b":" + DEEP[1], b":" + DEEP[2]]


def spoil(good: Sequence[bytes], dice: random.Random) -> bytes:
    """One of the good ones with one to four mutations, now and then another one's bytes inside it."""
    data = dice.choice(good)
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 4))):
        data = _splice(data, dice.choice(good), dice) if dice.random() < 0.1 else dice.choice(MUTATIONS)(data, dice)
    return data


def _place(data: bytes, dice: random.Random) -> int:
    return dice.randint(0, len(data))


def _insert(data: bytes, what: bytes, dice: random.Random) -> bytes:
    place = _place(data, dice)
    return data[:place] + what + data[place:]


def _flip(data: bytes, dice: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(dice.randint(1, 3) if spoilt else 0):
        spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


def _truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: _place(data, dice)]


def _remove(data: bytes, dice: random.Random) -> bytes:
    place = _place(data, dice)
    return data[:place] + data[place + dice.randint(1, 12) :]


def _odd(data: bytes, dice: random.Random) -> bytes:
    return _insert(data, dice.choice(ODD), dice)


def _noise(data: bytes, dice: random.Random) -> bytes:
    return _insert(data, dice.randbytes(dice.randint(1, 12)), dice)


def _deep(data: bytes, dice: random.Random) -> bytes:
    return _insert(data, dice.choice(DEEP), dice)


def _number(data: bytes, dice: random.Random) -> bytes:
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return data
    start, end = dice.choice(found).span()
    return data[:start] + dice.choice(NUMBERS) + data[end:]


def _lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    place, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            lines.insert(other, lines[place])
        case 1:
            del lines[place]
        case 2:
            lines[place], lines[other] = lines[other], lines[place]
        case _:
            lines[place] *= dice.randint(2, 200)
    return b"".join(lines)


def _value(data: bytes, dice: random.Random) -> bytes:
    """What stands behind a colon, replaced by what stands behind another one, or by nothing."""
    found = list(re.finditer(rb":[^\n,}]*", data))
    if not found:
        return data
    (start, end), other = (
        dice.choice(found).span(),
        dice.choice([match[0] for match in found] + VALUES),
    )
    return data[:start] + other + data[end:]


def _splice(data: bytes, other: bytes, dice: random.Random) -> bytes:
    start = _place(other, dice)
    return _insert(data, other[start : start + dice.randint(1, 200)], dice)


MUTATIONS: Sequence[Callable[[bytes, random.Random], bytes]] = (
    *(_flip, _truncate, _remove, _odd, _noise, _number, _lines, _value),
    *(_flip, _remove, _odd, _number, _lines, _value),  # twice as often as cuts, noise and depth
    _deep,
)
