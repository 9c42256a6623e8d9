"""Retrieve, then rerank: a cross-encoder reads the query with each of the first candidates, and orders them anew.

    rerank(CrossEncoder.load("course/cross-encoder-mini"), queries, corpus, rankings, top_k=50)

A cross-encoder is too slow for a corpus and more precise than vectors, so it gets what a fast search found (Nogueira
and Cho 2019, arXiv 1901.04085). It cannot find what is not among the candidates.

Left out on purpose: reranking by a list as a whole, scores of both stages combined (fusion.py does it).
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from course_lib.models.cross_encoder import CrossEncoder
from course_lib.support.rankings import ranked
from course_lib.support.text_inputs import check_mapping


def rerank(
    scorer: CrossEncoder,
    queries: Mapping[Hashable, str],
    corpus: Mapping[Hashable, str],
    rankings: Mapping[Hashable, Sequence[Hashable]],
    top_k: int | None = None,
    **options,
) -> dict[Hashable, list[Hashable]]:
    """The rankings, their first `top_k` documents (all by default) ordered by the scorer; the others follow as before.

    queries, corpus: {id: text}; rankings: {query's id: documents' ids, best first}, or {id: {document: score}}, as for
    metrics.ranking_metrics. All pairs are scored together, whatever their query; `options` go to
    `CrossEncoder.predict`. Equal scores keep their order.
    Raises ValueError where the scorer has several labels, top_k is negative, a query or document is not there;
    TypeError for other containers.
    """
    if scorer.num_labels != 1:
        raise ValueError(f"this model has {scorer.num_labels} labels, and ranking needs a single score")
    if top_k is not None and top_k < 0:
        raise ValueError(f"top_k is {top_k}; expected at least 0, or None for all")
    queries, corpus = check_mapping(queries, "queries"), check_mapping(corpus, "corpus")
    rankings = check_mapping(rankings, "rankings", "{query's id: documents, best first}")
    rankings = {query: ranked(ranking, f"the ranking of query {query!r}") for query, ranking in rankings.items()}
    pairs = [(query, document) for query, ranking in rankings.items() for document in ranking[:top_k]]
    if unknown := [pair for pair in pairs if pair[0] not in queries or pair[1] not in corpus]:
        raise ValueError(
            f"{len(unknown)} of {len(pairs)} pairs name a query or document that is not there, first {unknown[0]}"
        )
    scores = scorer.predict([(queries[query], corpus[document]) for query, document in pairs], **options)  # (pairs,)
    found, start = {}, 0
    for query, ranking in rankings.items():
        candidates = ranking[:top_k]
        order = np.argsort(-scores[start : start + len(candidates)], kind="stable")
        found[query] = [candidates[i] for i in order] + ranking[len(candidates) :]
        start += len(candidates)
    return found
