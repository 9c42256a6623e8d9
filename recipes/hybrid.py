"""Measure search by words, by meaning, by both, and reranked, on SciFact: data/results/14.csv.

    COURSE_DATA=... python recipes/hybrid.py

For each system: ndcg@10 and recall@100, x 100; milliseconds a query, encoding of the query included, and milliseconds
to encode a document, measured on the first 200; bytes of what is searched. Times are processor time of one thread, all
queries together, so that other work on the machine counts little. Models compute in float32, as wherever a score is
recorded: bfloat16 moves the third digit. A fused system costs what its parts cost. Resumable: vectors stay in
build/hybrid, under the hash of the weights they come from.
"""

import argparse
import hashlib
import time

import numpy as np
import scipy.sparse
import torch

from course_lib.datasets.retrieval import find_folder, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.models.sparse import SparseEncoder
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.fusion import reciprocal_rank_fusion, weighted_fusion
from course_lib.retrieval.inverted_index import InvertedIndex
from course_lib.retrieval.metrics import ranking_metrics
from course_lib.retrieval.reranking import rerank
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.files import atomic_file
from course_lib.support.folders import resolve
from recipes.shared.cards import weights_sha256, write_cards
from recipes.shared.made import made
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.results import record, row
from recipes.splade_mini import start

COMMAND, DATA, WORK = "python recipes/hybrid.py", "scifact", BUILD / "hybrid"
DEPTH, RERANKED = 100, 10  # documents of a ranking; those of them that the cross-encoder reads
METRICS = {"ndcg": (10,), "recall": (DEPTH,)}


def data_hash() -> str:
    folder = find_folder(DATA)
    files = sorted(path for path in folder.rglob("*") if path.name.startswith(("corpus.", "queries.", "test.")))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def kept(name: str, sha: str, data_sha: str, make):
    """What `make()` returns, a dense or sparse matrix; from build/hybrid, if it lies there, made of the same data."""
    path = WORK / f"{name.replace('/', '-')}-{sha[:12]}.npz"
    if not made(path, data_sha):
        vectors = make()
        with atomic_file(path) as unfinished, open(unfinished, "wb") as file:  # numpy would add .npz to a name
            (scipy.sparse.save_npz if scipy.sparse.issparse(vectors) else np.savez)(file, vectors)
    with np.load(path) as loaded:
        return loaded["arr_0"] if "arr_0" in loaded else scipy.sparse.csr_array(scipy.sparse.load_npz(path))


class Table:
    """The rows so far, and each system's rankings with scores: {query: {document: score}}, best first."""

    def __init__(self):
        self.queries, self.corpus, self.relevant = load_retrieval(DATA)
        self.documents, self.data_sha256 = list(self.corpus), data_hash()
        self.rows, self.found, self.cost, self.begin = [], {}, {}, time.perf_counter()

    def results(self, scores: np.ndarray, rows: np.ndarray) -> dict[str, dict[str, float]]:
        """(queries, k) each -> {query: {document: score}}; documents with score 0 share nothing with the query."""
        return {
            query: {self.documents[r]: float(s) for s, r in zip(of_scores, of_rows) if s > 0 or scores.min() < 0}
            for query, of_scores, of_rows in zip(self.queries, scores, rows)
        }

    def add(
        self,
        name: str,
        found: dict[str, dict[str, float]],
        milliseconds: float,
        size: int,
        encode: float = 0.0,
        sha: str = "",
    ):
        self.found[name], self.cost[name] = found, (milliseconds, size)
        measured = ranking_metrics({query: list(scores) for query, scores in found.items()}, self.relevant, METRICS)
        values = {metric: 100 * value for metric, value in measured.items()} | {
            "milliseconds": milliseconds,
            "bytes": size,
            "milliseconds a document": encode,
        }
        self.add_rows("scifact", name, values, sha)
        self.begin = time.perf_counter()
        print(f"{name:42}", *(f"{metric} {value:.2f}" for metric, value in values.items()), sep="  ", flush=True)

    def add_rows(self, experiment: str, name: str, values: dict[str, float], sha: str):
        for metric, value in values.items():
            what = experiment, name, DATA, metric, value, COMMAND, time.perf_counter() - self.begin
            self.rows.append(row(*what, data_sha256=self.data_sha256, model_sha256=sha))

    def add_fused(self, name: str, parts: list[str], fuse=None):
        cost = [self.cost[part] for part in parts]
        fuse = fuse or (lambda results: reciprocal_rank_fusion([list(r) for r in results]))

        def fuse_all() -> dict:
            return {query: fuse([self.found[part][query] for part in parts]) for query in self.queries}

        found, ms = timed(fuse_all, len(self.queries))
        self.add(name, found, sum(ms for ms, _ in cost) + ms, sum(size for _, size in cost))


def timed(run, n: int):
    """What `run()` returns, and the milliseconds of processor time it took for each of n texts."""
    begin = time.process_time()
    found = run()
    return found, 1000 * (time.process_time() - begin) / n


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    table = Table()
    texts, asked = list(table.corpus.values()), list(table.queries.values())

    bm25, built = timed(lambda: BM25(texts), len(texts))
    (scores, rows), ms = timed(lambda: bm25.search(asked, DEPTH), len(asked))
    table.add("BM25", table.results(scores, rows), ms, bm25.index.nbytes, built)

    for name, folder in (("course/sbert-mini", resolve("course/sbert-mini")), (MINILM, minilm_folder())):
        encoder, sha = SentenceEncoder.load(folder, dtype="float32"), weights_sha256(folder)
        vectors = kept(
            name,
            sha,
            table.data_sha256,
            lambda: encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False),
        )
        _, encode = timed(lambda: encoder.encode(texts[:200], show_progress_bar=False), 200)

        def search() -> tuple:
            queries = encoder.encode(asked, normalize_embeddings=True, show_progress_bar=False)
            return top_k(queries, vectors, DEPTH, dot_score)

        (scores, rows), ms = timed(search, len(asked))
        table.add(name, table.results(scores, rows), ms, vectors.nbytes, encode, sha)

    bert, splade = weights_sha256(resolve("course/bert-mini")), resolve("course/splade-mini")
    for name, encoder, sha in (
        ("bert-mini as a sparse encoder", start(), bert),
        ("course/splade-mini", SparseEncoder.load(splade, dtype="float32"), weights_sha256(splade)),
    ):
        vectors = kept(name, sha, table.data_sha256, lambda: encoder.encode_document(texts, show_progress_bar=False))
        _, encode = timed(lambda: encoder.encode_document(texts[:200], show_progress_bar=False), 200)
        index = InvertedIndex(vectors)

        def search() -> tuple:
            return index.search(encoder.encode_query(asked, show_progress_bar=False), DEPTH)

        (scores, rows), ms = timed(search, len(asked))
        table.add(name, table.results(scores, rows), ms, index.nbytes, encode, sha)
        queries = encoder.encode_query(asked, show_progress_bar=False)
        terms = {"terms a document": vectors.nnz / len(texts), "terms a query": queries.nnz / len(asked)}
        table.add_rows("terms", name, terms, sha)

    for partner in ("course/sbert-mini", "course/splade-mini", MINILM):
        table.add_fused(f"RRF of BM25, {partner}", ["BM25", partner])
        table.add_fused(f"sum of BM25, {partner}", ["BM25", partner], weighted_fusion)
    ours = ["course/sbert-mini", "course/splade-mini"]
    table.add_fused(f"RRF of BM25, {', '.join(ours)}", ["BM25", *ours])

    first = "RRF of BM25, course/splade-mini"
    folder = resolve("course/cross-encoder-mini")
    scorer = CrossEncoder.load(folder, dtype="float32")
    ranked = {query: list(scores) for query, scores in table.found[first].items()}

    def read_again() -> dict[str, list[str]]:
        return rerank(scorer, table.queries, table.corpus, ranked, RERANKED, show_progress_bar=False)

    found, ms = timed(read_again, len(asked))
    reranked = {query: {document: -float(i) for i, document in enumerate(of)} for query, of in found.items()}
    before, size = table.cost[first]
    table.add(f"{first}; {RERANKED} reranked", reranked, before + ms, size, sha=weights_sha256(folder))
    for experiment in ("scifact", "terms"):
        record("14.csv", experiment, [r for r in table.rows if r["experiment"] == experiment])
    wanted = ("ndcg@10", f"recall@{DEPTH}", "terms a document", "terms a query")
    ours = [r for r in table.rows if r["model"] == "course/splade-mini" and r["metric"] in wanted]
    write_cards([r | {"pooling": "max"} for r in ours])


if __name__ == "__main__":
    main()
