"""recipes/shared/two_tests.py: single pairs and questions add up to what the evaluators say, and draws are paired."""

import numpy as np
import pytest

from course_lib.data import load_sts
from course_lib.datasets.retrieval import load_retrieval
from course_lib.evaluation import EmbeddingSimilarityEvaluator, spearman
from course_lib.retrieval.evaluators import InformationRetrievalEvaluator
from recipes.shared.two_tests import DRAWS, TOKENS, differences, each, measure, redrawn, vectors


class Letters:
    """How often each letter occurs, in the first max_seq_length words."""

    max_seq_length = 8

    def encode(self, texts, **_):
        read = [" ".join(text.split()[: self.max_seq_length]).lower() for text in texts]
        return np.array([[text.count(chr(97 + i)) + 0.1 for i in range(26)] for text in read], dtype=np.float32)


OF = each(*vectors(Letters()))


def test_they_add_up_to_what_the_evaluators_say():
    encoder = Letters()
    encoder.max_seq_length = TOKENS
    graded = EmbeddingSimilarityEvaluator(load_sts("course/sts"))(encoder)["spearman_cosine"]
    search = InformationRetrievalEvaluator(*load_retrieval("course/help"))(encoder)["cosine_ndcg@10"]
    assert measure(OF) == pytest.approx({"graded pairs": 100 * graded, "search": 100 * search}, abs=1e-4)


def test_a_draw_is_the_measure_of_what_was_drawn():
    found, chance = redrawn(OF, seed=3), np.random.default_rng(3)
    pairs, questions = (chance.integers(len(x), size=(DRAWS, len(x))) for x in OF.values())
    gold = np.array([pair.score for pair in load_sts("course/sts")])
    for k in (0, DRAWS - 1):
        assert found["graded pairs"][k] == pytest.approx(100 * spearman(gold[pairs[k]], OF["graded pairs"][pairs[k]]))
        assert found["search"][k] == pytest.approx(100 * OF["search"][questions[k]].mean())


def test_models_are_drawn_alike():
    worse = OF | {"search": OF["search"] - 0.25}
    assert np.allclose(redrawn(OF)["search"] - redrawn(worse)["search"], 25)
    assert redrawn(OF)["search"].std() > 1


def test_differences_lie_where_the_draws_put_them():
    worse = OF | {"search": OF["search"] * 0.5}
    gaps = differences(redrawn(OF), redrawn(worse))
    assert gaps["graded pairs"] == (0, 0, 0)
    gap, low, high = gaps["search"]
    assert gap == pytest.approx(redrawn(worse)["search"].mean())
    assert np.mean((redrawn(worse)["search"] >= low) & (redrawn(worse)["search"] <= high)) == pytest.approx(
        0.95, abs=0.01
    )
    assert differences(redrawn(worse), redrawn(OF))["search"] == pytest.approx((-gap, -high, -low))
