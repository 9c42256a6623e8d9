"""Writes data/en_es.tsv.gz: English-Spanish sentences with gold word alignments, from the grammar in recipes/corpus.

    python -m recipes.en_es

The same seed and sizes give the same bytes.
"""

import gzip
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

from course_lib.support.files import atomic_file
from course_lib.support.folders import COURSE_HOME
from course_lib.support.texts import only_words
from recipes.corpus.grammar import Grammar
from recipes.corpus.lexicon import ADJECTIVES, ANIMALS, MASS, PERSONS, PLACES, THINGS
from recipes.corpus.phrase import word_alignment

SIZES = {"train": 24000, "dev": 1000, "test": 1500}
LENGTHS = range(3, 26)  # English tokens, the full stop included
HELD_BACK = 80  # about one in so many pairs of adjective and noun occurs in dev and test only
COLUMNS = ("split", "english", "spanish", "alignment")

ENGLISH_ADJECTIVES = {adjective.en for adjective in ADJECTIVES}
ENGLISH_NOUNS = {form for noun in THINGS + MASS + PERSONS + ANIMALS + PLACES for form in noun.en if form}


def held_back(english: list) -> bool:
    """Does it hold a pair of adjective and noun that the training sentences must not show?"""
    words = [word for word, _ in english]
    pairs = [(a, b) for a, b in zip(words, words[1:]) if a in ENGLISH_ADJECTIVES and b in ENGLISH_NOUNS]
    return any(crc32(f"{a} {b}".encode()) % HELD_BACK == 0 for a, b in pairs)


def corpus(sizes: dict[str, int], seed: int = 0) -> Iterator[dict[str, str]]:
    """Rows of the file, split by split, each in random order: about as many sentences of each length, none twice.

    Sentences with a pair held back go to dev and test, and so do as many others as are missing there.
    """
    grammar, seen, rows = Grammar(seed), set(), []
    room = dict.fromkeys(LENGTHS, math.ceil(1.1 * sum(sizes.values()) / len(LENGTHS)))  # too few short sentences exist
    while len(rows) < sum(sizes.values()):
        wanted = grammar.pick(*(length for length in room if room[length]))
        grammar.richness = grammar.random.uniform(0, 1.5)
        english, spanish = grammar.sentence(
            1 if wanted < 9 else grammar.pick(1, 2) if wanted < 15 else grammar.pick(2, 3)
        )
        texts = [" ".join(word for word, _ in tokens) for tokens in (english, spanish)]
        keys = [only_words(text) for text in texts]
        if room.get(len(english)) and not seen.intersection(keys):
            room[len(english)] -= 1
            seen.update(keys)
            links = " ".join(f"{i}-{j}" for i, j in word_alignment(english, spanish))
            rows.append((held_back(english), dict(english=texts[0], spanish=texts[1], alignment=links)))
    grammar.random.shuffle(rows)
    rows.sort(key=lambda row: not row[0])  # those held back come first; the others stay in random order
    rows = [row for _, row in rows]
    elsewhere = sum(sizes.values()) - sizes["train"]
    held, train = rows[:elsewhere], rows[elsewhere:]
    grammar.random.shuffle(held)
    yield from (dict(split="train", **row) for row in train)
    yield from (dict(split="dev" if i < sizes["dev"] else "test", **row) for i, row in enumerate(held))


def write(path: Path, rows: Iterable[dict[str, str]]):
    """A .tsv.gz: the same rows give the same bytes."""
    lines = ["\t".join(COLUMNS), *("\t".join(row[column] for column in COLUMNS) for row in rows)]
    with atomic_file(path) as unfinished:
        unfinished.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))


if __name__ == "__main__":
    write(COURSE_HOME / "data" / "en_es.tsv.gz", corpus(SIZES))
