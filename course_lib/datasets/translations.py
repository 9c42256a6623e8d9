"""Sentences in English and Spanish, and which of their words belong together, where somebody said so.

    load_translations()             course/en_es, from the grammar in recipes/corpus
    load_translations("tatoeba")    sentences that people wrote

Names, files and errors are those of support/tables.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from course_lib.support.tables import TRANSLATION_COLUMNS, find, read_header, read_tsv


@dataclass(frozen=True)
class Translation:
    """A sentence in two languages.

    alignment: pairs of positions (English word, Spanish word), counted from 0 over the words between blanks, for words
    that mean the same; empty where nobody aligned them. split: "train", "dev" or "test"; empty where the file has none.
    """

    english: str
    spanish: str
    alignment: tuple[tuple[int, int], ...] = ()
    split: str = ""


def load_translations(name: str | Path = "course/en_es") -> list[Translation]:
    """The sentence pairs of a file with the columns english, spanish, and perhaps alignment ("0-0 1-2") and split.

    Texts are as in the file; `course_lib.translation.vocabulary.words` cuts them into words, all files alike. "tatoeba"
    is short for "tatoeba_en_es/eng_spa". An alignment that is not pairs of words of the two texts raises ValueError
    with file and line.
    """
    path, pairs = find("tatoeba_en_es/eng_spa" if name == "tatoeba" else name), []
    more = [column for column in ("alignment", "split") if column in read_header(path)]
    for line, (english, spanish, *values) in read_tsv(path, *TRANSLATION_COLUMNS, *more):
        values = dict(zip(more, values))
        links = _links(values.get("alignment", ""))
        if links is None or any(i >= len(english.split()) or j >= len(spanish.split()) for i, j in links):
            raise ValueError(
                f"{path}, line {line}: the alignment {values['alignment']!r} is not a list like '0-0 1-2' of positions "
                f"in {len(english.split())} English and {len(spanish.split())} Spanish words, counted from 0"
            )
        pairs.append(Translation(english, spanish, links, values.get("split", "")))
    return pairs


def _links(text: str) -> tuple[tuple[int, int], ...] | None:
    """ "0-0 1-2" -> ((0, 0), (1, 2)); None if it is anything else."""
    if not re.fullmatch(r"(\d{1,9}-\d{1,9}( |$))*", text, re.ASCII):
        return None
    numbers = [int(number) for number in text.replace("-", " ").split()]
    return tuple(zip(numbers[::2], numbers[1::2]))
