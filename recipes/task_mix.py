"""What an encoder is measured on when trainings are compared: five tasks from five kinds of text. Needs COURSE_DATA.

    stsbenchmark/dev       spearman            of cosines and people's scores; also by genre
    sick/trial             spearman            the same, on sentences about everyday scenes
    quora/dev              average precision   of cosines, in finding duplicate questions (the first 600 pairs)
    trec_questions/train   accuracy            kinds of question by the nearest class mean (300 known, 300 asked)
    ag_news/train          accuracy            the same with four kinds of news

A task is called with an encoder and gives a number up to 1; `tasks()` has them under (data, metric). What it got from
each pair or text alone says how much a difference between two encoders owes to the choice of these: `gain_interval`.
None of these texts is trained on here.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from course_lib.datasets.questions import load_questions
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.similarity import cos_sim, pairwise_cos_sim
from course_lib.support.tables import find, read_tsv

DEV, SICK, QUORA, TREC, NEWS = "stsbenchmark/dev", "sick/trial", "quora/dev", "trec_questions/train", "ag_news/train"
GENRES = ("captions", "news", "forums")  # of stsbenchmark


class Task(NamedTuple):
    """items: what an encoder gives each pair (a cosine) or text (whether its label is right), (n,).
    score: from the items that are drawn, and which they are, both (n,), to a number up to 1."""

    items: Callable[[SentenceEncoder], np.ndarray]
    score: Callable[[np.ndarray, np.ndarray], float]

    def __call__(self, encoder: SentenceEncoder) -> float:
        items = self.items(encoder)
        return self.score(items, np.arange(len(items)))


def gain_interval(task: Task, before: np.ndarray, after: np.ndarray, draws: int = 500) -> tuple[float, float]:
    """Between which values 95 of 100 gains lie if the pairs or texts are drawn anew, the same for both (Efron 1979).

    before, after: what `task.items` gave, (n,) each.
    """
    drawn = np.random.default_rng(0).integers(len(before), size=(draws, len(before)))  # (draws, n)
    gains = [task.score(after[rows], rows) - task.score(before[rows], rows) for rows in drawn]
    low, high = np.percentile(gains, (2.5, 97.5))
    return float(low), float(high)


def similarity(name: str, genre: str = "") -> Task:
    """Scores may have any scale, since only ranks count: SICK's go from 1 to 5."""
    sick = "pair_ID", "relatedness_score", "sentence_A", "sentence_B"
    columns = ("genre", "score", "sentence1", "sentence2") if name == DEV else sick
    rows = [values for _, values in read_tsv(find(name), *columns) if genre in values[0]]
    gold = np.array([float(score) for _, score, _, _ in rows])
    sides = [row[2] for row in rows], [row[3] for row in rows]
    return Task(lambda encoder: cosines(encoder, *sides), lambda items, drawn: spearman(gold[drawn], items))


def cosines(encoder: SentenceEncoder, first: list[str], second: list[str]) -> np.ndarray:
    """(pairs,)"""
    u, v = (encoder.encode(side, show_progress_bar=False) for side in (first, second))  # (pairs, dim) each
    return pairwise_cos_sim(u, v).numpy()


def duplicates(count: int = 600) -> Task:
    rows = [values for _, values in read_tsv(find(QUORA), "is_duplicate", "question1", "question2")][:count]
    labels = np.array([int(label) for label, _, _ in rows])
    sides = [row[1] for row in rows], [row[2] for row in rows]
    return Task(
        lambda encoder: cosines(encoder, *sides),
        lambda items, drawn: float(average_precision_score(labels[drawn], items)),
    )


def right_by_class_mean(known: Tensor, labels: Tensor, asked: Tensor, answers: Tensor) -> Tensor:
    """Which of the unit vectors `asked` (m, dim) get the right label: (m,) of bool.

    It is that of the nearest, by cosine, of the class means of `known` (n, dim).
    """
    means = torch.stack([known[labels == i].mean(0) for i in range(int(labels.max()) + 1)])  # (classes, dim)
    return cos_sim(asked, means).argmax(1) == answers


def class_mean_accuracy(known: Tensor, labels: Tensor, asked: Tensor, answers: Tensor) -> float:
    """Their share."""
    return right_by_class_mean(known, labels, asked, answers).double().mean().item()


def nearest_mean(labels: Sequence[str], texts: Sequence[str], known: int = 300) -> Task:
    """Of 2 * `known` texts drawn at random, half give each class its mean; of the others, which mean is nearest?"""
    chosen = random.Random(0).sample(range(len(texts)), 2 * known)
    names = sorted(set(labels))
    classes = torch.tensor([names.index(labels[i]) for i in chosen])  # (2 * known,)

    def right(encoder: SentenceEncoder) -> np.ndarray:
        vectors = encoder.encode(
            [texts[i] for i in chosen], normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
        )
        return right_by_class_mean(vectors[:known], classes[:known], vectors[known:], classes[known:]).double().numpy()

    return Task(right, lambda items, drawn: float(items.mean()))


@cache
def tasks() -> dict[tuple[str, str], Task]:
    questions = load_questions(TREC)
    news = [values for _, values in read_tsv(find(NEWS), "label", "text")]
    return {
        (DEV, "spearman"): similarity(DEV),
        (SICK, "spearman"): similarity(SICK),
        (QUORA, "average_precision"): duplicates(),
        (TREC, "accuracy"): nearest_mean([str(q.label) for q in questions], [q.question for q in questions]),
        (NEWS, "accuracy"): nearest_mean(*zip(*news)),
    }


@cache
def genres() -> dict[tuple[str, str], Task]:
    """The genres of stsbenchmark/dev one by one, under (data: genre, metric)."""
    return {(f"{DEV}: {genre}", "spearman"): similarity(DEV, genre) for genre in GENRES}
