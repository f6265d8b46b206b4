"""A small sample of `make torture`."""

import random
from pathlib import Path

from tests.torture.dead_api import outage
from tests.torture.double_starts import race
from tests.torture.kills import Figures, torment


def test_nobody_is_sent_to_twice_or_lost_however_often_the_sender_is_killed(tmp_path: Path) -> None:
    figures = Figures()
    torment(tmp_path, figures, random.Random(4711), kills=4)
    assert figures.kills > 0, figures
    assert (figures.delivered_twice, figures.lost, figures.unreconciled) == (0, [], 0), figures
    assert figures.wrong_exits == [], figures


def test_of_two_senders_started_at_once_one_wins(tmp_path: Path) -> None:
    assert race(tmp_path, 2)


def test_an_api_that_dies_and_comes_back_costs_a_handful_of_unknown_chunks(tmp_path: Path) -> None:
    assert outage(tmp_path, 1.0)
