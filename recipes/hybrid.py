"""Measure search by words, by meaning and by both on SciFact: data/results/14.csv. (recipes/reranking.py goes on.)

    COURSE_DATA=... python recipes/hybrid.py

scifact  For each system: ndcg@10 and recall@100, x 100; the difference of ndcg@10 from BM25's with the interval of a
         paired bootstrap, "low" to "high"; milliseconds a query, encoding of the query included, of all queries
         together and of each of the first 50 alone (the median); milliseconds to encode a document, measured on the
         first 200; bytes of what is searched. Times are processor time of one thread, so that other work on the
         machine counts little. A fused system costs what its parts cost.
weights  ndcg@10 of fusions of BM25 with each partner: of sums by BM25's weight (the partner has the rest), of ranks by
         k; and the same of SciFact's train queries, on which a setting can be chosen. The one chosen so is among the
         systems of scifact, as "chosen sum" and "chosen RRF".
terms    how many terms the sparse vectors have.

"pieces of" an encoder: a text longer than it reads is cut into pieces of 100 tokens, 25 shared, with its title before
each but the first, and its best piece speaks for it. Models compute in float32, as wherever a score is recorded:
bfloat16 moves the third digit. Resumable: vectors stay in build/hybrid, under the hash of the weights they come from.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import scipy.sparse
import torch

from course_lib.datasets.retrieval import load_fields, load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.models.sparse import SparseEncoder
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.chunking import Passage, chunk_long_documents, search_passages
from course_lib.retrieval.fusion import reciprocal_rank_fusion, weighted_fusion
from course_lib.retrieval.inverted_index import InvertedIndex
from course_lib.retrieval.metrics import each_query, paired_bootstrap, ranking_metrics
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.files import atomic_file
from course_lib.support.folders import resolve
from recipes.shared.cards import weights_sha256, write_cards
from recipes.shared.made import made
from recipes.shared.minilm import MINILM, minilm_folder
from recipes.shared.places import BUILD
from recipes.shared.results import data_sha256, record, row
from recipes.splade_mini import start

COMMAND, DATA, WORK = "python recipes/hybrid.py", "scifact", BUILD / "hybrid"
DEPTH, ALONE = 100, 50  # documents of a ranking; queries that are timed one by one
SIZE, OVERLAP = 100, 25  # of the pieces, in tokens
WEIGHTS, CONSTANTS = [round(0.1 * tenth, 1) for tenth in range(11)], (1, 5, 10, 20, 60, 200)  # BM25's; k of RRF
OURS, SPARSE = "course/sbert-mini", "course/splade-mini"
Found = dict[str, dict[str, float]]  # {query: {document: score}}, best first


def kept(name: str, sha: str, data_sha: str, make):
    """What `make()` returns, a dense or sparse matrix; from build/hybrid, if it lies there, made of the same data."""
    path = WORK / f"{name.replace('/', '-')}-{sha[:12]}.npz"
    if not made(path, data_sha):
        vectors = make()
        with atomic_file(path) as unfinished, open(unfinished, "wb") as file:  # numpy would add .npz to a name
            (scipy.sparse.save_npz if scipy.sparse.issparse(vectors) else np.savez)(file, vectors)
    with np.load(path) as loaded:
        return loaded["arr_0"] if "arr_0" in loaded else scipy.sparse.csr_array(scipy.sparse.load_npz(path))


def pieces_of(data: str, corpus: dict[str, str], encoder: SentenceEncoder) -> tuple[list[Passage], list[str]]:
    """The pieces of long texts and the others whole, and the text of each as it is encoded: with its title."""
    return chunk_long_documents(corpus, encoder, SIZE, OVERLAP, load_fields(data, "corpus", "title"))


def vectors_of_pieces(data: str, shown: list[str], encoder: SentenceEncoder, sha: str) -> np.ndarray:
    """Unit vectors (pieces, dim) of what `pieces_of` gives, computed once for all recipes."""
    options = dict(normalize_embeddings=True, show_progress_bar=False)
    return kept(f"pieces of {data}", sha, data_sha256(data), lambda: encoder.encode(shown, **options))


def timed(run: Callable, n: int):
    """What `run()` returns, and the milliseconds of processor time it took for each of n texts."""
    begin = time.process_time()
    found = run()
    return found, 1000 * (time.process_time() - begin) / n


class Table:
    """The rows so far, and what each system found for the test queries and for the train queries."""

    def __init__(self):
        self.queries, self.corpus, self.relevant = load_retrieval(DATA)
        self.learning, _, self.known = load_retrieval(DATA, "train")
        self.documents, self.data_sha256 = list(self.corpus), data_sha256(DATA)
        self.rows, self.found, self.train, self.cost, self.begin = [], {}, {}, {}, time.perf_counter()

    def results(self, queries: dict[str, str], scores: np.ndarray, rows: np.ndarray) -> Found:
        """(queries, k) each; documents with score 0 share nothing with the query, where none is negative."""
        return {
            query: {self.documents[r]: float(s) for s, r in zip(of_scores, of_rows) if s > 0 or scores.min() < 0}
            for query, of_scores, of_rows in zip(queries, scores, rows)
        }

    def add_system(self, name: str, search: Callable, size: int, encode: float = 0.0, sha: str = ""):
        """search: a list of queries to scores and rows of documents, or to {document: score} of each."""

        def find(queries: dict[str, str]) -> Found:
            found = search(list(queries.values()))
            return dict(zip(queries, found)) if isinstance(found, list) else self.results(queries, *found)

        found, together = timed(lambda: find(self.queries), len(self.queries))
        alone = [timed(lambda: search([query]), 1)[1] for query in list(self.queries.values())[:ALONE]]
        self.train[name] = find(self.learning)
        self.add(name, found, (together, float(np.median(alone)), size), encode, sha)

    def add(self, name: str, found: Found, cost: tuple[float, float, int], encode=0.0, sha="", setting=""):
        """cost: milliseconds a query, of all together and of one alone, and bytes."""
        self.found[name], self.cost[name] = found, cost
        values = {key: 100 * value for key, value in self.quality(found, ("ndcg", 10), ("recall", DEPTH)).items()}
        own, words = (each_query(self.found[key], self.relevant) for key in (name, "BM25"))
        values |= {key: 100 * v for key, v in zip(("difference", "low", "high"), paired_bootstrap(own, words))}
        times = dict(zip(("milliseconds", "milliseconds alone", "bytes"), cost))
        self.add_rows("scifact", name, values | times | {"milliseconds a document": encode}, sha, setting)
        self.begin = time.perf_counter()
        print(f"{name:42}", *(f"{metric} {value:.2f}" for metric, value in values.items()), sep="  ", flush=True)

    def quality(self, found: Found, *measures: tuple[str, int]) -> dict[str, float]:
        relevant = self.relevant if next(iter(found)) in self.relevant else self.known
        return ranking_metrics(found, relevant, {name: (k,) for name, k in measures})

    def add_rows(self, experiment: str, name: str, values: dict[str, float], sha: str = "", setting: str = ""):
        for metric, value in values.items():
            what = experiment, name, DATA, metric, value, COMMAND, time.perf_counter() - self.begin
            self.rows.append(row(*what, setting=setting, data_sha256=self.data_sha256, model_sha256=sha))

    def add_fused(self, partner: str):
        """Sums and RRF of BM25 and a partner as they are used, and with the setting that is best for train queries."""
        sums = {f"BM25 {w}": lambda r, w=w: weighted_fusion(r, [w, 1 - w]) for w in WEIGHTS}
        ranks = {f"k {k}": lambda r, k=k: reciprocal_rank_fusion(r, k) for k in CONSTANTS}
        for kind, fusions, usual in (("sum", sums, "BM25 0.5"), ("RRF", ranks, "k 60")):
            name, by_train, made_of = f"{kind} of BM25, {partner}", {}, {}
            for setting, fuse in fusions.items():
                train, made_of[setting] = (
                    {query: fuse([found["BM25"][query], found[partner][query]]) for query in found["BM25"]}
                    for found in (self.train, self.found)
                )
                by_train[setting] = self.quality(train, ("ndcg", 10))["ndcg@10"]
                values = {
                    "ndcg@10": 100 * self.quality(made_of[setting], ("ndcg", 10))["ndcg@10"],
                    "train ndcg@10": 100 * by_train[setting],
                }
                self.add_rows("weights", name, values, setting=setting)
            cost = tuple(sum(values) for values in zip(self.cost["BM25"], self.cost[partner]))
            chosen = max(by_train, key=by_train.get)
            self.add(name, made_of[usual], cost, setting=usual)
            self.add(f"chosen {name}", made_of[chosen], cost, setting=chosen)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    table, quiet = Table(), dict(show_progress_bar=False)
    texts, asked = list(table.corpus.values()), list(table.queries.values())

    bm25, built = timed(lambda: BM25(texts), len(texts))
    table.add_system("BM25", lambda queries: bm25.search(queries, DEPTH), bm25.index.nbytes, built)

    for name, folder in ((OURS, resolve(OURS)), (MINILM, minilm_folder())):
        encoder, sha = SentenceEncoder.load(folder, dtype="float32"), weights_sha256(folder)

        def unit(some: list[str]) -> np.ndarray:
            return encoder.encode(some, normalize_embeddings=True, **quiet)  # (texts, dim)

        vectors = kept(name, sha, table.data_sha256, lambda: unit(texts))
        _, encode = timed(lambda: unit(texts[:200]), 200)

        def by_vectors(queries: list[str]) -> tuple:
            return top_k(unit(queries), vectors, DEPTH, dot_score)

        table.add_system(name, by_vectors, vectors.nbytes, encode, sha)
        if name == OURS:
            passages, shown = pieces_of(DATA, table.corpus, encoder)
            pieces = vectors_of_pieces(DATA, shown, encoder, sha)
            of_first = set(table.documents[:200])
            some = [text for p, text in zip(passages, shown) if p.document in of_first]
            _, encode = timed(lambda: unit(some), 200)

            def by_pieces(queries: list[str]) -> list[dict[str, float]]:
                found = search_passages(unit(queries), pieces, passages, DEPTH)
                return [{hit.document: hit.score for hit in hits} for hits in found]

            table.add_system(f"pieces of {name}", by_pieces, pieces.nbytes, encode, sha)

    bert, splade = weights_sha256(resolve("course/bert-mini")), resolve(SPARSE)
    for name, encoder, sha in (
        ("bert-mini as a sparse encoder", start(), bert),
        (SPARSE, SparseEncoder.load(splade, dtype="float32"), weights_sha256(splade)),
    ):
        vectors = kept(name, sha, table.data_sha256, lambda: encoder.encode_document(texts, **quiet))
        _, encode = timed(lambda: encoder.encode_document(texts[:200], **quiet), 200)
        index = InvertedIndex(vectors)

        def by_terms(queries: list[str]) -> tuple:
            return index.search(encoder.encode_query(queries, **quiet), DEPTH)

        table.add_system(name, by_terms, index.nbytes, encode, sha)
        queries = encoder.encode_query(asked, **quiet)
        terms = {"terms a document": vectors.nnz / len(texts), "terms a query": queries.nnz / len(asked)}
        table.add_rows("terms", name, terms, sha)

    for partner in (OURS, f"pieces of {OURS}", SPARSE, MINILM):
        table.add_fused(partner)
    for experiment in ("scifact", "weights", "terms"):
        record("14.csv", experiment, [r for r in table.rows if r["experiment"] == experiment])
    wanted = ("ndcg@10", f"recall@{DEPTH}", "terms a document", "terms a query")
    ours = [r for r in table.rows if r["model"] == SPARSE and r["metric"] in wanted]
    write_cards([r | {"pooling": "max"} for r in ours])


if __name__ == "__main__":
    main()
