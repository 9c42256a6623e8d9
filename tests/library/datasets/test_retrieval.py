"""course_lib.datasets.retrieval: folders in BEIR's format, made here, the town's help pages, and SciFact."""

import gzip

import pytest

from course_lib.datasets.retrieval import load_fields, load_retrieval


@pytest.fixture
def beir(tmp_path):
    """beir(**files) -> a folder in BEIR's format, with other contents where a file is named; None leaves it out."""

    def beir(ending="", **files):
        contents = {
            "corpus": '{"_id": "d1", "title": "Ü", "text": "a", "metadata": {}}\n\n'
            '{"_id": "d2", "title": "", "text": "b"}\n{"_id": "3", "text": "c"}\n',
            "queries": '{"_id": "q1", "text": "one"}\n{"_id": "q2", "text": "two"}\n{"_id": "3", "text": "three"}\n',
            "test": "query-id\tcorpus-id\tscore\n3\td1\t1\nq1\td1\t2\nq1\t3\t1\nq1\td2\t0\nq2\td2\t0\n",
            "dev": "query-id\tcorpus-id\tscore\nq2\td1\t1\n",
        } | files
        (tmp_path / "set" / "qrels").mkdir(parents=True)
        for name, text in contents.items():
            place = f"qrels/{name}.tsv" if name in ("test", "dev") else f"{name}.jsonl"
            if text is not None:
                text = text if isinstance(text, bytes) else text.encode()
                (tmp_path / "set" / (place + ending)).write_bytes(gzip.compress(text) if ending else text)
        return tmp_path / "set"

    return beir


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_retrieval(beir, ending, root):
    folder = beir(ending)
    queries, corpus, relevant = load_retrieval(folder)
    assert queries == {"q1": "one", "3": "three"}  # q2 has no answer with a score above 0
    assert corpus == {"d1": "Ü a", "d2": "b", "3": "c"}
    assert relevant == {"3": {"d1": 1}, "q1": {"d1": 2, "3": 1}}
    assert load_retrieval(folder, "dev") == ({"q2": "two"}, corpus, {"q2": {"d1": 1}})
    assert folder == root / "set" and load_retrieval("set") == (queries, corpus, relevant)  # below COURSE_DATA


def test_fields_beside_the_texts(beir):
    queries = (
        '{"_id": "q1", "text": "a", "metadata": {"words": "other"}}\n'
        '{"_id": "q2", "text": "b", "words": "shared"}\n'
        '{"_id": "q3", "text": "c", "metadata": null}\n'
        '{"_id": "q4", "text": "d", "metadata": "words"}\n'
    )
    folder = beir(queries=queries)
    assert load_fields(folder, "queries", "words") == {"q1": "other", "q2": "shared"}
    assert load_fields(folder, "corpus", "title") == {"d1": "Ü", "d2": ""}
    with pytest.raises(FileNotFoundError, match="neither .*answers.jsonl"):
        load_fields(folder, "answers", "words")
    assert load_fields("course/help", "corpus", "topic").keys() == load_retrieval("course/help")[1].keys()


@pytest.mark.parametrize(
    "files, message",
    [
        (
            {"corpus": '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}\n'},
            r"corpus\.jsonl, line 2: the id 'd1' comes twice",
        ),
        ({"queries": '{"_id": "q1", "text": "a"}\n{"_id": "q2", "te'}, r"queries\.jsonl, line 2: not JSON .*cut short"),
        (
            {"corpus": '{"_id": 1, "text": "a"}\n'},
            r"corpus\.jsonl, line 1: expected an object with the strings _id, text",
        ),
        ({"corpus": '{"_id": "d1", "title": "a"}\n'}, "line 1: expected an object"),
        ({"corpus": '["d1", "a"]\n'}, "line 1: expected an object"),
        ({"corpus": '{"_id": "d1", "title": 5, "text": "a"}\n'}, "line 1: expected an object"),
        ({"corpus": b'{"_id": "\xff"}\n'}, r"corpus\.jsonl is not UTF-8"),
        ({"corpus": ""}, r"corpus\.jsonl is empty"),
        ({"corpus": "[" * 5000 + "\n"}, r"corpus\.jsonl, line 1: not JSON"),
        ({"corpus": gzip.compress(b"{}" * 5000)[:-9]}, r"corpus\.jsonl is damaged or cut short after line 0"),
        ({"test": "query-id\tcorpus-id\tscore\n"}, r"test\.tsv has a header and no rows"),
        ({"test": "query-id\tcorpus-id\tscore\nq1\td1\t" + "1" * 5000 + "\n"}, "is not a whole number of at most nine"),
        (
            {"test": "query-id\tcorpus-id\tscore\nq1\td9\t1\n"},
            r"test\.tsv, line 2: there is no document with the id 'd9'",
        ),
        ({"test": "query-id\tcorpus-id\tscore\nq9\td1\t1\n"}, r"test\.tsv, line 2: there is no query with the id 'q9'"),
        (
            {"test": "query-id\tcorpus-id\tscore\nq1\td1\t0.5\n"},
            r"test\.tsv, line 2: the score '0.5' is not a whole number",
        ),
        ({"test": "q1\td1\t1\n"}, "no column query-id, corpus-id, score"),
        ({"test": "query-id\tcorpus-id\tscore\nq1\td1\n"}, r"test\.tsv, line 2: 2 columns, expected 3"),
    ],
)
def test_damaged_retrieval_sets(beir, files, message):
    with pytest.raises(ValueError, match=message):
        load_retrieval(beir(**files))


@pytest.mark.parametrize(
    "missing, split, message",
    [
        ("corpus", "test", r"corpus\.jsonl nor corpus\.jsonl\.gz exists; in that folder: qrels, queries\.jsonl"),
        ("test", "test", r"test\.tsv nor test\.tsv\.gz exists; in that folder: dev\.tsv"),
        (None, "train", "in that folder: dev.tsv, test.tsv"),
    ],
)
def test_files_missing_from_a_retrieval_set(beir, missing, split, message):
    with pytest.raises(FileNotFoundError, match=message):
        load_retrieval(beir(**({missing: None} if missing else {})), split)


def test_a_retrieval_set_that_is_not_there(root, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match="no retrieval set 'scifact'.*scifact does not exist.*corpus.jsonl.*scifact: https://"
    ):
        load_retrieval("scifact")
    monkeypatch.delenv("COURSE_DATA")
    with pytest.raises(FileNotFoundError, match="COURSE_DATA is not set"):
        load_retrieval("scifact")


@pytest.mark.usefixtures("course_data")
@pytest.mark.parametrize("split, count, answers", [("test", 300, 339), ("train", 809, 919)])
def test_real_retrieval(split, count, answers):
    queries, corpus, relevant = load_retrieval("scifact", split)
    assert (len(queries), len(corpus), sum(map(len, relevant.values()))) == (
        count,
        5183,
        answers,
    ) and queries.keys() == relevant.keys()
    assert (
        corpus["4983"].startswith("Microstructural development of human newborn")
        and "by diffusion tensor magnetic resonance imaging. Alter" in corpus["4983"]
    )
