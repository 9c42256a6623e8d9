"""course_lib.support.texts."""

import re
from itertools import combinations

import pytest

from course_lib.support.texts import normalized, only_words, word


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A  man's RED motor-cycle!", "a man s red motor cycle"),
        ("snake_case\t42", "snake case 42"),
        ("Über  naïve 日本", "über naïve 日本"),
        ("हिन्दी, भाषा।", "हिन्दी भाषा"),
        ("cafe\u0301", "café"),
        ("...", ""),
        ("", ""),
    ],
)
def test_normalized(text, expected):
    assert normalized(text) == only_words(text) == expected


@pytest.mark.parametrize(
    "different",
    [
        ("learn C", "learn C++", "learn C#"),
        ("5", "-5", "5 %", "5 €", "$5", "5 £", "5°"),
        ("की", "का", "कि", "के", "क"),  # Hindi words that differ in a vowel, which is a mark
        ("שָׁלוֹם", "שלום"),
        ("love it 😀", "love it 😡", "love it"),
        ("a < b", "a > b", "a = b", "a + b", "a b"),
        ("x²", "x"),
    ],
    ids=str,
)
def test_marks_and_signs_tell_texts_apart(different):
    for a, b in combinations(different, 2):
        assert normalized(a) != normalized(b)


@pytest.mark.parametrize(
    "same",
    [
        ("A man's dog - runs!", "a man s dog runs", "A  MAN’S DOG: runs."),
        ("Minus −5 degrees", "minus -5 Degrees"),
        ("5-3", "5–3", "5 3"),
        ("Title | Page", "title - page", "#Title page"),
        ("❤️ cats", "❤ cats"),
        ("C++.", "(C++)", "c++"),
        ("Café", "cafe\u0301", "CAFÉ"),
    ],
    ids=str,
)
def test_case_punctuation_blanks_and_writing_do_not(same):
    assert len(set(map(normalized, same))) == 1


def test_only_words_looks_at_no_signs():
    assert {only_words(text) for text in ("Learn C (5)", "learn C++ -5", "learn C# $5 %")} == {"learn c 5"}


def test_the_pattern_of_a_word():
    texts = "It's a_b, x2: naïve हिन्दी 日本 \u0301 cafe\u0301"
    assert re.findall(word(), texts) == ["It", "s", "a_b", "x2", "naïve", "हिन्दी", "日本", "cafe\u0301"]
