"""Sentences in English and Spanish, and which of their words belong together, where somebody said so.

    load_translations()             course/en_es, from the grammar in recipes/corpus
    load_translations("tatoeba")    sentences that people wrote
    split_of(pair)                  "train", "dev" or "test"
    glosses(pairs)                  what each Spanish word means, for readers without Spanish

Names, files and errors are those of support/tables.py.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from course_lib.support.tables import TRANSLATION_COLUMNS, find, read_header, read_tsv
from course_lib.support.texts import only_words

# their partners belong to whole phrases: "cerca de" is "near", "el coche de ana" is "ana's car"
PREPOSITIONS = {"a": "to", "al": "to-the", "de": "of", "del": "of-the"}


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


def split_of(pair: Translation) -> str:
    """The part that a pair belongs to: its own `split`, or, where the file has none, one that depends on nothing but
    the words of the English sentence: 1% "test", 1% "dev", the rest "train". So all translations of a sentence are in
    one part."""
    return pair.split or {0: "test", 1: "dev"}.get(crc32(only_words(pair.english).encode()) % 100, "train")


def glosses(pairs: Iterable[Translation]) -> dict[str, str]:
    """Each Spanish word -> the English that it is aligned with most often, several words joined by "-".

    Words that are never aligned are left out, so the dictionary is empty where nobody aligned the words.
    """
    counts: dict[str, Counter] = defaultdict(Counter)
    for pair in pairs:
        english, linked = pair.english.split(), defaultdict(list)
        for i, j in sorted(pair.alignment):
            linked[j].append(english[i])
        for j, word in enumerate(pair.spanish.split()):
            if j in linked:
                counts[word]["-".join(linked[j])] += 1
    found = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    return found | {word: english for word, english in PREPOSITIONS.items() if word in found}


def _links(text: str) -> tuple[tuple[int, int], ...] | None:
    """ "0-0 1-2" -> ((0, 0), (1, 2)); None if it is anything else."""
    if not re.fullmatch(r"(\d{1,9}-\d{1,9}( |$))*", text, re.ASCII):
        return None
    numbers = [int(number) for number in text.replace("-", " ").split()]
    return tuple(zip(numbers[::2], numbers[1::2]))
