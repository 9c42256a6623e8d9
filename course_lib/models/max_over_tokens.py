"""The highest logit of each term over the tokens of a text, without ever holding the logits of more than one text.

The head of a masked language model is as wide as the vocabulary, so all logits of a batch, (tokens, vocabulary), are
many times what the rest of BERT needs; and so are their gradients. But of each text and term only the token with the
highest logit passes a gradient on, and after relu most terms pass none: only those few are computed. The result and the
gradients are those of the whole product, to rounding.

Left out on purpose: double backward.
"""

import torch
from torch import Tensor

from course_lib.support.linear import linear


def max_over_tokens(hidden: Tensor, weight: Tensor, lengths: list[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """(tokens, hidden), (vocabulary, hidden) -> (texts, vocabulary): the maximum of each text's logits.

    The logits are hidden @ weight.T, computed in `dtype`; the result is float32.
    lengths: tokens of each text, packed as in bert.py.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        return _MaxOverTokens.apply(hidden, weight, lengths, dtype)


class _MaxOverTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, lengths: list[int], dtype: torch.dtype):
        ctx.save_for_backward(hidden, weight)
        ctx.lengths, ctx.dtype = lengths, dtype
        words = weight.to(dtype)
        texts = hidden.to(dtype).split(lengths)  # each (length, hidden)
        return torch.stack([linear(text, words).amax(0).float() for text in texts])  # (texts, vocabulary)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        """Of each (text, term) only the token with the highest logit has a part, and most terms have none at all."""
        hidden, weight = ctx.saved_tensors
        of_hidden, of_weight = torch.zeros_like(hidden), torch.zeros_like(weight)
        for text, of_text, of_terms in zip(hidden.split(ctx.lengths), of_hidden.split(ctx.lengths), gradient):
            terms = of_terms.nonzero().squeeze(1)
            words, values = weight[terms], of_terms[terms, None]  # (terms, hidden), (terms, 1)
            tokens = (words.to(ctx.dtype) @ text.to(ctx.dtype).T).argmax(1)  # (terms,): where each is highest
            of_text.index_add_(0, tokens, values * words)
            of_weight.index_add_(0, terms, values * text[tokens])
        return of_hidden, of_weight, None, None
