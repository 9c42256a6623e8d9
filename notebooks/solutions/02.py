"""Solutions of notebook 02. Try the exercises first: check() tells you what kind of mistake you made."""

import torch

from course_lib.exercises import Exercise

# ---- 02.1


def additive_energies(queries, keys, W, U, v):
    compared = torch.tanh((queries @ W.T).unsqueeze(1) + keys @ U.T)  # (batch, 1, a) + (batch, source, a)
    return compared @ v  # (batch, source)


def without_tanh(queries, keys, W, U, v):
    return ((queries @ W.T).unsqueeze(1) + keys @ U.T) @ v


def keys_only(queries, keys, W, U, v):
    return torch.tanh(keys @ U.T) @ v


def dot_products(queries, keys, W, U, v):
    return ((queries @ W.T).unsqueeze(1) * (keys @ U.T)).sum(-1)


def already_weights(queries, keys, W, U, v):
    return additive_energies(queries, keys, W, U, v).softmax(1)


def first_query_for_all(queries, keys, W, U, v):
    return torch.tanh(queries[:1] @ W.T + keys @ U.T) @ v


# ---- 02.2


def attention_from_energies(energies, mask):
    return energies.masked_fill(mask == 0, -torch.inf).softmax(1)


def unmasked(energies, mask):
    return energies.softmax(1)


def masked_afterwards(energies, mask):
    return energies.softmax(1) * mask


def zeroed_energies(energies, mask):
    return (energies * mask).softmax(1)


def overflowing(energies, mask):
    exponentials = energies.exp() * mask
    return exponentials / exponentials.sum(1, keepdim=True)


def over_the_batch(energies, mask):
    return energies.masked_fill(mask == 0, -torch.inf).softmax(0)


# ---- 02.3


def alignment_share(weights, links):
    strongest = weights.argmax(1).tolist()
    targets = {target for _, target in links}
    return sum((strongest[target], target) in links for target in targets) / len(targets)


def all_words_count(weights, links):
    return sum((source, target) in links for target, source in enumerate(weights.argmax(1).tolist())) / len(weights)


def each_link_counts(weights, links):
    strongest = weights.argmax(1).tolist()
    return sum(strongest[target] == source for source, target in links) / len(links)


def columns(weights, links):
    strongest = weights.argmax(0).tolist()  # which target word each source word goes to
    return sum(strongest[source] == target for source, target in links) / len({target for _, target in links})


def weight_on_links(weights, links):
    targets = {target for _, target in links}
    return sum(weights[target, source].item() for source, target in links) / len(targets)


_generator = torch.Generator().manual_seed(0)


def _numbers(*shape):
    return torch.randn(shape, generator=_generator)


_astray = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.35, 0.45]])
_weights = torch.tensor([[0.6, 0.3, 0.1, 0.0], [0.1, 0.2, 0.7, 0.0], [0.1, 0.5, 0.4, 0.0], [0.0, 0.1, 0.0, 0.9]])

EXERCISES = {
    "02.1": Exercise(
        title="Additive energies of a batch",
        cases={
            "two sentences of three words": (
                _numbers(2, 4),
                _numbers(2, 3, 5),
                _numbers(6, 4),
                _numbers(6, 5),
                _numbers(6),
            ),
            "one sentence of one word": (
                _numbers(1, 2),
                _numbers(1, 1, 2),
                _numbers(3, 2),
                _numbers(3, 2),
                _numbers(3),
            ),
        },
        solution=additive_energies,
        wrong=[
            (without_tanh, "Query and key are added, but nothing bends the sum: where is the tanh?"),
            (keys_only, "Your energies do not depend on the query. Then every step would look at the same words."),
            (dot_products, "You multiply query and key. Additive attention adds them; products come in notebook 03."),
            (
                already_weights,
                "These add up to 1: you have taken the softmax already. Energies are what comes before it.",
            ),
            (
                first_query_for_all,
                "Every sentence has a query of its own. Look at how the query's shape is matched with the keys'.",
            ),
        ],
    ),
    "02.2": Exercise(
        title="Weights from energies, padding left out",
        cases={
            "padding on the right": (
                torch.tensor([[1.0, 2.0, 0.5], [0.3, -1.0, 4.0]]),
                torch.tensor([[1, 1, 1], [1, 1, 0]]),
            ),
            "large energies": (torch.tensor([[100.0, 99.0, 300.0]]), torch.tensor([[1, 1, 0]])),
        },
        solution=attention_from_energies,
        wrong=[
            (unmasked, "Padding gets weight. Which positions does the mask say to leave out?"),
            (
                masked_afterwards,
                "Padding has no weight now, but the words' weights do not add up to 1: padding took part in the sum "
                "below the fraction.",
            ),
            (zeroed_energies, "An energy of 0 is still an energy: exp(0) is 1. Which energy has the exponential 0?"),
            (
                overflowing,
                "Right for small energies; for large ones exp overflows. torch's softmax subtracts the largest "
                "energy first.",
            ),
            (
                over_the_batch,
                "Your weights add up to 1 over the sentences of the batch. They have to, over the words of a sentence.",
            ),
        ],
    ),
    "02.3": Exercise(
        title="The share of linked target words whose largest weight is on a linked word",
        cases={
            "a word that looks elsewhere": (_astray, [(0, 0), (1, 2), (2, 1)]),
            "the red car": (_weights[:3, :3], [(0, 0), (1, 2), (2, 1)]),
            "a word without a link": (_weights, [(0, 0), (3, 3)]),
            "a word with two links": (_weights, [(0, 0), (1, 1), (2, 1), (0, 2)]),
        },
        solution=alignment_share,
        wrong=[
            (
                all_words_count,
                "You divide by all target words. Those without a link have no right answer, and do not count.",
            ),
            (each_link_counts, "You count links. A target word with two links is one word, and either link will do."),
            (
                columns,
                "You look for the largest weight of each source word. The question is asked of each target word: "
                "along which dimension do its weights lie?",
            ),
            (
                weight_on_links,
                "You add up the weight on the links. The question is only whether the largest weight is on one.",
            ),
        ],
    ),
}
