"""`make bench`: every module of this package that has a `measure`; exits 1 when a bound is missed.

`python -m tests.bench throttle` runs one of them. The figures also go into bench.json.
"""

import json
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from tests.bench.figures import Figure, Skipped

RESULTS = Path("bench.json")


def benches(names: list[str]) -> dict[str, Callable[[], Iterable[Figure]]]:
    """The benches of those names, or all."""
    modules = [
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "__main__"
    ]
    found = {name: getattr(import_module(f"tests.bench.{name}"), "measure", None) for name in modules}
    return {name: measure for name, measure in found.items() if measure and (not names or name in names)}


def main(names: list[str]) -> int:
    """Prints the table; returns the exit code."""
    figures: dict[str, list[Figure]] = {}
    for name, measure in benches(names).items():
        print(f"{name}   (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
        figures[name] = []
        try:
            for figure in measure():
                print(f"  {figure}", flush=True)
                figures[name].append(figure)
        except Skipped as missing:
            print(f"  skipped: {missing}")
    data = {name: [asdict(figure) | {"is_met": figure.is_met} for figure in found] for name, found in figures.items()}
    RESULTS.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    return 0 if all(figure.is_met for found in figures.values() for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
