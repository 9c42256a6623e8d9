"""Examples by name: natural language inference (NLI), graded similarity (STS), paraphrases, captions, translations, questions, retrieval.

    load_nli("course/nli")        written for this course
    load_nli("snli/train")        a public set, in the folder named by the environment variable COURSE_DATA
    load_nli("/some/where.tsv")   any file

tables.py says what else a name may be, what a file looks like, and what is raised where one is missing or damaged.
"""

import logging
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from course_lib.support.tables import (
    CAPTION_COLUMNS,
    NLI_COLUMNS,
    QUESTION_COLUMNS,
    SICK_COLUMNS,
    STS_COLUMNS,
    TRANSLATION_COLUMNS,
    find,
    find_folder,
    plain_or_packed,
    read_header,
    read_objects,
    read_texts,
    read_tsv,
)

LABELS = {"contradiction": 0, "entailment": 1, "neutral": 2}
QUESTION_LABELS = {"abbreviation": 0, "description": 1, "entity": 2, "human": 3, "location": 4, "numeric": 5}
TREC_LABELS = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "human",
    "LOC": "location",
    "NUM": "numeric",
}

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


@dataclass(frozen=True)
class Translation:
    """A sentence in two languages.

    alignment: pairs of positions (English word, Spanish word), counted from 0 over the words between blanks, for words
    that mean the same; empty where nobody aligned them. split: "train", "dev" or "test"; empty where the file has none.
    """

    english: str
    spanish: str
    alignment: tuple[tuple[int, int], ...] = ()
    split: str = ""


@dataclass(frozen=True)
class Question:
    """What kind of answer does it ask for? `label` is a value of QUESTION_LABELS. fine: TREC's finer class, or empty."""

    question: str
    label: int
    fine: str = ""
    split: str = ""


def load_nli(name: str | Path = "course/nli") -> list[NLIExample]:
    """The examples of an NLI file, in its order.

    Columns label, premise, hypothesis; or, as in course/nli, premise, entailment, neutral, contradiction: a
    hypothesis for each label, so that a row gives three examples. Rows without a gold label ("-" or empty:
    the annotators did not agree) are skipped, and their number logged at level INFO. Any other unknown label
    raises ValueError.
    """
    path = find(name)
    if set(LABELS) <= set(read_header(path)):
        order = ("entailment", "neutral", "contradiction")
        return [
            NLIExample(premise, hypothesis, LABELS[label])
            for _, (premise, *hypotheses) in read_tsv(path, "premise", *order)
            for label, hypothesis in zip(order, hypotheses)
        ]
    examples, skipped = [], 0
    for line, (label, premise, hypothesis) in read_tsv(path, *NLI_COLUMNS):
        if label in ("-", ""):
            skipped += 1
        elif label in LABELS:
            examples.append(NLIExample(premise, hypothesis, LABELS[label]))
        else:
            raise ValueError(
                f"{path}, line {line}: unknown label {label!r}, expected "
                f"{', '.join(LABELS)} (or - for a row without a gold label)"
            )
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


def load_translations(name: str | Path = "course/en_es") -> list[Translation]:
    """The sentence pairs of a file with the columns english, spanish, and perhaps alignment ("0-0 1-2") and split.

    Texts are as in the file; `course_lib.translation.vocabulary.words` cuts them into words, all files alike. "tatoeba" is short for
    "tatoeba_en_es/eng_spa". An alignment that is not pairs of words of the two texts raises ValueError with file and line.
    """
    path, pairs = find("tatoeba_en_es/eng_spa" if name == "tatoeba" else name), []
    more = [column for column in ("alignment", "split") if column in read_header(path)]
    for line, (english, spanish, *values) in read_tsv(path, *TRANSLATION_COLUMNS, *more):
        values = dict(zip(more, values))
        links = _links(values.get("alignment", ""))
        if links is None or any(i >= len(english.split()) or j >= len(spanish.split()) for i, j in links):
            raise ValueError(
                f"{path}, line {line}: the alignment {values['alignment']!r} is not a list like '0-0 1-2' of positions "
                f"in {len(english.split())} English and {len(spanish.split())} Spanish words, counted from 0"
            )
        pairs.append(Translation(english, spanish, links, values.get("split", "")))
    return pairs


def _links(text: str) -> tuple[tuple[int, int], ...] | None:
    """ "0-0 1-2" -> ((0, 0), (1, 2)); None if it is anything else."""
    if not re.fullmatch(r"(\d+-\d+( |$))*", text, re.ASCII):
        return None
    numbers = [int(number) for number in text.replace("-", " ").split()]
    return tuple(zip(numbers[::2], numbers[1::2]))


def load_questions(name: str | Path = "course/questions") -> list[Question]:
    """The questions of a file: columns label and question, and perhaps split; or, as in trec_questions, coarse, fine, question.

    An unknown label raises ValueError with file and line.
    """
    path, questions = find(name), []
    header = read_header(path)
    columns = (
        QUESTION_COLUMNS if "coarse" in header else ("label", *(["split"] if "split" in header else []), "question")
    )
    for line, (label, *more, question) in read_tsv(path, *columns):
        label = TREC_LABELS.get(label, label)
        if label not in QUESTION_LABELS:
            raise ValueError(f"{path}, line {line}: unknown label {label!r}, expected {', '.join(QUESTION_LABELS)}")
        questions.append(
            Question(question, QUESTION_LABELS[label], **{"fine" if "coarse" in header else "split": "".join(more)})
        )
    return questions


def load_retrieval(
    name: str | Path = "scifact", split: str = "test"
) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Queries, corpus and answers of a folder in BEIR's format: ({id: text}, {id: text}, {query's id: {document's id: grade}}).

    The folder holds corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and qrels/test.tsv (query-id, corpus-id, score),
    each perhaps .gz. A document's text is title and text with a blank between. Answers are the rows of `split` with a score
    above 0, queries those that have one (Thakur et al. 2021, arXiv 2104.08663).
    Raises FileNotFoundError for a missing file, ValueError with file and line for a damaged one, an id that comes twice, or an
    answer whose query or document is not there.
    """
    folder = find_folder(name)
    corpus, queries = (read_texts(plain_or_packed(folder / file)) for file in ("corpus.jsonl", "queries.jsonl"))
    path, relevant = plain_or_packed(folder / "qrels" / f"{split}.tsv"), defaultdict(dict)
    for line, (query, document, score) in read_tsv(path, "query-id", "corpus-id", "score"):
        if not re.fullmatch(r"-?\d+", score):
            raise ValueError(f"{path}, line {line}: the score {score!r} is not a whole number")
        if query not in queries or document not in corpus:
            raise ValueError(
                f"{path}, line {line}: there is no {'document' if query in queries else 'query'} with the id "
                f"{document if query in queries else query!r}"
            )
        if int(score) > 0:
            relevant[query][document] = int(score)
    return {query: text for query, text in queries.items() if query in relevant}, corpus, dict(relevant)


def load_fields(name: str | Path, file: str, field: str) -> dict[str, str]:
    """What a file of `load_retrieval`'s folder says of each text beside it, in the object itself or in its "metadata": {id: value}.

        load_fields("course/help", "corpus", "title"), load_fields("course/help", "queries", "words")

    Texts without the field are left out. Raises as `load_retrieval` does.
    """
    rows = read_objects(plain_or_packed(find_folder(name) / f"{file}.jsonl"))
    found = {identity: row.get(field, (row.get("metadata") or {}).get(field)) for identity, row in rows.items()}
    return {identity: value for identity, value in found.items() if value is not None}


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
