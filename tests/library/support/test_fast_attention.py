"""Both forms of attention: the same values and gradients as torch's own, and dropout only where it is asked for."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.support.fast_attention import fast_attention


def qkv(dtype, length=7):
    return torch.randn(3, 2, 4, length, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype, atol", [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_equals_torch(dtype, atol, grad):
    for length in (1, 7, 513):
        inputs = qkv(dtype, length)
        expected = F.scaled_dot_product_attention(*inputs.double())
        with torch.set_grad_enabled(grad):
            found = fast_attention(*inputs)
        assert found.dtype == dtype and (found.double() - expected).abs().max() <= atol


def test_gradients_equal_torch():
    inputs = [x.requires_grad_() for x in qkv(torch.float64)]
    ours, theirs = (
        torch.autograd.grad(attention(*inputs).square().sum(), inputs)
        for attention in (fast_attention, F.scaled_dot_product_attention)
    )
    assert all((a - b).abs().max() <= 1e-9 for a, b in zip(ours, theirs))


def test_dropout_acts_with_gradients_and_without():
    inputs = qkv(torch.float32)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            assert not torch.allclose(fast_attention(*inputs, dropout=0.5), fast_attention(*inputs))
