"""The text that `bert-mini` and `glove-mini` learn from: Wikipedia articles, captions and NLI sentences.

Needs COURSE_DATA (see data/README.md). Every text whose normalised form is a sentence of STSb dev or SICK trial is
dropped, and counted. Not so the premises of the NLI development sets: most of SNLI's are captions, and are read here as
captions, without hypothesis or label.
"""

import hashlib
import io
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

from course_lib.support.tables import find, read_tsv
from course_lib.support.texts import only_words
from recipes.shared.leaks import forbidden_sentences

CAPTIONS = ["captions/flickr30k", "captions/flickr8k"]
NLI_FILES = ["snli/train", "multinli/train", "cad_nli/train", "wiki_nli/base_train"]
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z\"'(])")


def course_data() -> Path:
    if not os.environ.get("COURSE_DATA"):
        raise SystemExit("set COURSE_DATA to the folder with the real data sets (data/README.md says which)")
    return Path(os.environ["COURSE_DATA"])


def articles(seed: int = 0) -> list[list[str]]:
    """English Wikipedia (2015): each article as a list of paragraphs, articles in a random order."""
    import zstandard  # here: notebooks import recipes that import this module, and have no zstandard

    found: list[list[str]] = []
    parts = sorted((course_data() / "enwiki2015").glob("part*.txt.zst"))
    if not parts:
        raise FileNotFoundError(
            f"no part*.txt.zst in {course_data() / 'enwiki2015'}; data/README.md says what it holds"
        )
    for path in parts:
        with open(path, "rb") as file:
            for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8"):
                line = line.strip()
                if re.fullmatch(r"= [^=].* =", line) or not found:
                    found.append([])
                if len(line) >= 40 and not line.startswith("="):
                    found[-1].append(line)
    random.Random(seed).shuffle(found)
    return found


def text_sha256(short: bool) -> str:
    """Of all files that the text is read from, one after the other: those of `articles`, perhaps of `short_texts`."""
    digest, articles = hashlib.sha256(), (course_data() / "enwiki2015").glob("part*.txt.zst")
    for path in [*sorted(articles), *map(find, [*CAPTIONS, *NLI_FILES] if short else [])]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sentences_of(paragraph: str) -> list[str]:
    return [s for s in SENTENCE_END.split(paragraph) if len(s) >= 20]


def short_texts() -> Iterator[str]:
    """Captions, and premises and hypotheses without their labels; each distinct text once."""
    seen = set()
    columns = {name: ["caption"] for name in CAPTIONS}
    columns |= {name: ["premise", "hypothesis"] for name in NLI_FILES}
    for name, wanted in columns.items():
        for _, texts in read_tsv(find(name), *wanted):
            for text in texts:
                if text not in seen:
                    seen.add(text)
                    yield text


class LeakFilter:
    """Says whether a text may be learnt from, and counts those that may not."""

    def __init__(self):
        self.forbidden, self.dropped = forbidden_sentences(), 0

    def __call__(self, text: str) -> bool:
        leaked = len(text) < 400 and only_words(text) in self.forbidden
        self.dropped += leaked
        return not leaked
