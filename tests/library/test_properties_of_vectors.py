"""Whatever takes vectors, scores or labels, given every layout, dtype and container: it computes what it computes of
the plain array, or an error of ours says what to do. Nothing else. test_properties.py says how to look at more.
"""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from containers import LAYOUTS, LISTS, NO_VECTORS, _map, outcome
from hypothesis import given
from hypothesis import strategies as st
from property_settings import few

from course_lib.evaluation import alignment, uniformity
from course_lib.finetuning.contrastive import ContrastiveLoss, OnlineContrastiveLoss
from course_lib.finetuning.cosent import CoSENTLoss
from course_lib.finetuning.distillation import MSELoss, RelationalLoss
from course_lib.finetuning.matryoshka import MatryoshkaLoss
from course_lib.losses import CosineSimilarityLoss, SoftmaxLoss
from course_lib.models.images import whitening
from course_lib.retrieval.chunking import Passage, search_passages
from course_lib.retrieval.clustering import community_detection
from course_lib.retrieval.evaluators import BinaryClassificationEvaluator
from course_lib.retrieval.inverted_index import InvertedIndex
from course_lib.retrieval.metrics import binary_classification
from course_lib.retrieval.paraphrases import calibrate, find_duplicates, paraphrase_mining_embeddings
from course_lib.retrieval.quantization import quantize, rescored_top_k, truncate, value_ranges
from course_lib.retrieval.search import top_k
from course_lib.similarity import PAIRWISE_SIMILARITY_FUNCTIONS, SIMILARITY_FUNCTIONS, cos_sim, dot_score
from course_lib.support.correlation import pearson, spearman

OTHERS = np.array([[1, 0, 2, 0, 0, 1, 1, 0], [0, 2, 1, 1, 0, 0, 0, 1], [2, 2, 0, 1, 1, 0, 0, 0]], dtype=np.float32)
BITS = quantize(OTHERS, "ubinary")
PASSAGES = [Passage(f"d{i % 2}", i, i + 1, "x") for i in range(3)]

# Whole numbers of 0 to 3: every sum of products is exact in every dtype, and many are equal.
vectors = (
    st.integers(0, 5)
    .flatmap(lambda n: st.lists(st.lists(st.integers(0, 3), min_size=8, max_size=8), min_size=n, max_size=n))
    .map(lambda rows: np.array(rows, dtype=np.float32).reshape(-1, 8))
)

TAKE_VECTORS = {
    **{name: lambda x, f=f: f(x, OTHERS) for name, f in SIMILARITY_FUNCTIONS.items()},
    **{f"{name} of columns": lambda x, f=f: f(OTHERS, x) for name, f in SIMILARITY_FUNCTIONS.items()},
    **{f"pairwise {name}": lambda x, f=f: f(x, x) for name, f in PAIRWISE_SIMILARITY_FUNCTIONS.items()},
    "paraphrases": lambda x: paraphrase_mining_embeddings(x, top_k=2),
    "duplicates": lambda x: find_duplicates(x, 0.9),
    "communities": lambda x: community_detection(x, 0.9, 2),
    "alignment": lambda x: alignment(x, x).item(),
    "uniformity": lambda x: uniformity(x).item(),
    "whitening": lambda x: whitening(x).linear.weight.abs(),
    "MSELoss": lambda x: MSELoss()(torch.ones(len(LISTED[0]), 8), x).item(),
    "RelationalLoss": lambda x: RelationalLoss()(torch.ones(len(LISTED[0]), 8), x).item(),
}
TAKE_FLOATS = {  # of floating point numbers, as they come from an encoder
    "int8": lambda x: quantize(x, "int8"),
    "bits": lambda x: quantize(x, "ubinary"),
    "rescored": lambda x: rescored_top_k(OTHERS, quantize(x, "ubinary"), x, 2),
    "rescored int8": lambda x: rescored_top_k(OTHERS, quantize(x, "int8"), x, 2, value_ranges(x)),
    "queries of rescored": lambda x: rescored_top_k(x, BITS, OTHERS, 2),
}
TAKE_VECTORS |= {"truncate": lambda x: truncate(x, 4), "value_ranges": value_ranges} | TAKE_FLOATS
TWICE = ["alignment", "rescored", "rescored int8", *(f"pairwise {name}" for name in SIMILARITY_FUNCTIONS)]
ONLY_NUMBERS = [name for name in TAKE_VECTORS if name.split()[-1] in {*SIMILARITY_FUNCTIONS, "columns"}]
ONLY_NUMBERS += ["alignment", "uniformity", "truncate"]
TAKE_ARRAYS = {  # no lists
    "queries": lambda x: top_k(x, OTHERS, 2),
    "queries by dot": lambda x: top_k(x, OTHERS, 2, dot_score),
    "corpus": lambda x: top_k(OTHERS, x, 2),
    "corpus by dot": lambda x: top_k(OTHERS, x, 2, dot_score),
    "passages": lambda x: [[(h.document, h.score) for h in hits] for hits in search_passages(x, OTHERS, PASSAGES, 2)],
}
LISTED = [np.ones((1, 8))]  # the array that is being looked at


def close(a, b, share=0.0) -> bool:
    """Equal to this share of the numbers, or the same kind of error."""
    if isinstance(a, Exception) or isinstance(b, Exception):
        return type(a) is type(b)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(close(x, y, share) for x, y in zip(a, b))
    if isinstance(a, (np.ndarray, torch.Tensor, float)):
        a, b = (np.asarray(torch.as_tensor(x).detach().float()) for x in (a, b))
        return a.shape == b.shape and np.allclose(a, b, rtol=share, atol=share)
    return a == b


@pytest.mark.parametrize("entry", [*TAKE_VECTORS, *TAKE_ARRAYS])
@given(x=vectors, layout=st.sampled_from([*LAYOUTS, "memory map"]))
@few
def test_any_layout(entry, x, layout, tmp_path_factory):
    LISTED[0], take = x, (TAKE_VECTORS | TAKE_ARRAYS)[entry]
    laid = _map(x, tmp_path_factory.mktemp("map")) if layout == "memory map" else LAYOUTS[layout](x)
    assert close(outcome(take, laid), outcome(take, x), 1e-6)


@pytest.mark.parametrize("entry", TAKE_VECTORS)
@given(x=vectors, kind=st.sampled_from(list(LISTS)))
@few
def test_lists_of_vectors(entry, x, kind):
    LISTED[0], take = x, TAKE_VECTORS[entry]
    if len(x) and not (kind == "generator" and entry in TWICE):
        assert close(outcome(take, LISTS[kind](x)), outcome(take, x), 1e-6)


@pytest.mark.parametrize("entry", [*TAKE_VECTORS, *TAKE_ARRAYS])
@given(
    x=vectors,
    dtype=st.sampled_from(
        [np.float64, np.float16, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, torch.bfloat16]
        + [torch.float16, torch.float64, torch.int8, torch.int32, torch.int64, torch.uint8]
    ),
)
@few
def test_any_dtype(entry, x, dtype):
    """Of whole numbers as small as these, all dtypes hold the same."""
    LISTED[0], take = x, (TAKE_VECTORS | TAKE_ARRAYS)[entry]
    other = torch.from_numpy(x.copy()).to(dtype) if isinstance(dtype, torch.dtype) else x.astype(dtype)
    found, expected = outcome(take, other), outcome(take, x)
    if entry in TAKE_FLOATS and isinstance(found, TypeError):
        assert "expected floats" in str(found) and "int" in str(dtype)
        return
    if entry == "paraphrases":  # of equal cosines the last digit may decide
        found, expected = ([score for score, _, _ in pairs] for pairs in (found, expected))
    elif entry in ("queries", "corpus") and isinstance(found, tuple):  # of the rows: what they score
        cosines = cos_sim(x, OTHERS) if entry == "queries" else cos_sim(OTHERS, x)
        found, expected = (
            (scores, np.take_along_axis(cosines.numpy(), np.asarray(rows), 1)) for scores, rows in (found, expected)
        )
    if entry == "int8" and not isinstance(found, Exception):  # a value on the edge of two codes
        assert np.abs(np.asarray(found, dtype=int) - expected).max(initial=0) <= 1
    elif not isinstance(found, ValueError) or isinstance(expected, Exception):
        assert close(found, expected, 1e-3 if entry == "truncate" else 1e-5)  # which stays in float16


@pytest.mark.parametrize("entry", [*TAKE_VECTORS, *TAKE_ARRAYS])
def test_what_holds_no_vectors(entry):
    x, take = OTHERS.copy(), (TAKE_VECTORS | TAKE_ARRAYS)[entry]
    LISTED[0] = x
    for kind in NO_VECTORS:
        assert isinstance(outcome(take, NO_VECTORS[kind](x)), TypeError), kind
    for shape in ((), (8,), (3, 7), (3, 8, 2), (0,), (3, 0), (0, 8), (1, 8)):
        LISTED[0] = np.ones(shape or (1,))
        outcome(take, np.ones(shape, np.float32))


@pytest.mark.parametrize("entry", [*TAKE_VECTORS, *TAKE_ARRAYS])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite(entry, bad):
    """Refused, naming the row, where something is put in order or into groups; similarities are what they are."""
    x, take = OTHERS.copy(), (TAKE_VECTORS | TAKE_ARRAYS)[entry]
    x[1, 3], LISTED[0] = bad, x
    found = outcome(take, x)
    if entry == "bits" and np.isinf(bad):
        assert close(found, take(np.nan_to_num(x)))
    elif entry in ONLY_NUMBERS:
        assert not np.isfinite(np.asarray(found)).all()
    else:
        assert isinstance(found, ValueError) and ("row 1" in str(found))


# ---- scores and labels

LABELS = [1, 0, 1, 1, 0, 0]
SCORES = [0.5, 0.25, 1.0, 0.5, 0.0, 0.25]
NUMBERS = {
    "array": np.array,
    "read-only array, from the end": lambda x: np.array(x[::-1])[::-1],
    "other byte order": lambda x: np.array(x).astype(np.array(x).dtype.newbyteorder()),
    "float32": lambda x: np.array(x, dtype=np.float32) if isinstance(x[0], float) else np.array(x, dtype=np.int32),
    "tensor": torch.tensor,
    "tuple": tuple,
    "Series": lambda x: pd.Series(x, index=range(9, 9 + len(x))),
    "numbers of numpy": lambda x: list(np.array(x)),
    "generator": lambda x: (number for number in x),
}
NO_NUMBERS = {
    "dictionary": lambda x: dict(enumerate(x)),
    "set": set,
    "strings": lambda x: list(map(str, x)),
    "array of strings": lambda x: np.array(x).astype(str),
    "DataFrame": lambda x: pd.DataFrame({"label": x}),
    "a string": lambda x: "labels",
    "None": lambda x: None,
    "a missing value": lambda x: [None, *x[1:]],
}
U, V = (torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
HEAD = SoftmaxLoss(4, 2)
TAKE_LABELS = {
    "SoftmaxLoss": lambda y: HEAD(U, V, y).item(),
    "MatryoshkaLoss": lambda y: MatryoshkaLoss(HEAD, [4, 2])(U, V, y).item(),
    "ContrastiveLoss": lambda y: ContrastiveLoss()(U, V, y).item(),
    "OnlineContrastiveLoss": lambda y: OnlineContrastiveLoss()(U, V, y).item(),
    "labels": lambda y: binary_classification(SCORES, y),
    "calibrate": lambda y: calibrate(SCORES, y, 0.5),
    "evaluator": lambda y: BinaryClassificationEvaluator([("a", "b")] * 6, y).labels,
}
TAKE_SCORES = {
    "CosineSimilarityLoss": lambda y: CosineSimilarityLoss()(U, V, y).item(),
    "CoSENTLoss": lambda y: CoSENTLoss()(U, V, y).item(),
    "scores": lambda y: binary_classification(y, LABELS),
    "calibrated": lambda y: calibrate(y, LABELS, 0.5),
    "pearson": lambda y: pearson(y, LABELS),
    "spearman": lambda y: spearman(LABELS, y),
}


@pytest.mark.parametrize("entry", [*TAKE_LABELS, *TAKE_SCORES])
def test_scores_and_labels_in_any_container(entry):
    take, given_ = (TAKE_LABELS | TAKE_SCORES)[entry], LABELS if entry in TAKE_LABELS else SCORES
    expected = take(given_)
    for kind in NUMBERS:
        found = outcome(take, NUMBERS[kind](given_))
        assert found == pytest.approx(expected, rel=1e-6), kind
    for kind in NO_NUMBERS:
        assert isinstance(outcome(take, NO_NUMBERS[kind](given_)), TypeError), kind
    for wrong in ([], given_[:-1], [given_], given_[0], [np.nan, *given_[1:]], [np.inf, *given_[1:]]):
        assert isinstance(outcome(take, wrong), (TypeError, ValueError)), wrong


def test_embeddings_of_a_loss_are_tensors():
    for loss in (ContrastiveLoss(), CosineSimilarityLoss(), CoSENTLoss(), HEAD):
        with pytest.raises(TypeError, match="expected embeddings as tensors, .*got a ndarray"):
            loss(U.numpy(), V.numpy(), LABELS)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "dense", "tensor", "list", "float64"])
def test_sparse_vectors_in_any_form(form):
    x = np.random.default_rng(0).integers(0, 3, (5, 9)).astype(np.float32)
    expected = InvertedIndex(scipy.sparse.csr_array(x)).search(scipy.sparse.csr_array(x[:2]), 3)
    forms = {"dense": np.asarray, "tensor": torch.tensor, "list": np.ndarray.tolist, "float64": np.float64}
    given_ = forms.get(form, getattr(scipy.sparse, f"{form}_array", None))
    found = InvertedIndex(given_(x)).search(given_(x[:2]), 3)
    assert close(found, expected)
    for wrong in (dict(enumerate(x)), x.astype(str), None, "vectors", torch.tensor(x).to_sparse()):
        assert isinstance(outcome(InvertedIndex, wrong), TypeError)
    for wrong in (-x, np.where(x == 1, np.nan, x), np.where(x == 1, np.inf, x), x[0], x[None]):
        assert isinstance(outcome(InvertedIndex, wrong), ValueError)
