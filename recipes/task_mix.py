"""What an encoder is measured on when trainings are compared: five tasks from five kinds of text. Needs COURSE_DATA.

    stsbenchmark/dev       spearman            of cosines and people's scores; also by genre
    sick/trial             spearman            the same, on sentences about everyday scenes
    quora/dev              average precision   of cosines, in finding duplicate questions (the first 600 pairs)
    trec_questions/train   accuracy            kinds of question by the nearest class mean (300 known, 300 asked)
    ag_news/train          accuracy            the same with four kinds of news

A task is a function of an encoder and gives a number up to 1; `tasks()` has them under (data, metric). None of these
texts is trained on here.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from course_lib.datasets.questions import load_questions
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.retrieval.evaluators import BinaryClassificationEvaluator
from course_lib.similarity import cos_sim, pairwise_cos_sim
from course_lib.support.tables import find, read_tsv

DEV, SICK, QUORA, TREC, NEWS = "stsbenchmark/dev", "sick/trial", "quora/dev", "trec_questions/train", "ag_news/train"
GENRES = ("captions", "news", "forums")  # of stsbenchmark
Task = Callable[[SentenceEncoder], float]


def similarity(name: str, genre: str = "") -> Task:
    """Scores may have any scale, since only ranks count: SICK's go from 1 to 5."""
    sick = "pair_ID", "relatedness_score", "sentence_A", "sentence_B"
    columns = ("genre", "score", "sentence1", "sentence2") if name == DEV else sick
    rows = [values for _, values in read_tsv(find(name), *columns) if genre in values[0]]
    gold = [float(score) for _, score, _, _ in rows]

    def correlation(encoder: SentenceEncoder) -> float:
        sides = ([row[2] for row in rows], [row[3] for row in rows])
        u, v = (encoder.encode(side, show_progress_bar=False) for side in sides)  # (pairs, dim) each
        return spearman(gold, pairwise_cos_sim(u, v))

    return correlation


def duplicates(count: int = 600) -> Task:
    rows = [values for _, values in read_tsv(find(QUORA), "is_duplicate", "question1", "question2")][:count]
    evaluator = BinaryClassificationEvaluator([(a, b) for _, a, b in rows], [int(label) for label, _, _ in rows])
    return lambda encoder: evaluator(encoder)["cosine_ap"]


def class_mean_accuracy(known: Tensor, labels: Tensor, asked: Tensor, answers: Tensor) -> float:
    """Share of the unit vectors `asked` (m, dim) that get the right label.

    It is that of the nearest, by cosine, of the class means of `known` (n, dim).
    """
    means = torch.stack([known[labels == i].mean(0) for i in range(int(labels.max()) + 1)])  # (classes, dim)
    return (cos_sim(asked, means).argmax(1) == answers).double().mean().item()


def nearest_mean(labels: Sequence[str], texts: Sequence[str], known: int = 300) -> Task:
    """Of 2 * `known` texts drawn at random, half give each class its mean; of the others, which mean is nearest?"""
    chosen = random.Random(0).sample(range(len(texts)), 2 * known)
    names = sorted(set(labels))
    classes = torch.tensor([names.index(labels[i]) for i in chosen])  # (2 * known,)

    def accuracy(encoder: SentenceEncoder) -> float:
        vectors = encoder.encode(
            [texts[i] for i in chosen], normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
        )
        return class_mean_accuracy(vectors[:known], classes[:known], vectors[known:], classes[known:])

    return accuracy


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
