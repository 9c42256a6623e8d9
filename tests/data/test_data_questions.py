"""The course's questions, the two baselines of their datasheet, and the reader."""

from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from course_lib.datasets.questions import QUESTION_LABELS, TREC_LABELS, Question, load_questions
from course_lib.support.texts import only_words


@pytest.fixture(scope="module")
def questions():
    return load_questions()


def test_labels_are_trecs():
    assert sorted(TREC_LABELS) == ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
    assert sorted(TREC_LABELS.values()) == list(QUESTION_LABELS) and list(QUESTION_LABELS.values()) == list(range(6))


def test_sizes_and_balance(questions):
    assert Counter(q.split for q in questions) == {"train": 1000, "test": 500}
    assert set(Counter(q.label for q in questions).values()) == {250}
    for split, shares in (("train", {166, 167}), ("test", {83, 84})):
        assert set(Counter(q.label for q in questions if q.split == split).values()) <= shares


def test_form(questions):
    for q in questions:
        assert 4 <= len(q.question.split()) <= 20 and q.question == q.question.strip() and q.fine == "", q
        assert q.question[-1] in "?." and (q.question[0].isupper() or q.question[0] == '"'), q
        assert (q.question[-1] == ".") == (q.question.split()[0] in IMPERATIVES), q


IMPERATIVES = {
    "Name",
    "Spell",
    "Give",
    "Expand",
    "Write",
    "Decode",
    "Define",
    "Describe",
    "Explain",
    "Tell",
    "Databases",
}


def test_no_near_duplicates(questions):
    sets = [set(only_words(q.question).split()) for q in questions]
    assert len({only_words(q.question) for q in questions}) == len(questions)
    close = [
        (questions[i].question, questions[j].question)
        for i, a in enumerate(sets)
        for j, b in enumerate(sets[:i])
        if len(a & b) >= 0.7 * len(a | b)
    ]
    assert close == []


def test_the_first_word_does_not_give_the_class_away(questions):
    first = {
        label: Counter(q.question.split()[0] for q in questions if q.label == label)
        for label in QUESTION_LABELS.values()
    }
    assert all(counts["What"] >= 80 for counts in first.values())
    assert all(len(counts) >= 5 for counts in first.values())


def accuracy(model, questions, texts):
    """Trained on the training questions, share of the test questions that it gets right."""
    train = np.array([q.split == "train" for q in questions])
    labels, texts = np.array([q.label for q in questions]), np.array(texts, dtype=object)
    return model.fit(texts[train], labels[train]).score(texts[~train], labels[~train])


def test_the_task_is_neither_trivial_nor_hopeless_for_a_bag_of_words(questions):
    bag = make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), LogisticRegression(C=10, max_iter=1000))
    first = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
    assert 0.65 < accuracy(bag, questions, [q.question for q in questions]) < 0.85
    assert 0.3 < accuracy(first, questions, [q.question.split()[0] for q in questions]) < 0.55


def test_reader(tmp_path):
    path = tmp_path / "q.tsv"
    path.write_text("question\tlabel\nWho is it?\thuman\n", encoding="utf-8")
    assert load_questions(path) == [Question("Who is it?", 3)]
    path.write_text("split\tid\tquestion\tlabel\ntest\t1\tWhere?\tlocation\n", encoding="utf-8")
    assert load_questions(str(path)) == [Question("Where?", 4, split="test")]
    path.write_text("coarse\tfine\tquestion\nNUM\tdate\tWhen ?\nABBR\texp\tWhat is X ?\n", encoding="utf-8")
    assert load_questions(path) == [Question("When ?", 5, fine="date"), Question("What is X ?", 0, fine="exp")]


@pytest.mark.parametrize("label", ["Human", "", "person", "HUMAN"])
def test_an_unknown_label_names_file_line_and_labels(tmp_path, label):
    path = tmp_path / "q.tsv"
    path.write_text(f"label\tquestion\nhuman\tWho?\n{label}\tWho?\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=rf"q\.tsv, line 3: unknown label '{label}', expected abbreviation, description"
    ):
        load_questions(path)


def test_real_trec_and_none_of_it_here(course_data, questions):
    train, test = load_questions("trec_questions/train"), load_questions("trec_questions/test")
    assert (len(train), len(test)) == (5452, 500)
    assert Counter(q.label for q in train) == dict(zip(range(6), (86, 1162, 1250, 1223, 835, 896)))
    assert train[0] == Question("How did serfdom develop in and then leave Russia ?", 1, fine="manner")
    trec = {only_words(q.question) for q in train + test}
    assert [q.question for q in questions if only_words(q.question) in trec] == []
