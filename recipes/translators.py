"""The translators that notebooks 01 to 03 compare: on which pairs, of what size and how long they are trained.

What they can do is measured in recipes/translation.py.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from course_lib.datasets.translations import Translation, load_translations, split_of
from course_lib.training import train
from course_lib.translation.pairs import pair_length, translation_loss
from course_lib.translation.translators import RNNTranslator, TransformerTranslator
from course_lib.translation.vocabulary import Vocabulary, words


class Budget(NamedTuple):
    """What all models are given alike.

    max_words: longer pairs are left out of training, and of the test on the course's corpus. seen: so many training
    pairs are translated too, after the test, to tell what is known by heart from what is new.
    """

    data: str
    max_words: int
    epochs: int
    batch_size: int
    embedding_size: int
    hidden_size: int
    d_model: int  # of the Transformer: about as many weights as the GRU with attention
    learning_rate: float  # of the recurrent models; the highest that trains well
    transformer_learning_rate: float
    dropout: float = 0.0
    max_vocabulary: int | None = None
    seen: int = 0


BUDGETS = {
    "live": Budget("course/en_es", 10, 2, 32, 64, 128, 80, 1.2e-2, 2e-3),
    "repeated": Budget("course/en_es", 10, 10, 32, 64, 128, 80, 1.2e-2, 2e-3, seen=1500),
    "long": Budget("course/en_es", 25, 2, 32, 64, 128, 80, 1e-2, 2e-3),
    "tatoeba": Budget("tatoeba_en_es/eng_spa", 30, 2, 64, 128, 256, 160, 3e-3, 1e-3, 0.1, 10_000),
}


class Pairs(NamedTuple):
    """What is trained and tested on.

    train, test: (source, target) pairs. references: for each test source all its right translations (one, in the
    course's corpus). links: for each test pair its gold alignment, empty where there is none.
    """

    train: list[tuple[str, str]]
    test: list[tuple[str, str]]
    references: list[list[str]]
    links: list[tuple]


def load(budget: Budget) -> Pairs:
    """The pairs of a budget. The course's corpus has its split; a corpus without one (Tatoeba) is split by source.

    Of the source sentences 1% are for development and 1% for the test, each once, with all its translations.
    """

    def words_of(pair: Translation) -> int:
        return max(len(words(pair.english)), len(words(pair.spanish)) - 5)

    kept = [p for p in load_translations(budget.data) if words_of(p) <= budget.max_words]
    if kept[0].split:
        learnt, test = ([p for p in kept if p.split == split] for split in ("train", "test"))
        sides = ([(p.english, p.spanish) for p in part] for part in (learnt, test))
        return Pairs(*sides, [[p.spanish] for p in test], [p.alignment for p in test])
    references = defaultdict(list)
    for p in kept:
        if split_of(p) == "test":
            references[p.english].append(p.spanish)
    return Pairs(
        [(p.english, p.spanish) for p in kept if split_of(p) == "train"],
        [(source, right[0]) for source, right in references.items()],
        list(references.values()),
        [()] * len(references),
    )


def new_translator(kind: str, budget: Budget, pairs: Sequence[tuple[str, str]], seed: int) -> nn.Module:
    """A translator that has not learnt anything yet, with the vocabulary of `pairs`.

    kind: "gru" or "lstm", either with "-attention" after it or without, or "transformer".
    """
    sources, targets = (Vocabulary.build(texts, budget.max_vocabulary) for texts in zip(*pairs))
    torch.manual_seed(seed)
    if kind == "transformer":
        return TransformerTranslator(sources, targets, budget.d_model, 4, 2, 2 * budget.d_model, budget.dropout)
    cell, _, attention = kind.partition("-")
    return RNNTranslator(
        sources, targets, budget.embedding_size, budget.hidden_size, bool(attention), cell, budget.dropout
    )


def fit(
    model: nn.Module, budget: Budget, pairs: Sequence[tuple[str, str]], seed: int, checkpoint: Path | None = None
) -> list[dict]:
    """Train as the budget says; returns the history."""
    rate = budget.transformer_learning_rate if isinstance(model, TransformerTranslator) else budget.learning_rate
    settings = dict(batch_size=budget.batch_size, learning_rate=rate, epochs=budget.epochs, seed=seed, autocast=False)
    return train(
        model,
        lambda batch: translation_loss(model, batch),
        pairs,
        **settings,
        length=pair_length,
        checkpoint=checkpoint,
        checkpoint_every=200,
        show_progress_bar=False,
    )
