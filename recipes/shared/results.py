"""Results in one long table a chapter: each recipe replaces the rows of its own experiment and leaves the others.

In 04.csv, for example:

experiment     what was measured        n                    metric
pretraining    bert-mini's own log      tokens seen          mlm_loss, nats (mean since the row before)
frequencies    counting, same text      tokens counted       mlm_loss, nats
cross-encoder  scores on public sets    (empty)              spearman x 100, accuracy x 100
questions      six kinds of question    labelled questions   accuracy x 100
questions-dev  the trials before that   labelled questions   accuracy x 100, on questions kept for choosing the setting
cost           pairs against vectors    sentences            seconds

Rows are read as texts, so that writing them again changes nothing; `course_lib.data.load_results` has the numbers.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

from course_lib.datasets.retrieval import RETRIEVAL_SETS, find_folder
from course_lib.support.files import atomic_file
from course_lib.support.tables import find
from recipes.shared.places import RESULTS


def row(
    experiment: str,
    model: str,
    data: str,
    metric: str,
    value: float,
    command: str,
    seconds: float,
    *,
    n: int | str = "",
    seed: int | str = "",
    setting: str = "",
    data_sha256: str = "",
    model_sha256: str = "",
) -> dict:
    """One line of the table. Shares and correlations are given as 0..1 and written times 100."""
    shown = f"{100 * value:.2f}" if metric in ("accuracy", "spearman", "average_precision") else f"{value:.6g}"
    return dict(
        experiment=experiment,
        model=model,
        data=data,
        n=n,
        seed=seed,
        setting=setting,
        metric=metric,
        value=shown,
        command=command,
        seconds=f"{seconds:.3f}",
        data_sha256=data_sha256,
        model_sha256=model_sha256,
    )


def data_sha256(*names: str) -> str:
    """Of the files of these data sets, one after the other."""
    return hashlib.sha256(b"".join(file.read_bytes() for name in names for file in files_of(name))).hexdigest()


def files_of(name: str) -> list[Path]:
    """A table's file; of a retrieval set its texts, questions and answers (test), in the order of their paths."""
    if name not in ("course/help", *RETRIEVAL_SETS):
        return [find(name)]
    return sorted(p for p in find_folder(name).rglob("*") if p.name.startswith(("corpus.", "queries.", "test.")))


def read_rows(file: str) -> list[dict[str, str]]:
    path = RESULTS / file
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def write_rows(file: str, rows: Sequence[dict]):
    """All lines of a table. Its columns are those of the first row."""
    with atomic_file(RESULTS / file) as unfinished, open(unfinished, "w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def record(file: str, experiment: str, rows: list[dict]):
    """Put `rows` in the place of those that `experiment` had."""
    kept = [r for r in read_rows(file) if r["experiment"] != experiment]
    write_rows(file, sorted(kept + rows, key=lambda r: r["experiment"]))


def record_command(file: str, rows: list[dict]):
    """Put `rows`, all of one command, in the place of those that it had: for a table without experiments."""
    kept = [r for r in read_rows(file) if r["command"] != rows[0]["command"]]
    write_rows(file, sorted(kept + rows, key=lambda r: r["command"]))


def append(file: str, rows: list[dict]):
    """Put `rows`, all of one experiment, after those that it has."""
    record(file, rows[0]["experiment"], [r for r in read_rows(file) if r["experiment"] == rows[0]["experiment"]] + rows)
