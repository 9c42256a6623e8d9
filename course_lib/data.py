"""Sentence pairs by name: natural language inference (NLI), graded similarity (STS), paraphrases, captions.

A name is one of
    course/nli, course/sts, course/pairs   a file of data/, written for this course
    snli/train, stsbenchmark/dev, ...      a file of the folder named by the environment variable COURSE_DATA:
                                           snli/train.tsv or snli/train.tsv.gz
    any path                               that file
and a file is UTF-8 text, plain or .gz: a header, tab-separated columns, no quoting. Columns are found by
their name in the header; others are ignored. A row with too few or too many columns raises ValueError with
file and line.

Left out on purpose: downloading. The public homes of these sets (PUBLIC_SETS) serve parquet or archives, each
with columns of its own; a name that is not found raises FileNotFoundError, which says where to get the set
and as what to save it.
"""
import csv
import gzip
import logging
import os
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from course_lib.checkpoints import COURSE_HOME

LABELS = {"contradiction": 0, "entailment": 1, "neutral": 2}

NLI_COLUMNS = ("label", "premise", "hypothesis")
STS_COLUMNS = ("score", "sentence1", "sentence2")
CAPTION_COLUMNS = ("image", "caption")
SICK_COLUMNS = ("sentence_A", "sentence_B")

PUBLIC_SETS = {  # folder below COURSE_DATA: (where to get it, the columns to save)
    "snli": ("https://huggingface.co/datasets/stanfordnlp/snli", NLI_COLUMNS),
    "multinli": ("https://huggingface.co/datasets/nyu-mll/multi_nli", NLI_COLUMNS),
    "cad_nli": ("https://github.com/acmi-lab/counterfactually-augmented-data", NLI_COLUMNS),
    "wiki_nli": ("https://github.com/nyu-mll/semi-automatic-nli", NLI_COLUMNS),
    "stsbenchmark": ("https://huggingface.co/datasets/sentence-transformers/stsb (scores x 5)", STS_COLUMNS),
    "captions": ("https://shannon.cs.illinois.edu/DenotationGraph (Flickr30k; Flickr8k likewise)", CAPTION_COLUMNS),
    "sick": ("https://zenodo.org/record/2787612", SICK_COLUMNS),
}

_COURSE = COURSE_HOME / "data"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NLIExample:
    """Does the premise entail the hypothesis, contradict it, or neither? `label` is a value of LABELS."""

    premise: str
    hypothesis: str
    label: int


@dataclass(frozen=True)
class ScoredPair:
    """Two sentences and how alike people found them: 0 (nothing in common) to 1 (the same meaning)."""

    sentence1: str
    sentence2: str
    score: float


def load_nli(name: str | Path = "course/nli") -> list[NLIExample]:
    """The examples of an NLI file, in its order.

    Columns label, premise, hypothesis; or, as in course/nli, premise, entailment, neutral, contradiction: a
    hypothesis for each label, so that a row gives three examples. Rows without a gold label ("-" or empty:
    the annotators did not agree) are skipped, and their number logged at level INFO. Any other unknown label
    raises ValueError.
    """
    path = find(name)
    if set(LABELS) <= set(_header(path)):
        order = ("entailment", "neutral", "contradiction")
        return [NLIExample(premise, hypothesis, LABELS[label])
                for _, (premise, *hypotheses) in read_tsv(path, "premise", *order)
                for label, hypothesis in zip(order, hypotheses)]
    examples, skipped = [], 0
    for line, (label, premise, hypothesis) in read_tsv(path, *NLI_COLUMNS):
        if label in ("-", ""):
            skipped += 1
        elif label in LABELS:
            examples.append(NLIExample(premise, hypothesis, LABELS[label]))
        else:
            raise ValueError(f"{path}, line {line}: unknown label {label!r}, expected "
                             f"{', '.join(LABELS)} (or - for a row without a gold label)")
    if skipped:
        _log.info("%s: skipped %d rows without a gold label, kept %d", path, skipped, len(examples))
    return examples


def load_sts(name: str | Path = "course/sts") -> list[ScoredPair]:
    """The pairs of an STS file: columns score, sentence1, sentence2. Scores of 0..5 in the file become 0..1.

    A score that is not a number of 0..5 raises ValueError with file and line.
    """
    path, pairs = find(name), []
    for line, (text, sentence1, sentence2) in read_tsv(path, *STS_COLUMNS):
        try:
            score = float(text)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 5:
            raise ValueError(f"{path}, line {line}: the score {text!r} is not a number from 0 to 5")
        pairs.append(ScoredPair(sentence1, sentence2, score / 5))
    return pairs


def load_pairs(name: str | Path = "course/pairs") -> list[tuple[str, str]]:
    """The pairs of texts that belong together of a file with the columns sentence1, sentence2."""
    return [(a, b) for _, (a, b) in read_tsv(find(name), "sentence1", "sentence2")]


def load_triplets(name: str | Path = "course/nli") -> list[tuple[str, str, str]]:
    """Anchor, positive and hard negative from an NLI file: a premise, what it entails, what it contradicts.

    Each entailed hypothesis of a premise that also has contradicted ones is used once, the contradicted ones
    in turn. A triplet whose positive and negative are the same text (annotators differ) is left out.
    """
    hypotheses = defaultdict(lambda: ([], [], []))  # premise -> hypotheses by label, in the order of LABELS
    for example in load_nli(name):
        hypotheses[example.premise][example.label].append(example.hypothesis)
    return [(premise, positive, negatives[i % len(negatives)])
            for premise, (negatives, positives, _) in hypotheses.items() if negatives
            for i, positive in enumerate(positives)
            if normalized(positive) != normalized(negatives[i % len(negatives)])]


def caption_pairs(name: str | Path, seed: int) -> list[tuple[str, str]]:
    """Pairs of two captions of one image, drawn at random: near-paraphrases. Columns image, caption.

    No caption is used twice, so five captions give two pairs and one is left over; images keep the order of
    the file. A pair of one text twice, but for case and punctuation, is left out.
    """
    captions = defaultdict(list)
    for _, (image, caption) in read_tsv(find(name), *CAPTION_COLUMNS):
        captions[image].append(caption)
    generator = random.Random(seed)
    pairs = []
    for of_image in captions.values():
        generator.shuffle(of_image)
        pairs += zip(of_image[::2], of_image[1::2])  # an odd one out has no partner
    return [(a, b) for a, b in pairs if normalized(a) != normalized(b)]


def normalized(text: str) -> str:
    """The lower-cased words of letters and digits, one blank between: how texts are compared for leaks.

    >>> normalized("A  man's RED motor-cycle!")
    'a man s red motor cycle'
    """
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def forbidden_sentences() -> set[str]:
    """The normalized sentences of STSb dev and SICK trial. Models are measured on them, never trained.

    Raises FileNotFoundError without COURSE_DATA, rather than let everything pass.
    """
    sts = read_tsv(find("stsbenchmark/dev"), "sentence1", "sentence2")
    sick = read_tsv(find("sick/trial"), *SICK_COLUMNS)
    return {normalized(sentence) for _, pair in chain(sts, sick) for sentence in pair}


def find(name: str | Path) -> Path:
    """The file that a name stands for, as said above; FileNotFoundError says where it was looked for."""
    folder, _, file = str(name).partition("/")
    if folder == "course":
        if (path := _COURSE / f"{file}.tsv").is_file():
            return path
        known = ", ".join(f"course/{path.stem}" for path in sorted(_COURSE.glob("*.tsv")))
        raise FileNotFoundError(f"no data set {str(name)!r} in {_COURSE}: there are {known or 'none'}")
    if Path(name).is_file():
        return Path(name)
    root = os.environ.get("COURSE_DATA")
    places = [Path(root, f"{name}{ending}") for ending in (".tsv", ".tsv.gz")] if root else []
    for path in places:
        if path.is_file():
            return path
    looked = f"neither {places[0]} nor {places[1].name} exists" if root else "COURSE_DATA is not set"
    if folder not in PUBLIC_SETS:
        raise FileNotFoundError(f"no data set {str(name)!r}: it is not a file, {looked}, and the sets known "
                                f"by name are course, {', '.join(PUBLIC_SETS)}")
    home, columns = PUBLIC_SETS[folder]
    raise FileNotFoundError(
        f"no data set {str(name)!r}: {looked}. The environment variable COURSE_DATA names a folder of public "
        f"data sets. Get this one from {home} and save it there as {name}.tsv: "
        f"UTF-8, tab-separated, a header, no quotes, the columns {', '.join(columns)}")


def read_tsv(path: str | Path, *columns: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and the values of `columns`, in the order asked for, of each row of a tab-separated file.

    Raises ValueError for a missing column, naming those that are there, for a row whose number of columns is
    not the header's, an empty line included, and for text that is not UTF-8.
    """
    with _open(path) as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(reader, [])
        if missing := [column for column in columns if column not in header]:
            raise ValueError(f"{path}: no column {', '.join(missing)}; "
                             f"the header has {', '.join(header) or 'none'}")
        wanted = [header.index(column) for column in columns]
        for row in reader:
            if len(row) != len(header):
                raise ValueError(f"{path}, line {reader.line_num}: {len(row)} columns, expected "
                                 f"{len(header)} as in the header (a tab or line break inside a text?)")
            yield reader.line_num, [row[i] for i in wanted]


def _header(path: Path) -> list[str]:
    with _open(path) as file:
        return file.readline().rstrip("\r\n").split("\t")


@contextmanager
def _open(path: str | Path):
    """The text of a plain or .gz file; what is not UTF-8 raises ValueError with the file's name."""
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:  # -sig: skips a mark
            yield file
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
