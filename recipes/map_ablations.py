"""The paper's Table 6 on vectors that stand still, in seconds: what notebook 07 repeats, into data/results/07_maps.csv.

    COURSE_DATA=... python recipes/map_ablations.py              # all that the table does not hold yet

bert-mini's vectors of course/nli are computed once. A 256 x 256 map, which begins as one that changes nothing, and a
softmax head learn from them, five times over (experiment "map"). A setting is "concatenation; head; rate; labels";
"shuffled" labels belong to other pairs, so that what they bring was not learnt from labels. A seed draws the order of
the pairs, the same for all settings, then the head's first weights, and the shuffle.
"""

import random
import time
from collections.abc import Container, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.data import load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.losses import SoftmaxLoss
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.folders import resolve
from recipes.ablations import CONCATENATIONS, NLI_DEV, PAPER, START, STS
from recipes.shared.cards import weights_sha256
from recipes.shared.units import record_units, rows_of_scores, rows_of_units

COMMAND, FILE, DATA, BATCH, EPOCHS = "python recipes/map_ablations.py", "07_maps.csv", "course/nli", 64, 5
RATE, OTHER_RATES, SEEDS, NLI_DEV_PAIRS = 3e-3, (3e-4, 1e-3), (0, 1, 2, 3, 4), 2_000


class MapAblation(NamedTuple):
    concatenation: tuple[str, ...]
    labels: str = "real"
    head: str = "linear"
    rate: float = RATE
    seed: int = 0

    @property
    def experiment(self) -> str:
        return "map"

    @property
    def model(self) -> str:
        return START

    @property
    def setting(self) -> str:
        return f"{', '.join(self.concatenation)}; {self.head}; {self.rate:g}; {self.labels}"


def ablations() -> list[MapAblation]:
    both, two = ("real", "shuffled"), (PAPER, ("u", "v"))
    settings = [MapAblation(parts, labels) for labels in both for parts in CONCATENATIONS]
    settings += [MapAblation(parts, head="one hidden layer") for parts in two]
    settings += [MapAblation(parts, labels, rate=rate) for rate in OTHER_RATES for labels in both for parts in two]
    deeper = [("real", 1e-3), ("shuffled", 1e-3), ("shuffled", RATE)]
    settings += [MapAblation(parts, labels, "one hidden layer", rate) for labels, rate in deeper for parts in two]
    return [setting._replace(seed=seed) for setting in settings for seed in SEEDS]


@cache
def vectors(name: str) -> tuple[Tensor, Tensor, np.ndarray]:
    """bert-mini's vectors of both sides of a set, (pairs, 256) twice, and its labels or scores, (pairs,)."""
    encoder = SentenceEncoder.load(START, device="cpu", dtype="float32")
    pairs = load_sts(name) if name in STS else load_nli(name)
    if name == NLI_DEV:
        pairs = random.Random(0).sample(pairs, NLI_DEV_PAIRS)
    *sides, labels = zip(*(vars(pair).values() for pair in pairs))
    u, v = (torch.from_numpy(encoder.encode(list(side), show_progress_bar=False)) for side in sides)
    return u, v, np.array(labels)


def train_map(unit: MapAblation) -> tuple[nn.Linear, SoftmaxLoss]:
    u, v, labels = vectors(DATA)
    dim, wide, labels = u.shape[1], len(unit.concatenation) * u.shape[1], torch.from_numpy(labels)
    if unit.labels == "shuffled":
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(unit.seed))]
    torch.manual_seed(unit.seed)
    orders = [torch.randperm(len(labels)) for _ in range(EPOCHS)]
    deeper = nn.Sequential(nn.Linear(wide, dim), nn.ReLU(), nn.Linear(dim, 3)) if unit.head != "linear" else None
    head, change = SoftmaxLoss(dim, concatenation=unit.concatenation, classifier=deeper), nn.Linear(dim, dim, False)
    nn.init.eye_(change.weight)
    optimizer = torch.optim.Adam([*change.parameters(), *head.parameters()], lr=unit.rate)
    for rows in (rows for order in orders for rows in order.split(BATCH)):
        optimizer.zero_grad()
        head(change(u[rows]), change(v[rows]), labels[rows]).backward()
        optimizer.step()
    return change, head


@torch.no_grad()
def scores(change: nn.Linear, head: SoftmaxLoss) -> dict[str, tuple[str, float]]:
    found = {}
    for name in STS:
        u, v, gold = vectors(name)
        found[name] = "spearman", spearman(gold, pairwise_cos_sim(change(u), change(v)).numpy())
    u, v, labels = vectors(NLI_DEV)
    guessed = head.logits(change(u), change(v)).argmax(dim=1).numpy()
    return found | {NLI_DEV: ("accuracy", (guessed == labels).mean())}


def measure(unit: MapAblation) -> list[dict]:
    """Train one unit, and the rows that it gives."""
    n, begun = len(vectors(DATA)[2]), time.perf_counter()
    trained = train_map(unit)
    seconds, sha = time.perf_counter() - begun, weights_sha256(resolve(START))
    return rows_of_scores(unit, scores(*trained), COMMAND, seconds, n=n, trained_on=[DATA], model_sha256=sha)


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(ablations(), measure, done, minutes)


if __name__ == "__main__":
    record_units(__doc__, FILE, run_all)
