"""course_lib.retrieval.clustering against sentence_transformers.util, scikit-learn, and by hand."""

import numpy as np
import pytest
import torch
from sentence_transformers import util
from sklearn.feature_extraction.text import CountVectorizer

from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.clustering import cluster_words, community_detection
from course_lib.similarity import cos_sim
from course_lib.support.tables import find, read_tsv


@pytest.fixture(scope="module")
def real():
    """Topics, sentences, and their vectors (80, dim)."""
    topics, sentences = map(list, zip(*[row for _, row in read_tsv(find("course/sentences"), "topic", "sentence")]))
    encoder = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32")
    return topics, sentences, encoder.encode(sentences, show_progress_bar=False)


def vectors(n, dim=8, seed=0, dtype=torch.float32):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1024])
@pytest.mark.parametrize(
    "n, threshold, size",
    [
        (300, 0.75, 10),
        (300, 0.6, 5),
        (300, 0.9, 1),
        (300, -0.2, 3),
        (300, -1.1, 10),
        (300, 1.1, 1),
        (60, 0.8, 2),
        (5, 0.5, 10),
        (1, 0.5, 1),
        (2, -1.1, 2),
        (400, 0.3, 20),
    ],
)
def test_equal_to_sentence_transformers(n, threshold, size, batch_size):
    embeddings = vectors(n, seed=size) * torch.linspace(0.1, 9, n)[:, None]
    communities = community_detection(embeddings, threshold, size, batch_size)
    assert communities == util.community_detection(embeddings, threshold, size, batch_size)
    assert communities == community_detection(embeddings.numpy(), threshold, size)


@pytest.mark.parametrize("threshold, size", [(0.3, 4), (0.35, 2), (0.25, 10), (0.75, 10)])
def test_equal_to_sentence_transformers_on_real_sentences(real, threshold, size):
    topics, _, embeddings = real
    communities = community_detection(embeddings, threshold, size)
    assert communities == util.community_detection(embeddings, threshold, size)
    rows = [row for members in communities for row in members]
    assert len(set(rows)) == len(rows) and (threshold == 0.75) == (not rows)
    if threshold == 0.35:
        assert sum(len({topics[row] for row in members}) == 1 for members in communities) > len(communities) / 2


def test_what_a_community_is(real):
    """Every member is as near to the centre as was asked for, the order is that of the cosines, sizes fall."""
    embeddings = torch.from_numpy(real[2])
    communities = community_detection(embeddings, 0.3, 3)
    for centre, *others in communities:
        cosines = cos_sim(embeddings[centre], embeddings[others])[0].tolist()
        assert min(cosines) >= 0.3 and cosines == sorted(cosines, reverse=True)
    sizes = [len(members) for members in communities]
    assert len(sizes) > 3 and sizes == sorted(sizes, reverse=True) and sizes[-1] >= 3


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_equal_cosines_and_copies(batch_size):
    """Copies on four axes: all cosines are 0 or 1 exactly."""
    axes = [0, 1, 0, 2, 1, 0, 3, 1, 0, 2]
    assert community_detection(torch.eye(4)[axes], 0.5, 2, batch_size) == [[0, 2, 5, 8], [1, 4, 7], [3, 9]]
    assert community_detection(torch.eye(4)[axes], 0.5, 1, batch_size) == [[0, 2, 5, 8], [1, 4, 7], [3, 9], [6]]


def test_by_hand():
    """Degrees 0 to 39: the middle has most neighbours and takes them; what is left is too small, or passed over."""
    degrees = np.radians([0, 11, 20, 30, 39, 55, 120, 121])
    embeddings = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    near = np.cos(np.radians(21))
    assert community_detection(embeddings, near, 2) == [[2, 1, 3, 4, 0], [6, 7]]
    assert community_detection(embeddings, near, 3) == [[2, 1, 3, 4, 0]]
    assert community_detection(embeddings, near, 1) == [[2, 1, 3, 4, 0], [6, 7], [5]]


def test_odd_input():
    for nothing in (torch.empty(0, 4), np.empty((0, 4)), vectors(9)):
        assert community_detection(nothing) == []
    zeros = torch.cat([torch.zeros(3, 4), torch.ones(3, 4)])
    theirs = [sorted(rows) for rows in util.community_detection(zeros, 0.5, 1)]
    assert community_detection(zeros, 0.5, 1) == theirs == [[3, 4, 5]]
    with pytest.raises(ValueError, match="min_community_size is 0"):
        community_detection(vectors(9), 0.5, 0)
    with pytest.raises(ValueError, match="1 of 9 vectors hold NaN"):
        community_detection(vectors(9).masked_fill(torch.arange(9)[:, None] == 4, torch.nan))
    with pytest.raises(ValueError, match=r"expected \(n, dim\)"):
        community_detection(torch.ones(4))


def test_cluster_words_by_hand():
    texts = ["The tram is late, the tram!", "Tram 2x stops", "a late book", "Books and a BOOK are late", "books"]
    words = cluster_words(texts, ["tram", "tram", "book", "book", "book"], k=3)
    # tram: tram 3, late 1, 2x 1, stops 1; book: late 2, book 2, books 2; 6 words a label on average
    assert words == {"tram": ["tram", "2x", "stops"], "book": ["book", "books", "late"]}
    assert cluster_words(["of the", "x y", "tram"], [0, 1, 2]) == {0: [], 1: [], 2: ["tram"]}
    assert cluster_words([], []) == {}
    assert cluster_words(["भाषा भाषा", "C++"], [0, 1]) == {
        0: ["भाषा"],
        1: [],
    }  # marks are part of a word, signs are not
    with pytest.raises(ValueError, match="got 1 labels and 2 texts"):
        cluster_words(["a", "b"], [0])


def test_cluster_words_by_matrices(real):
    """The formula of the paper on scikit-learn's counts."""
    topics, sentences, _ = real
    vectorizer = CountVectorizer(stop_words="english")
    counts = vectorizer.fit_transform(sentences).toarray()  # (texts, words)
    names = sorted(set(topics))
    of_class = np.stack([counts[np.array(topics) == name].sum(0) for name in names])  # (classes, words)
    weights = of_class * np.log(1 + of_class.sum() / len(names) / of_class.sum(0))
    vocabulary = vectorizer.get_feature_names_out()
    expected = {name: vocabulary[np.lexsort((vocabulary, -row))[:6]].tolist() for name, row in zip(names, weights)}
    words = cluster_words(sentences, topics, k=6)
    assert words == expected and list(words) == list(dict.fromkeys(topics))
