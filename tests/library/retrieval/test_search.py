"""course_lib.retrieval.search against all scores in one matrix, sorted; against sentence-transformers and FAISS."""

import subprocess
import sys
from itertools import groupby, product

import faiss
import numpy as np
import pytest
import torch
from sentence_transformers.util import semantic_search
from torch.nn.functional import normalize

from course_lib.retrieval import search
from course_lib.retrieval.search import hamming_sim, plain_top_k, top_k
from course_lib.similarity import SIMILARITY_FUNCTIONS, cos_sim, dot_score
from course_lib.support import products
from course_lib.support.running_best import RunningBest


def brute_force(queries, corpus, k, score_function):
    """Highest score first, of equal ones the lower row."""
    scores = score_function(queries, corpus).numpy()
    rows = np.array([np.lexsort((np.arange(len(corpus)), -line))[:k] for line in scores]).reshape(len(queries), -1)
    return np.take_along_axis(scores, rows, axis=1), rows


@pytest.mark.parametrize("k", [1, 40, 101, 500])
@pytest.mark.parametrize(
    "kind, blocks",
    [
        ("cosine", (1024, 16_384)),
        ("cosine", (17, 1)),
        ("cosine", (3, 10)),
        ("dot", (50, 99)),
        ("euclidean", (7, 101)),
        ("manhattan", (1000, 40)),
    ],
)
def test_equal_to_sorting_all_scores(k, blocks, kind):
    generator = torch.Generator().manual_seed(k)
    queries, corpus = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (17, 101))
    scores, rows = top_k(queries, corpus, k, SIMILARITY_FUNCTIONS[kind], query_block=blocks[0], corpus_block=blocks[1])
    expected, expected_rows = brute_force(queries, corpus, k, SIMILARITY_FUNCTIONS[kind])
    assert rows.tolist() == expected_rows.tolist() and rows.dtype == torch.int64
    assert scores.shape == (17, min(k, 101)) and np.abs(scores.numpy() - expected).max() < 1e-12


def test_arguments():
    vectors = torch.eye(3)
    assert [x.shape for x in top_k(vectors, vectors[:0], 5)] == [(3, 0), (3, 0)]
    assert [x.shape for x in top_k(vectors[:0], vectors, 2)] == [(0, 2), (0, 2)]
    assert top_k(vectors.clone().requires_grad_(), vectors, 1)[0].requires_grad is False
    with pytest.raises(ValueError, match="k is 0"):
        top_k(vectors, vectors, 0)
    with pytest.raises(ValueError, match=r"queries has the shape \(3,\)"):
        top_k(vectors[0], vectors, 1)
    with pytest.raises(ValueError, match="dimension 3, corpus 2: were they made by two"):
        top_k(vectors, torch.eye(2), 1)
    with pytest.raises(TypeError, match="queries is a list"):
        top_k([[1.0, 0.0, 0.0]], vectors, 1)
    with pytest.raises(TypeError, match="corpus is an array of <U1"):
        top_k(vectors, np.array([["a", "b", "c"]]), 1)
    with pytest.raises(TypeError, match="corpus is a tensor of torch.bool"):
        top_k(vectors, vectors.bool(), 1)
    with pytest.raises(TypeError, match="packed bits, uint8 or int8, not torch.float32"):
        top_k(vectors, vectors, 1, hamming_sim)
    with pytest.raises(ValueError, match=r"queries has the shape \(3, 0\)"):
        top_k(vectors[:, :0], vectors[:, :0], 2)


@pytest.mark.parametrize("kind", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("row", [3, 95])
def test_nan_and_infinite_values_are_named(kind, dtype, bad, row):
    vectors = torch.randn(100, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    damaged = vectors.clone()
    damaged[row, 2] = bad
    with pytest.raises(ValueError, match=f"1 of .* vectors of corpus hold NaN or infinite values, row {row} first"):
        top_k(vectors[:5], damaged, 3, SIMILARITY_FUNCTIONS[kind], corpus_block=16)
    with pytest.raises(ValueError, match=f"1 of 100 vectors of queries hold NaN or infinite values, row {row} first"):
        top_k(damaged, vectors, 3, SIMILARITY_FUNCTIONS[kind])


@pytest.mark.parametrize("corpus_block", [10, 1000])
def test_large_values_are_no_infinite_ones(corpus_block):
    corpus = torch.tensor([[1e25, 0.0], [2e25, 0.0], [0.0, 1.0]]).repeat(10, 1)
    assert top_k(torch.tensor([[1.0, 0.0]]), corpus, 2, dot_score, corpus_block=corpus_block)[1].tolist() == [[1, 4]]


@pytest.mark.parametrize("row", [2, 25])
def test_a_score_function_that_gives_nan(row):
    def score(queries, block):
        return (queries @ block.T).masked_fill(block[:, 0] == row, torch.nan)

    with pytest.raises(ValueError, match="some scores are NaN, though no vector is"):
        top_k(torch.ones(3, 1), torch.arange(30.0)[:, None], 2, score, corpus_block=10)


DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int8]


@pytest.mark.parametrize("k", [1, 7, 199, 200, 1000])
@pytest.mark.parametrize(
    "function, dtype", [*product((cos_sim, dot_score), DTYPES), (hamming_sim, torch.uint8), (hamming_sim, torch.int8)]
)
def test_equal_to_the_plain_form(function, dtype, k):
    """Four of twelve numbers are 1 or -1: lengths are 2, every score is exact in every dtype, and most are ties."""
    random = np.random.default_rng(k)
    places = random.permuted(np.tile(np.arange(12) < 4, (220, 1)), axis=1)
    vectors = torch.from_numpy(places * random.choice([-1, 1], (220, 12))).to(dtype)
    if function is hamming_sim:
        vectors = torch.from_numpy(random.integers(0, 256, (220, 1), dtype=np.uint8)).view(dtype)
    queries, corpus = vectors[:20], vectors[20:]
    expected, expected_rows = plain_top_k(queries, corpus, k, function)
    assert expected.shape == expected_rows.shape == (20, min(k, 200))
    for blocks in ((6, 5), (6, 8), (7, 30), (256, None)):
        scores, rows = top_k(queries, corpus, k, function, query_block=blocks[0], corpus_block=blocks[1])
        assert torch.equal(rows, expected_rows) and torch.equal(scores, expected.to(scores.dtype))


@pytest.mark.parametrize("k", [1, 10, 3000, 5000])
@pytest.mark.parametrize("corpus_block", [640, 1000, 16_384])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_equals_a_full_sort_with_its_ties(dtype, corpus_block, k):
    random = np.random.default_rng(k)  # whole numbers: products and sums are exact in every dtype, and many are equal
    queries, corpus = (torch.from_numpy(random.integers(-3, 4, (n, 12))).to(dtype) for n in (40, 4000))
    scores, rows = top_k(queries, corpus, k, dot_score, query_block=32, corpus_block=corpus_block)
    expected, expected_rows = brute_force(queries.double(), corpus.double(), k, dot_score)
    assert scores.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert rows.tolist() == expected_rows.tolist() and scores.tolist() == expected.tolist()


@pytest.mark.parametrize("function", [cos_sim, dot_score])
@pytest.mark.parametrize("queries", [1, 2, 7, 31, 32, 100])
def test_equal_vectors_have_equal_scores_wherever_they_stand(queries, function):
    """However matrices are cut into blocks and these into registers: the lower row comes first."""
    generator = torch.Generator().manual_seed(0)
    different = torch.randn(10, 48, generator=generator)
    corpus = different[torch.arange(5183) % 10]
    _, rows = top_k(torch.randn(queries, 48, generator=generator), corpus, 518, function, corpus_block=1001)
    assert torch.equal(rows, rows[:, :1] + 10 * torch.arange(518)) and int(rows[:, 0].max()) < 10


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_a_corpus_sorted_by_score(order):
    corpus = torch.arange(5000.0)[:, None] * (1 if order == "rising" else -1)
    scores, rows = top_k(torch.ones(3, 1), corpus, 4, dot_score, corpus_block=500)
    assert rows.tolist() == [[4999, 4998, 4997, 4996] if order == "rising" else [0, 1, 2, 3]] * 3
    assert scores[0].tolist() == corpus[rows[0], 0].tolist()


def clustered(n, dim, seed, spread=0.7, scale=False):
    """Vectors around 20 centres, of length 1 or, with `scale`, of lengths 0.5 to 2."""
    centres = torch.randn(20, dim, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    vectors = centres[torch.randint(20, (n,), generator=generator)] + spread * torch.randn(n, dim, generator=generator)
    return normalize(vectors, dim=1) * (0.5 + 1.5 * torch.rand(n, 1, generator=generator) if scale else 1)


@pytest.mark.parametrize("spread, scale", [(0.7, False), (0.7, True), (0.01, False)])
@pytest.mark.parametrize("function", [cos_sim, dot_score])
def test_bfloat16_products_choose_candidates_and_lose_none(function, spread, scale, monkeypatch):
    """Rounded products rank thousands of vectors equal; the result is still that of float32, of the same vectors."""
    monkeypatch.setattr(search, "has_coarse_products", lambda a, b: a.dtype == b.dtype == torch.bfloat16)
    used, update = [], RunningBest.update_from_coarse
    monkeypatch.setattr(RunningBest, "update_from_coarse", lambda *a: used.append(update(*a)) or used[-1])
    queries, corpus = clustered(30, 64, 1, spread, scale).bfloat16(), clustered(20_000, 64, 2, spread, scale).bfloat16()
    scores, rows = top_k(queries, corpus, 10, function, corpus_block=1024)
    expected, expected_rows = brute_force(queries.double(), corpus.double(), 10, function)
    few = spread == 0.7 and not (scale and function is cos_sim)  # otherwise there are too many candidates
    assert len(used) == 19 and any(used) == few
    assert np.abs(scores.numpy() - expected).max() < 1e-6
    exact = np.take_along_axis(function(queries.double(), corpus.double()).numpy(), rows.numpy(), 1)
    assert np.abs(exact - expected).max() < 1e-6  # the same rows, or such as float32 cannot tell apart
    assert np.mean(rows.numpy() == expected_rows) > 0.99 or spread == 0.01
    coarse = (queries @ corpus.T).float()
    rounded = np.mean(
        [len(set(a) & set(b)) / 10 for a, b in zip(coarse.topk(10).indices.tolist(), expected_rows.tolist())]
    )
    assert rounded < 0.97 or scale  # without rescoring, neighbours are lost


def test_int8_products_do_not_overflow():
    random = np.random.default_rng(0)
    queries, corpus = (random.choice(np.array([-128, 127], dtype=np.int8), (n, 1024)) for n in (20, 3000))
    corpus[7] = queries[0] = -128
    scores, rows = top_k(queries, corpus, 5, dot_score, corpus_block=512)
    exact = torch.from_numpy(queries).double(), torch.from_numpy(corpus).double()
    expected, expected_rows = brute_force(*exact, 5, dot_score)
    assert rows.tolist() == expected_rows.tolist() and rows[0, 0] == 7 and scores[0, 0] == 1024 * 128 * 128
    assert np.array_equal(scores, expected)
    cosines, _ = top_k(queries, corpus, 5, corpus_block=512)
    assert np.abs(cosines - brute_force(*exact, 5, cos_sim)[0]).max() < 1e-6


def test_int8_without_exact_instructions(monkeypatch):
    queries, corpus = (
        torch.randint(-128, 128, (n, 64), dtype=torch.int8, generator=torch.Generator().manual_seed(n))
        for n in (5, 900)
    )
    expected = top_k(queries, corpus, 7, dot_score)
    monkeypatch.setattr(products, "exact_int8", lambda: False)
    assert [x.tolist() for x in top_k(queries, corpus, 7, dot_score)] == [x.tolist() for x in expected]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("count, width", [(30, 12), (1, 12), (4, 16), (1, 40), (5, 16)])
def test_hamming_distances(count, width, dtype):
    """As products, and of up to 4 queries bit by bit, in words of 64 bits where they fill them."""
    random = np.random.default_rng(0)
    queries, corpus = (random.integers(0, 256, (n, width), dtype=np.uint8) for n in (count, 5000))
    distances = np.unpackbits(queries[:, None] ^ corpus[None], axis=2).sum(2, dtype=np.int64)  # (n, 5000)
    index = faiss.IndexBinaryFlat(8 * width)
    index.add(corpus)
    packed = queries.view(dtype), corpus.view(dtype)
    assert np.array_equal(-hamming_sim(*map(torch.from_numpy, packed)).numpy(), distances)
    scores, rows = top_k(*packed, 20, hamming_sim, corpus_block=700)
    assert np.array_equal(-scores, np.sort(distances, axis=1)[:, :20])
    assert np.array_equal(-scores, index.search(queries, 20)[0])
    assert np.array_equal(rows, np.argsort(distances, axis=1, kind="stable")[:, :20])


@pytest.mark.parametrize(
    "dtypes",
    [
        (torch.float32, torch.int8),
        (torch.float32, torch.bfloat16),
        (torch.bfloat16, torch.float16),
        (torch.float64, torch.float32),
    ],
)
def test_two_dtypes_meet_in_the_larger(dtypes):
    queries, corpus = clustered(10, 32, 1).to(dtypes[0]), (clustered(2000, 32, 2) * 100).round().to(dtypes[1])
    scores, rows = top_k(queries, corpus, 5, dot_score, corpus_block=256)
    expected, expected_rows = brute_force(queries.double(), corpus.double(), 5, dot_score)
    assert scores.dtype == (torch.float64 if torch.float64 in dtypes else torch.float32)
    assert np.array_equal(rows.numpy(), expected_rows) and np.abs(scores.numpy() - expected).max() < 1e-4


def test_equal_to_sentence_transformers_and_faiss():
    queries, corpus = clustered(50, 96, 1, scale=True), clustered(30_000, 96, 2, scale=True)
    index = faiss.IndexFlatIP(96)
    index.add(corpus.numpy())
    for function in (cos_sim, dot_score):
        scores, rows = top_k(queries, corpus, 10, function)
        theirs = semantic_search(queries, corpus, top_k=10, score_function=function)
        assert rows.tolist() == [[hit["corpus_id"] for hit in hits] for hits in theirs]
        assert np.abs(scores.numpy() - [[hit["score"] for hit in hits] for hits in theirs]).max() < 1e-5
    faiss_scores, faiss_rows = index.search(queries.numpy(), 10)
    assert np.array_equal(rows.numpy(), faiss_rows) and np.abs(scores.numpy() - faiss_scores).max() < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int8])
def test_arrays_in_arrays_out(dtype):
    queries, corpus = ((clustered(n, 16, n) * 100).numpy().astype(dtype) for n in (4, 500))
    scores, rows = top_k(queries, corpus, 3, dot_score)
    assert type(scores) is type(rows) is np.ndarray and rows.dtype == np.int64
    as_tensors = top_k(torch.from_numpy(queries), corpus, 3, dot_score)
    assert all(isinstance(x, torch.Tensor) for x in as_tensors)
    assert np.array_equal(rows, as_tensors[1].numpy()) and np.array_equal(scores, as_tensors[0].numpy())


def test_a_memory_map_is_read_in_place(tmp_path):
    corpus = clustered(3000, 24, 1).numpy()
    np.save(tmp_path / "corpus.npy", corpus)
    on_disk = np.load(tmp_path / "corpus.npy", mmap_mode="r")
    blocks = []

    def score(queries, block):
        blocks.append((block.data_ptr() - on_disk.ctypes.data, len(block)))
        return dot_score(queries, block)

    scores, rows = top_k(corpus[:9], on_disk, 4, score, corpus_block=1000)
    assert blocks == [(i * 1000 * 24 * 4, 1000) for i in range(3)]  # views of the map, not copies
    assert rows[:, 0].tolist() == list(range(9))
    for function in (cos_sim, dot_score):
        assert [x.tolist() for x in top_k(corpus[:9], on_disk, 4, function)] == [
            x.tolist() for x in top_k(corpus[:9], corpus, 4, function)
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by RLIMIT_DATA")
def test_a_memory_map_larger_than_the_memory_allowed(tmp_path):
    """400 MB of vectors, most of them holes in the file, and 150 MB more than the process has to compute in."""
    code = """
import resource, sys
import numpy as np, torch
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
corpus = np.memmap(sys.argv[1], np.float32, "w+", shape=(1_000_000, 100))
corpus[999_999, 5], corpus[700_000, 5] = 2, 1
corpus = np.memmap(sys.argv[1], np.float32, "r", shape=(1_000_000, 100))
query = np.eye(1, 100, 5, dtype=np.float32)
top_k(query, corpus[:100_000], 2, dot_score)
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 150_000_000,) * 2)
try:
    np.array(corpus)
except MemoryError:
    print("no room for all")
print(top_k(query, corpus, 2, dot_score)[1].tolist())
"""
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "vectors"], capture_output=True, text=True, timeout=300
    )
    assert run.stdout.split("\n")[:2] == ["no room for all", "[[999999, 700000]]"], run.stderr


def test_there_is_never_more_than_a_block_of_scores_and_the_corpus_is_read_once():
    sizes, blocks = [], []

    def score(queries, corpus):
        sizes.append(len(queries) * len(corpus))
        blocks.append(corpus.data_ptr())
        return dot_score(queries, corpus)

    generator = torch.Generator().manual_seed(0)
    queries, corpus = torch.randn(1_100, 8, generator=generator), torch.randn(40_000, 8, generator=generator)
    _, rows = top_k(queries, corpus, 10, score)
    assert sum(sizes) == 1_100 * 40_000 and max(sizes) == 256 * 16_384
    assert len(list(groupby(blocks))) == 3, "all queries meet a block before the next is read"
    for i in (0, 1_099):
        assert rows[i].tolist() == (corpus @ queries[i]).argsort(descending=True)[:10].tolist()
