"""How good is an encoder, on sets that its training never saw? The one list of measurements behind tables and model cards.

    stsbenchmark/dev  spearman   scored pairs; watched while the recipes were written
    course/sts        spearman   scored pairs, written for this course
    sick/trial        spearman   relatedness, 1..5
    scifact           ndcg@10    claims find the abstracts that speak to them: another domain than any training text
    trec_questions    accuracy   kind of question by the nearest of six mean vectors

All but course/sts need COURSE_DATA. Values are x 100.
"""

import os
from collections.abc import Iterator

import numpy as np
import torch

from course_lib.data import load_questions, load_retrieval, load_sts
from course_lib.evaluation import EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator
from course_lib.files import SICK_COLUMNS, find, read_tsv
from course_lib.metrics import spearman
from course_lib.similarity import cos_sim, pairwise_cos_sim

SETS = {"stsbenchmark/dev": "spearman", "course/sts": "spearman", "sick/trial": "spearman", "scifact": "ndcg@10", "trec_questions": "accuracy"}


def sick(encoder) -> float:
    rows = [(*texts, float(score)) for _, (*texts, score) in read_tsv(find("sick/trial"), *SICK_COLUMNS, "relatedness_score")]
    u, v = (encoder.encode([row[side] for row in rows], show_progress_bar=False) for side in (0, 1))  # (pairs, dim) each
    return spearman([row[2] for row in rows], pairwise_cos_sim(u, v).numpy())


def scifact(encoder) -> float:
    queries, corpus, relevant = load_retrieval("scifact")
    return InformationRetrievalEvaluator(queries, corpus, relevant)(encoder)["cosine_ndcg@10"]


def trec(encoder) -> float:
    """Accuracy on the test questions of the nearest mean vector, by cosine, of the training questions of a class."""
    train, test = load_questions("trec_questions/train"), load_questions("trec_questions/test")
    vectors = torch.from_numpy(encoder.encode([q.question for q in train], normalize_embeddings=True, show_progress_bar=False))
    labels = torch.tensor([q.label for q in train])
    centroids = torch.stack([vectors[labels == label].mean(0) for label in range(6)])  # (6, dim)
    found = cos_sim(encoder.encode([q.question for q in test], show_progress_bar=False), centroids).argmax(1).numpy()
    return float(np.mean(found == [q.label for q in test]))


def quality(encoder) -> Iterator[tuple[str, str, float]]:
    """(data, metric, value x 100) for each set that is there."""
    other = {"sick/trial": sick, "scifact": scifact, "trec_questions": trec}
    for data, metric in SETS.items():
        if data.startswith("course/") or os.environ.get("COURSE_DATA"):
            value = other[data](encoder) if data in other else EmbeddingSimilarityEvaluator(load_sts(data))(encoder)["spearman_cosine"]
            yield data, metric, 100 * value
