"""Attention: a weighted average of vectors whose weights are computed from the vectors themselves.

    additive             Bahdanau, Cho & Bengio 2014 (arXiv 1409.0473, appendix A.1.2): a small network scores each pair
    scaled dot-product   Vaswani et al. 2017 (arXiv 1706.03762, equation 1): the score is a dot product
    multi-head           the same paper, section 3.2.2: several of them side by side, each in its own subspace

All three return the average and the weights. The weights of one query are >= 0 and sum to 1; a masked key gets exactly
0. Where all keys are masked, weights, output and gradients are 0 (`nn.MultiheadAttention` returns NaN there). Masks are
bool or integer, 1 = may be attended to. torch's `key_padding_mask` says the opposite: True = leave out.

Left out on purpose: dropout of the weights, float masks (positional biases), fused kernels, which form no weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax over the last dimension of `scores` (..., source), among the entries that `mask` allows; others get 0.

    Raises TypeError for a float mask, ValueError for one whose shape does not broadcast to that of `scores`.
    """
    if mask is None:
        return scores.softmax(-1)
    if mask.is_floating_point():
        raise TypeError(f"the mask is {mask.dtype}; expected bool or integer, 1 = may be attended to, or mask == 0")
    try:
        mask = mask.bool().expand(scores.shape)
    except RuntimeError:
        raise ValueError(f"a mask {tuple(mask.shape)} does not broadcast to the scores {tuple(scores.shape)}") from None
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    return weights.masked_fill(~mask, 0.0)  # softmax has put 0 there already, but NaN where a row is masked whole


class AdditiveAttention(nn.Module):
    """Bahdanau's attention: energies e_j = v . tanh(W s + U h_j), weights = softmax(e), context = sum of weights_j h_j.

    s is the query (the decoder's state), h_j are the keys (the encoder's states); W, U and v are without biases.
    """

    def __init__(self, query_size: int, key_size: int, attention_size: int):
        super().__init__()
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.key = nn.Linear(key_size, attention_size, bias=False)
        self.energy = nn.Linear(attention_size, 1, bias=False)

    def forward(
        self, query: Tensor, keys: Tensor, mask: Tensor | None = None, projected: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """query (batch, query_size), keys (batch, source, key_size), mask (batch, source) -> context (batch, key_size),
        weights (batch, source). ValueError for other shapes.

        projected: `self.key(keys)`, (batch, source, attention_size): who asks the same keys often computes it once.
        """
        q, k = self.query.in_features, self.key.in_features
        fits = keys.ndim == 3 and (*query.shape, keys.shape[2]) == (len(keys), q, k)
        fits = fits and (mask is None or mask.shape == keys.shape[:2])
        _expect(fits, f"query (batch, {q}), keys (batch, source, {k}), mask (batch, source)", query, keys, mask)
        projected = self.key(keys) if projected is None else projected  # (batch, source, attention_size)
        energies = self.energy(torch.tanh(self.query(query).unsqueeze(1) + projected)).squeeze(-1)  # (batch, source)
        weights = masked_softmax(energies, mask)
        context = (weights.unsqueeze(1) @ keys).squeeze(1)  # (batch, 1, source) @ (batch, source, key_size)
        return context, weights


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(query key^T / sqrt(size)) value: query (..., target, size), key (..., source, size) and value
    (..., source, dim) -> output (..., target, dim), as `F.scaled_dot_product_attention`, weights (..., target, source).

    mask: broadcasts to the weights: (batch, 1, 1, source) against padding, `torch.ones(n, n).tril().bool()` the future.
    """
    fits = query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2]
    _expect(fits, "query (..., target, size), key (..., source, size), value (..., source, dim)", query, key, value)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # (..., target, source)
    weights = masked_softmax(scores, mask)
    return weights @ value, weights  # (..., target, dim), (..., target, source)


class MultiHeadAttention(nn.Module):
    """`num_heads` scaled dot-product attentions on `embed_dim / num_heads` components each, and a linear map on top.

    The parameters have the names, shapes and start of `nn.MultiheadAttention(embed_dim, num_heads, batch_first=True)`:
    `load_state_dict` works both ways. Head h has the components h * size..(h + 1) * size of queries, keys and values.
    """

    def __init__(self, embed_dim: int, num_heads: int):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"{embed_dim} components cannot be divided among {num_heads} heads; choose a multiple")
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """query (batch, target, embed_dim), key and value (batch, source, embed_dim) -> output (batch, target,
        embed_dim), weights (batch, heads, target, source). Self-attention is `attention(x, x, x, mask)`.

        mask: (batch, source), the same for all queries, or (batch, target, source); all heads share it.
        """
        dim, three = self.embed_dim, (query, key, value)
        fits = all(x.ndim == 3 and x.shape[2] == dim and len(x) == len(query) for x in three)
        _expect(fits, f"query (batch, target, {dim}), key and value (batch, source, {dim})", *three)
        if mask is not None:
            of_keys, of_pairs = (len(query), key.shape[1]), (len(query), query.shape[1], key.shape[1])
            _expect(mask.shape in (of_keys, of_pairs), f"a mask {of_keys} or {of_pairs}", mask)
            mask = mask[:, None, None] if mask.ndim == 2 else mask[:, None]  # (batch, 1, 1 or target, source)
        projected = map(F.linear, three, self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3))
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)  # (batch, heads, ..., size)
        output, attention = scaled_dot_product_attention(q, k, v, mask)  # (batch, heads, target, size)
        return self.out_proj(output.transpose(1, 2).flatten(2)), attention  # (batch, target, embed_dim)


def _expect(fits: bool, shapes: str, *tensors: Tensor | None):
    if not fits:
        got = ", ".join(str(None if x is None else tuple(x.shape)) for x in tensors)
        raise ValueError(f"expected {shapes}, got {got}")
