"""course_lib.similarity against sentence_transformers.util, and the cases it leaves to chance."""

import numpy as np
import pytest
import torch
from sentence_transformers import util

from course_lib import similarity

ALL = ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim"]
PAIRWISE = ["pairwise_" + name for name in ALL]


def vectors(n, dim=17, seed=0, dtype=torch.float64):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", ALL + PAIRWISE)
def test_equals_sentence_transformers(name):
    n, m = (9, 9) if name in PAIRWISE else (9, 13)
    a, b = vectors(n, seed=1), vectors(m, seed=2)
    ours, theirs = getattr(similarity, name), getattr(util, name)
    assert ours(a, b).shape == ((n,) if name in PAIRWISE else (n, m))
    torch.testing.assert_close(ours(a, b), theirs(a, b), rtol=0, atol=1e-12)
    torch.testing.assert_close(ours(a.float(), b.float()), theirs(a.float(), b.float()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL + PAIRWISE)
def test_gradients_equal_sentence_transformers(name):
    a, b = vectors(6, seed=1).requires_grad_(), vectors(6, seed=2).requires_grad_()
    ours = torch.autograd.grad(getattr(similarity, name)(a, b).square().sum(), (a, b))
    theirs = torch.autograd.grad(getattr(util, name)(a, b).square().sum(), (a, b))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_pairwise_is_the_diagonal(name):
    a, b = vectors(5, seed=3), vectors(5, seed=4)
    pairwise, every = getattr(similarity, "pairwise_" + name), getattr(similarity, name)
    torch.testing.assert_close(pairwise(a, b), every(a, b).diagonal())


def test_known_values():
    a, b = [[3.0, 4.0], [1.0, 0.0]], [[0.0, 1.0]]
    assert similarity.dot_score(a, b).tolist() == [[4.0], [0.0]]
    torch.testing.assert_close(similarity.cos_sim(a, b), torch.tensor([[0.8], [0.0]]))
    torch.testing.assert_close(similarity.euclidean_sim(a, b), -torch.tensor([[18.0], [2.0]]).sqrt())
    assert similarity.manhattan_sim(a, b).tolist() == [[-6.0], [-2.0]]


@pytest.mark.parametrize("name", ALL + PAIRWISE)
@pytest.mark.parametrize("convert", [lambda x: x.numpy(), list, tuple, lambda x: list(x.numpy()), lambda x: x.tolist()])
def test_takes_arrays_and_lists(name, convert):
    a, b = vectors(4, dtype=torch.float32), vectors(4, seed=5, dtype=torch.float32)
    function = getattr(similarity, name)
    torch.testing.assert_close(function(convert(a), convert(b)), function(a, b), rtol=0, atol=0)


@pytest.mark.parametrize("name", ALL + PAIRWISE)
def test_one_vector_is_a_matrix_of_one_row(name):
    function, a, b = getattr(similarity, name), *vectors(2, dtype=torch.float32)
    assert function(a, b).shape == ((1,) if name in PAIRWISE else (1, 1))
    assert torch.equal(function(a, b.tolist()), function(a[None], b[None]))


def test_awkward_arrays_are_not_changed_or_warned_about(recwarn):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = similarity.cos_sim(torch.tensor(array), torch.tensor(array[::-1].copy()))
    array.flags.writeable = False  # as in a memory map; and torch knows no negative strides
    assert torch.equal(similarity.cos_sim(array, array[::-1]), expected)
    assert not recwarn


@pytest.mark.parametrize("function", [similarity.cos_sim, similarity.pairwise_cos_sim])
def test_cosine_of_zero_vector_is_zero(function):
    assert function([[0.0, 0.0]], [[1.0, 2.0]]).item() == 0.0
    assert function([[0.0, 0.0]], [[0.0, 0.0]]).item() == 0.0


def test_distance_to_itself_is_exactly_zero():
    a = 100 + vectors(60, dim=64, dtype=torch.float32)  # beyond 25 rows cdist would take a short cut
    assert torch.equal(similarity.euclidean_sim(a, a).diagonal(), torch.zeros(60))
    expected = util.euclidean_sim(a.double(), a.double())
    torch.testing.assert_close(similarity.euclidean_sim(a, a).double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ALL + PAIRWISE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_low_precision_and_integers_are_computed_in_float32(name, dtype):
    a, b = (vectors(4) * 9).to(dtype), (vectors(4, seed=7) * 9).to(dtype)
    function = getattr(similarity, name)
    assert function(a, b).dtype == torch.float32
    torch.testing.assert_close(function(a, b), function(a.float(), b.float()), rtol=0, atol=0)


def test_mixed_dtypes_are_promoted():
    a, b = vectors(3, dtype=torch.float32), vectors(3, seed=8)
    assert similarity.cos_sim(a, b).dtype == torch.float64


@pytest.mark.parametrize("name", ALL + PAIRWISE)
def test_dimension_mismatch_names_both_shapes(name):
    with pytest.raises(ValueError, match=r"\(2, 5\).*\(2, 7\)"):
        getattr(similarity, name)(torch.ones(2, 5), torch.ones(2, 7))


@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_needs_as_many_rows(name):
    with pytest.raises(ValueError, match=r"\(1, 5\).*\(3, 5\)"):  # would broadcast silently
        getattr(similarity, name)(torch.ones(1, 5), torch.ones(3, 5))


@pytest.mark.parametrize(
    "bad, shape",
    [
        (torch.ones(2, 2, 2), r"\(2, 2, 2\)"),
        ([[1.0], [1.0, 2.0]], r"\(1,\), \(2,\)"),
        ([], r"\(0,\)"),
        (torch.tensor(1.0), r"\(\)"),
    ],
)
def test_what_is_not_a_matrix_is_refused(bad, shape):
    with pytest.raises(ValueError, match=shape):
        similarity.cos_sim(bad, torch.ones(2, 2))


def test_table_of_functions():
    assert similarity.SIMILARITY_FUNCTIONS == {
        "cosine": similarity.cos_sim,
        "dot": similarity.dot_score,
        "euclidean": similarity.euclidean_sim,
        "manhattan": similarity.manhattan_sim,
    }
