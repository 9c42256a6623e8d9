"""What `bert-mini` reads in a step: always the same number of tokens, in few lengths.

    blocks(single_sentences(tokenizer, texts), 2048)    tokens (blocks, 2048), and the length of most of their sequences
    Text(tensors).batch(step)                           tokens (STEP,), and the lengths of the sequences

Each new shape of a batch leaves something behind in the CPU's matrix library: gigabytes after some thousand steps. So
lengths are multiples of four, and a block holds sequences of one length, and one more that fills it exactly. A step
reads a block of each kind of text. Which one depends on the seed and the number of the step alone, so that a run that
goes on after an interruption reads what it would have read.
"""

import random
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

CLS, SEP = 2, 3  # of bert-mini's tokenizer
SHORTEST, LONGEST = 8, 128  # tokens of a single sentence, [CLS] and [SEP] included


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


def running_text(tokenizer: Tokenizer, pages: Iterable[list[str]], length: int) -> Iterator[np.ndarray]:
    """Whole articles, cut into sequences of exactly `length` tokens; none runs over into the next article."""
    for page in pages:
        body = [i for ids in ids_of(tokenizer, page) for i in ids]
        for end in range(length - 2, len(body) + 1, length - 2):
            yield np.array([CLS, *body[end - length + 2 : end], SEP], dtype=np.int16)


def single_sentences(tokenizer: Tokenizer, texts: list[str]) -> Iterator[np.ndarray]:
    """One sequence a text, cut to LONGEST tokens and to a multiple of four; shorter ones than SHORTEST are left out."""
    for first in range(0, len(texts), 10_000):
        for ids in ids_of(tokenizer, texts[first : first + 10_000]):
            length = min(len(ids) + 2, LONGEST) // 4 * 4
            if length >= SHORTEST:
                yield np.array([CLS, *ids[: length - 2], SEP], dtype=np.int16)


def lengths_in(size: int, length: int) -> list[int]:
    """The lengths of a block's sequences: as many of `length` as fit into `size` tokens, and one that fills the block.

    >>> lengths_in(64, 24)
    [24, 24, 16]
    """
    count, rest = divmod(size, length)
    if 0 < rest < SHORTEST:  # no sentence is that short: one of the others gives way to a longer one
        count, rest = count - 1, rest + length
    return [length] * count + [rest] * (rest > 0)


def blocks(sequences: Iterable[np.ndarray], size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Put sequences together at random: int16 (blocks, size), and int16 (blocks,), from which `lengths_in` tells how a
    block divides. Sequences of a length whose fillers have run out are left out."""
    by_length: dict[int, list[np.ndarray]] = {}
    for sequence in sequences:
        by_length.setdefault(len(sequence), []).append(sequence)
    draw = random.Random(seed)
    for length in sorted(by_length):
        draw.shuffle(by_length[length])
    found, kinds = [], []
    for length in sorted(by_length, reverse=True):
        *same, last = lengths_in(size, length)
        while len(by_length[length]) > len(same) and by_length.get(last):
            found.append(np.concatenate([by_length[n].pop() for n in (*same, last)]))
            kinds.append(length)
    return torch.from_numpy(np.array(found, dtype=np.int16).reshape(-1, size)), torch.tensor(kinds, dtype=torch.int16)


@lru_cache(maxsize=8)
def order(count: int, *seed: int) -> np.ndarray:
    """A random order of `count` blocks."""
    return np.random.default_rng(seed).permutation(count)


class Text:
    """What each step reads: one block of each kind, in an order that is new in every epoch of that kind.

    tensors: "KIND.ids" and "KIND.length" of each kind of text, as `blocks` gives them.
    """

    def __init__(self, tensors: dict[str, Tensor], seed: int = 0):
        names = sorted(name.removesuffix(".ids") for name in tensors if name.endswith(".ids"))
        self.kinds = [(tensors[f"{name}.ids"], tensors[f"{name}.length"]) for name in names]
        self.seed = seed

    def batch(self, step: int) -> tuple[Tensor, list[int]]:
        """Token ids, int64 (tokens,), and the lengths of the sequences, which add up to `tokens`."""
        parts, lengths = [], []
        for kind, (ids, length) in enumerate(self.kinds):
            epoch, i = divmod(step, len(ids))
            chosen = order(len(ids), self.seed, epoch, kind)[i]
            parts.append(ids[chosen])
            lengths += lengths_in(ids.shape[1], length[chosen].item())
        return torch.cat(parts).long(), lengths
