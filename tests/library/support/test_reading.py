"""course_lib.support.reading: values of the kinds that settings must be of."""

import pytest

from course_lib.support.reading import of_kind


@pytest.mark.parametrize("value", [10**400, -1, 1, 2.5])
def test_whole_numbers_of_any_size_are_numbers(value):
    assert of_kind({"a": value, "b": None, "c": "x"}, {"a": float, "b": str}, "f") == {"a": value, "c": "x"}


@pytest.mark.parametrize(
    "value, kind",
    [(float("nan"), float), (float("inf"), float), (True, float), ("1", float), ([], float)]
    + [(True, int), (2.5, int), ("1", int), (1, bool), (1, str), ({}, list), ([], dict)],
)
def test_what_is_of_another_kind_is_named(value, kind):
    with pytest.raises(ValueError, match=rf"a in some\.json is .*; expected {kind.__name__}"):
        of_kind({"a": value}, {"a": kind}, "some.json")
