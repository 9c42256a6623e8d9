"""The linear map of training: the same values and gradients as torch's own, and torch's own where it does not apply."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.support import linear as module
from course_lib.support.linear import Linear, linear


def gradients(function, x, weight, bias, upstream):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    bias = None if bias is None else bias.clone().requires_grad_()
    y = function(x, weight, bias)
    y.backward(upstream)
    return [y.detach(), x.grad, weight.grad] + ([] if bias is None else [bias.grad])


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("rows, inside, outside", [(1, 1, 1), (7, 5, 3), (300, 256, 1024), (33, 1024, 256)])
def test_values_and_gradients_are_torchs(rows, inside, outside, with_bias):
    torch.manual_seed(0)
    x, weight = torch.randn(rows, inside), torch.randn(outside, inside)
    bias, upstream = torch.randn(outside) if with_bias else None, torch.randn(rows, outside)
    for ours, theirs in zip(
        gradients(linear, x, weight, bias, upstream), gradients(F.linear, x, weight, bias, upstream)
    ):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_it_is_used_where_it_fits_and_only_there(monkeypatch):
    if module.MULTIPLY is None:
        pytest.skip("this torch has no oneDNN")
    calls = []
    monkeypatch.setattr(
        module, "MULTIPLY", lambda *arguments: calls.append(1) or torch.ops.mkldnn._linear_pointwise(*arguments)
    )
    layer = Linear(4, 3)
    layer(torch.randn(2, 4)).sum().backward()
    assert len(calls) == 2  # forward and the weight's gradient: nobody asked for that of x
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(2, 4)).dtype == torch.bfloat16
    assert layer.double()(torch.randn(2, 4, dtype=torch.float64)).dtype == torch.float64
    assert layer.float()(torch.randn(2, 5, 4)).shape == (2, 5, 3) and layer(torch.randn(0, 4)).shape == (0, 3)
    assert len(calls) == 2


def test_views_and_transposes_are_read_as_they_are():
    torch.manual_seed(0)
    wide, weight = torch.randn(6, 20), torch.randn(8, 5)
    for x in (wide[:, 3:8], torch.randn(5, 6).t()):
        assert torch.allclose(linear(x, weight), x @ weight.T, atol=1e-5)
        assert torch.allclose(
            linear(x, torch.randn(5, 8, generator=torch.Generator().manual_seed(1)).t()),
            x @ torch.randn(5, 8, generator=torch.Generator().manual_seed(1)),
            atol=1e-5,
        )


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError):
        linear(torch.randn(2, 4), torch.randn(3, 5), torch.randn(3))
