"""Tables by name: where the files of the course and of public data sets lie, and their rows.

A name is one of
    course/nli, course/sts, ...            a file of data/, written for this course: data/nli.tsv or nli.tsv.gz
    snli/train, stsbenchmark/dev, ...      a file of the folder named by the environment variable COURSE_DATA:
                                           snli/train.tsv or snli/train.tsv.gz
    any path                               that file
and a file is UTF-8 text, plain or .gz: a header, tab-separated columns, no quoting. Columns are found by
their name in the header; others are ignored. A row with too few or too many columns raises ValueError with
file and line, and so do a file without rows and one that is damaged.

Left out on purpose: downloading. The public homes of these sets (PUBLIC_SETS) serve parquet or archives, each
with columns of its own; a name that is not found raises FileNotFoundError, which says where to get the set
and as what to save it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from course_lib.support.folders import ADVICE, COURSE_HOME
from course_lib.support.reading import numbered_lines

NLI_COLUMNS = ("label", "premise", "hypothesis")
STS_COLUMNS = ("score", "sentence1", "sentence2")
CAPTION_COLUMNS = ("image", "caption")
SICK_COLUMNS = ("sentence_A", "sentence_B")
TRANSLATION_COLUMNS = ("english", "spanish")
QUESTION_COLUMNS = ("coarse", "fine", "question")

PUBLIC_SETS = {  # folder below COURSE_DATA: (where to get it, the columns to save)
    "snli": ("https://huggingface.co/datasets/stanfordnlp/snli", NLI_COLUMNS),
    "multinli": ("https://huggingface.co/datasets/nyu-mll/multi_nli", NLI_COLUMNS),
    "cad_nli": ("https://github.com/acmi-lab/counterfactually-augmented-data", NLI_COLUMNS),
    "wiki_nli": ("https://github.com/nyu-mll/semi-automatic-nli", NLI_COLUMNS),
    "stsbenchmark": ("https://huggingface.co/datasets/sentence-transformers/stsb (scores x 5)", STS_COLUMNS),
    "captions": ("https://shannon.cs.illinois.edu/DenotationGraph (Flickr30k; Flickr8k likewise)", CAPTION_COLUMNS),
    "sick": ("https://zenodo.org/record/2787612", SICK_COLUMNS),
    "trec_questions": ("https://cogcomp.seas.upenn.edu/Data/QA/QC", QUESTION_COLUMNS),
    "tatoeba_en_es": ("https://www.manythings.org/anki (spa-eng, from tatoeba.org)", TRANSLATION_COLUMNS),
}

_ENDINGS = (".tsv", ".tsv.gz")
DATA = COURSE_HOME / "data"


def find(name: str | Path) -> Path:
    """The file that a name stands for, as said above; FileNotFoundError says where it was looked for."""
    folder, _, file = str(name).partition("/")
    if folder == "course":
        for ending in _ENDINGS:
            if (path := DATA / f"{file}{ending}").is_file():
                return path
        known = ", ".join(f"course/{path.name.partition('.')[0]}" for path in sorted(DATA.glob("*.tsv*")))
        raise FileNotFoundError(f"no data set {str(name)!r} in {DATA}: there are {known or 'none'}{ADVICE}")
    if Path(name).is_file():
        return Path(name)
    root = os.environ.get("COURSE_DATA")
    places = [Path(root, f"{name}{ending}") for ending in _ENDINGS] if root else []
    for path in places:
        if path.is_file():
            return path
    looked = f"neither {places[0]} nor {places[1].name} exists" if root else "COURSE_DATA is not set"
    if folder not in PUBLIC_SETS:
        raise FileNotFoundError(
            f"no data set {str(name)!r}: it is not a file, {looked}, and the sets known "
            f"by name are course, {', '.join(PUBLIC_SETS)}"
        )
    home, columns = PUBLIC_SETS[folder]
    raise FileNotFoundError(
        f"no data set {str(name)!r}: {looked}. The environment variable COURSE_DATA names a folder of public "
        f"data sets. Get this one from {home} and save it there as {name}.tsv: "
        f"UTF-8, tab-separated, a header, no quotes, the columns {', '.join(columns)}"
    )


def read_tsv(path: str | Path, *columns: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and the values of `columns`, in the order asked for, of each row of a tab-separated file.

    Raises ValueError for a missing column, naming those that are there, for a row whose number of columns is not the
    header's, an empty line included, for a file without rows, and for one that cannot be read (reading.py).
    """
    header, number = read_header(path), 1
    if missing := [column for column in columns if column not in header]:
        raise ValueError(f"{path}: no column {', '.join(missing)}; the header has {', '.join(header) or 'none'}")
    wanted = [header.index(column) for column in columns]
    for number, line in numbered_lines(path):
        row = _cells(line)
        if number > 1 and len(row) != len(header):
            raise ValueError(
                f"{path}, line {number}: {len(row)} columns, expected "
                f"{len(header)} as in the header (a tab or line break inside a text?)"
            )
        if number > 1:
            yield number, [row[i] for i in wanted]
    if number == 1:
        raise ValueError(f"{path} has a header and no rows: is it cut short?")


def read_header(path: str | Path) -> list[str]:
    """The names of the columns; none of an empty file."""
    return next((_cells(line) for _, line in numbered_lines(path)), [])


def _cells(line: str) -> list[str]:
    line = line.rstrip("\r\n")
    return line.split("\t") if line else []
