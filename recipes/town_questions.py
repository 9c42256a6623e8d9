"""What the trainings on a town's questions learn from and are measured on: the split of notebook 11.

The groups of course/duplicates are split by group, with one seed for all trainings: 75 to learn from, 35 to choose with
(dev), 40 to report (test). Two questions of one group are a pair to learn from. In dev and test two questions of each
group are documents, and the other two are queries that should find them.
"""

import random
from collections.abc import Callable
from functools import cache
from itertools import combinations

from course_lib.datasets.town import load_duplicates
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator
from course_lib.siamese import siamese_objective
from course_lib.training import train

TOWN, METRIC = "course/duplicates", "ndcg@10"


@cache
def town_split() -> dict[str, dict[str, list[str]]]:
    """{"train", "dev", "test": {group: its four questions}}"""
    asked: dict[str, list[str]] = {}
    for question in load_duplicates(TOWN):
        asked.setdefault(question.group, []).append(question.question)
    groups = random.Random(0).sample(list(asked), len(asked))
    parts = {"train": groups[:75], "dev": groups[75:110], "test": groups[110:]}
    return {name: {group: asked[group] for group in own} for name, own in parts.items()}


def town_pairs() -> list[tuple[str, str, str]]:
    """Two questions and their group, of each group that is learnt from."""
    return [(*pair, group) for group, own in town_split()["train"].items() for pair in combinations(own, 2)]


@cache
def town_tasks() -> dict[tuple[str, str], Callable[[SentenceEncoder], float]]:
    """nDCG@10, 0..1, under (data: part, metric), for dev and test."""
    return {(f"{TOWN}: {name}", METRIC): _search(town_split()[name]) for name in ("dev", "test")}


def _search(groups: dict[str, list[str]]) -> Callable[[SentenceEncoder], float]:
    queries, documents = ({f"{g}.{i}": own[i] for g, own in groups.items() for i in i_s} for i_s in ((1, 3), (0, 2)))
    evaluator = InformationRetrievalEvaluator(queries, documents, {q: {f"{q[:-2]}.0", f"{q[:-2]}.2"} for q in queries})
    return lambda encoder: evaluator(encoder)[f"cosine_{METRIC}"]


def on_town_pairs(start: str, batch_size: int, learning_rate: float, epochs: int, seed: int) -> SentenceEncoder:
    """Train on all pairs with the ranking loss. No batch holds two pairs of a group: they would be false negatives."""
    encoder = SentenceEncoder.load(start, device="cpu", dtype="float32")
    encoder.max_seq_length = 32
    on_pairs = siamese_objective(encoder, MultipleNegativesRankingLoss())
    settings = dict(batch_size=batch_size, learning_rate=learning_rate, epochs=epochs, seed=seed)
    apart = dict(no_duplicates=True, show_progress_bar=False)  # of any text, and a group's name is one
    train(encoder, lambda batch: on_pairs([example[:2] for example in batch]), town_pairs(), **settings, **apart)
    return encoder
