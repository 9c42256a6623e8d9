"""Does a cross-encoder order better what a search found? The help pages and SciFact: data/results/14.csv, reranking.

    COURSE_DATA=... python recipes/reranking.py

For each first search and number of candidates: ndcg@10 x 100, before and after, and the difference with the interval of
a paired bootstrap, "low" to "high". The setting says what course/cross-encoder-mini read of a candidate, the whole text
(as far as it reads) or the piece that is nearest for course/sbert-mini, and whether the order is by its score alone or
by the sum of both, each brought to 0..1 for each query. The candidates in any order, the mean of 20 shuffles, are the
control. "milliseconds alone" is the median processor time of one thread for one query: 20 queries, one at a time.

First searches: BM25, one vector a text, the best piece of a text, and the sum of BM25 and pieces with equal weights; of
SciFact only the last. Everything is computed in float32.
"""

import argparse
import time

import numpy as np
import torch

from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.fusion import weighted_fusion
from course_lib.retrieval.metrics import each_query, paired_bootstrap
from course_lib.support.folders import resolve
from recipes.hybrid import OURS, WORK, Found, data_hash, kept, pieces_of, timed
from recipes.shared.cards import weights_sha256
from recipes.shared.results import record, row

COMMAND, SCORER = "python recipes/reranking.py", "course/cross-encoder-mini"
CANDIDATES = {"course/help": (10, 50, 100), "scifact": (10, 50)}
READ = {"course/help": ("whole text", "best piece"), "scifact": ("best piece",)}
BOTH, SHUFFLES, ALONE = f"sum of BM25, pieces of {OURS}", 20, 20


def first_searches(data: str, depth: int) -> tuple[dict[str, Found], dict[tuple[str, str], str]]:
    """What each search finds, `depth` documents a query; and for each query and document the text of its best piece."""
    queries, corpus, _ = load_retrieval(data)
    encoder, sha = SentenceEncoder.load(OURS, dtype="float32"), weights_sha256(resolve(OURS))
    passages, shown = pieces_of(data, corpus, encoder)

    def unit(texts) -> np.ndarray:
        return encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)  # (texts, dim)

    vectors, pieces = (
        kept(f"{name} {data}", sha, data_hash(data), lambda: unit(some))
        for name, some in (("vectors", corpus.values()), ("pieces", shown))
    )  # (documents, dim), (pieces, dim)
    documents, asked, counted = list(corpus), unit(queries.values()), BM25(list(corpus.values()))
    row_of = {document: k for k, document in enumerate(documents)}
    of_pieces = np.array([row_of[p.document] for p in passages])  # (pieces,): the rows of their documents
    found, best_text = {name: {} for name in ("BM25", OURS, f"pieces of {OURS}", BOTH)}, {}
    for query, text, vector in zip(queries, queries.values(), asked):
        by_piece, best = pieces @ vector, np.full(len(documents), -np.inf, np.float32)  # (pieces,), (documents,)
        np.maximum.at(best, of_pieces, by_piece)
        for name, scores in ((OURS, vectors @ vector), (f"pieces of {OURS}", best)):
            rows = np.argsort(-scores, kind="stable")[:depth]
            found[name][query] = {documents[k]: float(scores[k]) for k in rows}
        (scores,), (rows,) = counted.search([text], depth)  # (depth,) each
        found["BM25"][query] = {documents[k]: float(score) for score, k in zip(scores, rows) if score > 0}
        found[BOTH][query] = weighted_fusion([found["BM25"][query], found[f"pieces of {OURS}"][query]])
        wanted = np.isin(of_pieces, [row_of[document] for of in found.values() for document in of[query]])  # (pieces,)
        for k in sorted(np.flatnonzero(wanted), key=lambda k: by_piece[k]):  # the best comes last, and stays
            best_text[query, documents[of_pieces[k]]] = shown[k]
    return (found if data == "course/help" else {BOTH: found[BOTH]}), best_text


def reordered(first: Found, read: dict[tuple[str, str], float], candidates: int, with_first: bool) -> Found:
    """The first candidates by what the cross-encoder gives them, alone or with the first search's score; then the rest.

    read: {(query, document): score}.
    """
    found = {}
    for query, scores in first.items():
        head = {document: scores[document] for document in list(scores)[:candidates]}
        own = {document: read[query, document] for document in head}
        order = weighted_fusion([head, own] if with_first else [own])
        found[query] = dict.fromkeys([*order, *list(scores)[candidates:]])
    return found


def measure(data: str, scorer: CrossEncoder, sha: str) -> list[dict]:
    queries, corpus, relevant = load_retrieval(data)
    first, best_text = first_searches(data, max(CANDIDATES[data]))
    pairs = list(
        dict.fromkeys(
            (q, d) for found in first.values() for q in found for d in list(found[q])[: max(CANDIDATES[data])]
        )
    )
    rows, draw, begin = [], np.random.default_rng(0), time.perf_counter()

    def add(name: str, setting: str, n: int, values: dict[str, float]):
        for metric, value in values.items():
            what = "reranking", name, data, metric, value, COMMAND, time.perf_counter() - begin
            rows.append(row(*what, n=n, setting=setting, data_sha256=data_hash(data), model_sha256=sha))

    for name, found in first.items():
        before = each_query(found, relevant)  # (queries,)
        add(name, "before", 0, {"ndcg@10": 100 * before.mean()})
        for n in CANDIDATES[data]:
            any_order = [{pair: draw.random() for pair in pairs} for _ in range(SHUFFLES)]
            after = [each_query(reordered(found, order, n, False), relevant).mean() for order in any_order]
            add(name, "any order", n, {"ndcg@10": 100 * float(np.mean(after))})
    for what in READ[data]:
        texts = [(queries[q], best_text[q, d] if what == "best piece" else corpus[d]) for q, d in pairs]
        read = dict(zip(pairs, scorer.predict(texts, show_progress_bar=False).tolist()))
        print(f"{data}: {len(pairs)} pairs, {what}, {time.perf_counter() - begin:.0f} s", flush=True)
        for name, found in first.items():
            before = each_query(found, relevant)
            for n in CANDIDATES[data]:
                for order in ("", ", sum"):
                    after = each_query(reordered(found, read, n, bool(order)), relevant)
                    values = dict(zip(("difference", "low", "high"), paired_bootstrap(after, before)))
                    values = {key: 100 * value for key, value in values.items()}
                    add(name, what + order, n, {"ndcg@10": 100 * after.mean()} | values)
                    print(f"{name:36} {n:4} {what + order:18}", rows[-4]["value"], *values.values(), flush=True)
        for n in CANDIDATES[data]:
            some = [[pair for pair, (q, _) in zip(texts, pairs) if q == query][:n] for query in list(queries)[:ALONE]]
            times = [timed(lambda: scorer.predict(few, show_progress_bar=False), 1)[1] for few in some]
            add(SCORER, what, n, {"milliseconds alone": float(np.median(times))})
    return rows


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    scorer, sha = CrossEncoder.load(SCORER, dtype="float32"), weights_sha256(resolve(SCORER))
    record("14.csv", "reranking", [r for data in CANDIDATES for r in measure(data, scorer, sha)])


if __name__ == "__main__":
    main()
