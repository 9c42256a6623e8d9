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


def attention_from_energies(energies, mask):
    weights = energies.masked_fill(mask == 0, -torch.inf).softmax(1)
    return weights.masked_fill(mask == 0, 0.0)  # a row without words was 0 / 0


def nan_without_words(energies, mask):
    return energies.masked_fill(mask == 0, -torch.inf).softmax(1)


def minus_100(energies, mask):
    return energies.masked_fill(mask == 0, -100.0).softmax(1).masked_fill(mask == 0, 0.0)


def minus_100_and_nothing_after(energies, mask):
    return energies.masked_fill(mask == 0, -100.0).softmax(1)


def minus_10000(energies, mask):
    return energies.masked_fill(mask == 0, -1e4).softmax(1).masked_fill(mask == 0, 0.0)


def minus_10000_and_nothing_after(energies, mask):
    return energies.masked_fill(mask == 0, -1e4).softmax(1)


def rows_with_words_only(energies, mask):
    return attention_from_energies(energies[mask.any(1)], mask[mask.any(1)])


def even_without_words(energies, mask):
    return energies.masked_fill(mask == 0, -1e9).softmax(1)


def unmasked(energies, mask):
    return energies.softmax(1)


def masked_afterwards(energies, mask):
    return energies.softmax(1) * mask


def zeroed_energies(energies, mask):
    return (energies * mask).softmax(1)


def zeroed_and_masked_afterwards(energies, mask):
    return (energies * mask).softmax(1) * mask


def words_masked(energies, mask):
    return energies.masked_fill(mask == 1, -torch.inf).softmax(1)


def words_masked_and_mended(energies, mask):
    return words_masked(energies, mask).nan_to_num(0.0)


def overflowing(energies, mask):
    exponentials = energies.exp() * mask
    return exponentials / exponentials.sum(1, keepdim=True)


def overflowing_but_for_no_words(energies, mask):
    exponentials = energies.exp().masked_fill(mask == 0, 0.0)
    return exponentials / exponentials.sum(1, keepdim=True).clamp(min=1e-30)


def over_the_batch(energies, mask):
    return energies.masked_fill(mask == 0, -torch.inf).softmax(0)


def over_the_batch_and_mended(energies, mask):
    return over_the_batch(energies, mask).masked_fill(mask == 0, 0.0)


def exponentials_of_words_only(energies, mask):
    exponentials = energies.exp().masked_fill(mask == 0, 0.0)
    return exponentials / exponentials.sum(1, keepdim=True)


def overflowing_and_clamped(energies, mask):
    exponentials = energies.exp() * mask
    return exponentials / exponentials.sum(1, keepdim=True).clamp(min=1e-30)


def overflow_hidden(energies, mask):
    return exponentials_of_words_only(energies, mask).nan_to_num(0.0)


def scaled_by_padding(energies, mask):
    weights = energies.softmax(1) * mask
    return weights / weights.sum(1, keepdim=True)


def scaled_by_padding_and_clamped(energies, mask):
    weights = energies.softmax(1) * mask
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-30)


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


_generator = torch.Generator().manual_seed(0)


def _numbers(*shape):
    return torch.randn(shape, generator=_generator)


_weights = torch.tensor(
    [[0.6, 0.2, 0.1, 0.06, 0.04], [0.1, 0.2, 0.5, 0.1, 0.1], [0.1, 0.5, 0.2, 0.1, 0.1], [0.0, 0.1, 0.0, 0.2, 0.7]]
)  # (4 target words, 5 source words): the largest at 0, 2, 1, 4
_square = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.35, 0.45]])
_real = torch.tensor([[True, True, True], [True, True, False]])

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
        title="Weights from energies, padding left out",
        cases={
            "padding on the right": (torch.tensor([[1.0, 2.0, 0.5], [0.3, -1.0, 4.0]]), _real),
            "large energies": (torch.tensor([[100.0, 99.0, 300.0]]), _real[1:]),
            "large energies of padding": (torch.tensor([[-20.0, -21.0, 85.0]]), _real[1:]),
            "very negative energies": (torch.tensor([[-10000.0, -10001.0, 3.0]]), _real[1:]),
            "a row of padding": (
                torch.tensor([[1.0, 2.0, 0.5], [0.3, 0.2, 0.1]]),
                _real & torch.tensor([[True], [False]]),
            ),
        },
        solution=attention_from_energies,
        wrong=[
            (
                nan_without_words,
                "Right, but for a row without words: there softmax divides 0 by 0. What should stand there?",
            ),
            (
                minus_100,
                "Padding takes part in the sum: a word's energy may be lower than the number that you give to "
                "padding. Which energy has the exponential 0, whatever the others are?",
            ),
            (
                minus_100_and_nothing_after,
                "You give padding a low energy, but a word's may be lower still, and a row without words still "
                "adds up to 1. Which energy has the exponential 0?",
            ),
            (
                minus_10000,
                "Padding takes part in the sum: -10000 is low, but a word's energy may be as low. Which energy has the "
                "exponential 0, whatever the others are?",
            ),
            (
                minus_10000_and_nothing_after,
                "-10000 is low, but a word's energy may be as low, and a row without words still adds up to 1. Which "
                "energy has the exponential 0?",
            ),
            (
                rows_with_words_only,
                "You leave out the row without words. Each sentence of the batch keeps its row; here it is all 0.",
            ),
            (
                even_without_words,
                "Right, but for a row without words: all its energies are equally low, so padding shares the weight.",
            ),
            (unmasked, "Padding gets weight. Which positions does the mask say to leave out?"),
            (
                masked_afterwards,
                "Padding has no weight now, but the words' weights do not add up to 1: padding took part in the sum "
                "below the fraction.",
            ),
            (zeroed_energies, "An energy of 0 is still an energy: exp(0) is 1. Which energy has the exponential 0?"),
            (
                zeroed_and_masked_afterwards,
                "Two half measures: an energy of 0 takes part in the sum below the fraction, and multiplying "
                "afterwards does not mend that sum.",
            ),
            (words_masked, "You leave out the words and keep the padding. True means a real word."),
            (
                words_masked_and_mended,
                "You leave out the words and keep the padding: a row full of words became 0. True means a word.",
            ),
            (
                overflowing,
                "Right for small energies; for large ones exp overflows. torch's softmax subtracts the largest "
                "energy first.",
            ),
            (
                overflowing_but_for_no_words,
                "Rows without words are right. For large energies exp overflows, for very negative ones it is 0; "
                "torch's softmax subtracts the largest energy first.",
            ),
            (
                exponentials_of_words_only,
                "Right for small energies. A large one makes exp infinite, a very negative one 0, and you divide "
                "infinity by infinity or 0 by 0. torch's softmax subtracts the largest energy first.",
            ),
            (
                overflowing_and_clamped,
                "Rows without words are right, but exp overflows for large energies. A clamp below the fraction cannot "
                "mend that; torch's softmax subtracts the largest energy first.",
            ),
            (
                overflow_hidden,
                "Your nan_to_num also hides an overflow: with large energies a row of words became 0. torch's softmax "
                "subtracts the largest energy first.",
            ),
            (
                scaled_by_padding,
                "Padding still sets the scale: where its energy is by far the largest, the exponentials of all words "
                "round to 0 before you divide. And a row without words divides 0 by 0.",
            ),
            (
                scaled_by_padding_and_clamped,
                "Padding still sets the scale: where its energy is by far the largest, the exponentials of all words "
                "round to 0, and so do your weights.",
            ),
            (
                over_the_batch_and_mended,
                "Along which dimension do you take the softmax? The weights of one sentence have to add up to 1.",
            ),
            (
                over_the_batch,
                "Your weights add up to 1 over the sentences of the batch. They have to, over the words of a sentence.",
            ),
        ],
        keeps_arguments=True,
    ),
    "02.3": Exercise(
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
}
