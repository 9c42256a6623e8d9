"""Captions by image, and pairs of captions of one image: near-paraphrases that nobody had to label.

Names, files and errors are those of support/tables.py.
"""

import random
from collections import defaultdict
from pathlib import Path

from course_lib.support.tables import CAPTION_COLUMNS, find, read_tsv
from course_lib.support.texts import normalized


def load_captions(name: str | Path, split: str = "") -> dict[str, list[str]]:
    """Image -> its captions, both in the order of the file: columns image, caption; with a `split`, its rows alone."""
    captions = defaultdict(list)
    for _, (image, caption, *of) in read_tsv(find(name), *CAPTION_COLUMNS, *(["split"] if split else [])):
        if of == ([split] if split else []):
            captions[image].append(caption)
    return dict(captions)


def caption_pairs(name: str | Path, seed: int) -> list[tuple[str, str]]:
    """Pairs of two captions of one image, drawn at random.

    No caption is used twice, so five captions give two pairs and one is left over; images keep the order of
    the file. A pair of one text twice, but for case and punctuation, is left out.
    """
    generator, pairs = random.Random(seed), []
    for captions in load_captions(name).values():
        generator.shuffle(captions)
        pairs += zip(captions[::2], captions[1::2])  # an odd one out has no partner
    return [(a, b) for a, b in pairs if normalized(a) != normalized(b)]
