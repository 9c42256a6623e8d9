"""A comparison of many trainings, its units: each is recorded when it is done; the next call goes on with the rest."""

import argparse
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Protocol

from recipes.shared.arguments import at_least_0
from recipes.shared.results import append, data_sha256, read_rows, row


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


def rows_of_scores(
    unit: Unit,
    scores: Mapping[str, tuple[str, float]],
    command: str,
    seconds: float,
    *,
    n: int,
    trained_on: Sequence[str],
    model_sha256: str,
) -> list[dict]:
    """A row for each {data: (metric, value)}; data_sha256 is of the files trained on and the one measured on."""
    return [
        row(
            unit.experiment,
            unit.model,
            data,
            metric,
            value,
            command,
            seconds,
            n=n,
            seed=unit.seed,
            setting=unit.setting,
            data_sha256=_sha_of(*trained_on, data),
            model_sha256=model_sha256,
        )
        for data, (metric, value) in scores.items()
    ]


@cache
def _sha_of(*names: str) -> str:
    """Many units are trained on the same files: each is read once."""
    return data_sha256(*names)


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
