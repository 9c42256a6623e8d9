"""The sentence pairs that the siamese models learn from. Needs COURSE_DATA; drops what the models are measured on."""

import random
from collections.abc import Sequence

from course_lib.data import LABELS, NLIExample, load_nli, load_triplets
from course_lib.datasets.captions import caption_pairs
from course_lib.finetuning.mining import mine_hard_negatives
from recipes.shared.pretraining_text import LeakFilter

# not among them, for measuring only: snli/dev, multinli/dev_matched, cad_nli/dev
NLI_SETS = [
    "snli/train",
    "snli/test",
    "multinli/train",
    "multinli/dev_mismatched",
    "cad_nli/train",
    "wiki_nli/base_train",
    "wiki_nli/edit_premise_train",
    "wiki_nli/edit_other_train",
]
SNLI, MULTINLI = NLI_SETS[:2], NLI_SETS[2:4]  # Sentence-BERT was trained on both
CAPTION_SETS = ["captions/flickr30k", "captions/flickr8k"]


def nli_examples(allowed: LeakFilter, names: Sequence[str] = NLI_SETS) -> list[NLIExample]:
    """Labelled pairs of NLI sets, each distinct pair once; of two labels for a pair the first counts."""
    found = {}
    for name in names:
        for example in load_nli(name):
            if allowed(example.premise) and allowed(example.hypothesis):
                found.setdefault((example.premise, example.hypothesis), example)
    return list(found.values())


def nli_triplets(allowed: LeakFilter, names: Sequence[str] = NLI_SETS) -> list[tuple[str, ...]]:
    """(premise, entailed, contradicted), and (premise, entailed) where a premise has no contradicted hypothesis."""
    triplets = [t for name in names for t in load_triplets(name)]
    covered = {(anchor, positive) for anchor, positive, _ in triplets}
    entailed = [(e.premise, e.hypothesis) for name in names for e in load_nli(name) if e.label == LABELS["entailment"]]
    examples = triplets + [pair for pair in dict.fromkeys(entailed) if pair not in covered]
    return [texts for texts in dict.fromkeys(examples) if all(allowed(t) for t in texts)]


def all_caption_pairs(allowed: LeakFilter) -> list[tuple[str, str]]:
    pairs = [pair for name in CAPTION_SETS for pair in caption_pairs(name, seed=0)]
    return [pair for pair in pairs if all(allowed(t) for t in pair)]


def mined_triplets(examples: list[tuple[str, ...]], miner, count: int = 30_000) -> list[tuple[str, ...]]:
    """(anchor, positive, negative) for `count` of the examples.

    The negative is the text nearest to the anchor, by the miner's cosine, among those that are further from it than 95%
    of the positive's cosine.
    """
    pairs = [texts[:2] for texts in random.Random(0).sample(examples, count)]
    mined = mine_hard_negatives(pairs, miner, num_negatives=1, range_max=50, relative_margin=0.05)
    print(mined, flush=True)
    return mined.examples
