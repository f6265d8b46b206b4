"""What a call addresses its recipients by: kept as the JSON in which it leaves, and read only when asked for."""

from collections.abc import Sequence
from functools import cached_property
from typing import cast, overload

import orjson


class Addresses(Sequence[int | str]):
    """A list of identifiers of one kind."""

    def __init__(self, json: bytes, count: int) -> None:
        self.json = json
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> int | str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int | str]: ...
    def __getitem__(self, place: int | slice) -> int | str | Sequence[int | str]:
        return self._values[place]

    @cached_property
    def _values(self) -> list[int | str]:
        return cast("list[int | str]", orjson.loads(self.json))
