"""Sentences as batches of numbers, and the loss of a translator on pairs of them.

A source sentence is its words and [EOS], so it is never empty. A target sentence stands between [BOS] and [EOS]. [PAD]
only fills batches up.
"""

import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.support.text_inputs import checked_pair, pair_list, text_list
from course_lib.translation.vocabulary import BOS, EOS, PAD, words

MAX_LENGTH = 100  # words of a source or target sentence; what is longer is cut, with a warning


def pad(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids of several sentences -> ids and mask, (batch, longest) each: [PAD] on the right, and True where it is not."""
    if not len(rows):
        raise ValueError("there are no sentences: expected one at least")
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(longest, device=device) < lengths[:, None]


def source_batch(model: nn.Module, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Sentences -> ids (batch, source), each ended by [EOS], and their mask. Cuts after MAX_LENGTH words, and warns."""
    sentences = text_list(sentences, "sentences", "sentence")
    return pad([[*_cut(model.source_vocabulary.encode(s)), EOS] for s in sentences], model.output.weight.device)


def target_batch(model: nn.Module, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Sentences -> ids (batch, target + 2), each between [BOS] and [EOS], and their mask. Cuts as `source_batch`."""
    sentences = text_list(sentences, "sentences", "sentence")
    return pad([[BOS, *_cut(model.target_vocabulary.encode(s)), EOS] for s in sentences], model.output.weight.device)


def _cut(ids: list[int]) -> list[int]:
    if len(ids) > MAX_LENGTH:
        warnings.warn(f"a sentence has {len(ids)} words; the first {MAX_LENGTH} are used", stacklevel=3)
    return ids[:MAX_LENGTH]


def pair_length(pair: tuple[str, str]) -> int:
    """Words of a pair, both sides: the `length` for `train`."""
    source, target = checked_pair(pair)
    return len(words(source)) + len(words(target))


def translation_loss(model: nn.Module, pairs: Sequence[tuple[str, str]]) -> Tensor:
    """Mean cross-entropy of the right next word, over all words of the targets and their [EOS], not over [PAD]."""
    pairs = pair_list(pairs)
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    target, _ = target_batch(model, targets)  # (batch, target + 1)
    logits, _ = model(*source_batch(model, sources), target[:, :-1])  # (batch, target, vocabulary)
    return F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)
