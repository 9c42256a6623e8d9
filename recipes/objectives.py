"""What do the objectives of recipes/siamese.py do to bert-mini? Three seeds each, into data/results/06.csv.

    COURSE_DATA=... python recipes/objectives.py                  # all that the table does not hold yet
    COURSE_DATA=... python recipes/objectives.py --minutes 12     # begins nothing after that; call it again to go on

    experiment  pairs
    before      none: bert-mini as it is
    nli         8,192 of those of recipes/siamese.py: SNLI for softmax, SNLI and MultiNLI for ranking
    live        course/nli, what notebook 06 repeats: one pass over the labelled pairs, or two over the triplets, which
                reads about as many sentences; a head that is fitted first gets three passes

    setting                    objective
    softmax, untrained head    head and encoder learn together from the first step
    ... untrained head, 2e-5   (nli) the same at the rate of Sentence-BERT, a fifth
    ... untrained head at 3e-3 the same, but the head learns at the rate at which it is fitted elsewhere
    softmax                    the head is fitted first
    softmax, both              the same on as many pairs of SNLI and MultiNLI, as Sentence-BERT
    ranking                    multiple negatives ranking
    ranking, SNLI              the same on SNLI alone
    softmax, shuffled labels   (live) as softmax, on labels that mean nothing: what is gained without learning anything

A seed draws the pairs and their order and the head's first weights. Measured: Spearman x 100 on two STS sets; the share
of the 200 sentences of course/pairs whose rewording is the nearest of all 200 ("found"); NLI accuracy on a development
set of which nothing was trained on.
"""

import math
import random
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from course_lib.data import load_nli, load_results, load_sts, load_triplets
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator
from course_lib.losses import MultipleNegativesRankingLoss, SoftmaxLoss
from course_lib.siamese import siamese_objective
from course_lib.side_by_side import found_share
from course_lib.support.folders import resolve
from course_lib.training import learning_rate_factor, parameter_groups, train
from recipes.shared.cards import weights_sha256
from recipes.shared.pretraining_text import LeakFilter
from recipes.shared.sentence_pairs import MULTINLI, SNLI, nli_examples, nli_triplets
from recipes.shared.units import record_units, rows_of_scores, rows_of_units
from recipes.siamese import BATCH, HEAD_RATE, NLI_OF, OBJECTIVES, fit_head

COMMAND, FILE, START = "python recipes/objectives.py", "06.csv", "course/bert-mini"
THREE = ("softmax, untrained head", "softmax", "ranking")
OTHER_SETS = {"softmax, both": SNLI + MULTINLI, "ranking, SNLI": SNLI}
RATES = {"softmax, untrained head, 2e-5": 2e-5}  # of others than OBJECTIVES says
HEAD_APART = "softmax, untrained head at 3e-3"
SETTINGS = {"live": (*THREE, "softmax, shuffled labels", HEAD_APART), "nli": (*THREE, *OTHER_SETS, *RATES, HEAD_APART)}
SEEDS, EXAMPLES = (0, 1, 2), 8_192  # of a training on NLI
STS, PAIRS, NLI_DEV = ("stsbenchmark/dev", "course/sts"), "course/pairs", "snli/dev"
LIVE_BATCH, LIVE_RATE, LIVE_HEAD_PASSES = 32, 2e-4, 3
COLUMNS = {"stsbenchmark/dev": "STSb dev", "course/sts": "STS", PAIRS: "found", NLI_DEV: "NLI"}  # of recorded_results


class Training(NamedTuple):
    experiment: str
    setting: str = ""
    seed: int | str = ""

    @property
    def model(self) -> str:
        return START


def trainings() -> list[Training]:
    return [Training("before")] + [
        Training(experiment, setting, seed)
        for experiment, settings in SETTINGS.items()
        for setting in settings
        for seed in SEEDS
    ]


def names_of(experiment: str, setting: str) -> list[str]:
    """The NLI sets that are learnt from."""
    if experiment == "before":
        return []
    return ["course/nli"] if experiment == "live" else OTHER_SETS.get(setting, NLI_OF[setting.split(",")[0]])


@cache
def all_examples(experiment: str, setting: str) -> list:
    if experiment == "live":
        return load_triplets("course/nli") if setting == "ranking" else load_nli("course/nli")
    load = nli_triplets if setting.startswith("ranking") else nli_examples
    return load(LeakFilter(), names_of(experiment, setting))


def train_one(unit: Training) -> tuple[SentenceEncoder, nn.Module | None, int]:
    """The encoder, its head, the number of examples."""
    encoder = SentenceEncoder.load(START, device="cpu")
    if unit.experiment == "before":
        return encoder, None, 0
    encoder.max_seq_length = 128
    objective, live = unit.setting.split(",")[0], unit.experiment == "live"
    batch_size, examples = LIVE_BATCH if live else BATCH, all_examples(unit.experiment, unit.setting)
    if unit.experiment == "nli":
        examples = random.Random(unit.seed).sample(examples, EXAMPLES)
    if "shuffled" in unit.setting:
        labels = random.Random(unit.seed).sample([e.label for e in examples], len(examples))
        examples = [replace(example, label=label) for example, label in zip(examples, labels)]
    torch.manual_seed(unit.seed)
    head = SoftmaxLoss(encoder.get_embedding_dimension()) if objective == "softmax" else MultipleNegativesRankingLoss()
    if objective == "softmax" and "untrained" not in unit.setting:
        passes = LIVE_HEAD_PASSES if live else 1
        fit_head(head, encoder, examples, unit.seed, batch_size=batch_size, epochs=passes)
    loss, learner = siamese_objective(encoder, head), nn.ModuleDict({"encoder": encoder, "head": head})
    if unit.setting == HEAD_APART:
        loss, learner = head_apart(head, loss, HEAD_RATE, math.ceil(len(examples) / batch_size)), encoder
    train(
        learner,
        loss,
        examples,
        batch_size=batch_size,
        learning_rate=LIVE_RATE if live else RATES.get(unit.setting, OBJECTIVES[objective].learning_rate),
        epochs=2 if live and objective == "ranking" else 1,
        seed=unit.seed,
        show_progress_bar=False,
    )
    return encoder, head, len(examples)


def head_apart(
    head: nn.Module, objective: Callable[[list], Tensor], learning_rate: float, steps: int
) -> Callable[[list], Tensor]:
    """The objective for a `train` that moves the encoder alone: the head learns beside it, at a rate of its own.

    A call begins with the step that the gradients of the call before ask of the head, so that the last step, whose rate
    is next to nothing, is left out. The rate rises and falls as that of `train` does; a gradient longer than 1 is
    scaled down to that, the head's and the encoder's each on its own.
    """
    optimizer = torch.optim.AdamW(parameter_groups(head, weight_decay=0.01), lr=learning_rate)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, round(0.1 * steps), steps)
    )

    def loss(batch: list) -> Tensor:
        if any(p.grad is not None for p in head.parameters()):  # not before the first batch
            nn.utils.clip_grad_norm_(head.parameters(), max_norm=1.0)
            optimizer.step()
            rates.step()
            optimizer.zero_grad()
        return objective(batch)

    return loss


def measure(unit: Training) -> list[dict]:
    """Train one unit, and the rows that it gives."""
    begun = time.perf_counter()
    encoder, head, n = train_one(unit)
    seconds = time.perf_counter() - begun
    scores = {
        name: ("spearman", EmbeddingSimilarityEvaluator(load_sts(name))(encoder)["spearman_cosine"]) for name in STS
    }
    scores[PAIRS] = "found", 100 * found_share(encoder, PAIRS)
    if isinstance(head, SoftmaxLoss):
        scores[NLI_DEV] = "accuracy", LabelAccuracyEvaluator(load_nli(NLI_DEV), head)(encoder)["accuracy"]
    sha = weights_sha256(resolve(START))
    return rows_of_scores(
        unit, scores, COMMAND, seconds, n=n, trained_on=names_of(unit.experiment, unit.setting), model_sha256=sha
    )


def recorded_results(experiment: str, full: bool = False) -> pd.DataFrame:
    """A row for each training of the experiment, (setting, seed), and ("before", 0); a column for each of COLUMNS.

    full: trained and measured again instead of read (needs COURSE_DATA).
    """
    if full:
        units = [unit for unit in trainings() if unit.experiment in ("before", experiment)]
        rows = pd.DataFrame([found for unit in units for found in measure(unit)]).astype({"value": float})
    else:
        rows = load_results(FILE.removesuffix(".csv"))
    rows = rows[rows.experiment.isin(["before", experiment])]
    rows = rows.assign(
        setting=rows.setting.replace("", "before"),
        seed=pd.to_numeric(rows.seed).fillna(0).astype(int),
        data=rows.data.map(COLUMNS),
    )
    table = rows.pivot(index=["setting", "seed"], columns="data", values="value")
    return table.reindex(columns=list(COLUMNS.values()))


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(trainings(), measure, done, minutes)


if __name__ == "__main__":
    record_units(__doc__, FILE, run_all)
