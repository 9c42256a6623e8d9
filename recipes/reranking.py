"""Does a cross-encoder order better what a search found? The help pages and SciFact: data/results/14.csv, reranking.

    COURSE_DATA=... python recipes/reranking.py

reranking            by course/reranker-mini, which learnt the order a teacher gives to what was found for a query
reranking by pairs   by course/cross-encoder-mini, which learnt how alike two sentences are

For each first search and number of candidates: ndcg@10 x 100 after reranking, and its difference from before with the
interval of a paired bootstrap, "low" to "high". The setting says what the cross-encoder read: of each
candidate the piece that is nearest for course/sbert-mini, or the whole text, as far as it reads. With ", sum" its
score and the first search's are added, each brought to 0..1 for each query. Controls are "before"; "any order", the
mean of 20 shuffles of the candidates; and "best order", what no reranker can exceed.

First searches, from bad to good: pieces by the word vectors of course/glove-mini, BM25, one vector a text of
course/sbert-mini, its pieces; of SciFact BM25 and pieces. Everything is computed in float32.
"""

import argparse
import time

import numpy as np
import torch

from course_lib.datasets.retrieval import load_retrieval
from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.retrieval.bm25 import BM25
from course_lib.retrieval.chunking import search_passages
from course_lib.retrieval.fusion import weighted_fusion
from course_lib.retrieval.metrics import each_query, paired_bootstrap
from course_lib.retrieval.search import top_k
from course_lib.support.folders import resolve
from recipes.hybrid import OURS, WORK, Found, pieces_of, timed, vectors_of_pieces
from recipes.shared.cards import weights_sha256, write_cards
from recipes.shared.results import data_sha256, record, row

COMMAND, WORDS = "python recipes/reranking.py", "course/glove-mini"
SCORERS = {"reranking": "course/reranker-mini", "reranking by pairs": "course/cross-encoder-mini"}
CANDIDATES = {"course/help": (10, 50, 100), "scifact": (10, 50)}
WHOLE = 10  # candidates of which whole texts are read, too
FIRST = {
    "course/help": (f"pieces of {WORDS}", "BM25", OURS, f"pieces of {OURS}"),
    "scifact": ("BM25", f"pieces of {OURS}"),
}
SHUFFLES = 20


def first_searches(data: str, depth: int) -> tuple[dict[str, Found], dict[tuple[str, str], str]]:
    """What each search finds, `depth` documents a query; and for each query and document the text of its best piece."""
    queries, corpus, _ = load_retrieval(data)
    encoder, sha = SentenceEncoder.load(OURS, dtype="float32"), weights_sha256(resolve(OURS))
    passages, shown = pieces_of(data, corpus, encoder)
    pieces = vectors_of_pieces(data, shown, encoder, sha)
    documents, counted = list(corpus), BM25(list(corpus.values()))
    row_of = {document: k for k, document in enumerate(documents)}
    of_pieces = np.array([row_of[p.document] for p in passages])  # (pieces,): the rows of their documents

    def unit(texts, encoder=encoder) -> np.ndarray:
        return encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)  # (texts, dim)

    def by_pieces(asked: np.ndarray, pieces: np.ndarray) -> Found:
        hits = search_passages(asked, pieces, passages, depth)
        return {query: {hit.document: hit.score for hit in line} for query, line in zip(queries, hits)}

    asked, found, best_text = unit(queries.values()), {"BM25": {}}, {}
    for query, text in queries.items():
        (scores,), (rows,) = counted.search([text], depth)  # (depth,) each
        found["BM25"][query] = {documents[k]: float(score) for score, k in zip(scores, rows) if score > 0}
    if data == "course/help":
        words = SentenceEncoder.load(WORDS, dtype="float32")
        found[f"pieces of {WORDS}"] = by_pieces(unit(queries.values(), words), unit(shown, words))
        scores, rows = top_k(asked, unit(corpus.values()), depth)  # (queries, depth) each
        found[OURS] = {
            query: {documents[k]: score for k, score in zip(*line)}
            for query, *line in zip(queries, rows.tolist(), scores.tolist())
        }
    found[f"pieces of {OURS}"] = by_pieces(asked, pieces)
    for query, line in zip(queries, asked @ pieces.T):  # (pieces,)
        wanted = {row_of[document] for of in found.values() for document in of[query]}
        places = np.flatnonzero(np.isin(of_pieces, list(wanted)))
        for k in places[np.argsort(line[places], kind="stable")]:  # the best comes last, and stays
            best_text[query, documents[of_pieces[k]]] = shown[k]
    return found, best_text


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


def measure(experiment: str, data: str, found: dict[str, Found], best_text: dict) -> list[dict]:
    queries, corpus, relevant = load_retrieval(data)
    scorer, sha = CrossEncoder.load(SCORERS[experiment], dtype="float32"), weights_sha256(resolve(SCORERS[experiment]))
    rows, draw, begin, data_sha = [], np.random.default_rng(0), time.perf_counter(), data_sha256(data)

    def score(what: str, text_of: dict[tuple[str, str], str], depth: int) -> dict[tuple[str, str], float]:
        """What the cross-encoder gives to each query with the first documents of each search."""
        pairs = list(dict.fromkeys((q, d) for of in found.values() for q in of for d in list(of[q])[:depth]))
        texts = [(queries[q], text_of[q, d]) for q, d in pairs]
        scores, ms = timed(lambda: scorer.predict(texts, show_progress_bar=False), len(pairs))
        print(f"{experiment}, {data}, {what}: {len(pairs)} pairs, {ms:.1f} ms each", flush=True)
        return dict(zip(pairs, scores.tolist()))

    pieces = score("best piece", best_text, max(CANDIDATES[data]))
    whole = score("whole text", {(q, d): corpus[d] for q, d in pieces}, WHOLE)

    def add(name: str, setting: str, n: int, after: np.ndarray, before: np.ndarray):
        change = dict(zip(("difference", "low", "high"), paired_bootstrap(after, before)))
        for metric, value in {"ndcg@10": after.mean(), **change}.items():
            what = experiment, name, data, metric, 100 * float(value), COMMAND, time.perf_counter() - begin
            rows.append(row(*what, n=n, setting=setting, data_sha256=data_sha, model_sha256=sha))
        print(f"{name:28} {n:4} {setting:18}", *(r["value"] for r in rows[-4:]), flush=True)

    for name in FIRST[data]:
        first = found[name]
        before = each_query(first, relevant)  # (queries,)
        add(name, "before", 0, before, before)
        for n in CANDIDATES[data]:
            grades = {(q, d): relevant[q].get(d, 0) for q in first for d in first[q]}
            shuffles = [{pair: draw.random() for pair in grades} for _ in range(SHUFFLES)]
            ways = {"any order": shuffles, "best order": [grades], "best piece": [pieces], "whole text": [whole]}
            for setting, orders in ways.items():
                if setting != "whole text" or n <= WHOLE:
                    after = [each_query(reordered(first, order, n, False), relevant) for order in orders]
                    add(name, setting, n, np.mean(after, axis=0), before)
                    if setting in ("best piece", "whole text"):
                        after = each_query(reordered(first, orders[0], n, True), relevant)
                        add(name, f"{setting}, sum", n, after, before)
    return rows


def for_card(rows: list[dict]) -> list[dict]:
    """Of the rows of "reranking" those that the card of course/reranker-mini shows: before, and best pieces."""
    wanted = [("before", 0), ("best piece", 10), ("best piece", 50)]
    return [
        r
        | {"model": SCORERS["reranking"], "pooling": f"{r['n']} reranked" if int(r["n"]) else "before"}
        | {"metric": f"ndcg@10, {r['model']}"}
        for r in rows
        if r["metric"] == "ndcg@10" and (r["setting"], int(r["n"])) in wanted
    ]


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows = {experiment: [] for experiment in SCORERS}
    for data in CANDIDATES:
        found, best_text = first_searches(data, max(CANDIDATES[data]))
        for experiment in SCORERS:
            rows[experiment] += measure(experiment, data, found, best_text)
            record("14.csv", experiment, rows[experiment])
    write_cards(for_card(rows["reranking"]))


if __name__ == "__main__":
    main()
