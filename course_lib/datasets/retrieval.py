"""Retrieval sets in BEIR's format: questions, texts to search, and which text answers which question.

    load_retrieval("course/help")      the help pages of Harrowmere, an invented town
    load_retrieval("scifact")          a folder below the one that the environment variable COURSE_DATA names
    load_retrieval("/some/folder")

A folder holds corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and qrels/test.tsv (query-id, corpus-id,
score), each perhaps .gz (Thakur et al. 2021, arXiv 2104.08663).
"""

import json
import os
import re
from collections import defaultdict
from pathlib import Path

from course_lib.support.reading import numbered_lines
from course_lib.support.tables import DATA, read_tsv

RETRIEVAL_SETS = {  # folder below COURSE_DATA: where to get it
    "scifact": "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/scifact.zip",
}


def load_retrieval(
    name: str | Path = "scifact", split: str = "test"
) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Queries, corpus and answers: ({id: text}, {id: text}, {query's id: {document's id: grade}}).

    A document's text is title and text with a blank between. Answers are the rows of `split` with a score above 0,
    queries those that have one.
    Raises FileNotFoundError for a missing file, ValueError with file and line for a damaged one, an id that comes
    twice, or an answer whose query or document is not there.
    """
    folder = find_folder(name)
    queries, corpus = (
        {key: f"{row.get('title') or ''} {row['text']}".strip() for key, row in read_objects(folder, file).items()}
        for file in ("queries", "corpus")
    )
    path, relevant = plain_or_packed(folder / "qrels" / f"{split}.tsv"), defaultdict(dict)
    for line, (query, document, score) in read_tsv(path, "query-id", "corpus-id", "score"):
        if not re.fullmatch(r"-?\d{1,9}", score):
            raise ValueError(f"{path}, line {line}: the score {score!r} is not a whole number of at most nine digits")
        for what, identity, known in (("query", query, queries), ("document", document, corpus)):
            if identity not in known:
                raise ValueError(f"{path}, line {line}: there is no {what} with the id {identity!r}")
        if int(score) > 0:
            relevant[query][document] = int(score)
    return {query: text for query, text in queries.items() if query in relevant}, corpus, dict(relevant)


def load_fields(name: str | Path, file: str, field: str) -> dict[str, str]:
    """What a file says of each text beside it, in the object itself or in its "metadata": {id: value}.

        load_fields("course/help", "corpus", "title"), load_fields("course/help", "queries", "words")

    Texts without the field are left out. Raises as `load_retrieval` does.
    """
    rows = read_objects(find_folder(name), file)
    more = {identity: row.get("metadata") for identity, row in rows.items()}
    more = {identity: metadata if isinstance(metadata, dict) else {} for identity, metadata in more.items()}
    found = {identity: row.get(field, more[identity].get(field)) for identity, row in rows.items()}
    return {identity: value for identity, value in found.items() if value is not None}


def find_folder(name: str | Path) -> Path:
    """The folder of a retrieval set, as said above; FileNotFoundError says where it was looked for."""
    root = os.environ.get("COURSE_DATA")
    if str(name).startswith("course/") and (folder := DATA / str(name).removeprefix("course/")).is_dir():
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


def read_objects(folder: Path, file: str) -> dict[str, dict]:
    """From _id to the whole object, of a file of the folder with a JSON object a line. Empty lines are skipped.

    Raises ValueError with file and line for a line that is something else, an id that comes twice, text that is not
    UTF-8, and a damaged or empty file.
    """
    path, objects = plain_or_packed(folder / f"{file}.jsonl"), {}
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error}); is the file cut short?") from error
        texts = [row.get("_id"), row.get("title") or "", row.get("text")] if isinstance(row, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"{path}, line {number}: expected an object with the strings _id, text and perhaps title, "
                f"got {line.strip()[:80]}"
            )
        if row["_id"] in objects:
            raise ValueError(f"{path}, line {number}: the id {row['_id']!r} comes twice")
        objects[row["_id"]] = row
    if not objects:
        raise ValueError(f"{path} is empty: is it cut short?")
    return objects
