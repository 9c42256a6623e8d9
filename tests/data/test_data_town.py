"""Harrowmere's texts: the readers of course_lib.datasets.town, and what the datasheet says about the three sets."""

import re
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from course_lib.datasets import town
from course_lib.datasets.questions import load_questions
from course_lib.datasets.town import CatalogueItem, DuplicateQuestion, FAQEntry, FAQQuestion
from course_lib.support.texts import only_words

FAQ = "question\tanswer\ttopic\nWhere?\tThere.\tplaces\nWhen?\tNow.\ttimes\n"
READERS = {
    town.load_duplicates: ("group", "topic", "question"),
    town.load_faq: ("question", "answer", "topic"),
    town.load_catalogue: ("item", "category", "description"),
}


@pytest.fixture
def write(tmp_path):
    def write(text, name="some.tsv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


def test_readers(write):
    path = write('question\tid\tgroup\ttopic\nIs it "on"?\t1\td1\tlamps\nÜ?\t2\td2\tlamps\n')
    assert town.load_duplicates(path) == [
        DuplicateQuestion("d1", "lamps", 'Is it "on"?'),
        DuplicateQuestion("d2", "lamps", "Ü?"),
    ]
    assert town.load_faq(str(write(FAQ))) == [
        FAQEntry("Where?", "There.", "places"),
        FAQEntry("When?", "Now.", "times"),
    ]
    path = write("item\tcategory\tdescription\r\nSaw\ttools\tCuts.\r\n")
    assert town.load_catalogue(path) == [CatalogueItem("Saw", "tools", "Cuts.")]
    path = write("question\tanswer_to\nat what hour\tWhen?\nwho\t\n", "asked.tsv")
    assert town.load_faq_questions(path, write(FAQ, "faq.tsv")) == [
        FAQQuestion("at what hour", "When?"),
        FAQQuestion("who", ""),
    ]


@pytest.mark.parametrize("load, columns", READERS.items())
def test_damaged_files(write, load, columns):
    header = "\t".join(columns) + "\n"
    with pytest.raises(ValueError, match=r"some\.tsv has a header and no rows"):
        load(write(header))
    for empty, column in enumerate(columns):
        row = "\t".join(" " if i == empty else "b" for i in range(3))
        with pytest.raises(ValueError, match=rf"some\.tsv, line 3: the column {column} is empty"):
            load(write(f"{header}a\ta\ta\n{row}\n"))
    with pytest.raises(ValueError, match=r"some\.tsv, line 2: 2 columns, expected 3"):
        load(write(header + "a\tb\n"))
    with pytest.raises(
        ValueError, match=rf"some\.tsv: no column {columns[2]}; the header has {columns[0]}, {columns[1]}"
    ):
        load(write("\t".join(columns[:2]) + "\n"))
    with pytest.raises(ValueError, match=r"some\.tsv is not UTF-8"):
        load(write(header.encode() + b"\xff\ta\tb\n"))
    with pytest.raises(FileNotFoundError, match="course/nothing.*there are course/"):
        load("course/nothing")


def test_damaged_faq(write):
    with pytest.raises(ValueError, match=r"faq\.tsv, line 4: the question 'Where\?' comes twice"):
        town.load_faq(write(FAQ + "Where?\tHere.\tplaces\n", "faq.tsv"))
    faq = write(FAQ, "faq.tsv")
    with pytest.raises(ValueError, match=r"some\.tsv, line 3: no question of .*faq\.tsv reads 'where\?'"):
        town.load_faq_questions(write("question\tanswer_to\na\tWhere?\nb\twhere?\n"), faq)
    with pytest.raises(ValueError, match=r"some\.tsv, line 2: the column question is empty"):
        town.load_faq_questions(write("question\tanswer_to\n\tWhere?\n"), faq)


@pytest.fixture(scope="module")
def duplicates():
    return town.load_duplicates()


@pytest.fixture(scope="module")
def faq():
    return town.load_faq(), town.load_faq_questions()


@pytest.fixture(scope="module")
def catalogue():
    return town.load_catalogue()


def overlaps(texts, others):
    """Shared words divided by all words of each pair. Shape (texts, others)."""
    a, b = ([set(only_words(text).split()) for text in group] for group in (texts, others))
    return np.array([[len(x & y) / len(x | y) for y in b] for x in a])


def nearest(scores):
    """The index of the best other row for each row of scores, shape (n, n)."""
    scores = scores.copy()
    np.fill_diagonal(scores, -2.0)
    return scores.argmax(1)


def test_no_text_twice_and_none_of_other_sets(duplicates, faq, catalogue):
    entries, asked = faq
    texts = (
        [d.question for d in duplicates]
        + [a.question for a in asked]
        + [t for e in entries for t in (e.question, e.answer)]
    )
    texts += [t for c in catalogue for t in (c.item, c.description)]
    counts = Counter(map(only_words, texts))
    assert [text for text, count in counts.items() if count > 1] == []
    assert [q.question for q in load_questions() if only_words(q.question) in counts] == []
    assert [text for text in texts if re.search(r'["—–]|\s\s|^\s|\s$', text) or not text.isprintable()] == []


def test_duplicates_are_150_groups_of_four_in_15_topics(duplicates):
    assert [d.group for d in duplicates] == [f"d{n:03d}" for n in range(1, 151) for _ in range(4)]
    assert Counter(d.topic for d in duplicates).most_common() == [
        (topic, 40) for topic in dict.fromkeys(d.topic for d in duplicates)
    ]
    assert len({(d.group, d.topic) for d in duplicates}) == 150
    lengths = [len(d.question.split()) for d in duplicates]
    assert (min(lengths), max(lengths)) == (3, 27)
    assert all(len(d.question) > 8 for d in duplicates)


def test_words_mislead_about_duplicates(duplicates):
    groups = np.array([int(d.group[1:]) for d in duplicates])
    words = overlaps(*[[d.question for d in duplicates]] * 2)
    i, j = np.triu_indices(len(groups), 1)
    alike = words[i, j] >= 0.5
    other = alike & (groups[i] != groups[j])
    twins = other & (abs(groups[i] - groups[j]) == 1)
    assert other.sum() >= 80 and twins.sum() >= 70
    assert len({group for k in np.flatnonzero(twins) for group in (groups[i[k]], groups[j[k]])}) >= 80
    assert (alike & (groups[i] == groups[j])).sum() <= 5


def test_minilm_on_duplicates(duplicates, minilm):
    groups = np.array([d.group for d in duplicates])
    vectors = minilm.encode([d.question for d in duplicates])
    i, j = np.triu_indices(len(groups), 1)
    same, found = groups[i] == groups[j], {}
    for name, scores in (("MiniLM", vectors @ vectors.T), ("words", overlaps(*[[d.question for d in duplicates]] * 2))):
        found[name] = average_precision_score(same, scores[i, j]), np.mean(groups[nearest(scores)] == groups)
        print(
            f"{name}: average precision of pairs {found[name][0]:.3f}, "
            f"nearest neighbour in the same group {found[name][1]:.3f}"
        )
    assert found["MiniLM"][0] >= 0.42 and found["MiniLM"][1] >= 0.6
    assert found["words"][0] <= 0.1 and found["words"][1] <= 0.25


def test_faq_sizes(faq):
    entries, asked = faq
    assert len(entries) == 60 and set(Counter(e.topic for e in entries).values()) == {3, 4, 5}
    assert all(20 <= len(e.answer.split()) <= 60 and e.question.endswith("?") for e in entries)
    answered = Counter(a.answer_to for a in asked)
    assert answered.pop("") == 40 and Counter(answered.values()) == {1: 40, 2: 20} and len(answered) == 60
    assert [a.answer_to == "" for a in asked] == [False] * 80 + [True] * 40
    shared = overlaps([a.question for a in asked[:80]], [e.question for e in entries])
    assert shared.max() < 0.45


def test_minilm_on_the_faq(faq, minilm):
    entries, asked = faq
    gold = np.array([next((k for k, e in enumerate(entries) if e.question == a.answer_to), -1) for a in asked])
    texts = {
        "question": [e.question for e in entries],
        "question and answer": [f"{e.question} {e.answer}" for e in entries],
    }
    queries = minilm.encode([a.question for a in asked])
    found = {}
    for name, corpus in texts.items():
        scores = queries @ minilm.encode(corpus).T
        top, close, far = scores.max(1), np.r_[:100], np.r_[:80, 100:120]
        found[name] = (
            np.mean(scores[:80].argmax(1) == gold[:80]),
            *(roc_auc_score(gold[k] >= 0, top[k]) for k in (np.r_[:120], close, far)),
        )
        print(
            f"{name}: accuracy@1 {found[name][0]:.3f}, AUC of the best score {found[name][1]:.3f}, "
            f"close {found[name][2]:.3f}, far {found[name][3]:.3f}"
        )
    words = overlaps([a.question for a in asked[:80]], texts["question and answer"])
    by_words = np.mean(words.argmax(1) == gold[:80])
    print(f"words: accuracy@1 {by_words:.3f}")
    assert by_words < 0.4
    both = found["question and answer"]
    assert both[0] >= 0.8 and both[0] > found["question"][0]
    assert both[1] >= 0.85 and both[2] < 0.9 < both[3]


def test_catalogue_sizes(catalogue):
    counts = Counter(c.category for c in catalogue)
    assert len(counts) == 10 and set(counts.values()) == {20}
    assert all(15 <= len(c.description.split()) <= 45 and c.description.endswith(".") for c in catalogue)


def test_minilm_on_the_catalogue(catalogue, minilm):
    categories = np.array([c.category for c in catalogue])
    found = {}
    for name, texts in (("description", [c.description for c in catalogue]), ("item", [c.item for c in catalogue])):
        vectors = minilm.encode(texts)
        found[name] = np.mean(categories[nearest(vectors @ vectors.T)] == categories)
    words = overlaps(*[[c.description for c in catalogue]] * 2)
    found["words"] = np.mean(categories[nearest(words)] == categories)
    print("nearest neighbour in the same category:", {name: round(float(share), 3) for name, share in found.items()})
    assert found["description"] >= 0.55 and found["words"] < found["description"] - 0.1
