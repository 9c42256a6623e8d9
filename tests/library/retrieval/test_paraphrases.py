"""course_lib.retrieval.paraphrases against sentence_transformers.util, scikit-learn, and all pairs sorted."""

import itertools

import numpy as np
import pytest
import torch
from sentence_transformers import util
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import precision_recall_curve

from course_lib.encoder import SentenceEncoder
from course_lib.retrieval import paraphrases
from course_lib.retrieval.metrics import binary_classification
from course_lib.retrieval.paraphrases import (
    calibrate,
    find_duplicates,
    paraphrase_mining_embeddings,
    upper_triangle,
)
from course_lib.similarity import cos_sim
from course_lib.support.tables import find, read_tsv


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def sentences():
    """80 sentences of eight topics, and both sides of 60 paraphrases."""
    return [text for _, row in read_tsv(find("course/sentences"), "sentence") for text in row] + [
        text
        for _, row in itertools.islice(read_tsv(find("course/pairs"), "sentence1", "sentence2"), 60)
        for text in row
    ]


def vectors(n, dim=8, seed=0, dtype=torch.float32):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def all_pairs_sorted(embeddings, max_pairs, top_k):
    """What mining should give, the slow way; of equal scores the lower row."""
    scores = cos_sim(embeddings, embeddings).double().numpy()
    n, listed = len(scores), set()
    for i in range(n):
        nearest = sorted((j for j in range(n) if j != i), key=lambda j: (-scores[min(i, j), max(i, j)], j))[:top_k]
        listed |= {(min(i, j), max(i, j)) for j in nearest}
    return sorted((-scores[i, j], i, j) for i, j in listed)[:max_pairs]


def assert_equal(mined, expected, tolerance=1e-6):
    assert [pair[1:] for pair in mined] == [tuple(pair[1:]) for pair in expected]
    assert np.abs([pair[0] for pair in mined] - np.array([pair[0] for pair in expected])).max(initial=0) <= tolerance


@pytest.mark.parametrize("blocks", [(1024, 16_384), (7, 11), (16, 5), (1, 1), (60, 60)])
@pytest.mark.parametrize(
    "n, top_k, max_pairs", [(60, 5, 50), (60, 5, 1000), (61, 100, 20), (60, 1, 7), (60, 60, 5000), (2, 1, 1), (3, 1, 2)]
)
def test_equal_to_sentence_transformers(n, top_k, max_pairs, blocks):
    embeddings = vectors(n, seed=n + top_k)
    expected = util.paraphrase_mining_embeddings(embeddings, max_pairs=max_pairs, top_k=top_k)
    mined = paraphrase_mining_embeddings(embeddings, max_pairs, top_k, row_block=blocks[0], column_block=blocks[1])
    assert_equal(mined, expected)
    assert len(mined) == min(max_pairs, len(mined)) > 0 and all(i < j for _, i, j in mined)


def test_equal_to_sentence_transformers_on_real_sentences(encoder, sentences):
    embeddings = torch.from_numpy(encoder.encode(sentences, show_progress_bar=False))
    for options in ({}, {"top_k": 2}, {"max_pairs": 30}):
        mined = paraphrase_mining_embeddings(embeddings, **options)
        theirs = util.paraphrase_mining_embeddings(embeddings, **options)
        ours, others = ({(i, j): score for score, i, j in pairs} for pairs in (mined, theirs))
        assert len(ours) == len(mined) == len(theirs) and ours.keys() == others.keys()
        for score_of in (ours, others):  # each pair has one score, and by it one place: equal ones may change places
            ordered = [score_of[i, j] for _, i, j in mined]
            assert np.allclose(ordered, [pair[0] for pair in theirs], rtol=0, atol=1e-6)
    best = [pair[1:] for pair in mined]
    assert sum(i >= 80 and j == i + 1 and i % 2 == 0 for i, j in best) > 20  # the paraphrases come out on top


@pytest.mark.parametrize("top_k, max_pairs", [(1, 1000), (3, 40), (5, 10), (20, 90), (100, 30)])
@pytest.mark.parametrize("blocks", [(1024, 16_384), (8, 8), (5, 12), (16, 3)])
def test_of_equal_scores_the_lower_rows_come_first(top_k, max_pairs, blocks):
    """Four of six numbers are 1 or -1: lengths are 2, cosines are exact, and most are equal to others."""
    random = np.random.default_rng(3)
    places = random.permuted(np.tile(np.arange(6) < 4, (40, 1)), axis=1)
    embeddings = torch.from_numpy(places * random.choice([-1.0, 1.0], (40, 6)))
    mined = paraphrase_mining_embeddings(embeddings, max_pairs, top_k, row_block=blocks[0], column_block=blocks[1])
    expected = all_pairs_sorted(embeddings, max_pairs, top_k)
    assert [(-score, i, j) for score, i, j in mined] == expected
    if top_k == 100:  # where no place of top_k is fought for, the scores are sentence_transformers'
        theirs = util.paraphrase_mining_embeddings(embeddings, max_pairs=max_pairs, top_k=top_k)
        assert [score for score, _, _ in mined] == [score for score, _, _ in theirs]


def test_copies_are_pairs(encoder):
    mined = paraphrase_mining_embeddings(encoder.encode(["The tram is late.", "Bake the bread.", "The tram is late."]))
    assert mined[0][1:] == (0, 2) and mined[0][0] == pytest.approx(1, abs=1e-6) and len(mined) == 3


def test_all_the_same():
    """2,000 copies: 1,999,000 pairs of one score. Few of them are ever kept, and the first ones are returned."""
    mined = paraphrase_mining_embeddings(torch.ones(2000, 4), max_pairs=500, top_k=10, row_block=128, column_block=512)
    assert [pair[1:] for pair in mined] == sorted(
        {(min(i, j), max(i, j)) for i in range(2000) for j in range(11 if i < 10 else 10) if i != j}
    )[:500]


def test_memory_does_not_grow_with_the_pairs(monkeypatch):
    """Candidates that are sorted together: fewer than 4 * max_pairs and those of one block."""
    sizes, sort = [], paraphrases._best_listings
    monkeypatch.setattr(
        paraphrases, "_best_listings", lambda parts, k: sizes.append(sum(map(len, parts))) or sort(parts, k)
    )
    mined = paraphrase_mining_embeddings(vectors(3000), max_pairs=1000, top_k=20, row_block=100, column_block=200)
    assert len(mined) == 1000 and len(sizes) > 5
    assert max(sizes) <= 4 * 1000 + (100 + 200) * 20


def test_only_the_upper_triangle_is_computed(monkeypatch):
    n, counted = 1000, []
    monkeypatch.setattr(paraphrases, "cos_sim", lambda a, b: counted.append(len(a) * len(b)) or cos_sim(a, b))
    assert len(paraphrase_mining_embeddings(vectors(n), row_block=50, column_block=300)) > 0
    assert n * (n - 1) / 2 < sum(counted) <= n * (n + 50) / 2 and max(counted) == 50 * 300


@pytest.mark.parametrize("blocks", [(1024, 16_384), (7, 3), (3, 7), (20, 20)])
def test_upper_triangle(blocks):
    embeddings, found = vectors(20), torch.full((20, 20), torch.nan)
    for row, column, scores in upper_triangle(embeddings, row_block=blocks[0], column_block=blocks[1]):
        place = found[row : row + len(scores), column : column + scores.shape[1]]
        assert place.isnan().all()  # each is computed once
        place.copy_(scores)
    above = torch.ones(20, 20).triu(1).bool()
    assert torch.allclose(found[above], cos_sim(embeddings, embeddings)[above], atol=1e-6)
    assert (found[~above].isnan() | (found[~above] == -torch.inf)).all()


@pytest.mark.parametrize("function", [paraphrase_mining_embeddings, lambda e: find_duplicates(e, 0.5)])
def test_odd_input(function):
    assert function(torch.empty(0, 4)) == function(torch.ones(1, 4)) == function(np.empty((0, 4))) == []
    with pytest.raises(ValueError, match=r"shape \(4,\); expected \(n, dim\)"):
        function(torch.ones(4))
    for bad in (torch.nan, torch.inf):
        broken = vectors(5).masked_fill(torch.arange(5)[:, None] == 3, bad)
        for embeddings in (broken, broken.numpy()):
            with pytest.raises(ValueError, match="1 of 5 vectors hold NaN or infinite"):
                function(embeddings)


@pytest.mark.parametrize("options, message", [({"max_pairs": 0}, "max_pairs is 0"), ({"top_k": -1}, "top_k is -1")])
def test_numbers_below_one(options, message):
    with pytest.raises(ValueError, match=message):
        paraphrase_mining_embeddings(vectors(3), **options)


def test_arrays_memory_maps_and_half_precision(tmp_path):
    embeddings = vectors(50)
    expected = paraphrase_mining_embeddings(embeddings)
    assert_equal(paraphrase_mining_embeddings(embeddings.numpy()), expected, 0)
    np.save(tmp_path / "vectors.npy", embeddings.numpy())
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert_equal(paraphrase_mining_embeddings(mapped, row_block=8, column_block=16), expected)
    assert find_duplicates(mapped, 0.8) == find_duplicates(embeddings, 0.8) != []
    rounded = embeddings.half()
    assert_equal(paraphrase_mining_embeddings(rounded), paraphrase_mining_embeddings(rounded.float()), 0)


def test_lengths_of_vectors_do_not_count():
    embeddings = vectors(50)
    longer = embeddings * torch.logspace(-3, 3, 50)[:, None]
    assert find_duplicates(longer, 0.8) == find_duplicates(embeddings, 0.8)
    assert [set(pair[1:]) for pair in paraphrase_mining_embeddings(longer, 20)] == [
        set(pair[1:]) for pair in paraphrase_mining_embeddings(embeddings, 20)
    ]


@pytest.mark.parametrize("threshold", [-1.0, 0.3, 0.6, 0.7, 0.8, 0.9])
def test_duplicates_are_the_components_that_single_linkage_finds(threshold):
    embeddings = vectors(400, dtype=torch.float64)
    groups = find_duplicates(embeddings, threshold)
    distances = 1 - cos_sim(embeddings, embeddings).numpy()
    labels = AgglomerativeClustering(
        None, metric="precomputed", linkage="single", distance_threshold=1 - threshold + 1e-12
    ).fit_predict(distances)
    expected = {tuple(np.flatnonzero(labels == label)) for label in range(labels.max() + 1)}
    assert set(map(tuple, groups)) == {rows for rows in expected if len(rows) > 1}
    assert groups == sorted(groups, key=lambda rows: (-len(rows), rows)) != []
    assert find_duplicates(embeddings, 1.1) == []


def test_duplicates_across_blocks():
    """A chain of 3,000 rows, shuffled, each like the next only; and 500 copies of something else."""
    angles = np.radians(np.arange(3000) * 0.05)
    chain = np.stack([np.cos(angles), np.sin(angles), np.zeros(3000)], axis=1)
    rows = np.concatenate([chain, np.tile([0.0, 0.0, 1.0], (500, 1)), [[0.0, 0.0, 0.0]]])  # and one vector of zeros
    order = np.random.default_rng(0).permutation(len(rows))
    groups = find_duplicates(rows[order], np.cos(np.radians(0.06)))
    assert [len(group) for group in groups] == [3000, 500]
    assert set(order[groups[0]]) == set(range(3000)) and set(order[groups[1]]) == set(range(3000, 3500))


def test_a_chain_of_three():
    degrees = np.radians([0, 20, 40, 170, 171])
    vectors_of = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    assert find_duplicates(vectors_of, np.cos(np.radians(25))) == [[0, 1, 2], [3, 4]]  # 0 and 2 are 40 degrees apart
    assert find_duplicates(vectors_of, np.cos(np.radians(15))) == [[3, 4]]


@pytest.mark.parametrize("ties", [False, True])
def test_calibrate_against_scikit_learn(ties):
    random = np.random.default_rng(2)
    labels = random.integers(0, 2, 500)
    scores = labels + random.normal(size=500)
    scores = scores.round(1) if ties else scores
    precisions, _, thresholds = precision_recall_curve(labels, scores)
    for precision in (0.3, 0.6, 0.75, 0.9, 0.95):
        lowest = thresholds[precisions[:-1] >= precision].min()
        threshold = calibrate(scores, labels, precision)
        chosen = scores >= threshold
        assert threshold <= lowest and (chosen == (scores >= lowest)).all() and labels[chosen].mean() >= precision
    assert calibrate(scores, labels, 0.0) == scores.min()


def test_calibrate_by_hand():
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0]
    assert calibrate(scores, labels, 1.0) == pytest.approx(0.85)
    assert calibrate(scores, labels, 0.75) == pytest.approx(0.55)  # 3 of 4, though 1 of 2 higher up
    assert calibrate(scores, labels, 0.6) == 0.5
    assert calibrate([0.9, 0.9, 0.1], [0, 1, 0], 0.5) == pytest.approx(0.5)  # the two equal ones count together
    close = np.array([np.nextafter(np.float32(1), np.float32(0)), 1], dtype=np.float32)
    assert (close >= calibrate(close, [0, 1], 1.0)).tolist() == [False, True]  # nothing lies between the two
    with pytest.raises(ValueError, match="precision of 0.6; the highest that one gives is 0.500"):
        calibrate([0.9, 0.9, 0.1], [1, 0, 0], 0.6)  # not 1.000: the two equal ones count together
    with pytest.raises(ValueError, match="precision of 0.9; the highest that one gives is 0.667"):
        calibrate([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 0], 0.9)  # the pair with the highest score has 0.000


@pytest.mark.parametrize("scores, labels", [([0.1, np.nan], [0, 1]), ([0.1, 0.2], [1, 1]), ([0.1], [0, 1]), ([], [])])
def test_calibrate_refuses_what_binary_classification_refuses(scores, labels):
    with pytest.raises(ValueError) as expected:
        binary_classification(scores, labels)
    with pytest.raises(ValueError) as error:
        calibrate(scores, labels, 0.9)
    assert str(error.value) == str(expected.value)
