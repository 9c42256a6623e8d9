"""Exercise 09.1 accepts what teaches: other losses than the solution's, and tables of another shape. The masked loss of
09.3 is the library's ranking loss where nothing is masked, and where a whole column is.
"""

import pytest
import torch
from repository import ROOT
from sentence_transformers.base.sampler import BatchSamplers

from course_lib.exercises import judge, load_exercises
from course_lib.losses import MultipleNegativesRankingLoss

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "09.py")
EXERCISE = EXERCISES["09.1"]


def columns(rows, *names):
    return {name: [row[name] for row in rows] for name in names}


def questions(loss, rows, train):
    return train(loss, columns(rows, "question", "answer"), BatchSamplers.NO_DUPLICATES)


def graded(loss, rows, train):
    grades = [row["gold"] / (5 if loss == "CosineSimilarityLoss" else 1) for row in rows]
    return train(loss, columns(rows, "sentence1", "sentence2") | {"labels": grades})


def triplets(loss, rows, train):
    triples = [(row["query"], row["clicked"], shown) for row in rows for shown in row["shown"]]
    return train(loss, dict(zip(("anchor", "positive", "negative"), map(list, zip(*triples)))))


def pairs_of_clicks(loss, rows, train):
    pairs = [
        (row["query"], page, int(page == row["clicked"])) for row in rows for page in (row["clicked"], *row["shown"])
    ]
    return train(loss, dict(zip(("query", "page", "label"), map(list, zip(*pairs)))))


def topics(loss, rows, train):
    names = sorted({row["topic"] for row in rows})
    return train(loss, columns(rows, "text") | {"label": [names.index(row["topic"]) for row in rows]}, "group_by_label")


def pairs_of_topics(loss, rows, train):
    pairs = [(a["text"], b["text"], int(a["topic"] == b["topic"])) for a in rows for b in rows if a["text"] < b["text"]]
    return train(loss, dict(zip(("a", "b", "label"), map(list, zip(*pairs)))))


def duplicates(loss, rows, train):
    return train(loss, columns(rows, "first", "second") | {"label": [float(row["same"] == "yes") for row in rows]})


RIGHT = [
    *((questions, "questions and answers", f"{kind}MultipleNegativesRankingLoss") for kind in ("", "Cached")),
    *((graded, "graded pairs", loss) for loss in ("CoSENTLoss", "CosineSimilarityLoss")),
    *((triplets, "clicks", loss) for loss in ("TripletLoss", "MultipleNegativesRankingLoss")),
    *((pairs_of_clicks, "clicks", loss) for loss in ("CoSENTLoss", "ContrastiveLoss")),
    *((topics, "topics", f"Batch{kind}TripletLoss") for kind in ("Hard", "All", "HardSoftMargin", "SemiHard")),
    *((pairs_of_topics, "topics", loss) for loss in ("ContrastiveLoss", "CoSENTLoss")),
    *(
        (duplicates, "duplicates", loss)
        for loss in ("ContrastiveLoss", "OnlineContrastiveLoss", "CosineSimilarityLoss")
    ),
]


@pytest.mark.parametrize("build, kind, loss", RIGHT)
def test_every_way_that_teaches_is_right(build, kind, loss):
    def answer(asked, rows, train):
        return build(loss, rows, train) if asked == kind else EXERCISE.solution(asked, rows, train)

    assert judge(EXERCISE, answer)


def test_what_is_learnt_is_measured_not_guessed():
    kind, rows, train = EXERCISE.cases["graded pairs"]
    upside_down = columns(rows, "sentence1", "sentence2") | {"score": [-row["gold"] for row in rows]}
    assert train("CoSENTLoss", upside_down) == "the cosines do not stand in the order of the grades"


@pytest.mark.parametrize("columns", [0, 1, 2])
def test_the_masked_loss_is_the_ranking_loss_of_what_is_left(columns):
    anchors, positives, *negatives = torch.randn(2 + columns, 5, 3, generator=torch.Generator().manual_seed(columns))
    mask, expected = torch.zeros(5, 5 * (1 + columns), dtype=torch.bool), MultipleNegativesRankingLoss(20.0)
    solution = EXERCISES["09.3"].solution
    assert torch.isclose(solution(anchors, positives, negatives, mask), expected(anchors, positives, *negatives))
    if columns:
        mask[:, -5:] = True  # the last column of hard negatives
        loss = solution(anchors, positives, negatives, mask)
        assert torch.isclose(loss, expected(anchors, positives, *negatives[:-1]))
        assert not torch.isclose(loss, expected(anchors, positives, *negatives))


def test_what_the_guide_marks_one_by_one():
    anchors, positives, negatives = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0))
    marked = EXERCISES["09.2"].solution(anchors, positives, negatives)
    for i, anchor in enumerate(anchors):
        own = torch.cosine_similarity(anchor, positives[i], dim=0)
        for j, candidate in enumerate([*positives, *negatives]):
            assert marked[i, j] == (j != i and torch.cosine_similarity(anchor, candidate, dim=0) > own)
    assert marked[:, :5].any() and marked[:, 5:].diag().any() and not marked.all()
