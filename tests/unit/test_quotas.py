"""Rate-limit headers, as APIs write them, as odd ones write them, and as nobody should."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.inro.quotas import QUOTA_HEADERS, quotas
from sender.inro.wire import Reply, outcome
from sender.outcome import Quota

NOW = datetime.fromtimestamp(1_800_000_000, UTC)
FIFTY_OF_A_HUNDRED = Quota(remaining=50, reset_seconds=30, limit=100, window_seconds=60)


@pytest.mark.parametrize(
    "headers",
    [
        {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
        {"ratelimit": 'default; t=30; r=50; pk=:cHsdsRa894==:', "ratelimit-policy": 'default ;w=60; q=100'},
        {"ratelimit": "limit=100, remaining=50, reset=30", "ratelimit-policy": "100;w=60"},
        {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
        {
            "ratelimit-limit": "100",
            "ratelimit-remaining": "50",
            "ratelimit-reset": "30",
            "ratelimit-policy": '10;w=1, 100;w=60;comment="a minute"',
        },
        {"x-ratelimit-limit": "100;w=60", "x-ratelimit-remaining": "50", "x-ratelimit-reset": "1800000030"},
        {"x-ratelimit-limit": "100;w=60", "x-ratelimit-remaining": "50", "x-ratelimit-reset": "1800000030000"},
    ],
)  # fmt: skip
def test_every_way_in_which_apis_write_it_is_read(headers: dict[str, str]) -> None:
    assert quotas(headers, NOW) == (FIFTY_OF_A_HUNDRED,)


def test_of_several_policies_each_is_read_and_those_that_count_no_requests_are_left_out() -> None:
    headers = {
        "ratelimit": '"permin";r=50;t=30, "perhr";r=900, "bytes";r=0;t=3600',
        "ratelimit-policy": '"permin";q=100;w=60,"perhr";q=1000;w=3600,"bytes";q=65535;qu="content-bytes";w=3600',
    }

    assert quotas(headers, NOW) == (
        FIFTY_OF_A_HUNDRED,
        Quota(remaining=900, reset_seconds=3600, limit=1000, window_seconds=3600),
    )


def test_the_standard_s_fields_come_before_the_older_ones() -> None:
    headers = {
        "ratelimit": '"default";r=50;t=30',
        "ratelimit-policy": '"default";q=100;w=60',
        "x-ratelimit-remaining": "3",
        "x-ratelimit-reset": "1",
    }

    assert quotas(headers, NOW) == (FIFTY_OF_A_HUNDRED,)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit": "100"},
        {"x-ratelimit-remaining": "3"},
        {"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "3"},
        {"x-ratelimit-remaining": "three", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "99999999"},
        {"ratelimit": '"default";r=;t='},
        {"ratelimit": '"default'},
        {"ratelimit": ";;;,,,"},
    ],
)
def test_what_makes_no_sense_tells_nothing(headers: dict[str, str]) -> None:
    assert quotas(headers, NOW) == ()


def test_a_reset_that_is_a_moment_tells_nothing_without_the_reply_s_own_date() -> None:
    assert quotas({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1800000030"}, None) == ()


@given(st.dictionaries(st.sampled_from(QUOTA_HEADERS), st.text(st.characters(codec="latin-1"), max_size=60)))
def test_no_header_breaks_it_and_no_figure_is_beyond_reason(headers: dict[str, str]) -> None:
    for quota in quotas(headers, NOW):
        assert quota.remaining >= 0
        assert 0 <= quota.reset_seconds <= 31 * 86400


def test_they_come_along_with_the_outcome() -> None:
    headers = {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'}

    assert outcome(Reply(status=202, headers=headers), ["ann"]).quotas == (FIFTY_OF_A_HUNDRED,)
