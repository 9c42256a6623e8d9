"""course_lib.retrieval.quantization against sentence-transformers' quantize_embeddings, and against exact search."""

import faiss
import numpy as np
import pytest
import torch
from sentence_transformers.util.quantization import quantize_embeddings
from torch.nn.functional import normalize

from course_lib.retrieval import quantization
from course_lib.retrieval.quantization import PRECISIONS, quantize, rescored_top_k, truncate, value_ranges
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score


def unit_vectors(n, dim, seed):
    """Around 50 centres, each dimension of a width of its own, as those of models are."""
    centres = torch.randn(50, dim, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)
    widths = torch.linspace(0.3, 2, dim)
    vectors = centres[torch.randint(50, (n,), generator=generator)] + torch.randn(n, dim, generator=generator)
    return normalize(vectors * widths + 0.1, dim=1).numpy()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dim", [8, 19, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_equal_to_quantize_embeddings(precision, dim, dtype, monkeypatch):
    monkeypatch.setattr(quantization, "ROWS", 128)  # several blocks
    vectors = unit_vectors(500, dim, 1).astype(dtype)
    vectors[3], vectors[:, 2] = 0, 0.25  # a vector of zeros, and a dimension without width
    ranges = value_ranges(vectors[:200])
    for given in (None, ranges):
        codes = quantize(vectors, precision, given)
        theirs = quantize_embeddings(vectors, precision, ranges=given)
        assert codes.dtype == theirs.dtype and np.array_equal(codes, theirs)
    assert np.array_equal(quantize(torch.from_numpy(vectors), precision, ranges).numpy(), theirs)
    none = quantize(vectors[:0], precision)
    assert np.array_equal(none, theirs[:0]) and none.dtype == theirs.dtype
    assert np.array_equal(quantize(vectors[5], precision, ranges), theirs[5])


def test_a_memory_map_and_bfloat16(tmp_path):
    vectors = unit_vectors(300, 24, 1)
    np.save(tmp_path / "vectors.npy", vectors)
    on_disk = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert np.array_equal(quantize(on_disk, "int8"), quantize(vectors, "int8"))
    rounded = torch.from_numpy(vectors).bfloat16()
    assert torch.equal(quantize(rounded, "ubinary"), quantize(rounded.float(), "ubinary"))


def test_quantize_refuses():
    vectors = unit_vectors(10, 8, 1)
    with pytest.raises(ValueError, match="precision is 'int4'; expected one of"):
        quantize(vectors, "int4")
    with pytest.raises(TypeError, match="vectors are int8; expected floats: were they quantized before"):
        quantize(quantize(vectors, "int8"), "int8")
    with pytest.raises(ValueError, match=r"ranges has the shape \(2, 8\); expected \(2, 4\)"):
        quantize(vectors[:, :4], "int8", value_ranges(vectors))
    with pytest.raises(ValueError, match="at least 2 vectors"):
        quantize(vectors[:1], "int8")
    vectors[2, 3] = np.nan
    for precision in PRECISIONS:
        with pytest.raises(ValueError, match="there are NaN among the vectors"):
            quantize(vectors, precision, np.ones((2, 8)))


def test_truncate():
    vectors = unit_vectors(10, 8, 1)
    vectors[3, :3] = 0
    short = truncate(vectors, 3)
    assert np.allclose(np.linalg.norm(short, axis=1), [0 if i == 3 else 1 for i in range(10)], atol=1e-6)
    assert np.allclose(short[0] * np.linalg.norm(vectors[0, :3]), vectors[0, :3], atol=1e-6)
    assert np.allclose(truncate(torch.from_numpy(vectors), 3).numpy(), short, atol=1e-6)
    assert np.allclose(truncate(vectors[0], 8), vectors[0], atol=1e-6)
    for dim in (0, 9):
        with pytest.raises(ValueError, match=f"dim is {dim}; expected 1 to 8"):
            truncate(vectors, dim)


@pytest.fixture(scope="module")
def search():
    queries, vectors = unit_vectors(40, 64, 1), unit_vectors(8000, 64, 2)
    return queries, vectors, top_k(queries, vectors, 10, dot_score)


def recall(rows, expected):
    return np.mean(
        [len(set(a) & set(b)) / len(b) for a, b in zip(np.asarray(rows).tolist(), np.asarray(expected).tolist())]
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_with_all_as_candidates_the_search_is_exact(precision, search):
    queries, vectors, (scores, rows) = search
    ranges = value_ranges(vectors)
    found = rescored_top_k(queries, quantize(vectors, precision, ranges), vectors, 10, ranges, rescore_multiplier=800)
    assert np.array_equal(found[1], rows) and np.abs(found[0] - scores).max() < 1e-6
    assert type(found[0]) is np.ndarray and found[0].dtype == np.float32


def test_rescoring_raises_recall(search):
    queries, vectors, (scores, rows) = search
    ranges = value_ranges(vectors)
    for precision, plain, rescored in [("int8", 0.9, 0.999), ("ubinary", 0.1, 0.5)]:
        codes = quantize(vectors, precision, ranges)
        by_codes = recall(rescored_top_k(queries, codes, vectors, 10, ranges, rescore_multiplier=1)[1], rows)
        found_scores, found = rescored_top_k(queries, codes, vectors, 10, ranges, rescore_multiplier=10)
        assert plain < by_codes < recall(found, rows) and recall(found, rows) > rescored
        exact = np.take_along_axis(queries @ vectors.T, found, 1)
        assert np.abs(found_scores - exact).max() < 1e-6 and (np.diff(found_scores) <= 0).all()


def test_candidates_of_bits_are_those_of_faiss(search):
    queries, vectors, _ = search
    codes = quantize(vectors, "ubinary")
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    rows = rescored_top_k(queries, codes, vectors, 40, rescore_multiplier=1)[1]
    distances, theirs = index.search(quantize(queries, "ubinary"), 40)
    closer = [set(line[d < d[-1]]) for line, d in zip(theirs, distances)]  # more may have the last distance than fit
    assert all(few and few <= set(line) for few, line in zip(closer, rows))


def test_int8_takes_the_ranges_into_account(search):
    """Codes alone, without their ranges, rank by other numbers than the dot product."""
    queries, vectors, (_, rows) = search
    ranges = value_ranges(vectors)
    codes = quantize(vectors, "int8", ranges)
    careless = top_k(quantize(queries, "int8", ranges), codes, 10, dot_score)[1]
    assert recall(rescored_top_k(queries, codes, vectors, 10, ranges, 1)[1], rows) > recall(careless, rows) + 0.1


def test_tensors_memory_maps_and_few_vectors(search, tmp_path):
    queries, vectors, _ = search
    codes = quantize(vectors, "ubinary")
    expected = rescored_top_k(queries, codes, vectors, 5)
    np.save(tmp_path / "vectors.npy", vectors)
    on_disk = rescored_top_k(queries, codes, np.load(tmp_path / "vectors.npy", mmap_mode="r"), 5)
    tensors = rescored_top_k(*map(torch.from_numpy, (queries, codes, vectors)), 5)
    assert all(isinstance(x, torch.Tensor) for x in tensors)
    for found in (on_disk, tensors):
        assert np.array_equal(found[1], expected[1]) and np.array_equal(found[0], expected[0])
    assert rescored_top_k(queries, codes[:3], vectors[:3], 5)[1].shape == (40, 3)
    assert rescored_top_k(queries, codes[:0], vectors[:0], 5)[1].shape == (40, 0)
    assert rescored_top_k(queries[:0], codes, vectors, 5)[1].shape == (0, 5)
    twice = np.concatenate([vectors[:20], vectors[:20]])  # of equal ones the lower row first
    found = rescored_top_k(vectors[:20], quantize(twice, "ubinary"), twice, 2)[1]
    assert np.array_equal(found, np.stack([np.arange(20), np.arange(20) + 20], 1))


def test_rescored_search_refuses(search):
    queries, vectors, _ = search
    codes = quantize(vectors, "int8")
    with pytest.raises(ValueError, match="need the ranges that they were made with"):
        rescored_top_k(queries, codes, vectors, 5)
    with pytest.raises(ValueError, match=r"codes have the shape \(7999, 64\), vectors \(8000, 64\)"):
        rescored_top_k(queries, codes[1:], vectors, 5, value_ranges(vectors))
    expected = r"codes are uint8 of the shape \(8000, 64\); expected int8 of 64 numbers, or bits in 8 bytes"
    with pytest.raises(ValueError, match=expected):
        rescored_top_k(queries, codes.view(np.uint8), vectors, 5, value_ranges(vectors))
    with pytest.raises(ValueError, match="rescore_multiplier is 0"):
        rescored_top_k(queries, codes, vectors, 5, value_ranges(vectors), 0)
    with pytest.raises(ValueError, match="k is 0"):
        rescored_top_k(queries, quantize(vectors, "ubinary"), vectors, 0)
    with pytest.raises(ValueError, match="hold NaN"):
        rescored_top_k(queries * np.nan, codes, vectors, 5, value_ranges(vectors))
