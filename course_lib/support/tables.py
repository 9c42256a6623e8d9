"""Tables by name: where the files of the course and of public data sets lie, and their rows.

A name is one of
    course/nli, course/sts, ...            a file of data/, written for this course: data/nli.tsv or nli.tsv.gz
    snli/train, stsbenchmark/dev, ...      a file of the folder named by the environment variable COURSE_DATA:
                                           snli/train.tsv or snli/train.tsv.gz
    any path                               that file
    course/help, scifact                   of retrieval sets, a folder: of data/, below COURSE_DATA, or any path (`find_folder`)
and a file is UTF-8 text, plain or .gz: a header, tab-separated columns, no quoting. Columns are found by
their name in the header; others are ignored. A row with too few or too many columns raises ValueError with
file and line.

Left out on purpose: downloading. The public homes of these sets (PUBLIC_SETS) serve parquet or archives, each
with columns of its own; a name that is not found raises FileNotFoundError, which says where to get the set
and as what to save it.
"""

import csv
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course_lib.support.folders import COURSE_HOME

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

RETRIEVAL_SETS = {  # folder below COURSE_DATA: where to get it
    "scifact": "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/scifact.zip",
}

_ENDINGS = (".tsv", ".tsv.gz")
_COURSE = COURSE_HOME / "data"


def find(name: str | Path) -> Path:
    """The file that a name stands for, as said above; FileNotFoundError says where it was looked for."""
    folder, _, file = str(name).partition("/")
    if folder == "course":
        for ending in _ENDINGS:
            if (path := _COURSE / f"{file}{ending}").is_file():
                return path
        known = ", ".join(f"course/{path.name.partition('.')[0]}" for path in sorted(_COURSE.glob("*.tsv*")))
        raise FileNotFoundError(f"no data set {str(name)!r} in {_COURSE}: there are {known or 'none'}")
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


def find_folder(name: str | Path) -> Path:
    """The folder of a retrieval set: "course/...", a folder, or a name below COURSE_DATA. FileNotFoundError says where it was looked for."""
    root = os.environ.get("COURSE_DATA")
    if str(name).startswith("course/") and (folder := _COURSE / str(name).removeprefix("course/")).is_dir():
        return folder
    for folder in [Path(name), *([Path(root, name)] if root else [])]:
        if folder.is_dir():
            return folder
    looked = f"{Path(root, name)} does not exist" if root else "COURSE_DATA is not set"
    homes = "; ".join(f"{known}: {home}" for known, home in RETRIEVAL_SETS.items())
    raise FileNotFoundError(
        f"no retrieval set {str(name)!r}: it is not a folder, and {looked}. Save one in BEIR's format there: "
        f"corpus.jsonl, queries.jsonl, qrels/test.tsv, each perhaps .gz ({homes})"
    )


def plain_or_packed(path: Path) -> Path:
    """The file, or the same with .gz; FileNotFoundError says what lies in its folder instead."""
    packed = path.with_name(path.name + ".gz")
    if not path.is_file() and not packed.is_file():
        there = ", ".join(sorted(other.name for other in path.parent.iterdir())) if path.parent.is_dir() else ""
        raise FileNotFoundError(f"neither {path} nor {packed.name} exists; in that folder: {there or 'nothing'}")
    return path if path.is_file() else packed


def read_texts(path: Path) -> dict[str, str]:
    """From _id to text, the title before it if there is one, of a file with a JSON object a line. Empty lines are skipped.

    Raises ValueError with file and line for a line that is something else, an id that comes twice, and text that is not UTF-8.
    """
    return {identity: f"{row.get('title') or ''} {row['text']}".strip() for identity, row in read_objects(path).items()}


def read_objects(path: Path) -> dict[str, dict]:
    """From _id to the whole JSON object of `read_texts`, which says what is raised."""
    objects = {}
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error}); is the file cut short?") from error
            identity, title, text = (
                (row.get(key) for key in ("_id", "title", "text")) if isinstance(row, dict) else (None,) * 3
            )
            if not all(isinstance(value, str) for value in (identity, title or "", text)):
                raise ValueError(
                    f"{path}, line {number}: expected an object with the strings _id, text and perhaps title, got {line.strip()[:80]}"
                )
            if identity in objects:
                raise ValueError(f"{path}, line {number}: the id {identity!r} comes twice")
            objects[identity] = row
    return objects


def read_tsv(path: str | Path, *columns: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and the values of `columns`, in the order asked for, of each row of a tab-separated file.

    Raises ValueError for a missing column, naming those that are there, for a row whose number of columns is
    not the header's, an empty line included, and for text that is not UTF-8.
    """
    with _open(path) as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(reader, [])
        if missing := [column for column in columns if column not in header]:
            raise ValueError(f"{path}: no column {', '.join(missing)}; the header has {', '.join(header) or 'none'}")
        wanted = [header.index(column) for column in columns]
        for row in reader:
            if len(row) != len(header):
                raise ValueError(
                    f"{path}, line {reader.line_num}: {len(row)} columns, expected "
                    f"{len(header)} as in the header (a tab or line break inside a text?)"
                )
            yield reader.line_num, [row[i] for i in wanted]


def read_header(path: Path) -> list[str]:
    """The names of the columns."""
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
