"""Which concatenation, which pooling? The paper's Table 6 at the size of bert-mini, into data/results/07.csv.

    COURSE_DATA=... python recipes/ablations.py                  # all that the table does not hold yet
    COURSE_DATA=... python recipes/ablations.py --minutes 12     # begins nothing after that; call it again to go on

    experiment   what learns                                                  from                         n
    before       nothing: bert-mini as it is, read by four poolings                                        0
    encoder      encoder and softmax head, the head fitted first, as in       pairs of SNLI, each once     pairs
                 recipes/siamese.py
    ranking      encoder, by the ranking loss                                 those that are entailed      pairs
    regression   encoder: the cosine of a pair shall be people's score        STSb train, each once        pairs

A setting is "pooling; concatenation; rate". Within an experiment and a seed all settings get the same pairs in the same
order, so that their scores may be compared seed by seed. The pairs of SNLI are short, at most 20 words together: more
of them fit a budget of minutes. data_sha256 is of the files trained on and the file measured on, one after the other;
model_sha256 is bert-mini's; seconds are of training. recipes/map_ablations.py adds the experiment "map".
"""

import random
import time
from collections.abc import Container, Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from course_lib.data import LABELS, load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss
from course_lib.modules import Pooling
from course_lib.siamese import siamese_objective
from course_lib.support.folders import resolve
from course_lib.training import train
from recipes.shared.cards import weights_sha256
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.sentence_pairs import SNLI, nli_examples
from recipes.shared.units import record_units, rows_of_scores, rows_of_units
from recipes.siamese import fit_head

COMMAND, FILE, START = "python recipes/ablations.py", "07.csv", "course/bert-mini"
PAIRS, WORDS, BATCH = {"encoder": 2_048, "ranking": 2_048, "regression": 1_536}, 20, 16  # the paper's batches
RATE, OTHER_RATE, SEEDS = 1e-4, 3e-4, (0, 1, 2)
STS, NLI_DEV, NLI_DEV_PAIRS = ("stsbenchmark/dev", "course/sts"), "snli/dev", 500
TRAINED_ON = {"before": [], "encoder": SNLI, "ranking": SNLI, "regression": ["stsbenchmark/train"]}
PAPER = ("u", "v", "|u-v|")
CONCATENATIONS = [
    PAPER,
    ("u", "v"),
    ("|u-v|",),
    ("u*v",),
    ("|u-v|", "u*v"),
    ("u", "v", "u*v"),
    ("u", "v", "|u-v|", "u*v"),
]
POOLINGS = ("mean", "cls", "max")


class Ablation(NamedTuple):
    """A training, or with the experiment "before" none, and what is measured after it."""

    experiment: str
    pooling: str = "mean"
    concatenation: tuple[str, ...] = ()
    rate: float = 0.0
    seed: int = 0

    @property
    def model(self) -> str:
        return START

    @property
    def setting(self) -> str:
        return f"{self.pooling}; {', '.join(self.concatenation)}; {self.rate:g}"


def ablations() -> list[Ablation]:
    """In the order of their importance: what is left out when time is short comes last."""
    modes = (*POOLINGS, "lasttoken")
    settings = [Ablation("encoder", "mean", parts, RATE) for parts in CONCATENATIONS[:2]]
    settings += [Ablation("ranking", "mean", rate=OTHER_RATE)]
    settings += [Ablation("encoder", mode, PAPER, RATE) for mode in POOLINGS[1:]]
    settings += [Ablation("encoder", "mean", parts, RATE) for parts in CONCATENATIONS[2:]]
    settings += [Ablation("ranking", mode, rate=OTHER_RATE) for mode in modes[1:]]
    settings += [Ablation("regression", mode, rate=OTHER_RATE) for mode in POOLINGS]
    settings += [Ablation("encoder", mode, PAPER, OTHER_RATE) for mode in POOLINGS]
    trained = [setting._replace(seed=seed) for setting in settings for seed in SEEDS]
    return [Ablation("before", mode) for mode in modes] + trained


@cache
def nli_dev() -> list:
    """A fixed sample, the same for all."""
    return random.Random(0).sample(load_nli(NLI_DEV), NLI_DEV_PAIRS)


@cache
def all_examples(experiment: str) -> list:
    allowed = LeakFilter()
    if experiment == "regression":
        return [pair for pair in load_sts("stsbenchmark/train") if allowed(pair.sentence1) and allowed(pair.sentence2)]
    examples = nli_examples(allowed, SNLI)
    return [e for e in examples if len(e.premise.split()) + len(e.hypothesis.split()) <= WORDS]


def examples_of(unit: Ablation) -> list:
    """Those of "ranking" are the entailed ones among those that "encoder" gets for the same seed."""
    examples = random.Random(unit.seed).sample(all_examples(unit.experiment), PAIRS[unit.experiment])
    if unit.experiment == "ranking":
        return [(e.premise, e.hypothesis) for e in examples if e.label == LABELS["entailment"]]
    return examples


def untrained_encoder(pooling: str) -> SentenceEncoder:
    bert = SentenceEncoder.load(START, device="cpu")
    encoder = SentenceEncoder([bert[0], Pooling(bert.get_embedding_dimension(), pooling)], dtype="float32")
    encoder.max_seq_length = 128
    return encoder


def train_encoder(unit: Ablation) -> tuple[SentenceEncoder, nn.Module, int]:
    """The encoder, its head, the number of pairs."""
    encoder, examples = untrained_encoder(unit.pooling), examples_of(unit)
    torch.manual_seed(unit.seed)
    if unit.experiment == "encoder":
        head = SoftmaxLoss(encoder.get_embedding_dimension(), concatenation=unit.concatenation)
        fit_head(head, encoder, examples, unit.seed)
    else:
        head = MultipleNegativesRankingLoss() if unit.experiment == "ranking" else CosineSimilarityLoss()
    train(
        nn.ModuleDict({"encoder": encoder, "head": head}),
        siamese_objective(encoder, head),
        examples,
        batch_size=BATCH,
        learning_rate=unit.rate,
        seed=unit.seed,
        no_duplicates=unit.experiment == "ranking",
        show_progress_bar=False,
    )
    return encoder, head, len(examples)


def encoder_scores(encoder: SentenceEncoder, head: nn.Module | None) -> dict[str, tuple[str, float]]:
    scores = {
        name: ("spearman", EmbeddingSimilarityEvaluator(load_sts(name))(encoder)["spearman_cosine"]) for name in STS
    }
    if isinstance(head, SoftmaxLoss):
        scores[NLI_DEV] = "accuracy", LabelAccuracyEvaluator(nli_dev(), head)(encoder)["accuracy"]
    return scores


def measure(unit: Ablation) -> list[dict]:
    """Train one unit, and the rows that it gives."""
    begun = time.perf_counter()
    if unit.experiment == "before":
        encoder, head, n = untrained_encoder(unit.pooling), None, 0
    else:
        encoder, head, n = train_encoder(unit)
    seconds, sha = time.perf_counter() - begun, weights_sha256(resolve(START))
    return rows_of_scores(
        unit,
        encoder_scores(encoder, head),
        COMMAND,
        seconds,
        n=n,
        trained_on=TRAINED_ON[unit.experiment],
        model_sha256=sha,
    )


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(ablations(), measure, done, minutes)


if __name__ == "__main__":
    record_units(__doc__, FILE, run_all)
