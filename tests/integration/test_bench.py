"""The benches, tried out: what they measure is for `make bench` to say."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest

from tests.bench import cost, planning
from tests.bench.__main__ import benches
from tests.bench.figures import Figure, Skipped
from tests.bench.sender import send
from tests.bench.servers import limiters


def test_every_bench_is_found_by_its_module() -> None:
    assert {"cost", "planning", "startup", "throttle"} == set(benches([]))
    assert list(benches(["throttle"])) == ["throttle"]


def test_a_sender_of_the_bench_reaches_a_server_of_the_bench(tmp_path: Path) -> None:
    with limiters([("sliding", [(0, "50/s"), (0.2, "1/s")])]) as (port,):
        sent = asyncio.run(send(tmp_path, port, "50/s", seconds=0.4, jitter_seconds=0.01))

    assert sent.calls[0][1] == 202
    assert sent.refused
    assert sent.per_second() > 0


def test_the_cost_of_a_few_calls_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"CALLS": 100, "ROUNDS": 1, "PEOPLE": 2000, "SETTLED_SECONDS": 0.1, "WATCHED_SECONDS": 0.1}

    assert len(measured(cost.measure, cost, few, monkeypatch)) == 7


def test_the_planning_of_a_few_rows_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"SMALL": 200, "LARGE": 2000, "EXCLUDED": 20, "MODEST": 100, "ROUNDS": 1, "SETTLED_SECONDS": 0.1}

    assert len(measured(planning.measure, planning, few, monkeypatch)) == 7


def measured(
    measure: Callable[[], Iterable[Figure]], module: ModuleType, few: dict[str, float], patch: pytest.MonkeyPatch
) -> list[Figure]:
    """The figures of a bench with so little to do that they tell nothing."""
    for name, number in few.items():
        patch.setattr(module, name, number)
    try:
        return list(measure())
    except Skipped as missing:
        pytest.skip(str(missing))


def test_a_figure_says_whether_it_keeps_its_bound() -> None:
    assert Figure(name="used", value=0.99, bound=0.99).is_met
    assert not Figure(name="used", value=0.98, bound=0.99).is_met
    assert not Figure(name="429s", value=1, bound=0, is_ceiling=True).is_met
    assert str(Figure(name="429s", value=1, bound=0, is_ceiling=True)).endswith("MISSED")
