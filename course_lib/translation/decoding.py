"""Writing a translation word by word: greedy decoding takes the most probable word in each step and never looks back.

A model is anything with `start`, `step` and vocabularies as in translators.py. Writing stops at [EOS], and at
2 * (words of the source) + 10 words for a model that never writes one. [PAD] and [BOS] are never written; [UNK] can be.

Left out on purpose: beam search, which keeps several beginnings, and sampling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.support.text_inputs import text_list
from course_lib.translation.pairs import MAX_LENGTH, source_batch
from course_lib.translation.vocabulary import BOS, EOS, PAD, words


class Decoded(NamedTuple):
    """text: the words, one blank between. tokens: the words as they were written, with the [EOS] at the end. weights:
    float32 (tokens, source words + 1), the attention's weights at each token, the last column for the source's [EOS];
    None where the model has no attention to show."""

    text: str
    tokens: list[str]
    weights: Tensor | None


def translate(model: nn.Module, sentences: Sequence[str], batch_size: int = 128) -> list[str]:
    """Sentences in the source language -> their translations, in the same order; `decode` also tells the weights."""
    return [translation.text for translation in decode(model, sentences, batch_size)]


@torch.no_grad()
def decode(model: nn.Module, sentences: Sequence[str], batch_size: int = 128) -> list[Decoded]:
    """The translation of each sentence, in their order, in evaluation mode.

    A sentence without words becomes one without words. Raises TypeError for a single string, and for other containers
    of no texts (support/text_inputs.py).
    """
    sentences = text_list(sentences, "sentences", "sentence")
    found: dict[int, Decoded] = {i: Decoded("", [], None) for i in range(len(sentences))}
    order = sorted((i for i, s in enumerate(sentences) if words(s)), key=lambda i: len(sentences[i]))
    training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            found |= zip(rows, _greedy(model, [sentences[i] for i in rows]))
    finally:
        model.train(training)
    return [found[i] for i in range(len(sentences))]


def _greedy(model: nn.Module, sentences: Sequence[str]) -> list[Decoded]:
    source, mask = source_batch(model, sentences)  # (batch, source) each
    lengths = mask.sum(1)  # (batch,), with [EOS]
    limits = (2 * (lengths - 1) + 10).clamp(max=MAX_LENGTH)  # (batch,): the most words that each translation may have
    state, previous = model.start(source, mask), source.new_full((len(source),), BOS)  # (batch,)
    written, attended = [], []
    going = torch.ones_like(previous, dtype=torch.bool)
    while going.any():
        logits, state, weights = model.step(previous, state)  # (batch, vocabulary)
        logits[:, [PAD, BOS]] = -torch.inf
        previous = logits.argmax(1)  # (batch,)
        written.append(previous)
        attended.append(weights)
        going &= (previous != EOS) & (len(written) < limits)
    ids = torch.stack(written, 1).tolist()  # (batch, steps)
    weights = None if attended[0] is None else torch.stack(attended, 1)  # (batch, steps, source)
    vocabulary, translations = model.target_vocabulary, []
    for i, (row, limit, n) in enumerate(zip(ids, limits.tolist(), lengths.tolist())):
        row = row[: min(limit, row.index(EOS) + 1 if EOS in row else limit)]
        seen = None if weights is None else weights[i, : len(row), :n]
        translations.append(Decoded(vocabulary.decode(row), [vocabulary.tokens[k] for k in row], seen))
    return translations
