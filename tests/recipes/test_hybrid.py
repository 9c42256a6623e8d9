"""data/results/14.csv: who wrote what, of which models; what SciFact says of them, and of splade-mini today."""

import random

import numpy as np
import pytest

from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.models.sparse import SparseEncoder, sparsity
from course_lib.retrieval.inverted_index import InvertedIndex
from course_lib.retrieval.metrics import ranking_metrics
from course_lib.support.folders import resolve
from course_lib.support.tokenization import tokenize
from recipes import hybrid, reranking
from recipes.hybrid import Table
from recipes.shared.cards import weights_sha256
from recipes.shared.results import read_rows

ROWS = read_rows("14.csv")
VALUES = {(r["model"], r["metric"]): float(r["value"]) for r in ROWS if r["experiment"] in ("scifact", "terms")}


def test_every_row_says_how_it_was_made():
    assert {r["experiment"] for r in ROWS} == {"scifact", "terms", "weights", *reranking.SCORERS}
    for r in ROWS:
        by = reranking if r["experiment"] in reranking.SCORERS else hybrid
        assert r["command"] == by.COMMAND and r["data"] in by.__dict__.get("CANDIDATES", ["scifact"])
        assert len(r["data_sha256"]) == 64
        if scorer := reranking.SCORERS.get(r["experiment"]):
            assert r["model_sha256"] == weights_sha256(resolve(scorer))
        elif r["model"].startswith("course/"):
            assert r["model_sha256"] == weights_sha256(resolve(r["model"])), (
                f"{r['model']} has changed since it was measured"
            )
    systems = {r["model"] for r in ROWS if r["experiment"] == "scifact"}
    assert all(
        {metric for model, metric in VALUES if model == system}
        >= {"ndcg@10", "recall@100", "low", "high", "milliseconds", "milliseconds alone", "bytes"}
        for system in systems
    )
    assert {
        "BM25",
        "course/sbert-mini",
        "course/splade-mini",
        hybrid.MINILM,
        "pieces of course/sbert-mini",
        "sum of BM25, course/splade-mini",
        "chosen sum of BM25, course/sbert-mini",
    } <= systems


def test_what_was_recorded():
    assert VALUES["BM25", "ndcg@10"] == pytest.approx(66.5, abs=1)
    assert VALUES["course/splade-mini", "ndcg@10"] >= 60 and VALUES["course/splade-mini", "terms a document"] <= 200
    assert (
        VALUES["course/splade-mini", "milliseconds a document"] > VALUES["course/sbert-mini", "milliseconds a document"]
    )
    assert VALUES["BM25", "difference"] == VALUES["BM25", "low"] == VALUES["BM25", "high"] == 0


def test_the_settings_were_chosen_on_the_train_queries():
    for name in {r["model"] for r in ROWS if r["experiment"] == "weights"}:
        of = {
            metric: {
                r["setting"]: float(r["value"])
                for r in ROWS
                if (r["experiment"], r["model"], r["metric"]) == ("weights", name, metric)
            }
            for metric in ("ndcg@10", "train ndcg@10")
        }
        (chosen,) = {r["setting"] for r in ROWS if r["model"] == f"chosen {name}"}
        assert of["train ndcg@10"][chosen] == max(of["train ndcg@10"].values())
        assert VALUES[f"chosen {name}", "ndcg@10"] == of["ndcg@10"][chosen]


def test_a_part_of_scifact_today(course_data):
    """The documents that answer 100 claims, among 200 others."""
    queries, corpus, relevant = load_retrieval("scifact")
    queries = dict(list(queries.items())[:100])
    needed = {document for query in queries for document in relevant[query]}
    others = random.Random(0).sample(sorted(set(corpus) - needed), 200)
    ids = sorted(needed) + others
    encoder = SparseEncoder.load("course/splade-mini", device="cpu")
    documents = encoder.encode_document([corpus[i] for i in ids])
    _, rows = InvertedIndex(documents).search(encoder.encode_query(queries.values()), 10)
    found = ranking_metrics({query: [ids[r] for r in row] for query, row in zip(queries, rows)}, relevant)
    assert found["ndcg@10"] > 0.7 and 20 < sparsity(documents)["active_dims"] < 200


def test_the_table_of_a_small_set(tmp_path, monkeypatch):
    """A fused system costs what its parts cost, and documents with score 0 are not found."""
    monkeypatch.setattr(hybrid, "DATA", "course/help")
    monkeypatch.setattr(hybrid, "load_retrieval", lambda data, split="test": load_retrieval(data))
    table = Table()
    first, second, *_ = table.documents

    def fixed(*rows):
        return lambda queries: (np.tile([2.0, 0.0], (len(queries), 1)), np.tile(rows, (len(queries), 1)))

    table.add_system("BM25", fixed(0, 1), 10)
    table.add_system("b", fixed(1, 0), 20)
    assert set(map(tuple, table.found["BM25"].values())) == set(map(tuple, table.train["BM25"].values())) == {(first,)}
    table.add_fused("b")
    assert set(map(tuple, table.found["RRF of BM25, b"].values())) == {(first, second)}
    assert set(map(tuple, table.found["sum of BM25, b"].values())) == {(first, second)}
    together, alone, size = table.cost["sum of BM25, b"]
    assert size == 30 and together == table.cost["BM25"][0] + table.cost["b"][0] and alone > 0
    assert {r["setting"] for r in table.rows if r["experiment"] == "weights"} == {
        *(f"BM25 {w}" for w in hybrid.WEIGHTS),
        *(f"k {k}" for k in hybrid.CONSTANTS),
    }


def test_the_first_candidates_are_reordered_and_the_others_stay():
    first = {"q": {"a": 9.0, "b": 8.0, "c": 1.0, "d": 0.5}}
    read = {("q", "a"): 0.1, ("q", "b"): 0.3, ("q", "c"): 0.9, ("q", "d"): 1.0}
    assert list(reranking.reordered(first, read, 3, False)["q"]) == ["c", "b", "a", "d"]
    assert list(reranking.reordered(first, read, 2, False)["q"]) == ["b", "a", "c", "d"]
    assert list(reranking.reordered(first, read, 3, True)["q"]) == ["b", "a", "c", "d"]  # 1; 0.875 + 0.25; 1


def test_pieces_have_their_title():
    _, corpus, _ = load_retrieval("course/help")
    encoder = SentenceEncoder.load("course/sbert-mini", dtype="float32")
    passages, shown = hybrid.pieces_of("course/help", corpus, encoder)
    later = [(p, text) for p, text in zip(passages, shown) if p.start]
    assert {p.document for p in passages} == set(corpus) and later
    for p, text in later:
        title = text[: len(text) - len(p.text) - 1]
        assert title and corpus[p.document].startswith(title)
    tokens = tokenize(encoder[0].tokenizer, shown, None)[0]
    assert max(map(len, tokens)) <= encoder.max_seq_length


def test_vectors_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(hybrid, "WORK", tmp_path)
    calls = []

    def make(vectors):
        calls.append(vectors)
        return vectors

    dense, sparse = np.eye(3, dtype=np.float32), SparseEncoder.load("course/bert-mini").encode(["a cat"])
    for vectors in (dense, sparse):
        name = f"course/{type(vectors).__name__}"
        again = [hybrid.kept(name, "0" * 64, "data", lambda: make(vectors)) for _ in range(2)]
        assert all((found != vectors).sum() == 0 and type(found) is type(vectors) for found in again)
    assert len(calls) == 2
    with pytest.raises(ValueError, match="was made of other data, or with other settings: remove it"):
        hybrid.kept(name, "0" * 64, "other data", lambda: make(vectors))
