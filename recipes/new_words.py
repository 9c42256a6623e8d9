"""How to teach an encoder a word: in pieces or as a new token, and by which weights? Writes data/results/10.csv.

    python recipes/new_words.py              # all that the table does not hold yet; needs no data beyond the course's

Each new word, such as feline, is cut into pieces by the tokenizer of course/sbert-mini and should come to mean a word
that it has, such as cat. A lesson is 16 sentences, each with the new word, the known one and one of nine others: the
ranking loss, batches of 8, 5 epochs, so 10 steps. Six other sentences are kept for the test. Notebook 10 repeats one
word with one seed; here are four words with three seeds each.

A setting is "start: what learns, rate; word". Metrics: of six sentences those in which the known word's is the nearest
of ten ("right"); by how much ("lead"); the mean cosine of 60 other sentences with their vectors before ("other texts");
and Spearman x 100 on all pairs of course/sts ("spearman").
"""

import copy
import random
import time
from collections.abc import Container, Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from course_lib.data import load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.models.surgery import add_tokens, freeze, word_embeddings
from course_lib.siamese import siamese_objective
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.folders import resolve
from course_lib.training import train
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, row
from recipes.shared.units import record_units, rows_of_units

COMMAND, FILE, MODEL, STS = "python recipes/new_words.py", "10.csv", "course/sbert-mini", "course/sts"
WORDS, SEEDS = {"feline": "cat", "canine": "dog", "stallion": "horse", "taxicab": "car"}, (0, 1, 2)
OTHERS = ["cat", "dog", "bird", "horse", "fish", "child", "car", "woman", "mouse", "cow"]
LESSON = """
The {} slept on the sofa.|My {} does not like strangers.|We took the {} to the vet.|A {} ran across the street.
She fed her {} at noon.|The old {} sat by the fire.|There is a {} in the garden.|He was afraid of the {}.
The {} looked out of the window.|I saw a black {} last night.|They found the {} under the bed.|Our {} is hungry again.
Who let the {} in?|The children played with a {}.|A small {} drank milk.|The {} hurt its leg."""
TEST = """
The {} jumped onto the table.|Has anybody seen my {}?|A {} is lying in the sun.|They bought a {} for their daughter.
The neighbours' {} is very loud.|A white {} climbed the tree."""
LESSON, TEST = (text.strip().replace("\n", "|").split("|") for text in (LESSON, TEST))

USUAL, FAST = 2e-4, 3e-2  # learning rates: of all weights, and of one row
ARMS = [  # start, what learns, learning rate
    ("in pieces", "nothing", 0.0),
    ("in pieces", "all weights", USUAL),
    *(("in pieces", "adapter", rate) for rate in (USUAL, 2e-3, 1e-2)),
    ("random row", "nothing", 0.0),
    ("random row", "row", FAST),
    ("mean of pieces", "nothing", 0.0),
    ("mean of pieces", "all weights", USUAL),
    *(("mean of pieces", "row", rate) for rate in (USUAL, 2e-3, FAST)),
    ("the known word itself", "nothing", 0.0),
]


def pieces_of(encoder: SentenceEncoder, word: str) -> list[int]:
    """The numbers of a word's tokens, without [CLS] and [SEP]."""
    return [int(i) for i in encoder[0].tokenize([word])[0][0][1:-1]]


def prepare(encoder: SentenceEncoder, new: str, start: str) -> SentenceEncoder:
    """A copy that has the word "in pieces", or as one token: a "random row", or the row "mean of pieces"."""
    one = copy.deepcopy(encoder)
    if start in ("random row", "mean of pieces"):
        assert add_tokens(one, [new]) == 1
    if start == "mean of pieces":
        with torch.no_grad():
            table = word_embeddings(one).weight  # (vocabulary, hidden)
            table[-1] = table[pieces_of(encoder, new)].mean(dim=0)
    return one


def only_the_last_row(one: SentenceEncoder):
    freeze(one)
    table = word_embeddings(one).weight.requires_grad_(True)
    mask = (torch.arange(len(table)) == len(table) - 1).float().unsqueeze(1)  # (vocabulary, 1)
    table.register_hook(lambda gradient: gradient * mask)  # all other rows get zeros


class LowRank(nn.Module):
    """Stands in a weight's place: the weight, and beside it the product of two thin matrices (LoRA)."""

    def __init__(self, weight: Tensor, rank: int = 4):
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)  # (rank, in)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))  # (out, rank)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down  # (out, in)


def adapted_parts(one: SentenceEncoder) -> list[nn.Linear]:
    return [part for name, part in one[0].named_modules() if name.endswith(("query", "value"))]


def adapt(one: SentenceEncoder):
    freeze(one)
    for part in adapted_parts(one):
        parametrize.register_parametrization(part, "weight", LowRank(part.weight))


MAKES_READY = {"all weights": lambda one: None, "row": only_the_last_row, "adapter": adapt}


def teach(one: SentenceEncoder, new: str, known: str, rate: float, seed: int):
    draw, others = random.Random(seed), [word for word in OTHERS if word != known]
    lesson = [tuple(frame.format(word) for word in (new, known, draw.choice(others))) for frame in LESSON]
    objective = siamese_objective(one, MultipleNegativesRankingLoss())
    options = dict(weight_decay=0.0, seed=seed, autocast=False, show_progress_bar=False)
    train(one, objective, lesson, batch_size=8, epochs=5, learning_rate=rate, **options)


def taught(encoder: SentenceEncoder, arm: tuple[str, str, float], new: str, known: str, seed: int) -> SentenceEncoder:
    """A copy of the encoder after one training, or with the untrained start."""
    start, how, rate = arm
    torch.manual_seed(seed)
    one = prepare(encoder, new, start)
    if rate:
        MAKES_READY[how](one)
        teach(one, new, known, rate, seed)
    return one


def encode(one: SentenceEncoder, some: list[str]) -> Tensor:
    return torch.from_numpy(one.encode(list(some), show_progress_bar=False))  # (texts, dim)


def examine(one: SentenceEncoder, new: str, known: str) -> tuple[int, float]:
    """Of six sentences those in which the known word is the nearest to the new one; its lead over the best other."""
    words = [new, known, *(word for word in OTHERS if word != known)]
    vectors = encode(one, [frame.format(word) for word in words for frame in TEST]).split(len(TEST))
    cosines = torch.stack([pairwise_cos_sim(vectors[0], word) for word in vectors[1:]])  # (known and others, 6)
    lead = (cosines[0].mean() - cosines[1:].mean(dim=1).max()).item()
    return (cosines.argmax(dim=0) == 0).sum().item(), lead


def setting_of(arm: tuple[str, str, float]) -> str:
    start, how, rate = arm
    return f"{start}: {how}, {rate:g}" if rate else f"{start}: {how}"


class Taught(NamedTuple):
    arm: tuple[str, str, float]
    word: str
    seed: int

    experiment, model = "new words", MODEL

    @property
    def setting(self) -> str:
        return f"{setting_of(self.arm)}; {self.word}"


def units() -> list[Taught]:
    drawn = [arm for arm in ARMS if arm[2] or arm[0] == "random row"]  # the others are the same for each seed
    return [Taught(arm, word, seed) for arm in ARMS for word in WORDS for seed in (SEEDS if arm in drawn else (0,))]


@cache
def before() -> tuple[SentenceEncoder, list[str], list[str], list[float], Tensor]:
    """The encoder, both sides of the graded pairs, their scores, and the first sides' vectors."""
    encoder = SentenceEncoder.load(MODEL, dtype="float32", device="cpu")
    scores, first, second = zip(*((pair.score, pair.sentence1, pair.sentence2) for pair in load_sts(STS)))
    return encoder, list(first), list(second), list(scores), encode(encoder, list(first))


def measure(unit: Taught) -> list[dict]:
    """Train one unit, and the rows that it gives."""
    encoder, first, second, scores, u = before()
    known, begun = WORDS[unit.word], time.process_time()
    one = taught(encoder, unit.arm, unit.word, known, unit.seed)
    seconds = time.process_time() - begun
    right, lead = examine(one, known if "itself" in unit.arm[0] else unit.word, known)
    after = encode(one, first)  # (pairs, dim)
    found = {"right": right, "lead": lead, "other texts": pairwise_cos_sim(after[:60], u[:60]).mean().item()}
    found |= {"spearman": spearman(scores, pairwise_cos_sim(after, encode(one, second)))}
    origin = dict(data_sha256=data_sha256(STS), model_sha256=weights_sha256(resolve(MODEL)))
    head, tail = (unit.experiment, MODEL, STS), (COMMAND, seconds)
    options = dict(n=len(LESSON), seed=unit.seed, setting=unit.setting, **origin)
    return [row(*head, metric, value, *tail, **options) for metric, value in found.items()]


def run_all(done: Container[tuple] = (), minutes: float = float("inf")) -> Iterator[list[dict]]:
    """The rows of each unit that is not in `done` (see rows_of_units)."""
    return rows_of_units(units(), measure, done, minutes)


if __name__ == "__main__":
    torch.set_num_threads(1)
    record_units(__doc__, FILE, run_all)
