"""course_lib.space: alignment and uniformity against plain loops, known values, and what they should be blind to."""

import math

import pytest
import torch

from course_lib.space import alignment, uniformity


def vectors(n, dim=6, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loop(x):
    rows = [row / row.norm() for row in x]
    values = [math.exp(-2 * (a - b).square().sum()) for i, a in enumerate(rows) for b in rows[:i]]
    return math.log(sum(values) / len(values))


def test_equal_the_definitions():
    x, y = vectors(9), vectors(9, seed=1)
    squared = [((a / a.norm() - b / b.norm()) ** 2).sum().item() for a, b in zip(x, y)]
    assert alignment(x, y).item() == pytest.approx(sum(squared) / 9, abs=1e-9)
    assert alignment(x, y).item() == pytest.approx(2 - 2 * torch.cosine_similarity(x, y).mean().item(), abs=1e-9)
    assert uniformity(x).item() == pytest.approx(by_loop(x), abs=1e-9)


def test_known_values():
    point, poles = torch.ones(4, 3), torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert alignment(point, point) == 0 and uniformity(point).item() == pytest.approx(0, abs=1e-6)
    assert alignment(poles, -poles).item() == pytest.approx(4) and uniformity(poles).item() == pytest.approx(-8)
    assert uniformity(vectors(2000, 300)).item() == pytest.approx(-4, abs=0.1)


def test_lengths_and_order_do_not_matter():
    x, y = vectors(7), vectors(7, seed=1)
    order, lengths = torch.tensor([3, 0, 6, 1, 5, 2, 4]), torch.arange(1.0, 8)[:, None]
    torch.testing.assert_close(alignment(x * lengths, y), alignment(x[order], y[order]))
    torch.testing.assert_close(uniformity(x * lengths), uniformity(x[order]))


def test_both_have_gradients():
    x, y = vectors(5).requires_grad_(), vectors(5, seed=1)
    (alignment(x, y) + uniformity(x)).backward()
    assert x.grad.isfinite().all() and (x.grad.norm(dim=1) > 0).all()


def test_gradients_are_finite_where_two_texts_are_one():
    x = torch.cat([vectors(3), vectors(1, seed=2).expand(2, 6)]).detach().requires_grad_()
    uniformity(x).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("x, y", [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((4,), (4,)), ((0, 4), (0, 4))])
def test_alignment_names_wrong_shapes(x, y):
    with pytest.raises(ValueError, match=r"one shape \(pairs, dim\), got"):
        alignment(torch.ones(x), torch.ones(y))


@pytest.mark.parametrize("shape", [(1, 4), (4,), (0, 4)])
def test_uniformity_needs_two_texts(shape):
    with pytest.raises(ValueError, match="two texts at least"):
        uniformity(torch.ones(shape))
