"""Checks of the small data files in data/ and of their datasheet (data/nli.tsv has its own tests)."""

import csv
import gzip
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

DATA = Path(__file__).resolve().parents[2] / "data"
COLUMNS = {
    "sts.tsv": ["score", "sentence1", "sentence2", "domain"],
    "pairs.tsv": ["sentence1", "sentence2"],
    "sentences.tsv": ["topic", "sentence"],
    "senses.tsv": ["word", "sense", "sentence"],
}
ROWS = {"sts.tsv": 328, "pairs.tsv": 200, "sentences.tsv": 80, "senses.tsv": 120}


def read(name):
    with open(DATA / name, encoding="utf-8", newline="") as f:
        header, *rows = csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE)
    return [dict(zip(header, row, strict=True)) for row in rows]


def sentences_of(name):
    return [cell for row in read(name) for column, cell in row.items() if column.startswith("sentence")]


def overlap(a, b):
    a, b = (set(re.findall(r"[a-z0-9']+", s.lower())) for s in (a, b))
    return len(a & b) / len(a | b)


@pytest.fixture(scope="module")
def sts():
    return read("sts.tsv")


@pytest.mark.parametrize("name", COLUMNS)
def test_format(name):
    raw = (DATA / name).read_bytes()
    assert b"\r" not in raw and raw.endswith(b"\n") and not raw.startswith(b"\xef\xbb\xbf")
    assert raw.split(b"\n")[0].decode().split("\t") == COLUMNS[name]
    rows = read(name)
    assert len(rows) == ROWS[name]
    assert all(cell and cell == cell.strip() and '"' not in cell for row in rows for cell in row.values())


def test_no_sentence_occurs_twice():
    counts = Counter(s.lower() for name in COLUMNS for s in sentences_of(name))
    assert [s for s, n in counts.items() if n > 1] == []


def test_sts_scores_and_lengths(sts):
    assert all(re.fullmatch(r"[0-4]\.[02468]|5\.0", row["score"]) for row in sts)
    intervals = Counter(min(int(float(row["score"])), 4) for row in sts)  # [0,1), [1,2), [2,3), [3,4), [4,5]
    assert set(intervals) == set(range(5)) and min(intervals.values()) >= 40
    assert all(4 <= len(s.split()) <= 30 for s in sentences_of("sts.tsv"))
    assert len({row["domain"] for row in sts}) >= 10


def test_sts_has_some_pairs_that_mislead_word_overlap(sts):
    pairs = [(float(r["score"]), overlap(r["sentence1"], r["sentence2"])) for r in sts]
    hard = sum((score >= 4 and shared < 0.2) or (score <= 3 and shared >= 0.4) for score, shared in pairs)
    assert 30 <= hard < len(sts) / 4


def test_sts_agrees_with_minilm_and_less_with_word_overlap(sts, minilm):
    gold = [float(row["score"]) for row in sts]
    u, v = (minilm.encode([row[column] for row in sts]) for column in ["sentence1", "sentence2"])
    cosines = np.sum(u * v, axis=1)
    model = spearmanr(cosines, gold).statistic
    words = spearmanr([overlap(r["sentence1"], r["sentence2"]) for r in sts], gold).statistic
    assert model >= 0.80
    assert words <= model - 0.1


def test_pairs_find_their_partner(minilm):
    rows = read("pairs.tsv")
    u, v = (minilm.encode([row[column] for row in rows]) for column in ["sentence1", "sentence2"])
    assert np.mean((u @ v.T).argmax(axis=1) == np.arange(len(rows))) >= 0.9


def test_sentences_have_eight_topics_of_ten():
    rows = read("sentences.tsv")
    assert sorted(Counter(row["topic"] for row in rows).values()) == [10] * 8
    assert all(6 <= len(row["sentence"].split()) <= 16 for row in rows)


def test_senses_show_the_word_exactly_once():
    rows = read("senses.tsv")
    counts = Counter((row["word"], row["sense"]) for row in rows)
    assert set(counts.values()) == {5}
    assert list(Counter(word for word, _ in counts).values()) == [2] * 12
    for row in rows:
        tokens = re.findall(r"\w+", row["sentence"])
        assert 6 <= len(row["sentence"].split()) <= 14
        assert [t for t in tokens if t.lower() == row["word"]] == [row["word"]], row
        assert tokens[0] != row["word"], row


def test_datasheet_names_every_file_and_column():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+\.tsv(?:\.gz)?)` \| (.*)$", text, flags=re.MULTILINE))
    files = [p.name for p in DATA.iterdir() if p.is_file() and p.name != "README.md"]
    assert [name for name in files if name not in table] == []
    for name in files:
        raw = (DATA / name).read_bytes()
        content = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
        header = content.split("\n")[0].split("\t")
        rows, columns, _ = table[name].split(" | ")
        assert columns == " ".join(f"`{column}`" for column in header)
        assert int(rows) == content.count("\n") - 1
        assert f"\n## {name}\n" in text
    assert "CC BY 4.0" in text
