"""How good is a translator, and where does it look? Measured on sentence pairs that it was not trained on.

Exact match is strict: a translation counts only if it is the reference, word for word. It suits text from a grammar,
where there is one right answer; for real text, where there are many, take BLEU (recipes/translation.py).

Left out on purpose: BLEU (sacrebleu has it), alignments of words by other means than the strongest weight.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.support.text_inputs import pair_list, text_list
from course_lib.translation.decoding import translate
from course_lib.translation.pairs import source_batch, target_batch
from course_lib.translation.vocabulary import words

THIRDS = ("shortest third", "middle third", "longest third")


def exact_match(model: nn.Module, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """For each (source, target): is the translation of the source the target, compared word by word?"""
    pairs = pair_list(pairs)
    written = translate(model, [source for source, _ in pairs])
    return [words(text) == words(target) for text, (_, target) in zip(written, pairs)]


def length_thirds(sources: Sequence[str]) -> list[str]:
    """The third that each sentence belongs to by its number of words, a name of THIRDS.

    Sentences of one length share a third, so the three may differ in size.
    """
    lengths = [len(words(source)) for source in text_list(sources, "sources", "source")]
    if not lengths:
        return []
    ordered = sorted(lengths)
    low, high = (ordered[min(len(ordered) - 1, i * len(ordered) // 3)] for i in (1, 2))
    return [THIRDS[(n >= low) + (n >= high)] for n in lengths]


def mean_by(groups: Sequence, values: Sequence) -> dict:
    """The mean of `values` in each group, the groups in their natural order. ValueError unless each value has one."""
    if len(groups) != len(values):
        raise ValueError(f"expected a group for each value, got {len(groups)} groups and {len(values)} values")
    return {
        group: sum(chosen) / len(chosen)
        for group in sorted(set(groups))
        if (chosen := [value for g, value in zip(groups, values) if g == group])
    }


@torch.no_grad()
def attention_weights(model: nn.Module, pairs: Sequence[tuple[str, str]], batch_size: int = 128) -> list[Tensor]:
    """The weights of a translator with attention under teacher forcing: for each pair (target words + 1,
    source words + 1), float32, the last row and column for [EOS].

    Dropout is off. Row i is the look at the source from which the i-th word of the *reference* is predicted. Raises
    ValueError for a model that gives no weights.
    """
    training, found, pairs = model.training, [], pair_list(pairs)
    model.eval()
    for start in range(0, len(pairs), batch_size):
        sources, targets = zip(*pairs[start : start + batch_size])
        (source, mask), (target, real) = source_batch(model, sources), target_batch(model, targets)
        _, weights = model(source, mask, target[:, :-1])  # (batch, target + 1, source + 1)
        if weights is None:
            raise ValueError("this model gives no attention weights; take an RNNTranslator with attention=True")
        sizes = zip((real.sum(1) - 1).tolist(), mask.sum(1).tolist())
        found += [w[:n, :m] for w, (n, m) in zip(weights, sizes)]
    model.train(training)
    return found


def alignment_hits(weights: Tensor, links: Sequence[tuple[int, int]]) -> list[bool]:
    """For each target word with a gold link, in order: does its largest weight lie on a source word linked with it?

    weights: (target words + 1, source words + 1), one sentence's; links: (source word, target word) pairs, from 0 on.
    """
    strongest = weights.argmax(1).tolist()  # (target words + 1,)
    return [(strongest[target], target) in set(links) for target in sorted({target for _, target in links})]


def position_only(weights: Tensor, scaled: bool = True) -> Tensor:
    """The baseline for `alignment_hits`: weights of the same shape, (target words + 1, source words + 1), that know the
    numbers of words and nothing else.

    scaled: on the diagonal from the first words to the last; otherwise target word i looks at source word i, and at the
    last one where the source has fewer. The row of [EOS] looks at [EOS].
    """
    targets, sources = (n - 1 for n in weights.shape)
    places = torch.arange(targets, device=weights.device)  # (target words,)
    if scaled:
        places = torch.round(places * (sources - 1) / max(1, targets - 1)).long()
    places = torch.cat([places.clamp(max=sources - 1), places.new_tensor([sources])])  # (target words + 1,)
    return torch.nn.functional.one_hot(places, sources + 1).to(weights.dtype)


def position_shares(pairs: Sequence[tuple[str, str]], links: Sequence[Sequence[tuple[int, int]]]) -> dict[str, float]:
    """How many linked target words the two kinds of `position_only` find, in %: {"same position": ..., "scaled
    diagonal": ...}. links: those of each pair. Raises ZeroDivisionError where no word is linked."""
    shapes = [torch.zeros(len(words(target)) + 1, len(words(source)) + 1) for source, target in pairs]
    shares = {}
    for name, scaled in (("same position", False), ("scaled diagonal", True)):
        hits = [hit for shape, some in zip(shapes, links) for hit in alignment_hits(position_only(shape, scaled), some)]
        shares[name] = 100 * sum(hits) / len(hits)
    return shares


def partners(all_weights: Sequence[Tensor]) -> dict[int, int]:
    """For each sentence another one whose weights have the same shape: {its number: the other's}.

    Those of one shape go round: each has the one before it, the first the last. Whose shape is the only one has none.
    """
    groups: dict[tuple, list[int]] = {}
    for number, weights in enumerate(all_weights):
        groups.setdefault(tuple(weights.shape), []).append(number)
    return {k: group[n - 1] for group in groups.values() if len(group) > 1 for n, k in enumerate(group)}


def entropy(weights: Tensor) -> Tensor:
    """Shannon entropy of each row, in bits: (..., source) -> (...). 0 where one word has all the weight, log2(n) where
    n words share it evenly; a weight of 0 adds 0."""
    return torch.special.entr(weights).sum(-1) / torch.log(torch.tensor(2.0))
