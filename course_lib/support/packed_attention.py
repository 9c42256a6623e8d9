"""Models of `transformers` without padding: their linear maps see one row of all tokens, attention one text at a time.

Many encoders of `transformers` leave attention to a function that is looked up by name. `packed_attention` is one: it
gets the queries, keys and values of a whole packed batch (see bert.py) and goes over its runs of equal length, and the
model around it need not know where a text ends, if its positions begin anew with each. MPNet computes attention itself,
so its layers are called here one by one.

Left out on purpose: causal models, which need a mask.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import torch
from torch import Tensor, nn

from course_lib.support.fast_attention import fast_attention

NAME = "course_packed"
# Compared with the padded model, text by text, in tests/library/support/test_packed_attention.py
PACKED = {
    *("albert", "camembert", "distilbert", "electra", "ernie", "modernbert", "nomic_bert"),
    *("roberta", "xlm-roberta", "xlm-roberta-xl"),
    "mpnet",
}


def attend(q: Tensor, k: Tensor, v: Tensor, lengths: list[int], dropout=0.0, bias=lambda length: None) -> Tensor:
    """Attention within each text: three (heads, tokens, size) -> (tokens, heads, size).

    bias: from a length to what is added to the scores of texts so long (see fast_attention.py).
    """
    batch_runs = [(len(list(same)), length) for length, same in groupby(lengths)]
    sizes = [count * length for count, length in batch_runs]  # tokens of each run
    contexts = []
    for *qkv, (count, length) in zip(*(x.split(sizes, dim=1) for x in (q, k, v)), batch_runs):
        qkv = [x.unflatten(1, (count, length)).transpose(0, 1) for x in qkv]  # (count, heads, length, size)
        context = fast_attention(*qkv, dropout, bias(length))  # (count, heads, length, size)
        contexts.append(context.transpose(1, 2).flatten(0, 1))  # (tokens of the run, heads, size)
    return torch.cat(contexts)


def packed_attention(module, query, key, value, attention_mask, *, lengths, dropout=0.0, sliding_window=None, **others):
    """On the attention interface of `transformers`: (1, heads, tokens, size) -> (1, tokens, heads, size).

    sliding_window: a token sees those less than so many tokens away (ModernBERT's local layers).
    """

    def window(length: int) -> Tensor | None:
        if sliding_window is None or length <= sliding_window:
            return None
        place = torch.arange(length, device=query.device)
        far = (place - place[:, None]).abs() >= sliding_window  # (length, length)
        return torch.zeros(1, length, length, dtype=query.dtype, device=query.device).masked_fill(far, -torch.inf)

    return attend(query[0], key[0], value[0], lengths, dropout, window)[None], None


@contextmanager
def attends_packed(model: nn.Module) -> Iterator[None]:
    """Within it the model's attention is `packed_attention`; before and after, what it was."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, lambda *args, **kwargs: None)
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def mpnet(model: nn.Module, input_ids: Tensor, positions: Tensor, lengths: list[int]) -> Tensor:
    """The last hidden state of an `MPNetModel`, (tokens, hidden): int64 (tokens,) twice.

    Song et al. 2020 (arXiv 2004.09297); its scores get a bias that depends on the distance of two tokens, and is the
    same in all layers.
    """
    x = model.embeddings(input_ids[None], position_ids=positions[None])[0]  # (tokens, hidden)
    longest = max(lengths)
    biases = model.encoder.compute_position_bias(x.new_empty(1, longest))[0]  # (heads, longest, longest)
    for layer in model.encoder.layer:
        own = layer.attention.attn
        qkv = [m(x).unflatten(1, (own.num_attention_heads, -1)).transpose(0, 1) for m in (own.q, own.k, own.v)]
        dropout = own.dropout.p if model.training else 0.0
        context = attend(*qkv, lengths, dropout, lambda n: biases[:, :n, :n])  # (tokens, heads, size)
        x = layer.attention.LayerNorm(layer.attention.dropout(own.o(context.flatten(1))) + x)
        x = layer.output(layer.intermediate(x), x)
    return x
