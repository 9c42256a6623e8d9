"""course_lib.support.texts."""

import pytest

from course_lib.support.texts import normalized


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A  man's RED motor-cycle!", "a man s red motor cycle"),
        ("snake_case\t42", "snake case 42"),
        ("Über  naïve 日本", "über naïve 日本"),
        ("...", ""),
        ("", ""),
    ],
)
def test_normalized(text, expected):
    assert normalized(text) == expected
