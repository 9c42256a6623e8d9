"""course_lib.data: readers and names, on small files made here, the course's own files, and the real sets."""

import csv
import gzip
import logging
import os
from collections import Counter
from pathlib import Path

import pytest

from course_lib import data
from course_lib.data import LABELS, NLIExample, ScoredPair
from course_lib.support import tables as files

COURSE = Path(__file__).resolve().parents[2] / "data"
needs_course_data = pytest.mark.skipif("COURSE_DATA" not in os.environ, reason="COURSE_DATA is not set")


def needs_file(name):
    return pytest.mark.skipif(not (COURSE / name).is_file(), reason=f"data/{name} is not there")


@pytest.fixture
def write(tmp_path):
    """write(name, *rows) -> path of a file with these rows of columns."""

    def write(name, *rows):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = "".join("\t".join(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder as COURSE_DATA."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


NLI_HEADER = ("label", "premise", "hypothesis")
STS_HEADER = ("score", "sentence1", "sentence2")


def test_labels_are_those_of_sentence_transformers_nli_recipe():
    assert LABELS == {"contradiction": 0, "entailment": 1, "neutral": 2}


@pytest.mark.parametrize("name", ["nli.tsv", "nli.tsv.gz"])
def test_nli(write, name):
    first, second = ("7", "neutral", 'A "big" man', "b"), ("8", "entailment", "Ü", "日")
    path = write(name, ("id", *NLI_HEADER), first, second)
    expected = [NLIExample('A "big" man', "b", 2), NLIExample("Ü", "日", 1)]
    assert data.load_nli(path) == data.load_nli(str(path)) == expected


def test_a_quote_that_is_never_closed_is_text(write):
    path = write("nli.tsv", NLI_HEADER, ("neutral", '"a', "b"), ("neutral", "c", 'd"'))
    assert [(e.premise, e.hypothesis) for e in data.load_nli(path)] == [('"a', "b"), ("c", 'd"')]


def test_rows_without_a_gold_label_are_skipped_and_counted(write, caplog):
    path = write("nli.tsv", NLI_HEADER, ("-", "a", "b"), ("contradiction", "c", "d"), ("", "e", "f"))
    with caplog.at_level(logging.INFO, "course_lib"):
        assert data.load_nli(path) == [NLIExample("c", "d", 0)]
    assert "skipped 2 rows" in caplog.text and "kept 1" in caplog.text


@pytest.mark.parametrize("label", ["Neutral", "1", "entails", " "])
def test_unknown_label_names_file_line_and_labels(write, label):
    path = write("nli.tsv", NLI_HEADER, ("neutral", "a", "b"), (label, "c", "d"))
    with pytest.raises(ValueError, match=rf"nli\.tsv, line 3: .*'{label}', expected contradiction, ent"):
        data.load_nli(path)


def test_nli_with_a_hypothesis_for_each_label(write):
    header = ("group", "premise", "neutral", "contradiction", "entailment")
    path = write("groups.tsv", header, ("g1", "p", "n", "c", "e"))
    assert data.load_nli(path) == [NLIExample("p", "e", 1), NLIExample("p", "n", 2), NLIExample("p", "c", 0)]


def test_sts_scores_become_shares(write):
    rows = [("7", "5.000", "a", "b"), ("8", "0", "c", "d"), ("9", "3.8", "e", "f")]
    path = write("sts.tsv", ("id", *STS_HEADER), *rows)
    expected = [ScoredPair("a", "b", 1.0), ScoredPair("c", "d", 0.0), ScoredPair("e", "f", 0.76)]
    assert data.load_sts(path) == expected


@pytest.mark.parametrize("score", ["5.1", "-0.1", "nan", "inf", "", "four", "3,8"])
def test_score_out_of_range_names_file_and_line(write, score):
    path = write("sts.tsv", STS_HEADER, ("1", "a", "b"), (score, "c", "d"))
    with pytest.raises(ValueError, match=rf"sts\.tsv, line 3: the score '{score}' is not a number from 0"):
        data.load_sts(path)


def test_pairs(write):
    path = write("pairs.tsv", ("sentence2", "id", "sentence1"), ("b", "1", "a"))
    assert data.load_pairs(path) == [("a", "b")]


@pytest.mark.parametrize("row, found", [(("neutral", "a"), 2), (("neutral", "a", "b", "c"), 4), (("",), 0)])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_ragged_row_names_file_line_and_columns(write, row, found, ending):
    path = write("nli.tsv" + ending, NLI_HEADER, ("neutral", "a", "b"), row)
    with pytest.raises(ValueError, match=rf"nli\.tsv{ending}, line 3: {found} columns, expected 3"):
        data.load_nli(path)


@pytest.mark.parametrize(
    "load", [data.load_nli, data.load_sts, data.load_pairs, lambda path: data.caption_pairs(path, 0)]
)
def test_missing_column_lists_those_found(write, load):
    path = write("other.tsv", ("sentence_A", "sentence2", "label"), ("a", "b", "neutral"))
    with pytest.raises(ValueError, match=r"other\.tsv: no column .*has sentence_A, sentence2, label"):
        load(path)


def test_empty_file_has_no_columns(write):
    with pytest.raises(ValueError, match="no column sentence1, sentence2; the header has none"):
        data.load_pairs(write("empty.tsv"))


@pytest.mark.parametrize("load", [data.load_pairs, data.load_nli])
def test_text_that_is_not_utf8_names_the_file(tmp_path, load):
    path = tmp_path / "latin.tsv"
    path.write_bytes("sentence1\tsentence2\nÜ\tb\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.tsv is not UTF-8"):
        load(path)


def test_line_ends_and_byte_order_mark_of_windows(tmp_path):
    path = tmp_path / "windows.tsv"
    path.write_bytes(b"\xef\xbb\xbfsentence1\tsentence2\r\na\tb\r\n")
    assert data.load_pairs(path) == [("a", "b")]


def test_triplets(write):
    path = write(
        "nli.tsv",
        NLI_HEADER,
        ("entailment", "p", "e1"),
        ("contradiction", "p", "c1"),
        ("neutral", "p", "n"),
        ("entailment", "q", "e"),
        ("contradiction", "r", "c"),
        ("entailment", "p", "e2"),
        ("contradiction", "p", "c2"),
        ("entailment", "p", "e3"),
        ("entailment", "p", "C2."),
    )
    assert data.load_triplets(path) == [("p", "e1", "c1"), ("p", "e2", "c2"), ("p", "e3", "c1")]


@pytest.fixture
def beir(tmp_path):
    """beir(**files) -> a folder in BEIR's format, with other contents where a file is named; None leaves it out."""

    def beir(ending="", **files):
        contents = {
            "corpus": '{"_id": "d1", "title": "Ü", "text": "a", "metadata": {}}\n\n{"_id": "d2", "title": "", "text": "b"}\n{"_id": "3", "text": "c"}\n',
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
    queries, corpus, relevant = data.load_retrieval(folder)
    assert queries == {"q1": "one", "3": "three"}  # q2 has no answer with a score above 0
    assert corpus == {"d1": "Ü a", "d2": "b", "3": "c"}
    assert relevant == {"3": {"d1": 1}, "q1": {"d1": 2, "3": 1}}
    assert data.load_retrieval(folder, "dev") == ({"q2": "two"}, corpus, {"q2": {"d1": 1}})
    assert folder == root / "set" and data.load_retrieval("set") == (queries, corpus, relevant)  # below COURSE_DATA


def test_fields_beside_the_texts(beir):
    queries = '{"_id": "q1", "text": "a", "metadata": {"words": "other"}}\n{"_id": "q2", "text": "b", "words": "shared"}\n{"_id": "q3", "text": "c", "metadata": null}\n'
    folder = beir(queries=queries)
    assert data.load_fields(folder, "queries", "words") == {"q1": "other", "q2": "shared"}
    assert data.load_fields(folder, "corpus", "title") == {"d1": "Ü", "d2": ""}
    with pytest.raises(FileNotFoundError, match="neither .*answers.jsonl"):
        data.load_fields(folder, "answers", "words")
    assert data.load_fields("course/help", "corpus", "topic").keys() == data.load_retrieval("course/help")[1].keys()


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
        data.load_retrieval(beir(**files))


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
        data.load_retrieval(beir(**({missing: None} if missing else {})), split)


def test_a_retrieval_set_that_is_not_there(root, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match="no retrieval set 'scifact'.*scifact does not exist.*corpus.jsonl.*scifact: https://"
    ):
        data.load_retrieval("scifact")
    monkeypatch.delenv("COURSE_DATA")
    with pytest.raises(FileNotFoundError, match="COURSE_DATA is not set"):
        data.load_retrieval("scifact")


@needs_course_data
@pytest.mark.parametrize("split, count, answers", [("test", 300, 339), ("train", 809, 919)])
def test_real_retrieval(split, count, answers):
    queries, corpus, relevant = data.load_retrieval("scifact", split)
    assert (len(queries), len(corpus), sum(map(len, relevant.values()))) == (
        count,
        5183,
        answers,
    ) and queries.keys() == relevant.keys()
    assert (
        corpus["4983"].startswith("Microstructural development of human newborn")
        and "by diffusion tensor magnetic resonance imaging. Alter" in corpus["4983"]
    )


def captions(*counts):
    rows = [(f"{i}.jpg", f"{i} {k}") for i, count in enumerate(counts) for k in range(count)]
    return [("image", "caption"), *rows]


def test_caption_pairs_are_of_one_image_and_use_each_caption_once(write):
    pairs = data.caption_pairs(write("captions.tsv", *captions(5, 4, 1, 2)), seed=1)
    assert [a.split()[0] for a, b in pairs] == ["0", "0", "1", "1", "3"]
    assert all(a.split()[0] == b.split()[0] for a, b in pairs)
    assert set(Counter(text for pair in pairs for text in pair).values()) == {1}


def test_caption_pairs_depend_on_the_seed_alone(write):
    path = write("captions.tsv", *captions(*[5] * 20))
    assert data.caption_pairs(path, 1) == data.caption_pairs(path, 1) != data.caption_pairs(path, 2)


def test_captions_of_one_text_are_no_pair(write):
    path = write("captions.tsv", ("image", "caption"), ("1", "A dog runs ."), ("1", "a dog runs"))
    assert data.caption_pairs(path, 0) == []


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A  man's RED motor-cycle!", "a man s red motor cycle"),
        ("snake_case\t42", "snake case 42"),
        ("Über  naïve 日本", "über naïve 日本"),
        ("...", ""),
        ("", ""),
    ],
)
def test_normalized(text, expected):
    assert data.normalized(text) == expected


def test_forbidden_sentences(write, root):
    write("stsbenchmark/dev.tsv", STS_HEADER, ("1", "A man.", "The DOG"))
    write("sick/trial.tsv", ("pair_ID", "sentence_A", "sentence_B"), ("1", "a man", "x-y"))
    assert data.forbidden_sentences() == {"a man", "the dog", "x y"}


def test_forbidden_sentences_are_not_taken_for_none(monkeypatch, root):
    with pytest.raises(FileNotFoundError, match="stsbenchmark/dev"):
        data.forbidden_sentences()
    monkeypatch.delenv("COURSE_DATA")
    with pytest.raises(FileNotFoundError, match="COURSE_DATA is not set"):
        data.forbidden_sentences()


@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
def test_names_are_files_below_course_data(write, root, ending):
    path = write("snli/train" + ending, NLI_HEADER, ("neutral", "a", "b"))
    assert data.find("snli/train") == path
    assert data.load_nli("snli/train") == [NLIExample("a", "b", 2)]


def test_a_set_that_is_not_there_says_where_it_was_sought_and_where_to_get_it(root, monkeypatch):
    with pytest.raises(FileNotFoundError) as error:
        data.load_nli("snli/train")
    for part in [
        "'snli/train'",
        str(root / "snli/train.tsv"),
        "train.tsv.gz",
        "COURSE_DATA",
        "stanfordnlp/snli",
        "label, premise, hypothesis",
    ]:
        assert part in str(error.value)
    monkeypatch.delenv("COURSE_DATA")
    with pytest.raises(FileNotFoundError, match="COURSE_DATA is not set.*sentence-transformers/stsb"):
        data.load_sts("stsbenchmark/dev")


def test_unknown_names_list_the_known_ones(root, monkeypatch):
    with pytest.raises(FileNotFoundError, match="'snlii/train'.*course, snli, multinli"):
        data.load_nli("snlii/train")
    monkeypatch.setattr(files, "_COURSE", root)
    (root / "sts.tsv").touch()
    with pytest.raises(FileNotFoundError, match=r"'course/nlu'.*there are course/sts$"):
        data.load_nli("course/nlu")


def test_course_names_are_files_of_the_folder_data(tmp_path, monkeypatch):
    assert files._COURSE == COURSE and COURSE.is_absolute()  # wherever the notebook runs
    monkeypatch.setattr(files, "_COURSE", tmp_path)
    (tmp_path / "pairs.tsv").write_text("sentence1\tsentence2\na\tb\n")
    assert data.load_pairs() == [("a", "b")]


def rows(name):
    with open(COURSE / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@needs_file("nli.tsv")
def test_course_nli():
    examples, groups = data.load_nli(), rows("nli.tsv")
    assert Counter(e.label for e in examples) == dict.fromkeys(LABELS.values(), len(groups))
    assert examples[1] == NLIExample(groups[0]["premise"], groups[0]["neutral"], LABELS["neutral"])
    last = groups[-1]
    assert data.load_triplets()[-1] == (last["premise"], last["entailment"], last["contradiction"])
    assert len(data.load_triplets()) == len(groups)


@needs_file("sts.tsv")
def test_course_sts():
    pairs, expected = data.load_sts(), rows("sts.tsv")
    assert [(p.sentence1, p.sentence2) for p in pairs] == [(r["sentence1"], r["sentence2"]) for r in expected]
    assert [p.score * 5 for p in pairs] == pytest.approx([float(r["score"]) for r in expected])


@needs_file("pairs.tsv")
def test_course_pairs():
    assert data.load_pairs() == [(r["sentence1"], r["sentence2"]) for r in rows("pairs.tsv")]


@needs_course_data
@pytest.mark.parametrize(
    "name, count",
    [
        ("snli/train", 47249),
        ("snli/test", 9753),
        ("snli/dev", 9770),
        ("multinli/train", 20000),
        ("multinli/dev_matched", 9815),
        ("multinli/dev_mismatched", 9832),
        ("cad_nli/train", 8271),
        ("cad_nli/dev", 994),
        ("wiki_nli/base_train", 8500),
    ],
)
def test_real_nli(name, count):
    examples = data.load_nli(name)
    assert len(examples) == count
    assert min(Counter(e.label for e in examples).values()) > 0.3 * count
    assert all(e.premise.strip() and e.hypothesis.strip() for e in examples)


@needs_course_data
@pytest.mark.parametrize("name, count", [("stsbenchmark/train", 5749), ("stsbenchmark/dev", 1500)])
def test_real_sts(name, count):
    pairs = data.load_sts(name)
    assert len(pairs) == count
    assert {min(p.score for p in pairs), max(p.score for p in pairs)} == {0.0, 1.0}


@needs_course_data
@pytest.mark.parametrize("name, images", [("captions/flickr30k", 31014), ("captions/flickr8k", 8092)])
def test_real_captions(name, images):
    pairs = data.caption_pairs(name, seed=0)
    assert 1.98 * images < len(pairs) <= 2 * images


@needs_course_data
def test_real_triplets_and_forbidden_sentences():
    triplets = data.load_triplets("snli/test")
    assert len(triplets) == 3115 and all(len(set(t)) == 3 for t in triplets[:100])
    forbidden = data.forbidden_sentences()
    assert "a man with a hard hat is dancing" in forbidden
    assert "the young boys are playing outdoors and the man is smiling nearby" in forbidden
    assert 2500 < len(forbidden) < 2 * (1500 + 500)
