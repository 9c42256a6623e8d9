"""The texts of Harrowmere, an invented town: what residents ask, the town's FAQ, what its Library of Things lends.

    load_duplicates()          questions that ask the same thing, in groups, for finding duplicates
    load_faq()                 questions and their answers
    load_faq_questions()       what residents ask, and which entry of the FAQ answers it, if any
    load_catalogue()           things to borrow, by category

Each reads the course's own file (data/README.md says how it was made), or any file with the same columns: names are
those of support/tables.py. An empty cell, a missing column or a ragged row raises ValueError with file and line.
The town's help pages are a retrieval set: `load_retrieval("course/help")` of retrieval.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.support.tables import find, read_tsv


@dataclass(frozen=True)
class DuplicateQuestion:
    """Questions of one `group` ask the same thing; questions of two groups never do, however alike they look."""

    group: str
    topic: str
    question: str


@dataclass(frozen=True)
class FAQEntry:
    """A question that is asked often, in the town's words, and its answer."""

    question: str
    answer: str
    topic: str


@dataclass(frozen=True)
class FAQQuestion:
    """A resident's question. answer_to: the `question` of the FAQEntry that answers it; empty where none does."""

    question: str
    answer_to: str


@dataclass(frozen=True)
class CatalogueItem:
    """A thing that can be borrowed: its name, its shelf, what it is for and for whom."""

    item: str
    category: str
    description: str


def load_duplicates(name: str | Path = "course/duplicates") -> list[DuplicateQuestion]:
    """The questions of a file with the columns group, topic, question, in its order."""
    return [DuplicateQuestion(*texts) for _, texts in _filled(find(name), "group", "topic", "question")]


def load_faq(name: str | Path = "course/faq") -> list[FAQEntry]:
    """The entries of a file with the columns question, answer, topic. A question that comes twice raises ValueError."""
    path, entries = find(name), {}
    for line, (question, answer, topic) in _filled(path, "question", "answer", "topic"):
        if question in entries:
            raise ValueError(f"{path}, line {line}: the question {question!r} comes twice; join the two answers")
        entries[question] = FAQEntry(question, answer, topic)
    return list(entries.values())


def load_faq_questions(name: str | Path = "course/faq_questions", faq: str | Path = "course/faq") -> list[FAQQuestion]:
    """The questions of a file with the columns question, answer_to, which is empty or the text of a question of `faq`.

    Any other answer_to raises ValueError with file and line.
    """
    path, known = find(name), {entry.question for entry in load_faq(faq)}
    questions = []
    for line, texts in _filled(path, "question", "answer_to", may_be_empty="answer_to"):
        questions.append(FAQQuestion(*texts))
        if questions[-1].answer_to not in known | {""}:
            raise ValueError(f"{path}, line {line}: no question of {faq} reads {questions[-1].answer_to!r}")
    return questions


def load_catalogue(name: str | Path = "course/catalogue") -> list[CatalogueItem]:
    """The things of a file with the columns item, category, description, in its order."""
    return [CatalogueItem(*texts) for _, texts in _filled(find(name), "item", "category", "description")]


def _filled(path: Path, *columns: str, may_be_empty: str = "") -> Iterator[tuple[int, list[str]]]:
    """The rows of read_tsv; a cell without text raises ValueError with file, line and column."""
    for line, texts in read_tsv(path, *columns):
        for column, text in zip(columns, texts):
            if not text.strip() and column != may_be_empty:
                raise ValueError(f"{path}, line {line}: the column {column} is empty")
        yield line, texts
