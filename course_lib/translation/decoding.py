"""Writing a translation: which word to take where the model gives a probability for each.

Greedy decoding takes the most probable word in each step and never looks back. Beam search keeps the `beam_size` most
probable beginnings instead (Sutskever et al. 2014, arXiv 1409.3215, section 3.2): with a beam of 1 it is greedy decoding.
Longer sentences are products of more probabilities, hence smaller, so finished ones are compared by the sum of their
log-probabilities divided by length ** length_penalty (Wu et al. 2016, arXiv 1609.08144, section 7, in its simplest form).

A model is anything with `start`, `step` and vocabularies as in `course_lib.translation.translators`. Writing stops at [EOS], and at
2 * (words of the source) + 10 words for a model that never writes one. [PAD] and [BOS] are never written; [UNK] can be.

Left out on purpose: sampling, coverage penalties, beams of many sentences in one batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.translation.translators import MAX_LENGTH, source_batch
from course_lib.translation.vocabulary import BOS, EOS, PAD, words


class Decoded(NamedTuple):
    """text: the words, one blank between. tokens: the words as they were written, with the [EOS] at the end. score: sum of
    log-probabilities / length ** length_penalty. weights: float32 (tokens, source words + 1), the attention's weights at each
    token, the last column for the source's [EOS]; None where the model has no attention to show."""

    text: str
    tokens: list[str]
    score: float
    weights: Tensor | None


def translate(model: nn.Module, sentences: Sequence[str], beam_size: int = 1, batch_size: int = 128) -> list[str]:
    """Sentences in the source language -> their translations, in the same order; `decode` also tells scores and weights."""
    return [translation.text for translation in decode(model, sentences, beam_size, batch_size=batch_size)]


@torch.no_grad()
def decode(
    model: nn.Module, sentences: Sequence[str], beam_size: int = 1, length_penalty: float = 1.0, batch_size: int = 128
) -> list[Decoded]:
    """The best translation that greedy decoding (beam_size 1) or beam search finds for each sentence, in their order.

    A sentence without words becomes one without words. Raises TypeError for a single string, ValueError for a beam below 1.
    """
    if isinstance(sentences, str):
        raise TypeError("expected a list of sentences, got one string; write [sentence]")
    if beam_size < 1:
        raise ValueError(f"beam_size is {beam_size}; expected 1 (greedy) or more")
    found: dict[int, Decoded] = {i: Decoded("", [], 0.0, None) for i in range(len(sentences))}
    order = sorted((i for i, s in enumerate(sentences) if words(s)), key=lambda i: len(sentences[i]))
    training = model.training
    model.eval()
    try:
        if beam_size > 1:
            found |= {i: beam_search(model, sentences[i], beam_size, length_penalty)[0] for i in order}
        else:
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                found |= zip(rows, greedy(model, [sentences[i] for i in rows], length_penalty))
    finally:
        model.train(training)
    return [found[i] for i in range(len(sentences))]


def greedy(model: nn.Module, sentences: Sequence[str], length_penalty: float = 1.0) -> list[Decoded]:
    """The most probable word in each step, for several sentences at once; the model should be in evaluation mode."""
    source, mask = source_batch(model, sentences)  # (batch, source)
    state = model.start(source, mask)
    previous = source.new_full((len(source),), BOS)  # (batch,)
    written, log_probabilities, attended = [], [], []
    limits = _limits(mask)
    going = torch.ones_like(previous, dtype=torch.bool)
    while going.any():
        scores, state, weights = _next_words(model, previous, state)  # (batch, vocabulary)
        best, previous = scores.max(1)  # (batch,)
        written.append(previous)
        log_probabilities.append(best)
        attended.append(weights)
        going &= (previous != EOS) & (len(written) < limits)
    ids, log_probabilities = torch.stack(written, 1), torch.stack(log_probabilities, 1)  # (batch, steps)
    weights = None if attended[0] is None else torch.stack(attended, 1)  # (batch, steps, source)
    translations = []
    for i, n in enumerate(mask.sum(1).tolist()):
        row = ids[i].tolist()
        end = min(int(limits[i]), row.index(EOS) + 1 if EOS in row else len(row))
        translations.append(
            _decoded(
                model,
                row[:end],
                log_probabilities[i, :end].sum().item(),
                length_penalty,
                None if weights is None else weights[i, :end, :n],
            )
        )
    return translations


def beam_search(model: nn.Module, sentence: str, beam_size: int, length_penalty: float = 1.0) -> list[Decoded]:
    """The translations of one sentence that a beam finds, at most `beam_size`, the best first.

    A beginning that gets its [EOS] leaves the beam, which goes on with one place less. The model should be in evaluation mode.
    """
    source, mask = source_batch(model, [sentence])  # (1, source)
    limit = int(_limits(mask))
    state = model.start(source, mask)
    live, finished = [([], 0.0, [])], []  # ids, sum of log-probabilities, weights of each step
    while live:
        previous = torch.tensor([ids[-1] if ids else BOS for ids, _, _ in live], device=source.device)  # (live,)
        scores, state, weights = _next_words(model, previous, state)  # (live, vocabulary)
        sums = scores + torch.tensor([total for _, total, _ in live], dtype=scores.dtype, device=source.device)[:, None]
        places = min(beam_size - len(finished), int(sums.isfinite().sum()))
        best, index = sums.flatten().topk(places)
        going, rows = [], []
        for total, i in zip(best.tolist(), index.tolist()):
            row, word = divmod(i, sums.shape[1])
            ids, _, attended = live[row]
            beginning = ([*ids, word], total, attended if weights is None else [*attended, weights[row]])
            if word == EOS or len(ids) + 1 == limit:
                finished.append(beginning)
            else:
                going.append(beginning)
                rows.append(row)
        live, state = going, state._make(x[rows] for x in state)
    ranked = [
        _decoded(model, ids, total, length_penalty, torch.stack(attended) if attended else None)
        for ids, total, attended in finished
    ]
    return sorted(ranked, key=lambda translation: -translation.score)


def _limits(mask: Tensor) -> Tensor:
    """The most words that each translation may have, (batch,), from the source's mask, which counts its [EOS]."""
    return (2 * (mask.sum(1) - 1) + 10).clamp(max=MAX_LENGTH)


def _next_words(model: nn.Module, previous: Tensor, state) -> tuple:
    """Log-probabilities of the next word (batch, vocabulary), the new state, and the attention's weights."""
    logits, state, weights = model.step(previous, state)
    scores = logits.log_softmax(-1)
    scores[:, [PAD, BOS]] = -torch.inf
    return scores, state, weights


def _decoded(model: nn.Module, ids: list[int], total: float, length_penalty: float, weights: Tensor | None) -> Decoded:
    vocabulary = model.target_vocabulary
    return Decoded(
        vocabulary.decode(ids), [vocabulary.tokens[i] for i in ids], total / len(ids) ** length_penalty, weights
    )
