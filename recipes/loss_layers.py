"""Made-up, real, rescaled and shuffled scores: a layer behind frozen vectors, into data/results/09_layers.csv.

    python recipes/loss_layers.py              # all that the table does not hold yet

Notebook 09 trains the same layers with one seed, and draws what this recipe recorded with five. A layer is square and
begins as the identity, which changes nothing; bert-mini's vectors of the texts are computed once. It is measured on a
half of the pairs of course/sts that the seed draws; it learns from the other half, or from the groups of course/nli. A
setting is "loss, rows; rate"; "shuffled" rows are dealt out anew, as a control; "untrained" has no rate.
"""

import random
import time
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data import load_results, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.support.folders import resolve
from recipes.loss_comparison import LOSSES, START, examples, groups, shuffled
from recipes.shared.cards import weights_sha256
from recipes.shared.units import record_units, rows_of_scores, rows_of_units

COMMAND, FILE, NLI, STS = "python recipes/loss_layers.py", "09_layers.csv", "course/nli", "course/sts"
RATES, SEEDS, STEPS, SENTENCES = (1e-4, 5e-4, 2e-3), (0, 1, 2, 3, 4), 60, 96

MAKERS, MADE_UP = {name: LOSSES[name][1] for name in ("cosine MSE", "CoSENT")}, "made-up scores"
HALVES = [f"cosine MSE, {rows}" for rows in (MADE_UP, "real scores", "real, rescaled", "real, shuffled")]
HALVES += [f"CoSENT, {rows}" for rows in (MADE_UP, "real scores", "real, shuffled")]


class Frozen(NamedTuple):
    """Texts, each once, and their vectors: {text: its row}, (texts, dim)."""

    place: dict[str, int]
    vectors: Tensor

    def of(self, texts: Sequence[str]) -> Tensor:
        return self.vectors[[self.place[text] for text in texts]]  # (texts, dim)


def freeze(encoder: SentenceEncoder, rows: list[tuple]) -> Frozen:
    texts = dict.fromkeys(value for row in rows for value in row if isinstance(value, str))
    vectors = torch.from_numpy(encoder.encode(list(texts), show_progress_bar=False))  # (texts, dim)
    return Frozen({text: i for i, text in enumerate(texts)}, vectors)


def train_layer(frozen: Frozen, make: Callable, rows: list[tuple], rate: float, seed: int) -> Tensor:
    """Rows (texts first, then a number if there is one) and the maker of a loss for them -> a layer, (dim, dim)."""
    torch.manual_seed(seed)
    dim = frozen.vectors.shape[1]
    layer, loss = torch.eye(dim, requires_grad=True), make(dim)
    n = sum(isinstance(value, str) for value in rows[0])  # columns of texts
    columns = [torch.tensor([frozen.place.get(value, value) for value in column]) for column in zip(*rows)]
    optimizer = torch.optim.Adam([layer, *loss.parameters()], lr=rate)
    for _ in range(STEPS):
        batch = torch.randint(len(rows), (SENTENCES // n,))
        optimizer.zero_grad()
        loss(*[frozen.vectors[c[batch]] @ layer for c in columns[:n]], *[c[batch] for c in columns[n:]]).backward()
        optimizer.step()
    return layer.detach()


def order(frozen: Frozen, pairs: list[tuple[str, str, float]], layer: Tensor | None = None) -> float:
    """Spearman of the pairs' scores and their cosines, behind the layer if there is one."""
    first, second, scores = zip(*pairs)
    u, v = frozen.of(first), frozen.of(second)  # (pairs, dim) each
    return spearman(scores, F.cosine_similarity(*((u, v) if layer is None else (u @ layer, v @ layer))))


def half_rows(frozen: Frozen, nli: list[tuple], graded: list[tuple], seed: int) -> tuple[dict[str, list], list[tuple]]:
    """{kind of rows: rows} to learn from, and the half of the graded pairs that measures."""
    mixed, made_up = random.Random(seed).sample(graded, len(graded)), examples("scored pairs", nli)
    half, rest = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
    first, second, real = zip(*half)
    real, cosines = torch.tensor(real), F.cosine_similarity(frozen.of(first), frozen.of(second))  # (half,) each
    rescaled = cosines.mean() + (real - real.mean()) / real.std() * cosines.std()
    rows = {MADE_UP: made_up, "real scores": half, "real, shuffled": shuffled(half, seed)}
    return rows | {"real, rescaled": list(zip(first, second, rescaled.tolist()))}, rest


def recorded() -> dict[str, Tensor]:
    """{loss and rows: Spearman x 100, (seeds, rates)}, as recorded; "untrained" is (seeds, 1)."""
    found: dict[str, dict] = {}
    for row in load_results(FILE.removesuffix(".csv")).itertuples():
        name, _, rate = row.setting.partition("; ")
        found.setdefault(name, {}).setdefault(row.seed, {})[float(rate or 0)] = row.value
    return {
        name: torch.tensor([[of[rate] for rate in sorted(of)] for _, of in sorted(seeds.items())])
        for name, seeds in found.items()
    }


class Layer(NamedTuple):
    name: str
    rate: float
    seed: int
    experiment: str = "half"
    model: str = START

    @property
    def setting(self) -> str:
        return f"{self.name}; {self.rate:g}" if self.rate else self.name


def layers() -> list[Layer]:
    units = [Layer(name, rate, seed) for name in HALVES for rate in RATES for seed in SEEDS]
    return units + [Layer("untrained", 0.0, seed) for seed in SEEDS]


@cache
def material() -> tuple[Frozen, list[tuple], list[tuple]]:
    """All texts' vectors, the groups of NLI and the graded pairs."""
    nli, graded = groups(NLI), [(p.sentence1, p.sentence2, p.score) for p in load_sts(STS)]
    return freeze(SentenceEncoder.load(START, dtype="float32", device="cpu"), nli + graded), nli, graded


def measure(unit: Layer) -> list[dict]:
    """Train one unit, and the row that it gives."""
    frozen, nli, graded = material()
    begun, layer = time.process_time(), None
    kinds, rest = half_rows(frozen, nli, graded, unit.seed)
    if unit.rate:
        loss, _, kind = unit.name.partition(", ")
        layer = train_layer(frozen, MAKERS[loss], kinds[kind], unit.rate, unit.seed)
    scores, seconds = {STS: ("spearman", order(frozen, rest, layer))}, time.process_time() - begun
    sha = weights_sha256(resolve(START))
    return rows_of_scores(unit, scores, COMMAND, seconds, n=len(rest), trained_on=[NLI], model_sha256=sha)


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(layers(), measure, done, minutes)


if __name__ == "__main__":
    torch.set_num_threads(1)
    record_units(__doc__, FILE, run_all)
