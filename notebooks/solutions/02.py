"""Solutions of notebook 02. Try the exercises first: check() tells you what kind of mistake you made."""

import torch

from course_lib.exercises import Exercise

# ---- 02.1


def additive_energies(queries, keys, W, U, v):
    asked = (queries @ W.T).unsqueeze(2)  # (batch, target, 1, a)
    found = (keys @ U.T).unsqueeze(1)  # (batch, 1, source, a)
    return torch.tanh(asked + found) @ v  # (batch, target, source)


def without_tanh(queries, keys, W, U, v):
    return ((queries @ W.T).unsqueeze(2) + (keys @ U.T).unsqueeze(1)) @ v


def subtracted(queries, keys, W, U, v):
    return torch.tanh((queries @ W.T).unsqueeze(2) - (keys @ U.T).unsqueeze(1)) @ v


def without_v(queries, keys, W, U, v):
    return torch.tanh((queries @ W.T).unsqueeze(2) + (keys @ U.T).unsqueeze(1)).sum(-1)


def tanh_of_each(queries, keys, W, U, v):
    return (torch.tanh(queries @ W.T).unsqueeze(2) + torch.tanh(keys @ U.T).unsqueeze(1)) @ v


def tanh_at_the_end(queries, keys, W, U, v):
    return torch.tanh(without_tanh(queries, keys, W, U, v))


def keys_only(queries, keys, W, U, v):
    return (torch.tanh(keys @ U.T) @ v).unsqueeze(1).expand(-1, queries.shape[1], -1)


def products(queries, keys, W, U, v):
    return (queries @ W.T) @ (keys @ U.T).transpose(1, 2)


def multiplied_before_tanh(queries, keys, W, U, v):
    return torch.tanh((queries @ W.T).unsqueeze(2) * (keys @ U.T).unsqueeze(1)) @ v


def one_axis_too_many(queries, keys, W, U, v):
    return additive_energies(queries, keys, W, U, v).unsqueeze(-1)


def already_weights(queries, keys, W, U, v):
    return additive_energies(queries, keys, W, U, v).softmax(-1)


def source_first(queries, keys, W, U, v):
    return additive_energies(queries, keys, W, U, v).transpose(1, 2)


def first_step_only(queries, keys, W, U, v):
    return additive_energies(queries[:, :1], keys, W, U, v)[:, 0]


def first_query_for_all_steps(queries, keys, W, U, v):
    return additive_energies(queries[:, :1].expand_as(queries), keys, W, U, v)


def first_query_only(queries, keys, W, U, v):
    return additive_energies(queries[:, :1], keys, W, U, v)


def shapes_that_do_not_fit(queries, keys, W, U, v):
    return torch.tanh(queries @ W.T + keys @ U.T) @ v


def matrices_exchanged(queries, keys, W, U, v):
    return torch.tanh((queries @ U.T).unsqueeze(2) + (keys @ W.T).unsqueeze(1)) @ v


# ---- 02.2


def alignment_share(weights, links):
    strongest = weights.argmax(1).tolist()
    targets = {target for _, target in links}
    return sum((strongest[target], target) in links for target in targets) / len(targets)


def all_words_count(weights, links):
    return sum((source, target) in links for target, source in enumerate(weights.argmax(1).tolist())) / len(weights)


def each_link_counts(weights, links):
    strongest = weights.argmax(1).tolist()
    return sum(strongest[target] == source for source, target in links) / len(links)


def last_link_only(weights, links):
    strongest, link = weights.argmax(1).tolist(), {target: source for source, target in links}
    return sum(strongest[target] == source for target, source in link.items()) / len(link)


def first_link_only(weights, links):
    return last_link_only(weights, links[::-1])


def every_source_word(weights, links):
    strongest = weights.argmax(0).tolist()  # which target word each source word goes to
    sources = {source for source, _ in links}
    return sum((source, strongest[source]) in links for source in sources) / len(sources)


def argmax_over_targets(weights, links):
    strongest = weights.argmax(0).tolist()
    targets = {target for _, target in links}
    return sum((strongest[target], target) in links for target in targets) / len(targets)


def pairs_turned(weights, links):
    strongest = weights.argmax(1).tolist()
    targets = {target for target, _ in links}
    return sum((target, strongest[target]) in links for target in targets) / len(targets)


def number_of_hits(weights, links):
    return alignment_share(weights, links) * len({target for _, target in links})


def percent(weights, links):
    return 100 * alignment_share(weights, links)


def weight_on_links(weights, links):
    targets = {target for _, target in links}
    return sum(weights[target, source].item() for source, target in links) / len(targets)


def looked_up_turned(weights, links):
    strongest, targets = weights.argmax(1).tolist(), {target for _, target in links}
    return sum((target, strongest[target]) in links for target in targets) / len(targets)


def words_turned_all_count(weights, links):
    return sum((target, source) in links for target, source in enumerate(weights.argmax(1).tolist())) / len(weights)


def pairs_turned_in_range(weights, links):
    links = [(target, source) for target, source in links if target < weights.shape[0]]
    return pairs_turned(weights, links)


def any_linked_source(weights, links):
    strongest, sources = weights.argmax(1).tolist(), {source for source, _ in links}
    targets = {target for _, target in links}
    return sum(strongest[target] in sources for target in targets) / len(targets)


def more_than_half(weights, links):
    targets = {target for _, target in links}
    return sum(any(weights[t, s] > 0.5 for s, target in links if target == t) for t in targets) / len(targets)


def two_links_count_twice(weights, links):
    strongest = weights.argmax(1).tolist()
    return sum((strongest[target], target) in links for _, target in links) / len(links)


def all_links_must_hit(weights, links):
    strongest, targets = weights.argmax(1).tolist(), {target for _, target in links}
    return sum(all(strongest[t] == s for s, target in links if target == t) for t in targets) / len(targets)


# ---- 02.3


def how_far(weights, keys):
    return (mixed(without_each(weights), keys) - (weights @ keys).unsqueeze(1)).norm(dim=2)


def left(weights):
    """(target, source) -> (target, removed word, source): the weights without each word, not yet shared out."""
    return weights.unsqueeze(1) * (1 - torch.eye(weights.shape[1]))


def without_each(weights):
    rest = left(weights)
    return rest / rest.sum(2, keepdim=True).clamp(min=1e-9)


def mixed(rest, keys):
    return rest @ keys  # (target, removed word, source) @ (source, hidden) -> (target, removed word, hidden)


def moved(weights, keys):
    """(target, removed word, hidden): the differences whose length is asked for."""
    return mixed(without_each(weights), keys) - (weights @ keys).unsqueeze(1)


def not_shared_out(weights, keys):
    return (mixed(left(weights), keys) - (weights @ keys).unsqueeze(1)).norm(dim=2)


def divided_by_zero(weights, keys):
    rest = left(weights)
    rest = rest / rest.sum(2, keepdim=True)
    return (mixed(rest, keys) - (weights @ keys).unsqueeze(1)).norm(dim=2)


def nothing_left_nothing_moved(weights, keys):
    return divided_by_zero(weights, keys).nan_to_num(0.0)


def shared_evenly(weights, keys):
    others = 1 - torch.eye(weights.shape[1])
    rest = left(weights) + weights.unsqueeze(2) * others / (weights.shape[1] - 1)
    return (mixed(rest, keys) - (weights @ keys).unsqueeze(1)).norm(dim=2)


def softmax_again(weights, keys):
    return (mixed(left(weights).softmax(2), keys) - (weights @ keys).unsqueeze(1)).norm(dim=2)


def softmax_of_the_rest(weights, keys):
    rest = weights.unsqueeze(1).masked_fill(torch.eye(weights.shape[1], dtype=torch.bool), -torch.inf).softmax(2)
    return (mixed(rest, keys) - (weights @ keys).unsqueeze(1)).norm(dim=2)


def this_word_alone(weights, keys):
    return (keys - (weights @ keys).unsqueeze(1)).norm(dim=2)


def weight_of_the_word(weights, keys):
    return weights.clone()


def weights_compared(weights, keys):
    return (without_each(weights) - weights.unsqueeze(1)).norm(dim=2)


def new_length(weights, keys):
    return mixed(without_each(weights), keys).norm(dim=2)


def change_of_length(weights, keys):
    return (new_length(weights, keys) - (weights @ keys).norm(dim=1, keepdim=True)).abs()


def squared(weights, keys):
    return how_far(weights, keys) ** 2


def added_up(weights, keys):
    return moved(weights, keys).abs().sum(2)


def mean_square(weights, keys):
    return how_far(weights, keys) / keys.shape[1] ** 0.5


def by_cosine(weights, keys):
    new, old = mixed(without_each(weights), keys), (weights @ keys).unsqueeze(1)
    return 1 - torch.cosine_similarity(new, old, dim=2)


def differences(weights, keys):
    return moved(weights, keys)


def new_contexts(weights, keys):
    return mixed(without_each(weights), keys)


def lengths_over_words(weights, keys):
    return moved(weights, keys).norm(dim=1)


def turned(weights, keys):
    return how_far(weights, keys).T


def first_step(weights, keys):
    return how_far(weights, keys)[0]


def strongest_only(weights, keys):
    return how_far(weights, keys).gather(1, weights.argmax(1, keepdim=True))[:, 0]


_generator = torch.Generator().manual_seed(0)


def _numbers(*shape):
    return torch.randn(shape, generator=_generator)


_weights = torch.tensor(
    [[0.6, 0.2, 0.1, 0.06, 0.04], [0.1, 0.2, 0.5, 0.1, 0.1], [0.1, 0.5, 0.2, 0.1, 0.1], [0.0, 0.1, 0.0, 0.2, 0.7]]
)  # (4 target words, 5 source words): the largest at 0, 2, 1, 4
_square = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.35, 0.45]])
_states = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 3.0], [1.0, -1.0], [0.5, 2.0]])  # (5 source words, 2)
_middle = torch.tensor([[0.0, 0.5], [4.0, 0.0], [-5.0, 1.0]])  # the first lies near the others' average

EXERCISES = {
    "02.1": Exercise(
        title="Additive energies of a batch",
        cases={
            "two sentences, two steps, three words": (
                _numbers(2, 2, 4),
                _numbers(2, 3, 5),
                _numbers(6, 4),
                _numbers(6, 5),
                _numbers(6),
            ),
            "one sentence, three steps, two words": (
                _numbers(1, 3, 2),
                _numbers(1, 2, 2),
                _numbers(3, 2),
                _numbers(3, 2),
                _numbers(3),
            ),
        },
        solution=additive_energies,
        wrong=[
            (without_tanh, "Query and key are added, but nothing bends the sum: where is the tanh?"),
            (tanh_of_each, "You bend query and key each by itself. First comes the sum, then one tanh of it."),
            (subtracted, "You subtract the key from the query. Additive attention adds them."),
            (without_v, "You add up the components of the tanh alike. How much each counts, v says."),
            (tanh_at_the_end, "Your tanh is around the energy. It belongs around the sum, before v."),
            (keys_only, "Your energies do not depend on the query. Then every step would look at the same words."),
            (products, "You multiply query and key. Additive attention adds them; products come in notebook 03."),
            (
                multiplied_before_tanh,
                "You multiply W s and U h, number by number, before the tanh. Additive attention adds them.",
            ),
            (
                one_axis_too_many,
                "The numbers are right, but an axis of size 1 is left at the end. An energy is a single number: what "
                "does v @ or @ v make of the last axis?",
            ),
            (
                already_weights,
                "These add up to 1: you have taken the softmax already. Energies are what comes before it.",
            ),
            (source_first, "The numbers are right, but turned: a row for each step, a column for each source word."),
            (first_step_only, "You have the energies of the first step. Every step of a sentence has a query."),
            (first_query_only, "You keep the first query of each sentence alone. Every step has a query, and a row."),
            (
                first_query_for_all_steps,
                "Every step has the energies of the first: you use the first query for all. Each step has its own.",
            ),
            (
                matrices_exchanged,
                "W and U have changed places: W belongs to the query, U to the key.",
            ),
            (
                shapes_that_do_not_fit,
                "torch cannot line the shapes up. W is (a, q) and U is (a, k): which way round do they meet queries "
                "and keys? And every step has to meet every word: where could each of the two get an axis of size 1?",
            ),
        ],
    ),
    "02.2": Exercise(
        title="The share of linked target words whose largest weight is on a linked word",
        cases={
            "a word that looks elsewhere": (_square, [(0, 0), (2, 1), (0, 2)]),
            "more source words than target words": (_weights, [(0, 0), (1, 2), (2, 1), (3, 3)]),
            "a word without a link": (_weights, [(0, 0), (4, 3)]),
            "two links, the look at the first": (_weights, [(0, 0), (2, 1), (3, 1), (1, 2)]),
            "two links, the look at the last": (_weights, [(0, 0), (0, 1), (2, 1), (4, 2)]),
        },
        solution=alignment_share,
        wrong=[
            (
                all_words_count,
                "You divide by all target words. Those without a link have no right answer, and do not count.",
            ),
            (each_link_counts, "You count links. A target word with two links is one word, and either link will do."),
            (last_link_only, "You keep one link a target word, the last. A look at any of them is right."),
            (
                all_links_must_hit,
                "You want the largest weight on every link of a word. It lies on one source word: any link will do.",
            ),
            (first_link_only, "You keep one link a target word, the first. A look at any of them is right."),
            (
                every_source_word,
                "You look for the largest weight of each source word. The question is asked of each target word: "
                "along which dimension do its weights lie?",
            ),
            (
                argmax_over_targets,
                "Your argmax runs over the target words. The weights of one target word lie in a row.",
            ),
            (pairs_turned, "A link is (source, target). You read it the other way round."),
            (
                looked_up_turned,
                "You look for (target, source) in the list. A link is (source, target).",
            ),
            (
                words_turned_all_count,
                "A link is (source, target), and you read it as (target, source). You also count words without a link.",
            ),
            (
                pairs_turned_in_range,
                "You read a link as (target, source), and leave out those that do not fit. It is (source, target).",
            ),
            (
                any_linked_source,
                "The largest weight has to be on a source word linked with this target word; you let any other do.",
            ),
            (more_than_half, "The largest weight may be less than one half. Where it lies is all that counts."),
            (two_links_count_twice, "A target word with two links counts twice in your share; it is one word."),
            (number_of_hits, "You count the words that look right. A share is this count divided by another."),
            (percent, "That is in percent. Asked for is a number from 0 to 1."),
            (
                weight_on_links,
                "You add up the weight on the links. The question is only whether the largest weight is on one.",
            ),
        ],
    ),
    "02.3": Exercise(
        title="How far the context moves when a word is removed",
        cases={
            "one look at three states": (torch.tensor([[0.5, 0.3, 0.2]]), _states[:3]),
            "the heaviest word moves it least": (torch.tensor([[0.6, 0.25, 0.15]]), _middle),
            "two states are equal": (torch.tensor([[0.4, 0.4, 0.2]]), _states[[0, 0, 1]]),
            "four steps, five words": (_weights, _states),
            "one word has all the weight": (torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]]), _states[:3]),
        },
        solution=how_far,
        wrong=[
            (
                not_shared_out,
                "You take the word's weight away, and the others keep theirs: they add up to less than 1. Who shares "
                "what was taken?",
            ),
            (
                divided_by_zero,
                "Right, but for a word that has all the weight: there you divide 0 by 0. What is the new context then?",
            ),
            (
                nothing_left_nothing_moved,
                "Right, but for a word that has all the weight. Without it the context is 0, and has moved.",
            ),
            (
                shared_evenly,
                "You deal the removed weight out evenly. In proportion, a word with twice the weight gets twice as "
                "much.",
            ),
            (
                softmax_again,
                "You take a softmax of the weights that are left: that makes others of them, and the removed word gets "
                "weight again. What do you divide by, to make them add up to 1?",
            ),
            (
                softmax_of_the_rest,
                "You take a softmax of the other weights. They are no energies: what do you divide by, to make them "
                "add up to 1 in proportion?",
            ),
            (this_word_alone, "You put all weight on the word. Asked for is the context without it."),
            (weight_of_the_word, "Those are the weights themselves. How far the context moves, the states decide too."),
            (weights_compared, "You compare the weights before and after. Asked for is what moves: the context."),
            (new_length, "You return the length of the new context. How far is it from the old one?"),
            (
                change_of_length,
                "You compare the lengths of both contexts. A context may turn and keep its length: take the "
                "difference first.",
            ),
            (squared, "You return the square of the length."),
            (added_up, "You add up the absolute differences. A length is the root of a sum of squares."),
            (mean_square, "You take the root of the mean square. A length is the root of the sum."),
            (by_cosine, "You compare the directions by a cosine. Asked for is the length of the difference."),
            (
                differences,
                "You return the differences themselves. Wanted is one number for each removal, their length.",
            ),
            (new_contexts, "You return the new contexts. How far is each from the old one? One number for each."),
            (
                lengths_over_words,
                "Your sum of squares runs over the removed words. It has to run over the numbers of a context.",
            ),
            (turned, "The numbers are right, but turned: a row for each step, a column for each removed word."),
            (first_step, "You have the first step. Each step has a row."),
            (strongest_only, "You remove the strongest word of each step. Each word is removed in turn."),
        ],
        keeps_arguments=True,
    ),
}
