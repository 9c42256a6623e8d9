"""course_lib.support.labelled_pairs: what an evaluator takes for a pair with a score, and what it says of the rest."""

from types import SimpleNamespace

import datasets
import pandas as pd
import pytest

from course_lib.data import NLIExample, ScoredPair
from course_lib.support.labelled_pairs import labelled_pairs

PAIRS = [ScoredPair("a", "b", 0.5), ScoredPair("c", "d", 1)]
ROWS = [("a", "b", 0.5), ("c", "d", 1)]


@pytest.mark.parametrize(
    "examples",
    [
        PAIRS,
        ROWS,
        list(map(list, ROWS)),
        iter(ROWS),
        [PAIRS[0], ROWS[1]],
        pd.Series(ROWS, index=[4, 2]),
        [{"score": score, "sentence1": a, "sentence2": b, "more": 1} for a, b, score in ROWS],
        [SimpleNamespace(sentence1=a, sentence2=b, score=score) for a, b, score in ROWS],
    ],
    ids=["pairs", "tuples", "lists", "generator", "both", "Series", "rows", "objects"],
)
def test_pairs_with_scores(examples):
    assert labelled_pairs(examples, ScoredPair, "pairs") == PAIRS
    assert labelled_pairs([("a", "b", 2)], NLIExample, "examples") == [NLIExample("a", "b", 2)]


TABLE = pd.DataFrame(ROWS, columns=["sentence1", "sentence2", "score"])


@pytest.mark.parametrize(
    "examples, error, message",
    [
        (TABLE, TypeError, r"take list\(zip\(pairs\['sentence1'\], pairs\['sentence2'\], pairs\['score'\]\)\)"),
        (datasets.Dataset.from_pandas(TABLE), TypeError, r"take list\(zip\(pairs\['sentence1'\]"),
        (dict(enumerate(ROWS)), TypeError, r"take list\(pairs.values\(\)\)"),
        (set(ROWS), TypeError, "no order"),
        ("ab", TypeError, "pairs is 'ab'"),
        (["abc"], TypeError, r"pairs\[0\] is 'abc' \(str\); expected ScoredPair"),
        ([*ROWS, ("a", "b")], TypeError, r"pairs\[2\] is \('a', 'b'\)"),
        ([{"premise": "a", "hypothesis": "b", "label": 1}], TypeError, r"pairs\[0\] is"),
        ([("a", "b", "1")], TypeError, r"pairs\[0\] is"),
        ([("a", "b", None)], TypeError, r"pairs\[0\] is"),
        ([("a", 3, 0.5)], TypeError, r"the sentence2 of pairs\[0\] is 3 \(int\); expected a string"),
        ([ROWS[0], ("a", float("nan"), 0.5)], TypeError, r"the sentence2 of pairs\[1\] is nan .*missing value"),
        ([("a", "b", float("nan"))], ValueError, r"the score of pairs\[0\] is nan; expected a finite number"),
    ],
)
def test_what_are_no_pairs_with_scores(examples, error, message):
    with pytest.raises(error, match=message):
        labelled_pairs(examples, ScoredPair, "pairs")
