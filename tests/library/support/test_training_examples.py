"""course_lib.support.training_examples: what is found in an example, and which examples training refuses."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from course_lib.data import NLIExample, ScoredPair, load_nli, load_sts, load_triplets
from course_lib.datasets.questions import Question
from course_lib.datasets.translations import Translation
from course_lib.support.training_examples import check_examples, columns, distinct_texts


@pytest.mark.parametrize(
    "example, found",
    [
        ("a text", {0: "a text"}),
        (("a", "b", 1), {0: "a", 1: "b", 2: 1}),
        (["a", 0.5], {0: "a", 1: 0.5}),
        ({"x": "a", "y": 2}, {"x": "a", "y": 2}),
        (NLIExample("p", "h", 2), {"premise": "p", "hypothesis": "h", "label": 2}),
        (Question("q", 1), {"question": "q", "label": 1}),
        (Translation("a", "b", ((0, 0),), "dev"), {"english": "a", "spanish": "b"}),
        (7, {}),
        ((1, 2), {}),
        ([101, 7, 102], {}),
        (torch.ones(2), {}),
        ((torch.ones(2), 1.0), {}),
        (None, {}),
    ],
)
def test_columns(example, found):
    assert columns(example) == found


def test_texts_of_an_example_once_each():
    assert distinct_texts([("b", "a", "b", 3), ("c", "d", "e", 3)], "examples") == [("b", "a"), ("c", "d", "e")]
    assert distinct_texts(["x"], "examples") == [("x",)]
    assert distinct_texts([NLIExample("p", "h", 2)], "examples") == [("p", "h")]
    with pytest.raises(ValueError, match="no_duplicates compares texts, but pairs hold none"):
        distinct_texts([(1, 2)], "pairs")


@dataclass
class Pair:
    left: str
    right: str


GOOD = [
    ["a", "b"],
    [("a", "b"), ("c", "d")],
    [("a", "b", "n"), ("c", "d")],
    [("c", "d"), ("a", "b", "n", "m")],
    [("a", 1), ("b", 0.5)],
    [("a", "b", np.float32(0.5)), ("a", "b", 1)],
    [{"x": "a", "label": 1}],
    [Pair("a", "b")],
    [1, 2, 3],
    range(5),
    [torch.ones(1), torch.ones(2)],
    [[1, 2], [1]],
    [(torch.ones(1), math.nan)],
    [("a", torch.ones(1)), ("b", torch.ones(1))],
]


@pytest.mark.parametrize("examples", GOOD, ids=str)
def test_examples_that_pass(examples):
    check_examples(examples)


@pytest.mark.parametrize(
    "name, load", [("course/nli", load_nli), ("course/sts", load_sts), ("course/nli", load_triplets)]
)
def test_the_courses_own_data_passes(name, load):
    check_examples(load(name))


@pytest.mark.parametrize(
    "examples, message",
    [
        (["a", " "], r"examples\[1\] has a blank text in column 0"),
        ([("a", "b"), ("a", "")], r"examples\[1\] has a blank text in column 1: \('a', ''\)"),
        ([NLIExample("p", "\n\t", 1)], r"examples\[0\] has a blank text in column 'hypothesis'"),
        (
            [("a", "b"), ("a",)],
            r"examples\[1\] is \('a',\), examples\[0\] is \('a', 'b'\): all need one type and the same columns",
        ),
        ([("a", "b", 1), ("a", "b")], r"examples\[1\] is \('a', 'b'\)"),
        ([("a", "b"), ("a", "b", 1)], "the same columns"),
        ([("a", "b", 1), ("a", 1, "b")], "the same columns"),
        ([("a", "b", 1), ("a", "b", "1")], "texts in all of them or numbers in all"),
        ([("a", "b", 1), ("a", "b", None)], "the same columns"),
        ([("a", "b"), ["a", "b"]], "one type"),
        ([("a", "b"), "a"], "one type"),
        ([("a", "b"), 5], "one type"),
        ([{"x": "a", "y": "b"}, {"x": "a", "z": "b"}], "the same columns"),
        ([NLIExample("p", "h", 1), ScoredPair("p", "h", 1)], "one type"),
        ([("a", 1.0), ("b", math.nan)], r"examples\[1\] has nan in column 1"),
        ([("a", "b", math.inf)], "has inf in column 2"),
        ([("a", np.float32("nan"))], "has nan"),
    ],
)
def test_examples_that_are_refused(examples, message):
    with pytest.raises(ValueError, match=message):
        check_examples(examples)


def test_no_examples_at_all():
    with pytest.raises(ValueError, match="there are no examples to train on: pairs is empty"):
        check_examples([], "pairs")
