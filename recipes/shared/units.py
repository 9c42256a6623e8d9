"""A comparison of many trainings, its units: each is recorded when it is done; the next call goes on with the rest."""

import argparse
import time
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Protocol

from recipes.shared.arguments import at_least_0
from recipes.shared.results import append, read_rows


class Unit(Protocol):
    """One training of a comparison, or one measurement without any."""

    experiment: str
    model: str
    setting: str
    seed: int | str


KEY = ("experiment", "model", "setting", "seed")  # what tells a unit from the others, and its rows from theirs


def rows_of_units(
    units: Iterable[Unit], measure: Callable[[Unit], list[dict]], done: Container[tuple], minutes: float
) -> Iterator[list[dict]]:
    """The rows of each unit whose KEY, all texts, is not in `done`; begins none after `minutes`."""
    begun = time.perf_counter()
    for unit in units:
        if tuple(str(getattr(unit, name)) for name in KEY) not in done:
            if time.perf_counter() - begun > 60 * minutes:
                return
            yield measure(unit)


def record_units(description: str, file: str, run_all: Callable[[Container[tuple], float], Iterator[list[dict]]]):
    """The command line of a comparison: its units that the table does not hold yet, each recorded when it is done."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=at_least_0(float), default=float("inf"), help="begin no further unit after so many"
    )
    minutes = parser.parse_args().minutes
    for rows in run_all({tuple(r[name] for name in KEY) for r in read_rows(file)}, minutes):
        append(file, rows)
        print(*(rows[0][name] for name in KEY), {r["data"]: r["value"] for r in rows}, rows[0]["seconds"], flush=True)
