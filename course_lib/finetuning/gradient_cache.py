"""Batches that do not fit into memory, for losses that need them whole.

    vectors = cached_embeddings(encoder, anchors + positives, mini_batch_size=32)     # in place of encoder(...)
    loss = MultipleNegativesRankingLoss()(*vectors.chunk(2))
    loss.backward()

A ranking loss compares every text with every other, so a large batch cannot be split into small ones whose gradients
add up. But only the embeddings meet in the loss; what fills the memory are the activations that the encoder keeps of
each text for the backward pass. Gao et al. 2021 (GradCache, arXiv 2101.06983, section 3) keep none: (1) embed the texts
in small groups, and forget how; (2) compute the loss, and its gradient with respect to each embedding: the cache;
(3) embed each group again, this time with activations, and send its part of the cache back into the weights.

The result is the gradient of the whole batch at once. The price is a second forward pass. torch.utils.checkpoint does
steps 1 and 3 for each group, within the one `backward()` that you call: gradients of a loss's own weights, loss scaling
and several processes work as without a cache.

Dropout must drop the same numbers in step 3 as in step 1, or the cache belongs to other embeddings. So the state of
torch's random generators (CPU, and the encoder's device) is kept for each group, and put back while it is embedded
again. Random numbers from elsewhere (numpy, Python's random) are not repeated: an encoder must not use them.

Left out on purpose: cutting the loss itself into pieces. Its scores, (batch, candidates), stay whole.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from course_lib.support.text_inputs import check_container, is_text, text_list


def cached_embeddings(encoder: nn.Module, texts: Sequence, mini_batch_size: int = 32) -> Tensor:
    """What `encoder(texts)` gives, (texts, dim), with gradients, but activations of `mini_batch_size` texts at a time.

    encoder: called with a slice of `texts`, gives (slice, dim). It must not change between this call and the end of
    `backward()` (weights, training or evaluation mode). Without dropout the gradients are those of `encoder(texts)`;
    with it, those of an encoder that reads the same groups one after the other and keeps everything.

    ValueError without texts, for a single string, a size below 1, or an encoder that gives another number of vectors;
    TypeError for a dictionary, a table or a set.
    """
    if not isinstance(texts, (str, list, tuple, np.ndarray, Tensor)):
        check_container(texts, "texts", "a list of texts")
        texts = list(texts)
    if not isinstance(texts, str) and any(map(is_text, texts)):
        texts = text_list(texts)
    if isinstance(texts, str) or not len(texts) or mini_batch_size < 1:
        raise ValueError(
            "expected a list of at least one text and a mini_batch_size of at least 1, got a "
            f"{type(texts).__name__} of length {len(texts)} and {mini_batch_size}"
        )
    device = torch.empty(0, device=next(encoder.parameters()).device)  # tells checkpoint whose random state to keep

    def embed(group: Sequence, _: Tensor) -> Tensor:
        vectors = encoder(group)  # (group, dim)
        if len(vectors) != len(group):
            raise ValueError(
                f"the encoder gave {tuple(vectors.shape)} for {len(group)} texts, expected ({len(group)}, dim)"
            )
        return vectors

    groups = [texts[i : i + mini_batch_size] for i in range(0, len(texts), mini_batch_size)]
    return torch.cat([checkpoint(embed, group, device, use_reentrant=False) for group in groups])  # (texts, dim)
