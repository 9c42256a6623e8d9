"""course_lib.retrieval.fusion by hand, and against sentence_transformers; reranking against one query at a time."""

import numpy as np
import pytest
from sentence_transformers.sparse_encoder.evaluation import ReciprocalRankFusionEvaluator

from course_lib.models.cross_encoder import CrossEncoder
from course_lib.retrieval.fusion import reciprocal_rank_fusion, weighted_fusion
from course_lib.retrieval.metrics import ranking_metrics
from course_lib.retrieval.reranking import rerank

NAN, INF = float("nan"), float("inf")


# ---- by rank


def test_reciprocal_ranks_by_hand():
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["b", "d"]])
    assert list(fused) == ["b", "a", "d", "c"]
    assert fused == pytest.approx({"b": 1 / 62 + 1 / 61, "a": 1 / 61, "d": 1 / 62, "c": 1 / 63}, abs=1e-15)
    assert reciprocal_rank_fusion([["a", "b"], ["b"]], k=0) == {"b": 1.5, "a": 1.0}


def test_odd_rankings():
    assert reciprocal_rank_fusion([]) == {} and reciprocal_rank_fusion([[], []]) == {}
    assert list(reciprocal_rank_fusion([[], ["x", "y"]])) == ["x", "y"]
    assert list(reciprocal_rank_fusion([["x", "y"], ["y", "x"]])) == ["x", "y"]  # a tie: the first ranking's order
    assert list(reciprocal_rank_fusion([["p"], ["q"], ["r"]])) == ["p", "q", "r"]
    assert list(reciprocal_rank_fusion([np.array([7, 3]), np.array([3])])) == [3, 7]  # ids need not be strings
    for rankings in ([["a"], ["b", "c", "b"]], ["ab"]):
        with pytest.raises(ValueError, match="names a document twice"):
            reciprocal_rank_fusion(rankings)
    for k in (-1, NAN):
        with pytest.raises(ValueError, match=f"k is {k}"):
            reciprocal_rank_fusion([["a"]], k=k)


@pytest.mark.parametrize("k", [1, 60])
def test_same_as_sentence_transformers(k):
    random = np.random.default_rng(k)
    names = [f"document {i}" for i in range(30)]
    dense, sparse, rankings, relevant = [], [], {}, {}
    for query in range(20):
        lists = [random.permutation(names)[: random.integers(0, 25)].tolist() for _ in range(2)]
        answers = random.choice(names, 3, replace=False).tolist()
        for samples, documents in zip((dense, sparse), lists):
            samples.append({"query_id": str(query), "query": "?", "positive": answers, "documents": documents})
        rankings[query], relevant[query] = list(reciprocal_rank_fusion(lists, k)), set(answers)
    theirs = ReciprocalRankFusionEvaluator(dense, sparse, rrf_k=k, write_csv=False, show_progress_bar=False)()
    ours = ranking_metrics(rankings, relevant, {"mrr": (10,)})
    assert ours["mrr@10"] == pytest.approx(theirs["mrr@10"], abs=1e-12)


# ---- by score


def test_weighted_by_hand():
    results = [{"a": 30.0, "b": 10.0, "c": 20.0}, {"c": 0.9, "d": 0.5}]
    assert weighted_fusion(results) == {"c": 1.5, "a": 1.0, "b": 0.0, "d": 0.0}
    assert list(weighted_fusion(results)) == ["c", "a", "b", "d"]
    assert weighted_fusion(results, [1, 3]) == {"c": 3.5, "a": 1.0, "b": 0.0, "d": 0.0}
    assert weighted_fusion(results, [0, 0.5]) == {"c": 0.5, "a": 0.0, "b": 0.0, "d": 0.0}


def test_the_scale_of_a_system_does_not_matter():
    random = np.random.default_rng(0)
    first, second = (
        {int(d): float(s) for d, s in zip(random.permutation(40)[:25], random.normal(size=25))} for _ in range(2)
    )
    scaled = {document: 1000 * score - 7 for document, score in second.items()}
    fused, again = weighted_fusion([first, second]), weighted_fusion([first, scaled])
    assert list(fused) == list(again) and fused == pytest.approx(again, abs=1e-9)
    assert set(fused) == set(first) | set(second)


def test_odd_results():
    assert weighted_fusion([]) == weighted_fusion([{}, {}]) == {}
    assert weighted_fusion([{}, {"x": 2.0, "y": 1.0}]) == {"x": 1.0, "y": 0.0}
    all_equal = [{"x": 2.0, "y": 2.0}, {"z": 5.0}]  # all are the highest
    assert weighted_fusion(all_equal) == {"x": 1.0, "y": 1.0, "z": 1.0}
    assert weighted_fusion([{"x": np.float32(1), "y": np.float32(0)}]) == {"x": 1.0, "y": 0.0}
    with pytest.raises(ValueError, match="system 1 gives 1 of 2 documents a score that is NaN or infinite, 'b' first"):
        weighted_fusion([{"a": 1.0}, {"a": 1.0, "b": NAN}])
    with pytest.raises(ValueError, match="NaN or infinite"):
        weighted_fusion([{"a": -INF}])
    for weights in ([1], [1, -1], [1, NAN]):
        with pytest.raises(ValueError, match="for 2 systems; expected a number of at least 0 for each"):
            weighted_fusion([{"a": 1.0}, {"b": 1.0}], weights)


# ---- reranking

QUERIES = {"q1": "A cat sits on a mat.", "q2": "Two dogs run in a park.", "q3": "Nobody asked."}
CORPUS = {
    "d1": "A dog runs outside.",
    "d2": "A cat is on a carpet.",
    "d3": "The stock market fell.",
    "d4": "A feline rests.",
}


@pytest.fixture(scope="module")
def scorer():
    return CrossEncoder.load("course/cross-encoder-mini", device="cpu", dtype="float32")


def test_rerank_is_rank_for_every_query(scorer):
    rankings = {"q1": ["d3", "d1", "d4", "d2"], "q2": ["d4", "d1", "d3"], "q3": []}
    found = rerank(scorer, QUERIES, CORPUS, rankings)
    for query, ranking in rankings.items():
        hits = scorer.rank(QUERIES[query], [CORPUS[d] for d in ranking]) if ranking else []
        assert found[query] == [ranking[hit["corpus_id"]] for hit in hits]
    assert found["q1"][0] == "d2" and found["q2"][0] == "d1"


def test_the_rest_of_a_ranking_stays(scorer):
    ranking = ["d3", "d1", "d4", "d2"]
    assert rerank(scorer, QUERIES, CORPUS, {"q1": ranking}, top_k=0)["q1"] == ranking
    found = rerank(scorer, QUERIES, CORPUS, {"q1": ranking}, top_k=3)["q1"]
    assert found == [*sorted(ranking[:3], key=["d4", "d1", "d3"].index), "d2"]
    assert rerank(scorer, QUERIES, CORPUS, {}) == {}


def test_what_cannot_be_reranked(scorer):
    with pytest.raises(
        ValueError, match=r"1 of 2 pairs name a query or document that is not there, first \('q1', 'd9'\)"
    ):
        rerank(scorer, QUERIES, CORPUS, {"q1": ["d1", "d9"]})
    with pytest.raises(ValueError, match="top_k is -1"):
        rerank(scorer, QUERIES, CORPUS, {"q1": ["d1"]}, top_k=-1)
    with pytest.raises(ValueError, match="3 labels, and ranking needs a single score"):
        rerank(CrossEncoder.load("course/bert-mini", num_labels=3), QUERIES, CORPUS, {"q1": ["d1"]})
