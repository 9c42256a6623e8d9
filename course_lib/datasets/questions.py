"""Questions, and which of six kinds of answer each asks for: the classes of TREC (Li and Roth 2002).

Names, files and errors are those of support/tables.py.
"""

from dataclasses import dataclass
from pathlib import Path

from course_lib.support.tables import QUESTION_COLUMNS, find, read_header, read_tsv

QUESTION_LABELS = {"abbreviation": 0, "description": 1, "entity": 2, "human": 3, "location": 4, "numeric": 5}
TREC_LABELS = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "human",
    "LOC": "location",
    "NUM": "numeric",
}


@dataclass(frozen=True)
class Question:
    """What kind of answer does it ask for? `label`: one of QUESTION_LABELS. fine: TREC's finer class, or empty."""

    question: str
    label: int
    fine: str = ""
    split: str = ""


def load_questions(name: str | Path = "course/questions") -> list[Question]:
    """The questions of a file: columns label and question, and perhaps split.

    Or, as in trec_questions, coarse, fine and question. An unknown label raises ValueError with file and line.
    """
    path, questions = find(name), []
    header = read_header(path)
    more = "fine" if "coarse" in header else "split"  # the column besides label and question, if it is there
    columns = QUESTION_COLUMNS if "coarse" in header else ("label", *([more] if more in header else []), "question")
    for line, (label, *value, question) in read_tsv(path, *columns):
        label = TREC_LABELS.get(label, label)
        if label not in QUESTION_LABELS:
            raise ValueError(f"{path}, line {line}: unknown label {label!r}, expected {', '.join(QUESTION_LABELS)}")
        questions.append(Question(question, QUESTION_LABELS[label], **dict(zip([more], value))))
    return questions
