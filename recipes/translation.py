"""Trains the translators of notebooks 01 to 03 and writes what they can do into data/results/01.csv, 02.csv and 03.csv.

    python -m recipes.translation run live      # on the course's corpus: what the notebooks train while you wait
    python -m recipes.translation run repeated  # the same sentences five times as often
    python -m recipes.translation run long      # the same models on all of it
    COURSE_DATA=... python -m recipes.translation run tatoeba     # on the Tatoeba pairs, measured in BLEU
    python -m recipes.translation tables        # the csv files, from the runs in build/translation

`run BUDGET` trains every model and seed of RUNS, `run BUDGET MODEL SEED` one. Resumable: started again after an
interruption, a run goes on from its last checkpoint, and a finished one is left as it is.

In the tables a row is one number: of a model, trained on `data` with a budget and a seed, the `metric` on the test
sentences of the `length` named (words of the source; thirds are of the test sentences); `exact_match_seen` is on
training sentences. 01.csv holds the models without attention, 02.csv those with it, 03.csv the Transformer. `seconds`
are those of the training, on a machine that was also doing other things. `signature` says how sacrebleu counted.
"""

import argparse
import json
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random

import pandas as pd
import torch
from torch import nn

from course_lib.data import load_results
from course_lib.support.files import atomic_file
from course_lib.translation.decoding import translate
from course_lib.translation.pairs import pair_length
from course_lib.translation.scores import (
    alignment_hits,
    attention_weights,
    entropy,
    exact_match,
    length_thirds,
    mean_by,
)
from course_lib.translation.vocabulary import words
from recipes.shared.arguments import at_least_0
from recipes.shared.places import BUILD
from recipes.shared.results import data_sha256, read_rows, write_rows
from recipes.translators import BUDGETS, Pairs, fit, load, new_translator

WORK = BUILD / "translation"
EXPERIMENT = "translation"
FILES = {
    "gru": "01.csv",
    "lstm": "01.csv",
    "gru-attention": "02.csv",
    "lstm-attention": "02.csv",
    "transformer": "03.csv",
}


THREE = "gru-attention", "gru", "transformer"
RUNS = {  # (model, seed)
    "live": [(model, seed) for seed in range(5) for model in THREE],
    "long": [
        *((model, seed) for seed in range(3) for model in THREE),
        ("lstm", 0),
        *(("lstm-attention", seed) for seed in range(3)),
    ],
    "repeated": [(model, seed) for seed in range(3) for model in THREE[:2]],
    "tatoeba": [(model, 0) for model in THREE],
}


def length_bucket(source: str, width: int = 3) -> str:
    """ "03-05", "06-08", ...: the bucket of a sentence's number of words."""
    low = len(words(source)) // width * width
    return f"{low:02}-{low + width - 1:02}"


def measure_translator(model: nn.Module, pairs: Pairs) -> list[tuple[str, str, float]]:
    """(metric, length, value) on the test pairs: exact match and alignment in %, BLEU 0 to 100, entropy in bits."""
    sources = [source for source, _ in pairs.test]
    groups = [["all"] * len(sources), length_thirds(sources), [length_bucket(source) for source in sources]]
    rows = []
    if any(pairs.links):
        found = exact_match(model, pairs.test)
        rows += [("exact_match", group, 100 * value) for by in groups for group, value in mean_by(by, found).items()]
        if getattr(model, "attention", None):
            weights = attention_weights(model, pairs.test)
            hits = [alignment_hits(w, links) for w, links in zip(weights, pairs.links)]
            rows.append(("alignment", "all", 100 * sum(map(sum, hits)) / sum(map(len, hits))))
            rows.append(("entropy", "all", torch.cat([entropy(w) for w in weights]).mean().item()))
    else:
        written = translate(model, sources)
        for by in groups:
            for group in sorted(set(by)):
                chosen = [i for i, g in enumerate(by) if g == group]
                score, _ = bleu([written[i] for i in chosen], [pairs.references[i] for i in chosen])
                rows.append(("bleu", group, score))
    return rows


def bleu(written: list[str], references: list[list[str]]) -> tuple[float, str]:
    """sacrebleu's corpus BLEU, 0 to 100, and its signature. references: one or more for each sentence.

    Without case, as the models write no capitals; its tokenizer "intl" also sets ¿ and ¡ apart (`force`: no warning
    that the text is tokenized).
    """
    from sacrebleu.metrics import BLEU  # needed for Tatoeba only

    metric, most = BLEU(lowercase=True, tokenize="intl", force=True), max(map(len, references))
    streams = zip(*([*right, *[None] * (most - len(right))] for right in references))  # None: this sentence has no more
    return metric.corpus_score(written, list(map(list, streams))).score, str(metric.get_signature())


def measure_seen(model: nn.Module, pairs: Pairs, most: int) -> list[tuple[str, str, float]]:
    """("exact_match_seen", length, value in %) on at most `most` training pairs, drawn at random, always the same."""
    chosen = Random(0).sample(pairs.train, min(most, len(pairs.train)))
    found = mean_by([length_bucket(source) for source, _ in chosen], exact_match(model, chosen))
    return [("exact_match_seen", length, 100 * value) for length, value in found.items()]


def run(name: str, kind: str, seed: int, work: Path = WORK) -> dict:
    """Train and measure one model; the result is kept in `work`, and read from there when it is asked for again.

    A result of other data, or of another budget of that name, is made anew.
    """
    budget, result = BUDGETS[name], work / f"{name}-{kind}-{seed}.json"
    made_of = dict(settings=budget._asdict(), data_sha256=data_sha256(budget.data))
    if result.exists():
        found = json.loads(result.read_text(encoding="utf-8"))
        if all(found[key] == value for key, value in made_of.items()):
            return found
    identity = sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    work.mkdir(parents=True, exist_ok=True)
    pairs = load(budget)
    model = new_translator(kind, budget, pairs.train, seed)
    history = fit(model, budget, pairs.train, seed, work / f"{result.stem}-{identity}.safetensors")
    start = time.perf_counter()
    measured = measure_translator(model, pairs)
    if budget.seen:
        measured += measure_seen(model, pairs, budget.seen)
    speed = budget.epochs * sum(map(pair_length, pairs.train)) / history[-1]["seconds"]
    measured += [
        ("loss", "all", history[-1]["loss"]),
        ("tokens_per_second", "all", speed),
        ("parameters", "all", sum(p.numel() for p in model.parameters())),
    ]
    found = dict(
        budget=name,
        model=kind,
        seed=seed,
        data=budget.data,
        pairs=len(pairs.train),
        test=len(pairs.test),
        measured=measured,
        seconds=history[-1]["seconds"],
        test_seconds=round(time.perf_counter() - start, 1),
        **made_of,
    )
    with atomic_file(result) as unfinished:
        unfinished.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def rows_of(found: dict) -> list[dict]:
    """The lines of a result in the tables."""
    before = {"experiment": EXPERIMENT} | {key: found[key] for key in ("model", "data", "budget", "seed")}
    command = f"python -m recipes.translation run {found['budget']} {found['model']} {found['seed']}"
    after = {"command": command, "seconds": found["seconds"], "data_sha256": found["data_sha256"]}
    signature = {"bleu": bleu(["a", "b"], [["a"], ["b", "c"]])[1]} if found["budget"] == "tatoeba" else {}
    rows = []
    for metric, length, value in found["measured"]:
        measured = dict(metric=metric, length=length, value=f"{value:.6g}")
        rows.append(before | measured | after | {"signature": signature.get(metric, "")})
    return rows


def recorded_results(kinds: Sequence[str], full: bool = False) -> pd.DataFrame:
    """The rows of these models in the tables.

    full: those on the course's corpus are trained and measured again.
    """
    rows = pd.concat(load_results(name.removesuffix(".csv")) for name in sorted({FILES[kind] for kind in kinds}))
    rows = rows[rows.model.isin(kinds)]
    if not full:
        return rows
    runs = [(budget, *which) for budget in ("live", "repeated", "long") for which in RUNS[budget] if which[0] in kinds]
    again = pd.DataFrame([row for one in runs for row in rows_of(run(*one))]).astype({"value": float})
    return pd.concat([rows[rows.budget == "tatoeba"], again])


def tables(work: Path = WORK):
    """Write the three tables from all finished runs; lines of other experiments stay."""
    for file in sorted(set(FILES.values())):
        rows = []
        for budget, runs in RUNS.items():
            for kind, seed in runs:
                result = work / f"{budget}-{kind}-{seed}.json"
                if FILES[kind] == file and result.exists():
                    rows += rows_of(json.loads(result.read_text(encoding="utf-8")))
        if rows:
            others = [row for row in read_rows(file) if row["experiment"] != EXPERIMENT]
            columns = dict.fromkeys([*rows[0], *(name for row in others for name in row)], "")
            write_rows(file, [columns | row for row in rows + others])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run")
    one.add_argument("budget", choices=BUDGETS)
    one.add_argument("model", nargs="?", choices=FILES)
    one.add_argument("seed", nargs="?", type=at_least_0(int), default=0)
    commands.add_parser("tables")
    arguments = parser.parse_args()
    if arguments.command == "tables":
        return tables()
    for kind, seed in [(arguments.model, arguments.seed)] if arguments.model else RUNS[arguments.budget]:
        found = run(arguments.budget, kind, seed)
        measured = [(metric, length, round(value, 2)) for metric, length, value in found["measured"]]
        print(found["budget"], kind, seed, f"{found['seconds']:.0f} s", measured, flush=True)


if __name__ == "__main__":
    main()
