"""How much data does a transformer want? Writes data/results/03_data.csv.

    python -m recipes.transformer_data

The GRU with attention and the transformer of recipes/translators.py, as in its budget "live" (sentences of at most 10
words), learn from 512, 2,048 and 4,096 pairs of course/en_es. Each takes the same 512 steps of 32 pairs, so that only
the number of different pairs changes: fewer are seen more often. The vocabulary is that of all training pairs, so no
word is unknown. Three seeds; `value` is the share in percent of the test sentences translated exactly (greedy
decoding).

A row is written after each run: started again after an interruption, it goes on with the next run, and all anew where
the corpus has changed since.
"""

from collections.abc import Iterator

import pandas as pd

from course_lib.data import load_results
from course_lib.translation.scores import exact_match
from recipes.shared.results import data_sha256, read_rows, write_rows
from recipes.translators import BUDGETS, Pairs, fit, load, new_translator

FILE = "03_data.csv"
BUDGET = "live"
STEPS = 512
RUNS = [
    (kind, count, seed) for seed in range(3) for count in (512, 2048, 4096) for kind in ("gru-attention", "transformer")
]


def learn(kind: str, count: int, seed: int, pairs: Pairs) -> dict:
    """Train one model on the first `count` training pairs; a row of the table, all text as in the file."""
    if count > len(pairs.train):
        raise ValueError(f"there are {len(pairs.train)} training pairs, not {count}; choose fewer in RUNS")
    budget = BUDGETS[BUDGET]
    model = new_translator(kind, budget, pairs.train, seed)
    history = fit(model, budget._replace(epochs=STEPS * budget.batch_size // count), pairs.train[:count], seed)
    right = exact_match(model, pairs.test)
    row = dict(
        model=kind,
        data=budget.data,
        pairs=count,
        steps=history[-1]["step"],
        seed=seed,
        metric="exact_match",
        value=f"{100 * sum(right) / len(right):.2f}",
        loss=f"{history[-1]['loss']:.4f}",
        seconds=history[-1]["seconds"],
        parameters=sum(p.numel() for p in model.parameters()),
        command="python -m recipes.transformer_data",
        data_sha256=data_sha256(budget.data),
    )
    return {name: str(value) for name, value in row.items()}


def train_all(done: set = frozenset()) -> Iterator[dict]:
    """A row for each of RUNS that is not `done`."""
    pairs = load(BUDGETS[BUDGET])
    for run in RUNS:
        if run not in done:
            yield learn(*run, pairs)


def recorded_results(full: bool = False) -> pd.DataFrame:
    """The rows of the table; full: those of a training of all models again, which takes minutes."""
    if not full:
        return load_results(FILE.removesuffix(".csv"))
    return pd.DataFrame(train_all()).astype({"pairs": int, "seed": int, "value": float})


def main():
    rows = [row for row in read_rows(FILE) if row["data_sha256"] == data_sha256(BUDGETS[BUDGET].data)]
    for row in train_all({(row["model"], int(row["pairs"]), int(row["seed"])) for row in rows}):
        rows.append(row)
        write_rows(FILE, rows)
        print(row, flush=True)


if __name__ == "__main__":
    main()
