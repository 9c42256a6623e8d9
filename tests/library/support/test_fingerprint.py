"""course_lib.support.fingerprint: the same for the same examples, another for any others."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_lib.data import NLIExample, ScoredPair
from course_lib.support.fingerprint import fingerprint

DIFFERENT = [
    [],
    [""],
    ["", ""],
    ["a", "b"],
    ["b", "a"],
    ["ab"],
    [("a", "b")],
    [("a", "b", 1)],
    [("a", "b", "1")],
    [("a", "b", 1.0)],
    [("a", "b", True)],
    [("a", ("b", 1))],
    [{"a": "b"}],
    [{"a": "b", "c": 1}],
    [{"a": ["b", {"c": 1}]}],
    [NLIExample("a", "b", 1)],
    [NLIExample("a", "b", 2)],
    [ScoredPair("a", "b", 1)],
    [b"a"],
    [None],
    ["\ud800"],
    ["naïve"],
    ["nai\u0308ve"],
    [torch.arange(4)],
    [torch.arange(4).view(2, 2)],
    [torch.arange(4.0)],
    [torch.arange(4.0).bfloat16()],
    [np.arange(4)],
    [np.arange(4, dtype=np.int32)],
    [np.arange(4), np.arange(1)],
    [{"a", "b"}],
    range(3),
]


def test_each_has_its_own():
    for a, b in itertools.combinations(DIFFERENT, 2):
        assert fingerprint(a) != fingerprint(b), (a, b)


@pytest.mark.parametrize(
    "a, b",
    [
        (["a", "b"], ("a", "b")),
        (["a"], [np.str_("a")]),
        ([("a", 0.5)], [("a", np.float64(0.5))]),
        ([1, 2], np.array([1, 2])),
        ([torch.arange(6).view(2, 3).T], [torch.arange(6).view(2, 3).T.contiguous()]),
        ([np.asfortranarray(np.eye(3))], [np.eye(3)]),
        (range(3), SimpleNamespace(content=[0, 1, 2])),
    ],
    ids=str,
)
def test_the_same_content_in_another_container(a, b):
    assert fingerprint(a) == fingerprint(b)


def test_the_same_on_every_machine():
    """Checkpoints hold it: it may not change."""
    examples = [({"b", "a", "c"}, "naïve", 1.5), {"a": [1, None]}, NLIExample("p", "h", 2), torch.arange(3), b"x"]
    assert fingerprint(examples) == "8b497a2337dde31d4f8e7c3779653597"
