"""Which of n texts say the same? The closest pairs of all, groups of duplicates, and the threshold that separates them.

    for score, i, j in paraphrase_mining_embeddings(encoder.encode(sentences), max_pairs=20):     # best first
        print(f"{score:.2f}  {sentences[i]}  |  {sentences[j]}")

    threshold = calibrate(scores, labels, precision=0.9)                        # on pairs that somebody labelled
    groups = find_duplicates(encoder.encode(sentences), threshold)              # [[3, 17, 40], [8, 9], ...]

Name and results of the mining are those of sentence_transformers.util. Cosines are symmetric, so that only the pairs
i < j are computed, half of all products; and they are computed in blocks, of which one at a time is in memory.

Left out on purpose: approximate neighbours, which find most pairs of millions of texts without comparing all.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from course_lib.retrieval.metrics import binary_classification
from course_lib.similarity import cos_sim
from course_lib.support.vectors import array_of, check_finite, matrix_of

# "row i lists row j with this score"; a pair may be listed by both of its rows
LISTING = np.dtype([("score", np.float64), ("row", np.int64), ("other", np.int64)])


@torch.no_grad()
def paraphrase_mining_embeddings(
    embeddings, max_pairs: int = 500_000, top_k: int = 100, *, row_block: int = 1024, column_block: int = 16_384
) -> list[tuple[float, int, int]]:
    """The pairs (cosine, i, j), i < j, with the highest cosines, best first; of equal ones the lower i, then lower j.

    embeddings: (n, dim), tensor or array. A pair counts if j is among the `top_k` best of row i, or i among those of
    row j; the `max_pairs` best of these are returned. Two copies of one text are a pair, too.

    Pairs and scores are those of sentence_transformers.util.paraphrase_mining_embeddings. Only where equal scores
    compete for the last place of top_k or max_pairs may they differ: which of them that function takes is left to
    chance and to its chunks; this one takes the lower rows, whatever the blocks. (6.2. Version 5.7 counts a pair twice
    that both rows list, and returns fewer than max_pairs.)

    Memory: one block of scores and its candidates, and others whose number grows with max_pairs, not with n * top_k: of
    the best 2 * max_pairs listings, each pair being listed at most twice, at least max_pairs are different pairs, and
    what lies below them can be forgotten.
    Raises ValueError for max_pairs or top_k below 1, and for vectors that are not (n, dim) or not finite.
    """
    for name, value in (("max_pairs", max_pairs), ("top_k", top_k)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    embeddings, kept, waiting, lowest = matrix_of(embeddings), np.empty(0, LISTING), [], -np.inf
    # (n,): only above its limit does a score enter a row's list. An equal one comes too late: a row meets the others in
    # rising order, first those before it as a column, then those after it
    limits = torch.full((len(embeddings),), -torch.inf)
    for row, column, scores in upper_triangle(embeddings, row_block=row_block, column_block=column_block):
        limits = limits.to(scores)
        listings = (column, row, scores.T), (row, column, scores)  # j may list i < j, then i may list j
        for first, first_other, part in listings:
            i, j = _candidates(part, limits[first : first + len(part)], lowest, top_k)  # (candidates,) each
            found = np.empty(len(i), LISTING)
            found["score"], found["row"], found["other"] = part[i, j].cpu(), i.cpu() + first, j.cpu() + first_other
            waiting.append(found)
        if sum(map(len, waiting)) > 2 * max_pairs:
            kept, rank = _best_listings([kept, *waiting], top_k)
            waiting, full = [], kept[rank == top_k - 1]
            limits[torch.from_numpy(full["row"])] = torch.from_numpy(full["score"]).to(limits)
            if len(kept) > 2 * max_pairs:
                kept = kept[_order(kept)[: 2 * max_pairs]]
                lowest = kept["score"][-1]

    kept, _ = _best_listings([kept, *waiting], top_k)
    kept = kept[_order(kept)]
    i, j = np.minimum(kept["row"], kept["other"]), np.maximum(kept["row"], kept["other"])  # (listings,) each
    first = np.append(True, (i[1:] != i[:-1]) | (j[1:] != j[:-1]))[: len(i)]  # (listings,): not the same pair again
    return list(zip(*(column[first][:max_pairs].tolist() for column in (kept["score"], i, j))))


@torch.no_grad()
def find_duplicates(embeddings, threshold: float) -> list[list[int]]:
    """Rows that hang together by cosines of at least `threshold`: lists of two rows or more, the largest first.

    embeddings: (n, dim), tensor or array. Groups are the connected components of the graph whose edges are the pairs
    above the threshold: two rows of a group may be less alike than that, where others lie between them (see
    `clustering.community_detection` for groups around a centre). Rows rise within a group; of equally large groups the
    one with the lowest row comes first. No pairs are kept: a text that comes ten thousand times is no problem.
    Raises ValueError for vectors that are not (n, dim) or not finite.
    """
    embeddings = matrix_of(embeddings)
    group = np.arange(len(embeddings))  # (n,): of each row, the lowest row of its group as known so far
    for row, column, scores in upper_triangle(embeddings):
        i, j = (indices.cpu().numpy() for indices in (scores >= threshold).nonzero(as_tuple=True))  # (pairs,) each
        i, j = i + row, j + column
        while len(apart := np.flatnonzero(group[i] != group[j])):
            i, j = i[apart], j[apart]
            np.minimum.at(group, np.maximum(group[i], group[j]), np.minimum(group[i], group[j]))
            while (group[group] != group).any():
                group = group[group]
    members = defaultdict(list)
    for row, lowest in enumerate(group.tolist()):
        members[lowest].append(row)
    groups = [rows for rows in members.values() if len(rows) > 1]
    return sorted(groups, key=len, reverse=True)  # stable: the lowest row first


def calibrate(scores, labels, precision: float) -> float:
    """The lowest threshold at which at least this share of the pairs that score as much are really pairs, label 1.

    scores: (n,) floats; labels: (n,) of 0 and 1. The lowest: it finds most. It is in the middle between two
    neighbouring scores. On new pairs the precision will be another one: somewhat lower, because the threshold was
    chosen on these; and lower still where pairs with label 1 are rarer. For the threshold of the best F1 or accuracy,
    see `metrics.binary_classification`.
    Raises ValueError where no threshold gives that precision, and for what `binary_classification` refuses.
    """
    binary_classification(scores := array_of(scores, "scores"), labels := array_of(labels, "labels"))  # refuses
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(labels[order])  # (n,): highest score first; of so many pairs, really pairs
    share = right / np.arange(1, len(scores) + 1)
    falls = np.append(scores[1:] < scores[:-1], True)  # no threshold lies between equal scores
    possible = np.flatnonzero((share >= precision) & falls)
    if not len(possible):
        highest = f"the highest that one gives is {share[falls].max():.3f}"
        raise ValueError(f"no threshold gives a precision of {precision}; {highest}")
    last = possible[-1]
    if last == len(scores) - 1:
        return float(scores[last])
    middle = (scores[last] + scores[last + 1]) / 2
    return float(middle if middle > scores[last + 1] else scores[last])  # rounding may give the lower one


def upper_triangle(
    embeddings, *, row_block: int = 1024, column_block: int = 16_384
) -> Iterator[tuple[int, int, Tensor]]:
    """The cosines of all pairs i < j of n vectors, block by block: first row, first column, scores (rows, columns).

    Blocks come row by row, each row from the diagonal to the right. Places with i >= j hold -inf. For n * (n - 1) / 2
    pairs at most n * (n + row_block) / 2 scores are computed.
    Raises ValueError for vectors that are not (n, dim) or not finite.
    """
    embeddings = matrix_of(embeddings)
    check_finite(embeddings)
    for row in range(0, len(embeddings), row_block):
        rows = embeddings[row : row + row_block]
        for column in range(row, len(embeddings), column_block):
            scores = cos_sim(rows, embeddings[column : column + column_block])  # (rows, columns)
            if column < row + len(rows):
                below = torch.ones(scores.shape, dtype=torch.bool, device=scores.device).tril(row - column)
                scores = scores.masked_fill(below, -torch.inf)
            yield row, column, scores


def _candidates(scores: Tensor, limits: Tensor, lowest: float, k: int) -> tuple[Tensor, Tensor]:
    """Places (rows, columns) of scores above their row's limit and not below `lowest`; of a row the k best.

    Of equal scores the first. Where a row has more than k, its limit is raised to the k-th.
    """
    passing = (scores > limits[:, None]) & (scores >= lowest)  # (rows, columns)
    crowded = torch.nonzero(passing.sum(dim=1) > k)[:, 0]  # (crowded,)
    if len(crowded):
        among = scores[crowded]  # (crowded, columns)
        limits[crowded] = last = among.topk(k, dim=1).values[:, -1]  # (crowded,)
        chosen = among >= last[:, None]
        for row in torch.nonzero(chosen.sum(dim=1) > k)[:, 0].tolist():  # equal scores at the last place
            chosen[row, torch.nonzero(among[row] == last[row])[:, 0][k - int((among[row] > last[row]).sum()) :]] = False
        passing[crowded] = chosen
    return passing.nonzero(as_tuple=True)


def _best_listings(parts: list[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best listings of each row, of equal scores the first; and their rank in it, from 0."""
    listings = np.concatenate(parts)
    rows = np.ascontiguousarray(listings["row"])
    order = np.lexsort((-listings["score"], rows))  # stable
    rank = np.arange(len(rows)) - np.searchsorted(rows[order], rows[order])  # place minus first place of the row
    return listings[order[rank < k]], rank[rank < k]


def _order(listings: np.ndarray) -> np.ndarray:
    """Best score first, then the lower of both rows, then the higher one: a pair's two listings follow each other."""
    lower, higher = np.minimum(listings["row"], listings["other"]), np.maximum(listings["row"], listings["other"])
    return np.lexsort((lower * (higher.max(initial=0) + 1) + higher, -listings["score"]))
