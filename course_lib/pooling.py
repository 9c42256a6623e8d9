"""From one vector per token to one vector per sentence: the pooling layer of Sentence-BERT.

Reimers & Gurevych 2019 (arXiv 1908.10084, section 3) compare CLS, MAX and MEAN; the weighted mean is that of SGPT
(Muennighoff 2022, arXiv 2202.08904). Names and results are those of sentence_transformers' Pooling.

Left out on purpose: leaving a prompt's tokens out (zero them in the mask before calling), fractional token weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def pool(token_embeddings: Tensor, attention_mask: Tensor, mode: str | Sequence[str] = "mean") -> Tensor:
    """(batch, tokens, dim) and a mask (batch, tokens) -> (batch, dim); several modes: (batch, dim * modes).

    cls                   the first token
    lasttoken             the last token
    max                   the largest value of each dimension
    mean                  sum / number of tokens
    mean_sqrt_len_tokens  sum / square root of the number of tokens
    weightedmean          mean in which the first token weighs 1, the second 2, and so on

    A token counts where the mask (bool, integer or float) is not zero. Padding may stand on either side, and its
    vectors are never read, be they NaN. Several modes are concatenated in the order given. The result has the dtype of
    `token_embeddings`; means of half precision are summed in float32.

    Raises ValueError for an unknown mode, for shapes that do not fit, and for rows whose mask is all zero.
    """
    modes = (mode,) if isinstance(mode, str) else tuple(mode)
    if not modes or not set(modes) <= set(POOLING_MODES):
        raise ValueError(f"unknown pooling mode {mode!r}: choose one or more of {', '.join(POOLING_MODES)}")
    if token_embeddings.ndim != 3 or attention_mask.shape != token_embeddings.shape[:2]:
        got = f"{tuple(token_embeddings.shape)} and {tuple(attention_mask.shape)}"
        raise ValueError(f"expected token_embeddings (batch, tokens, dim), attention_mask (batch, tokens), got {got}")
    mask = attention_mask.bool()
    empty = (~mask.any(dim=1)).nonzero().flatten()
    if len(empty):
        raise ValueError(f"nothing to pool: no token is unmasked in the rows {empty.tolist()} of {len(mask)}")
    return torch.cat([_pool(token_embeddings, mask, mode) for mode in modes], dim=-1)


def _pool(x: Tensor, mask: Tensor, mode: str) -> Tensor:
    """One mode of `pool`: (batch, tokens, dim) -> (batch, dim)."""
    rows = torch.arange(len(x), device=x.device)
    if mode == "cls":
        return x[rows, mask.int().argmax(dim=1)]  # argmax finds the first 1
    if mode == "lasttoken":
        return x[rows, x.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)]
    if mode == "max":
        return _fill_padding(x, mask, -torch.inf).amax(dim=1)

    total = _fill_padding(x.float() if x.dtype.itemsize < 4 else x, mask, 0.0)  # (batch, tokens, dim)
    weights = mask.to(total.dtype)  # (batch, tokens)
    if mode == "weightedmean":
        positions = torch.arange(1, x.shape[1] + 1, device=x.device) - mask.int().argmax(dim=1, keepdim=True)
        weights = weights * positions  # 1, 2, 3... from the first token on
        total = total * weights.unsqueeze(-1)
    total, count = total.sum(dim=1), weights.sum(dim=1, keepdim=True)  # (batch, dim), (batch, 1)
    return (total / (count.sqrt() if mode == "mean_sqrt_len_tokens" else count)).to(x.dtype)


def _fill_padding(x: Tensor, mask: Tensor, value: float) -> Tensor:
    """`x` with `value` in place of padding; `x` itself, at no cost, where there is none."""
    if mask.all():
        return x
    x = x.clone()
    x[~mask] = value  # three times as fast on CPU as masked_fill with a broadcast mask
    return x
