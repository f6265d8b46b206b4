"""What every bench gives back: figures, each beside its bound."""

from dataclasses import dataclass


class Skipped(Exception):
    """A bench can't be run here; the text says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number.

    bound      what it must reach, or with `is_ceiling` must not exceed
    note       what a reader should know of the measurement
    """

    name: str
    value: float
    bound: float
    is_ceiling: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the value keeps its bound."""
        return self.value <= self.bound if self.is_ceiling else self.value >= self.bound

    def __str__(self) -> str:
        sign, verdict = "≤" if self.is_ceiling else "≥", "" if self.is_met else "  MISSED"
        return f"{self.name:54} {self.value:9.3f} {sign} {self.bound:<7.4g} {self.note}{verdict}".rstrip()
