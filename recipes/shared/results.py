"""Results of chapter 04, in one long table: each recipe replaces the rows of its own experiment and leaves the others.

experiment     what was measured        n                    metric
pretraining    bert-mini's own log      tokens seen          mlm_loss, nats (mean since the row before)
cross-encoder  scores on public sets    (empty)              spearman x 100, accuracy x 100
questions      six kinds of question    labelled questions   accuracy x 100
questions-dev  the trials before that   labelled questions   accuracy x 100, on questions kept for choosing the setting
cost           pairs against vectors    sentences            seconds
"""

import csv
import hashlib

from course_lib.support.folders import COURSE_HOME
from course_lib.support.tables import find
from recipes.evaluate import write_csv

RESULTS = COURSE_HOME / "data" / "results"


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
    return hashlib.sha256(b"".join(find(name).read_bytes() for name in names)).hexdigest()


def read_rows(file: str) -> list[dict]:
    path = RESULTS / file
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def record(file: str, experiment: str, rows: list[dict]):
    """Put `rows` in the place of those that `experiment` had."""
    kept = [r for r in read_rows(file) if r["experiment"] != experiment]
    write_csv(RESULTS / file, sorted(kept + rows, key=lambda r: r["experiment"]))


def append(file: str, rows: list[dict]):
    """Put `rows`, all of one experiment, after those that it has."""
    record(file, rows[0]["experiment"], [r for r in read_rows(file) if r["experiment"] == rows[0]["experiment"]] + rows)
