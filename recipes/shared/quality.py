"""How good is an encoder, on sets that its training never saw? The measurements behind tables and model cards.

    stsbenchmark/dev  spearman   scored pairs; watched while the recipes were written
    course/sts        spearman   scored pairs, written for this course
    sick/trial        spearman   relatedness, 1..5
    scifact           ndcg@10    claims find the abstracts that speak to them: another domain than any training text
    trec_questions    accuracy   kind of question by the nearest of six mean vectors

All but course/sts need COURSE_DATA. Values are x 100.
"""

import os
from collections.abc import Iterator

import torch

from course_lib.data import load_sts
from course_lib.datasets.questions import load_questions
from course_lib.datasets.retrieval import load_retrieval
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator
from recipes.task_mix import SICK, class_mean_accuracy, similarity

SETS = {
    "stsbenchmark/dev": "spearman",
    "course/sts": "spearman",
    SICK: "spearman",
    "scifact": "ndcg@10",
    "trec_questions": "accuracy",
}


def scifact(encoder) -> float:
    queries, corpus, relevant = load_retrieval("scifact")
    return InformationRetrievalEvaluator(queries, corpus, relevant)(encoder)["cosine_ndcg@10"]


def trec(encoder) -> float:
    """Accuracy on the test questions of the nearest mean vector, by cosine, of the training questions of a class."""
    train, test = load_questions("trec_questions/train"), load_questions("trec_questions/test")
    vectors = encoder.encode(
        [q.question for q in train + test], normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
    )
    labels, n = torch.tensor([q.label for q in train + test]), len(train)
    return class_mean_accuracy(vectors[:n], labels[:n], vectors[n:], labels[n:])


def quality(encoder) -> Iterator[tuple[str, str, float]]:
    """(data, metric, value x 100) for each set that is there."""
    other = {SICK: lambda encoder: similarity(SICK)(encoder), "scifact": scifact, "trec_questions": trec}
    for data, metric in SETS.items():
        if data.startswith("course/") or os.environ.get("COURSE_DATA"):
            value = (
                other[data](encoder)
                if data in other
                else EmbeddingSimilarityEvaluator(load_sts(data))(encoder)["spearman_cosine"]
            )
            yield data, metric, 100 * value
