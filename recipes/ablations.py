"""Which pooling, which concatenation, which head? The paper's Table 6 at the size of bert-mini, with three seeds each.

    COURSE_DATA=... python recipes/ablations.py                  # all that data/results/07.csv does not hold yet
    COURSE_DATA=... python recipes/ablations.py --minutes 12     # begins nothing after that; call it again to go on

    experiment   what is trained                                            n
    start        nothing: bert-mini as it is, read by three poolings        0
    nli          softmax objective on labelled pairs of the NLI sets        pairs, each seen once
    stsb         cosine against people's scores, squared error, STSb train  pairs, each seen once
    live         as nli, on the bundled course/nli: what notebook 07 repeats

The pairs of nli are short, at most 20 words together, so that more of them fit a budget of seconds.

A setting is "pooling; concatenation; head; learning rate". Within an experiment settings differ in one of the first
three, and one seed gives all of them the same pairs in the same order: it draws the pairs (of nli and stsb), their
order, dropout, and the head's first weights. Two learning rates were tried, seed 0 only, on the best and the worst
concatenation of the paper; the one with more right NLI labels became everyone's (their rows are among nli). Each unit's
rows are written when it is done. data_sha256 is of the files trained on and the file measured on, one after the other;
seconds are of training and measuring.
"""

import random
import tempfile
import time
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from course_lib.data import load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator
from course_lib.losses import CosineSimilarityLoss, SoftmaxLoss
from course_lib.modules import Pooling
from course_lib.siamese import siamese_objective
from course_lib.support.folders import resolve
from course_lib.training import train
from recipes.shared.cards import weights_sha256
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.results import data_sha256, row
from recipes.shared.sentence_pairs import NLI_SETS, nli_examples
from recipes.shared.units import record_units, rows_of_units

COMMAND, FILE, START = "python recipes/ablations.py", "07.csv", "course/bert-mini"
PAIRS, WORDS, BATCH, RATE, OTHER_RATE = {"nli": 4_096, "stsb": 2_560}, 20, 32, 4e-4, 2e-4
SEEDS = (0, 1, 2)
STS, NLI_DEV, NLI_DEV_PAIRS = ["stsbenchmark/dev", "course/sts"], ["snli/dev", "multinli/dev_matched"], 600
TRAINED_ON = {"start": [], "nli": NLI_SETS, "stsb": ["stsbenchmark/train"], "live": ["course/nli"]}
PAPER = ("u", "v", "|u-v|")
CONCATENATIONS = [
    ("u", "v"),
    ("|u-v|",),
    PAPER,
    ("u*v",),
    ("|u-v|", "u*v"),
    ("u", "v", "u*v"),
    ("u", "v", "|u-v|", "u*v"),
]
POOLINGS = ("mean", "cls", "max")


class Ablation(NamedTuple):
    """A training, or with the experiment "start" none, and what is measured after it."""

    experiment: str
    pooling: str = "mean"
    concatenation: tuple[str, ...] = PAPER
    head: str = "linear"
    rate: float = RATE
    seed: int = 0

    @property
    def model(self) -> str:
        return START

    @property
    def setting(self) -> str:
        if self.experiment == "start":
            return self.pooling
        return f"{self.pooling}; {', '.join(self.concatenation) or 'cosine'}; {self.head}; {self.rate:g}"


def ablations() -> list[Ablation]:
    """In the order of their importance: what is left out when time is short comes last."""
    grid = [Ablation("nli", concatenation=parts) for parts in CONCATENATIONS[:4]]
    grid += [Ablation("nli", pooling=mode) for mode in POOLINGS[1:]]
    live = [Ablation("live", concatenation=parts, seed=seed) for seed in SEEDS for parts in (PAPER, ("u", "v"))]
    rest = [Ablation("nli", concatenation=parts) for parts in CONCATENATIONS[4:]] + [
        Ablation("nli", head="one hidden layer")
    ]
    rest += [Ablation("stsb", pooling=mode, concatenation=(), head="none") for mode in POOLINGS]
    rates = RATE, OTHER_RATE
    trials = [Ablation("nli", concatenation=parts, rate=rate) for rate in rates for parts in (("u", "v"), PAPER)]
    starts = [Ablation("start", pooling=mode) for mode in POOLINGS]
    seeded = [[unit._replace(seed=seed) for unit in some for seed in SEEDS] for some in (grid, rest)]
    return list(dict.fromkeys(starts + trials + seeded[0] + live + seeded[1]))


@cache
def examples_of(experiment: str) -> list:
    if experiment == "live":
        return load_nli("course/nli")
    allowed = LeakFilter()
    if experiment == "stsb":
        return [pair for pair in load_sts("stsbenchmark/train") if allowed(pair.sentence1) and allowed(pair.sentence2)]
    return [e for e in nli_examples(allowed) if len(e.premise.split()) + len(e.hypothesis.split()) <= WORDS]


@cache
def nli_dev() -> list:
    """A fixed sample, the same for all."""
    return [example for name in NLI_DEV for example in random.Random(0).sample(load_nli(name), NLI_DEV_PAIRS)]


@cache
def sha_of(*names: str) -> str:
    return data_sha256(*names)


def model_to_train(unit: Ablation) -> nn.ModuleDict:
    bert = SentenceEncoder.load(START, device="cpu", dtype="float32")
    encoder = SentenceEncoder([bert[0], Pooling(bert.get_embedding_dimension(), unit.pooling)], dtype="float32")
    encoder.max_seq_length = 128
    dim, wide = encoder.get_embedding_dimension(), len(unit.concatenation) * encoder.get_embedding_dimension()
    torch.manual_seed(unit.seed)
    if not unit.concatenation:
        return nn.ModuleDict({"encoder": encoder, "head": CosineSimilarityLoss()})
    deeper = nn.Sequential(nn.Linear(wide, dim), nn.ReLU(), nn.Linear(dim, 3)) if unit.head != "linear" else None
    return nn.ModuleDict(
        {"encoder": encoder, "head": SoftmaxLoss(dim, concatenation=unit.concatenation, classifier=deeper)}
    )


def train_ablation(unit: Ablation, model: nn.ModuleDict) -> int:
    """Train for one pass; returns the number of pairs."""
    examples = examples_of(unit.experiment)
    if unit.experiment in PAIRS:
        examples = random.Random(unit.seed).sample(examples, PAIRS[unit.experiment])
    train(
        model,
        siamese_objective(model["encoder"], model["head"]),
        examples,
        batch_size=BATCH,
        learning_rate=unit.rate,
        seed=unit.seed,
        show_progress_bar=False,
    )
    return len(examples)


def measure_ablation(unit: Ablation) -> list[dict]:
    """Train one unit, and the rows that it gives."""
    model, begun = model_to_train(unit), time.perf_counter()
    n = train_ablation(unit, model) if unit.experiment != "start" else 0
    seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        model["encoder"].save(Path(folder) / "model", half=True)
        sha = weights_sha256(resolve(START) if unit.experiment == "start" else Path(folder) / "model")
    evaluators = {name: (EmbeddingSimilarityEvaluator(load_sts(name)), "spearman", [name]) for name in STS}
    if unit.experiment == "nli":
        evaluators[", ".join(NLI_DEV)] = LabelAccuracyEvaluator(nli_dev(), model["head"]), "accuracy", NLI_DEV
    rows = []
    for name, (evaluator, metric, files) in evaluators.items():
        begun = time.perf_counter()
        value = evaluator(model["encoder"])[evaluator.primary_metric]
        rows.append(
            row(
                unit.experiment,
                START,
                name,
                metric,
                value,
                COMMAND,
                seconds + time.perf_counter() - begun,
                n=n,
                seed=unit.seed,
                setting=unit.setting,
                data_sha256=sha_of(*TRAINED_ON[unit.experiment], *files),
                model_sha256=sha,
            )
        )
    return rows


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(ablations(), measure_ablation, done, minutes)


if __name__ == "__main__":
    record_units(__doc__, FILE, run_all)
