"""Examples by name: natural language inference (NLI), graded similarity (STS), pairs, triplets; and recorded results.

A name is "course/nli" (written for this course), "snli/train" (a public set, below the folder that the environment
variable COURSE_DATA names) or a path. support/tables.py says what a file looks like, and what is raised where one is
missing or damaged. What single chapters read lies in datasets/.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course_lib.support.folders import COURSE_HOME
from course_lib.support.reading import reading
from course_lib.support.tables import NLI_COLUMNS, STS_COLUMNS, find, read_header, read_tsv
from course_lib.support.texts import normalized

LABELS = {"contradiction": 0, "entailment": 1, "neutral": 2}

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
    """The examples of an NLI file, in its order: columns label, premise, hypothesis.

    Or, as in course/nli, premise, entailment, neutral, contradiction: a hypothesis for each label, so that a row gives
    three examples. Rows whose label is "-" or empty (the annotators did not agree) are skipped, and their number logged
    at level INFO. Any other unknown label raises ValueError with file and line.
    """
    path, examples, skipped = find(name), [], 0
    if set(LABELS) <= set(read_header(path)):
        order = ("entailment", "neutral", "contradiction")
        return [
            NLIExample(premise, hypothesis, LABELS[label])
            for _, (premise, *hypotheses) in read_tsv(path, "premise", *order)
            for label, hypothesis in zip(order, hypotheses)
        ]
    for line, (label, premise, hypothesis) in read_tsv(path, *NLI_COLUMNS):
        if label in LABELS:
            examples.append(NLIExample(premise, hypothesis, LABELS[label]))
        elif label in ("-", ""):
            skipped += 1
        else:
            known = f"{', '.join(LABELS)} (or - for a row without a gold label)"
            raise ValueError(f"{path}, line {line}: unknown label {label!r}, expected {known}")
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
    return [
        (premise, positive, negatives[i % len(negatives)])
        for premise, (negatives, positives, _) in hypotheses.items()
        if negatives
        for i, positive in enumerate(positives)
        if normalized(positive) != normalized(negatives[i % len(negatives)])
    ]


def load_results(name: str) -> pd.DataFrame:
    """What recipes measured, a number a row: load_results("06") is data/results/06.csv.

    An empty cell is NaN in a column of numbers, "" in one of texts. Another name raises FileNotFoundError, which lists
    those that exist.
    """
    path = COURSE_HOME / "data" / "results" / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv")))
        raise FileNotFoundError(f"no results {name!r} in {path.parent}: there are {known or 'none'}")
    with reading(path, "CSV"):
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    return table.fillna(dict.fromkeys(table.select_dtypes(exclude="number"), ""))
