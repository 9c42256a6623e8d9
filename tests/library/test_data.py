"""course_lib.data: readers and names, on small files made here, the course's own files, and the real sets."""

import csv
import gzip
import logging
import os
from collections import Counter
from pathlib import Path

import pytest

from course_lib import data
from course_lib.data import LABELS, NLIExample, ScoredPair, load_results
from course_lib.datasets.captions import load_captions
from course_lib.support import tables

COURSE = Path(__file__).resolve().parents[2] / "data"
needs_course_data = pytest.mark.skipif("COURSE_DATA" not in os.environ, reason="COURSE_DATA is not set")


def needs_file(name):
    return pytest.mark.skipif(not (COURSE / name).is_file(), reason=f"data/{name} is not there")


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


@pytest.mark.parametrize("load", [data.load_nli, data.load_sts, data.load_pairs, load_captions])
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


# ---- damaged files


def pairs_of(path, content):
    path.write_bytes(content)
    return data.load_pairs(path)


PACKED = gzip.compress(b"sentence1\tsentence2\n" + b"".join(b"a %d\tb %d\n" % (i, i * i) for i in range(30_000)))


@pytest.mark.parametrize("keep", [3, 11, 100, len(PACKED) // 2, len(PACKED) - 9])
def test_a_packed_file_cut_short_names_file_and_line(keep, tmp_path):
    with pytest.raises(ValueError, match=r"pairs\.tsv\.gz is damaged or cut short after line \d+ \(.*\): copy or down"):
        pairs_of(tmp_path / "pairs.tsv.gz", PACKED[:keep])


def test_a_damaged_packed_file_names_file_and_line(tmp_path):
    middle = len(PACKED) // 2
    damaged = PACKED[:middle] + bytes(200) + PACKED[middle + 200 :]
    where = r"pairs\.tsv\.gz( is damaged or cut short after line| is not UTF-8 text after line|, line) \d+"
    with pytest.raises(ValueError, match=where):
        pairs_of(tmp_path / "pairs.tsv.gz", damaged)


def test_packed_or_not_is_seen_in_the_file_itself(tmp_path):
    expected = pairs_of(tmp_path / "pairs.tsv.gz", PACKED)
    assert len(expected) == 30_000 and expected[2] == ("a 2", "b 4")
    assert pairs_of(tmp_path / "pairs.tsv", PACKED) == expected
    assert pairs_of(tmp_path / "pairs.tsv.gz", gzip.decompress(PACKED)) == expected


def test_a_long_cell_is_read(write):
    long = "x" * 200_000
    assert data.load_pairs(write("pairs.tsv", ("sentence1", "sentence2"), (long, "b"))) == [(long, "b")]


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_a_file_with_a_header_only_says_so(write, name):
    with pytest.raises(ValueError, match=r"pairs\.tsv.* has a header and no rows: is it cut short\?"):
        data.load_pairs(write(name, ("sentence1", "sentence2")))


def test_a_pointer_of_git_lfs_says_so(tmp_path):
    with pytest.raises(
        ValueError, match=r"pairs\.tsv is a pointer of Git LFS, not the file itself; run `git lfs pull`"
    ):
        pairs_of(tmp_path / "pairs.tsv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n")


def test_lines_after_one_that_is_not_utf8(tmp_path):
    with pytest.raises(ValueError, match=r"pairs\.tsv is not UTF-8 text after line \d+ \(invalid start byte\)"):
        pairs_of(tmp_path / "pairs.tsv", b"sentence1\tsentence2\n" + b"a\tb\n" * 9 + b"\xff\tb\n")


def test_results_that_are_not_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "COURSE_HOME", tmp_path)
    (tmp_path / "data/results").mkdir(parents=True)
    for content in (b"", b"a,b\n1,2,3\n1\n1,2,3,4\n", b"a\n\xff\n"):
        (tmp_path / "data/results/1.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.csv cannot be read as CSV \(.*\); copy or download it again"):
            load_results("1")


# ---- triplets, names


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
    monkeypatch.setattr(tables, "DATA", root)
    (root / "sts.tsv").touch()
    with pytest.raises(FileNotFoundError, match=r"'course/nlu'.*there are course/sts$"):
        data.load_nli("course/nlu")


def test_course_names_are_files_of_the_folder_data(tmp_path, monkeypatch):
    assert tables.DATA == COURSE and COURSE.is_absolute()  # wherever the notebook runs
    monkeypatch.setattr(tables, "DATA", tmp_path)
    (tmp_path / "pairs.tsv").write_text("sentence1\tsentence2\na\tb\n")
    assert data.load_pairs() == [("a", "b")]


@pytest.mark.parametrize("name", sorted(path.stem for path in (COURSE / "results").glob("*.csv")))
def test_results_are_what_the_file_says(name):
    """Every number to its last bit (older readers are one off), every text unchanged."""
    with open(COURSE / "results" / f"{name}.csv", encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    table = load_results(name)
    assert list(table.columns) == list(expected[0]) and len(table) == len(expected)
    for column in table.select_dtypes("number"):
        numbers = [float(row[column] or "nan") for row in expected]
        assert table[column].astype(float).tolist() == pytest.approx(numbers, rel=3e-16, nan_ok=True)
    for column in table.select_dtypes(exclude="number"):
        assert table[column].tolist() == [row[column] for row in expected]


def test_results_that_are_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no results '6' in .*results: there are 01, 02, 03, 03_data, 04"):
        load_results("6")
    monkeypatch.setattr(data, "COURSE_HOME", tmp_path)
    with pytest.raises(FileNotFoundError, match="there are none"):
        load_results("06")


def test_an_empty_cell_is_nan_among_numbers_and_empty_among_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "COURSE_HOME", tmp_path)
    (tmp_path / "data/results").mkdir(parents=True)
    (tmp_path / "data/results/1.csv").write_text("model,n,none\nNone,1,\n,,\n")
    table = load_results("1")
    assert table["model"].tolist() == ["None", ""] and table["n"].fillna(-1).tolist() == [1, -1]
    assert table["none"].isna().all()


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
def test_real_triplets():
    triplets = data.load_triplets("snli/test")
    assert len(triplets) == 3115 and all(len(set(t)) == 3 for t in triplets[:100])
