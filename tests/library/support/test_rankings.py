"""course_lib.support.rankings, in what takes rankings: every container of ids, best first, and of scores."""

import numpy as np
import pandas as pd
import torch
from containers import outcome
from hypothesis import given
from hypothesis import strategies as st
from property_settings import few

from course_lib.retrieval.fusion import reciprocal_rank_fusion, weighted_fusion
from course_lib.retrieval.metrics import ranking_metrics

RANKINGS = {
    "list": list,
    "array": np.array,
    "tensor": torch.tensor,
    "Series": lambda ids: pd.Series(ids, index=ids[::-1]),
    "of tensors": lambda ids: list(torch.tensor(ids)),
    "generator": lambda ids: (i for i in ids),
    "scores": lambda ids: dict(sorted({i: 1 / (1 + rank) for rank, i in enumerate(ids)}.items())),
    "ordered set": dict.fromkeys,
}


@given(
    ids=st.permutations(range(5)), kind=st.sampled_from(list(RANKINGS)), relevant=st.sets(st.integers(0, 4), min_size=1)
)
@few
def test_rankings_in_any_container(ids, kind, relevant):
    expected = ranking_metrics({"q": ids}, {"q": relevant})
    assert ranking_metrics({"q": RANKINGS[kind](ids)}, {"q": relevant}) == expected
    assert reciprocal_rank_fusion([RANKINGS[kind](ids)]) == reciprocal_rank_fusion([ids])
    for container in (list, np.array, torch.tensor, pd.Series, lambda found: dict.fromkeys(found, 1)):
        assert ranking_metrics({"q": ids}, {"q": container(sorted(relevant))}) == expected


def test_what_is_no_ranking():
    wrong = {"a set": {1, 2}, "a string": "d1", "None": None, "table": pd.DataFrame({"a": [1]}), "2-d": np.ones((2, 2))}
    for what, value in wrong.items():
        for call in (
            lambda: ranking_metrics({"q": value}, {"q": ["d1"]}),
            lambda: (
                ranking_metrics({"q": ["d1"]}, {"q": value}) if what != "a set" else reciprocal_rank_fusion([value])
            ),
            lambda: reciprocal_rank_fusion([value]),
            lambda: weighted_fusion([value]),
        ):
            assert isinstance(outcome(call), (TypeError, ValueError) if what == "a string" else TypeError), what
    for scores in ({"a": float("nan")}, {"a": float("inf"), "b": 1}):
        assert isinstance(outcome(ranking_metrics, {"q": scores}, {"q": ["a"]}), ValueError)
    for scores in ({"a": "1"}, {"a": None, "b": 1}):
        assert isinstance(outcome(weighted_fusion, [scores]), TypeError)
    assert isinstance(outcome(weighted_fusion, {"bm25": {"a": 1}}), TypeError)
