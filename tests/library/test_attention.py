"""course_lib.attention against torch's scaled_dot_product_attention and MultiheadAttention, and Bahdanau in loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from parity import close
from torch import nn

from course_lib.attention import AdditiveAttention, MultiHeadAttention, masked_softmax, scaled_dot_product_attention

LENGTHS = [5, 1, 3]


def randn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64).to(dtype)


def padding_mask(lengths=LENGTHS):
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]  # (batch, source)


# scaled dot-product

MASKS = {
    "none": None,
    "padding": padding_mask()[:, None, None],
    "causal": torch.ones(4, 5).tril().bool(),
    "both": padding_mask()[:, None, None] & torch.ones(4, 5).tril().bool(),
    "per head": torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(1)) > 0.3,
}


def qkv(dtype=torch.float64):
    return randn(3, 2, 4, 6, dtype=dtype), randn(3, 2, 5, 6, dtype=dtype), randn(3, 2, 5, 7, dtype=dtype)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_scaled_dot_product_equals_torch(mask):
    query, key, value = qkv()
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    assert weights.shape == (3, 2, 4, 5)
    close(output, F.scaled_dot_product_attention(query, key, value, mask))
    close(output, weights @ value)
    single, _ = scaled_dot_product_attention(*qkv(torch.float32), mask)
    close(single, F.scaled_dot_product_attention(*qkv(torch.float32), mask), atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASKS["both"]], ids=["none", "both"])
def test_gradients_equal_torch(mask):
    inputs = [x.requires_grad_() for x in qkv()]
    ours = torch.autograd.grad(scaled_dot_product_attention(*inputs, mask)[0].square().sum(), inputs)
    theirs = torch.autograd.grad(F.scaled_dot_product_attention(*inputs, mask).square().sum(), inputs)
    for a, b in zip(ours, theirs):
        close(a, b)


def test_scaled_dot_product_by_hand():
    query, key = torch.tensor([[2.0, 0.0, 0.0, 0.0]]), torch.eye(4)[:2]  # scores 2 / sqrt(4) = 1 and 0
    output, weights = scaled_dot_product_attention(query, key, torch.tensor([[10.0], [0.0]]))
    close(weights, torch.tensor([[math.e, 1.0]]) / (math.e + 1), atol=1e-7)
    close(output, torch.tensor([[10 * math.e / (math.e + 1)]]), atol=1e-5)


# the weights


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_padding_gets_exactly_zero_and_the_rest_sums_to_one(dtype):
    scores = randn(3, 4, 5, dtype=dtype) * 50  # far apart
    scores[..., -1] = 60000.0  # the masked entry has by far the highest score
    mask = padding_mask()
    mask[0, -1] = False
    weights = masked_softmax(scores, mask[:, None])
    assert torch.all(weights.masked_select(~mask[:, None].expand_as(weights)) == 0)
    assert torch.all(weights >= 0)
    close(weights.double().sum(-1), torch.ones(3, 4, dtype=torch.float64), atol=5 * torch.finfo(dtype).eps)
    assert weights.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.int64, torch.uint8])
def test_mask_may_be_bool_or_integer(dtype):
    scores = randn(3, 5)
    assert torch.equal(masked_softmax(scores, padding_mask().to(dtype)), masked_softmax(scores, padding_mask()))


def test_float_mask_is_refused():
    with pytest.raises(TypeError, match="float32; expected bool or integer"):
        masked_softmax(randn(3, 5), torch.zeros(3, 5))


def test_mask_that_does_not_broadcast_is_named():
    with pytest.raises(ValueError, match=r"\(3, 4\) does not broadcast to the scores \(3, 5\)"):
        masked_softmax(randn(3, 5), torch.ones(3, 4, dtype=torch.bool))


def test_a_row_masked_whole_is_zero_with_zero_gradients():
    query, key, value = (x.requires_grad_() for x in qkv())
    mask = padding_mask()[:, None, None].clone()
    mask[1] = False
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    assert torch.all(weights[1] == 0) and torch.all(output[1] == 0)
    close(output, F.scaled_dot_product_attention(query, key, value, mask))
    for gradient in torch.autograd.grad(output.square().sum(), (query, key, value)):
        assert torch.isfinite(gradient).all() and torch.all(gradient[1] == 0) and torch.any(gradient[0] != 0)


# additive


def additive(dtype=torch.float64):
    torch.manual_seed(0)
    return AdditiveAttention(4, 6, 7).to(dtype)


def test_additive_equals_the_papers_equation_in_loops():
    attention, query, keys, mask = additive(), randn(3, 4), randn(3, 5, 6), padding_mask()
    context, weights = (x.detach() for x in attention(query, keys, mask))
    W, U, v = (m.weight.detach() for m in (attention.query, attention.key, attention.energy))
    v = v[0]
    for b, length in enumerate(LENGTHS):
        energies = [
            sum(v[k] * torch.tanh(W[k] @ query[b] + U[k] @ keys[b, j]) for k in range(7)) for j in range(length)
        ]
        total = sum(math.exp(e) for e in energies)
        expected = torch.zeros(6, dtype=torch.float64)
        for j in range(length):
            assert weights[b, j].item() == pytest.approx(math.exp(energies[j]) / total, abs=1e-12)
            expected += math.exp(energies[j]) / total * keys[b, j]
        close(context[b], expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_additive_weights_sum_to_one_and_padding_gets_zero(dtype):
    mask = padding_mask().long()
    context, weights = additive(dtype)(randn(3, 4, dtype=dtype), randn(3, 5, 6, dtype=dtype), mask)
    assert context.shape == (3, 6) and weights.shape == (3, 5) and context.dtype == weights.dtype == dtype
    assert torch.all(weights[mask == 0] == 0) and torch.all(weights[mask == 1] > 0)
    close(weights.double().sum(1), torch.ones(3, dtype=torch.float64), atol=5 * torch.finfo(dtype).eps)


def test_additive_is_the_same_alone_and_beside_longer_ones():
    attention, query, keys = additive(), randn(3, 4), randn(3, 5, 6)
    context, weights = attention(query, keys, padding_mask())
    for b, length in enumerate(LENGTHS):
        alone, its = attention(query[b : b + 1], keys[b : b + 1, :length])
        close(alone[0], context[b], atol=1e-12)
        close(its[0], weights[b, :length], atol=1e-12)


def test_additive_gradients_are_right():
    attention, mask = additive(), padding_mask()
    query, keys = randn(3, 4).requires_grad_(), randn(3, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k: attention(q, k, mask), (query, keys))
    gradients = torch.autograd.grad(attention(query, keys, mask)[0].square().sum(), [keys, *attention.parameters()])
    assert torch.all(gradients[0][~mask] == 0) and all(torch.any(g != 0) for g in gradients)


def test_additive_with_nothing_to_attend_to():
    query, keys = randn(3, 4).requires_grad_(), randn(3, 5, 6).requires_grad_()
    mask = padding_mask()
    mask[1] = False
    context, weights = additive()(query, keys, mask)
    assert torch.all(context[1] == 0) and torch.all(weights[1] == 0)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(context.sum(), (query, keys)))


def test_additive_takes_keys_projected_before():
    attention, query, keys = additive(), randn(3, 4), randn(3, 5, 6)
    for a, b in zip(
        attention(query, keys, padding_mask()), attention(query, keys, padding_mask(), attention.key(keys))
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "query, keys, mask",
    [
        ((3, 5), (3, 5, 6), (3, 5)),
        ((2, 4), (3, 5, 6), (3, 5)),
        ((3, 4), (3, 5, 4), (3, 5)),
        ((3, 4), (5, 6), (3, 5)),
        ((3, 4), (3, 5, 6), (5, 3)),
    ],
)
def test_additive_names_shapes_that_do_not_fit(query, keys, mask):
    with pytest.raises(ValueError, match=r"expected query \(batch, 4\), keys \(batch, source, 6\)"):
        additive()(randn(*query), randn(*keys), torch.ones(mask, dtype=torch.bool))


# multi-head


def pair(embed_dim=12, num_heads=3):
    """torch's layer and ours with its weights, biases not zero."""
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(embed_dim, num_heads, batch_first=True, dtype=torch.float64)
    for p in theirs.parameters():
        nn.init.normal_(p)
    ours = MultiHeadAttention(embed_dim, num_heads).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("num_heads", [1, 3, 12])
@pytest.mark.parametrize("masked", ["no", "padding", "causal and padding"])
def test_multi_head_equals_torch(num_heads, masked):
    ours, theirs = pair(num_heads=num_heads)
    x = randn(3, 5, 12).requires_grad_()
    mask = {
        "no": None,
        "padding": padding_mask(),
        "causal and padding": padding_mask()[:, None] & torch.ones(5, 5).tril().bool(),
    }[masked]
    theirs_mask = {} if mask is None else {"key_padding_mask": ~padding_mask()}
    if masked == "causal and padding":
        theirs_mask["attn_mask"] = ~torch.ones(5, 5).tril().bool()
    output, weights = ours(x, x, x, mask)
    expected, expected_weights = theirs(x, x, x, average_attn_weights=False, **theirs_mask)
    close(output, expected)
    close(weights, expected_weights)
    gradients = [
        torch.autograd.grad(y.square().sum(), [x, *m.parameters()], retain_graph=True)
        for y, m in ((output, ours), (expected, theirs))
    ]
    for a, b in zip(*gradients):
        close(a, b, atol=1e-8)


def test_multi_head_equals_torch_on_other_keys_and_values():
    ours, theirs = pair()
    query, key, value = randn(3, 4, 12), randn(3, 5, 12, seed=1), randn(3, 5, 12, seed=2)
    output, weights = ours(query, key, value, padding_mask().int())
    expected, expected_weights = theirs(query, key, value, key_padding_mask=~padding_mask(), average_attn_weights=False)
    assert weights.shape == (3, 3, 4, 5)
    close(output, expected)
    close(weights, expected_weights)


def test_multi_head_starts_as_torch_and_loads_both_ways():
    torch.manual_seed(3)
    ours = MultiHeadAttention(12, 3)
    torch.manual_seed(3)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name])
    nn.init.normal_(ours.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    x = randn(2, 5, 12, dtype=torch.float32)
    close(ours(x, x, x)[0], theirs(x, x, x)[0], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_multi_head_padding_gets_exactly_zero(dtype):
    ours, x, mask = pair()[0].to(dtype), randn(3, 5, 12, dtype=dtype), padding_mask()
    output, weights = ours(x, x, x, mask)
    assert output.dtype == dtype and torch.all(weights.transpose(1, 3)[~mask] == 0)
    close(weights.double().sum(-1), torch.ones(3, 3, 5, dtype=torch.float64), atol=5 * torch.finfo(dtype).eps)


def test_multi_head_with_nothing_to_attend_to_is_its_bias():
    ours, _ = pair()
    mask = padding_mask()
    mask[1] = False
    output, weights = ours(*[randn(3, 5, 12)] * 3, mask)
    assert torch.all(weights[1] == 0)
    close(output[1], ours.out_proj.bias.detach().expand(5, 12))


def test_multi_head_names_what_does_not_fit():
    with pytest.raises(ValueError, match="10 components cannot be divided among 3 heads"):
        MultiHeadAttention(10, 3)
    ours, x = pair()[0], randn(3, 5, 12)
    with pytest.raises(ValueError, match=r"query \(batch, target, 12\).*got \(3, 5, 11\)"):
        ours(randn(3, 5, 11), x, x)
    with pytest.raises(ValueError, match=r"got \(3, 5, 12\), \(2, 5, 12\)"):
        ours(x, randn(2, 5, 12), x)
    with pytest.raises(ValueError, match=r"a mask \(3, 5\) or \(3, 5, 5\), got \(5, 5\)"):
        ours(x, x, x, torch.ones(5, 5).tril().bool())
    with pytest.raises(ValueError, match=r"expected query \(..., target, size\).*got \(4, 3\), \(5, 2\)"):
        scaled_dot_product_attention(randn(4, 3), randn(5, 2), randn(5, 2))
