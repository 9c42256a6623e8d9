"""Groups of texts around a centre, and words that name a group.

    for members in community_detection(encoder.encode(texts), threshold=0.75, min_community_size=5):
        print(len(members), texts[members[0]])                  # the first is the centre

    cluster_words(texts, labels)                                # {0: ["tram", "line", ...], 1: ["library", ...]}

k-means, agglomerative clustering and clusters by density, which need no more than vectors, are scikit-learn's:
`KMeans(k).fit(vectors)`, `HDBSCAN().fit(vectors)`.

Left out on purpose: names that a language model writes.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from course_lib.retrieval.paraphrases import upper_triangle
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.text_inputs import text_list
from course_lib.support.texts import only_words
from course_lib.support.vectors import matrix_of


@torch.no_grad()
def community_detection(
    embeddings, threshold: float = 0.75, min_community_size: int = 10, batch_size: int = 1024
) -> list[list[int]]:
    """Groups of rows with a cosine of at least `threshold` to the group's centre: lists of rows, the largest first.

    embeddings: (n, dim), tensor or array. Each row with at least `min_community_size` such neighbours, itself among
    them, is proposed as a centre, those with most neighbours first, of equals the lower row. A centre that is in a
    group already is passed over; a group loses the rows that earlier ones have, and is dropped if fewer than
    min_community_size are left. The first of a group is its centre, the others follow by falling cosine. Rows in no
    group are in no list.

    The result of sentence_transformers.util.community_detection (6.2; in 5.7 a row that is in a group may be the centre
    of another one), but that of equal cosines the lower row comes first here.
    Half of the products suffice. Memory: `batch_size` * n scores at most, and 16 bytes a pair above the threshold.
    Raises ValueError for a min_community_size below 1, and for vectors that are not (n, dim) or not finite.
    """
    if min_community_size < 1:
        raise ValueError(f"min_community_size is {min_community_size}; expected at least 1")
    embeddings, found = matrix_of(embeddings), []
    for row, column, scores in upper_triangle(embeddings, row_block=batch_size):
        i, j = (scores >= threshold).nonzero(as_tuple=True)  # (pairs,) each
        found.append((i.cpu().numpy() + row, j.cpu().numpy() + column, scores[i, j].cpu().numpy()))
    if not found:
        return []
    i, j, pair_scores = (np.concatenate(parts) for parts in zip(*found))
    to_itself = pairwise_cos_sim(embeddings, embeddings).cpu().numpy()  # (n,): 1, or 0 for a vector of zeros
    itself = np.flatnonzero(to_itself >= threshold)
    centre, other = np.concatenate([i, j, itself]), np.concatenate([j, i, itself])
    order = np.lexsort((other, -np.concatenate([pair_scores, pair_scores, to_itself[itself]]), centre))
    ends = np.cumsum(np.bincount(centre, minlength=len(embeddings)))  # (n,)
    neighbours = np.split(other[order], ends[:-1])  # of each row, nearest first

    communities, taken = [], np.zeros(len(embeddings), dtype=bool)
    for row in np.argsort([-len(rows) for rows in neighbours], kind="stable"):
        members = neighbours[row][~taken[neighbours[row]]]
        if len(members) >= min_community_size and not taken[row]:
            communities.append([int(row), *members[members != row].tolist()])
            taken[communities[-1]] = True
    return sorted(communities, key=len, reverse=True)


def cluster_words(texts: Sequence[str], labels: Sequence[Hashable], k: int = 5) -> dict[Hashable, list[str]]:
    """For each label the k words that are most typical of its texts, by class-based tf-idf.

    Grootendorst 2022 (arXiv 2203.05794): a word t that occurs tf(t, c) times in the texts of label c, and f(t) times in
    all, weighs tf(t, c) * log(1 + A / f(t)) there; A is the average number of words a label. Of equal weights the word
    that comes first in the alphabet. Words are runs of two letters or digits or more, lower-cased, without
    scikit-learn's English stop words; a label may have fewer than k.
    Raises ValueError unless there is a label for each text.
    """
    texts, labels = text_list(texts), list(labels)
    if len(texts) != len(labels):
        raise ValueError(f"expected a label for each text, got {len(labels)} labels and {len(texts)} texts")
    counts: dict[Hashable, Counter] = defaultdict(Counter)
    for text, label in zip(texts, labels):
        found = only_words(text).split()
        counts[label].update(word for word in found if len(word) > 1 and word not in ENGLISH_STOP_WORDS)
    everywhere = sum(counts.values(), Counter())
    average = everywhere.total() / max(1, len(counts))
    weights = {
        label: {word: n * math.log(1 + average / everywhere[word]) for word, n in words.items()}
        for label, words in counts.items()
    }
    return {label: sorted(words, key=lambda word: (-words[word], word))[:k] for label, words in weights.items()}
