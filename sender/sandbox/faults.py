"""What is set to go wrong, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from sender.sandbox.mishaps import mishap
from sender.sandbox.options import span


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong with POST /messages: the script first, one mishap a call, then by probability.

    Probabilities lie between 0 and 1 and together make at most 1; anything else is a ValueError.
    """

    latency: str | float = 0.0
    """Of each call: seconds, `50ms`, or a range `10ms-80ms`; half passes before acceptance, half after."""
    rate_429: float = 0.0
    """429 with Retry-After."""
    rate_429_bare: float = 0.0
    """429 without Retry-After."""
    rate_503: float = 0.0
    """503 with Retry-After."""
    rate_500_before: float = 0.0
    """500, nothing accepted."""
    rate_500_after: float = 0.0
    """500, although the call was accepted."""
    rate_502_before: float = 0.0
    """502, nothing accepted."""
    rate_reset_before: float = 0.0
    """The connection is reset before the body is read."""
    rate_reset_after: float = 0.0
    """The call is accepted, then the connection is reset."""
    rate_hang: float = 0.0
    """The call is accepted, then nothing comes."""
    rate_hang_before: float = 0.0
    """Nothing is accepted and nothing comes."""
    rate_cut: float = 0.0
    """The call is accepted and its reply breaks off in the middle."""
    rate_html: float = 0.0
    """200 with a web page, nothing accepted."""
    rate_redirect: float = 0.0
    """302 to another path, nothing accepted."""
    script: tuple[str, ...] = ()
    """Names of mishaps for the next calls, `ok` for none; afterwards the probabilities hold."""
    retry_after_seconds: int = 1
    """What Retry-After says in a fault."""
    unauthorized_from: int | None = None
    """From this POST /messages on (the first is 1) the token has stopped working, for every call."""
    down: bool = False
    """Every API call is reset before its body is read."""
    everywhere: bool = False
    """The probabilities hold for every API call, not only for POST /messages."""

    def __post_init__(self) -> None:
        span(self.latency)
        for name in self.script:
            mishap(name)
        if not all(0 <= rate <= 1 for rate in self.rates.values()) or sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError("the rates of faults lie between 0 and 1 and make at most 1 together")

    @property
    def rates(self) -> dict[str, float]:
        """The probability of each fault, by its name."""
        names = (field.name for field in fields(self) if field.name.startswith("rate_"))
        return {name.removeprefix("rate_").replace("_", "-"): getattr(self, name) for name in names}

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> "Faults":
        """Faults from flags or JSON: `{"rate-429": "0.1", "latency": "50ms", "script": "ok,429,cut"}`.

        Dashes and underscores are the same, numbers may be strings. ValueError names what is wrong.
        """
        known = {field.name: field.default for field in fields(cls)}
        values = {}
        for key, value in settings.items():
            name = key.replace("-", "_")
            if name not in known:
                near = get_close_matches(name, known, n=1)
                raise ValueError(f"no fault is called {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
            values[name] = _converted(name, value, known[name])
        return cls(**values)


def _converted(name: str, value: Any, default: object) -> Any:
    try:
        if name == "latency":
            return value if isinstance(value, str) else float(value)
        if name == "script":
            return _script(value)
        if isinstance(default, bool):
            return _switch(value)
        if name == "unauthorized_from" and value is None:
            return None
        return float(value) if isinstance(default, float) else int(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {value!r} does not fit: {error}") from error


def _script(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    return tuple(str(name).strip() for name in names if str(name).strip())


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise ValueError("true or false")
    return str(value).lower() == "true"
