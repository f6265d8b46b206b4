"""Pure: a reply's rate-limit headers -> Quotas.

Inrō documents none of them, so all three ways in which APIs write them are read:

    RateLimit: "default";r=50;t=30             RateLimit-Policy: "default";q=100;w=60      (draft 08 and later)
    RateLimit: limit=100, remaining=50, reset=30            RateLimit-Policy: 100;w=60     (draft 07)
    RateLimit-Limit: 100, 100;w=60    RateLimit-Remaining: 50    RateLimit-Reset: 30       (draft 06 and earlier)

The last one also as `X-RateLimit-…`, older than any draft, whose reset is seconds to go at some APIs and seconds since
1970 at others: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sender.outcome import Quota

QUOTA_HEADERS: Final = (
    "ratelimit",
    "ratelimit-policy",
    *(f"{family}-{field}" for family in ("ratelimit", "x-ratelimit") for field in ("limit", "remaining", "reset")),
)
EPOCH_SECONDS: Final = 1e9  # 2001: no window lasts 31 years
LONGEST_SECONDS: Final = 31 * 86400.0

_ITEM = re.compile(
    r'\s*(?P<name>"[^"]*"|[^;,"]*)(?P<parameters>(?:\s*;\s*[a-z][\w.*-]*(?:=(?:"[^"]*"|[^;,"]*))?)*)\s*(?:,|$)'
)
_PARAMETER = re.compile(r';\s*([a-z][\w.*-]*)\s*=\s*(?:"([^"]*)"|([^;,"\s]+))')
_MEMBER = re.compile(r"\b(limit|remaining|reset)\s*=\s*(\d+)")


def quotas(headers: Mapping[str, str], now: datetime | None) -> tuple[Quota, ...]:
    """The limits that a reply tells of, none when it tells of none that makes sense.

    `headers` are in lower case; `now` is the reply's own `Date`, against which a reset in seconds since 1970 counts.
    """
    told = headers.get("ratelimit", "")
    policies = _items(headers.get("ratelimit-policy", ""))
    found = [_structured(name, parameters, policies) for name, parameters in _items(told).items()]
    if not any(found) and (members := dict(_MEMBER.findall(told))):
        found = [_separate(members, policies, None)]
    for family in ("ratelimit", "x-ratelimit"):
        fields = {name: headers.get(f"{family}-{name}", "") for name in ("limit", "remaining", "reset")}
        if not any(found):
            found = [_separate(fields, _items(fields["limit"]) | policies, now)]
    return tuple(quota for quota in found if quota)


def _structured(name: str, told: Mapping[str, str], policies: Mapping[str, Mapping[str, str]]) -> Quota | None:
    policy = policies.get(name, {})
    if policy.get("qu", "requests") != "requests":
        return None  # bytes, or whatever else is counted
    limit, window = _number(policy.get("q")), _number(policy.get("w"))
    return _quota(_number(told.get("r")), _number(told.get("t", policy.get("w"))), limit, window)


def _separate(
    fields: Mapping[str, str], policies: Mapping[str, Mapping[str, str]], now: datetime | None
) -> Quota | None:
    limit = _number(fields.get("limit", "").partition(",")[0].partition(";")[0])
    window = next(
        (_number(policy["w"]) for name, policy in policies.items() if _number(name) == limit and "w" in policy), None
    )
    reset = _number(fields.get("reset"))
    if reset is not None and reset > EPOCH_SECONDS * 1000:
        reset /= 1000
    if reset is not None and reset > EPOCH_SECONDS:
        reset = None if now is None else max(0.0, reset - now.timestamp())
    return _quota(_number(fields.get("remaining")), reset, limit, window)


def _quota(remaining: float | None, reset: float | None, limit: float | None, window: float | None) -> Quota | None:
    if remaining is None or reset is None or not 0 <= reset <= LONGEST_SECONDS:
        return None
    whole = int(limit) if limit and limit >= 1 else None
    return Quota(
        remaining=max(0, int(remaining)), reset_seconds=reset, limit=whole, window_seconds=window if window else None
    )


def _items(text: str) -> dict[str, dict[str, str]]:
    """The items of a structured list, each with its parameters, by name; what is no such list has none."""
    found = (match for match in _ITEM.finditer(text) if match["parameters"])
    return {match["name"].strip('" '): _parameters(match["parameters"]) for match in found}


def _parameters(text: str) -> dict[str, str]:
    return {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(text)}


def _number(text: str | None) -> float | None:
    """The number of a field, or None."""
    stripped = (text or "").strip()
    return float(stripped) if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", stripped, re.ASCII) else None
