"""data/results/14.csv: who wrote what, of which models; what SciFact says of them, and of splade-mini today."""

import random

import numpy as np
import pytest

from course_lib.datasets.retrieval import load_retrieval
from course_lib.models.sparse import SparseEncoder, sparsity
from course_lib.retrieval.inverted_index import InvertedIndex
from course_lib.retrieval.metrics import ranking_metrics
from course_lib.support.folders import resolve
from recipes import hybrid
from recipes.hybrid import Table
from recipes.shared.cards import weights_sha256
from recipes.shared.results import read_rows

ROWS = read_rows("14.csv")
VALUES = {(r["model"], r["metric"]): float(r["value"]) for r in ROWS}


def test_every_row_says_how_it_was_made():
    assert {r["experiment"] for r in ROWS} == {"scifact", "terms"} and {r["data"] for r in ROWS} == {"scifact"}
    for r in ROWS:
        assert r["command"] == hybrid.COMMAND and len(r["data_sha256"]) == 64
        if r["model"].startswith("course/"):
            assert r["model_sha256"] == weights_sha256(resolve(r["model"])), (
                f"{r['model']} has changed since it was measured"
            )
    systems = {r["model"] for r in ROWS if r["experiment"] == "scifact"}
    assert all(
        {metric for model, metric in VALUES if model == system}
        >= {"ndcg@10", "recall@100", "milliseconds", "bytes", "milliseconds a document"}
        for system in systems
    )
    assert {
        "BM25",
        "course/sbert-mini",
        "course/splade-mini",
        hybrid.MINILM,
        "RRF of BM25, course/splade-mini",
    } <= systems


def test_what_was_recorded():
    assert VALUES["BM25", "ndcg@10"] == pytest.approx(66.5, abs=1)
    assert VALUES["course/splade-mini", "ndcg@10"] >= 60 and VALUES["course/splade-mini", "terms a document"] <= 200
    assert VALUES["RRF of BM25, course/splade-mini", "ndcg@10"] > VALUES["BM25", "ndcg@10"]
    assert (
        VALUES["course/splade-mini", "milliseconds a document"] > VALUES["course/sbert-mini", "milliseconds a document"]
    )
    reranked = next(model for model, _ in VALUES if "reranked" in model)
    first = reranked.split(";")[0]
    assert (
        VALUES[reranked, "recall@100"] == VALUES[first, "recall@100"]
        and VALUES[reranked, "milliseconds"] > VALUES[first, "milliseconds"]
    )


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
    table = Table()
    first, second, *_ = table.documents
    scores, rows = np.tile([2.0, 0.0], (len(table.queries), 1)), np.tile([0, 1], (len(table.queries), 1))
    found = table.results(scores, rows)
    assert set(map(tuple, found.values())) == {(first,)}
    table.add("a", found, 1.5, 10)
    table.add("b", table.results(scores, rows[:, ::-1]), 2.0, 20)
    table.add_fused("both", ["a", "b"])
    assert set(map(tuple, table.found["both"].values())) == {(first, second)}
    assert table.cost["both"][1] == 30 and 3.5 < table.cost["both"][0] < 10
    assert {r["metric"] for r in table.rows} == {
        "ndcg@10",
        "recall@100",
        "milliseconds",
        "bytes",
        "milliseconds a document",
    }


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
