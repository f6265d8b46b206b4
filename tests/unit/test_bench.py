"""The benches' audiences, in small: `make bench` measures, this only proves that it could."""

from pathlib import Path

from campaigns.audience import read_audience
from campaigns.model import Audience
from tests.bench import naive
from tests.bench.people import write_audience, write_exclusions


def test_a_bench_audience_is_made_as_it_says_and_the_script_reads_it(tmp_path: Path) -> None:
    write_audience(tmp_path / "people.csv", 2000)
    write_exclusions(tmp_path / "out.csv", 50, of=2000)
    audience = Audience(csv=(str(tmp_path / "people.csv"),), exclude=(str(tmp_path / "out.csv"),))

    reading = read_audience(audience)
    kept = list(reading)

    counts = reading.counts
    assert counts.rows == 2000
    assert 150 < counts.duplicates < 250
    assert 5 < counts.invalid < 40
    assert 30 < counts.excluded < 120
    assert sum(bool(r.id) + bool(r.username) + bool(r.email) == 1 for r in kept) > 100
    naive.main(str(tmp_path / "people.csv"))
