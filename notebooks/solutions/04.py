"""Solutions of notebook 04. Try the exercises first: check() tells you what kind of mistake you made."""

import math

import numpy as np

from course_lib.exercises import Exercise

# ---- 04.1


def pair_input(a, b, cls, sep, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) + 3 > max_length:  # [CLS] and two [SEP]
        (b if len(b) > len(a) else a).pop()
    ids = [cls, *a, sep, *b, sep]
    return ids, [0] * (len(a) + 2) + [1] * (len(b) + 1)


def first_sep_belongs_to_b(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length)
    types[ids.index(sep)] = 1
    return ids, types


def types_all_zero(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length)
    return ids, [0] * len(types)


def no_last_sep(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length + 1)
    return ids[:-1], types[:-1]


def cls_before_both(a, b, cls, sep, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) + 4 > max_length:
        (b if len(b) > len(a) else a).pop()
    return [cls, *a, sep, cls, *b, sep], [0] * (len(a) + 2) + [1] * (len(b) + 2)


def cut_off_at_the_end(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, len(a) + len(b) + 3)
    return ids[:max_length], types[:max_length]


def only_b_cut(a, b, cls, sep, max_length):
    return pair_input(a, list(b)[: max(0, max_length - 3 - len(a))], cls, sep, len(a) + len(b) + 3)


def b_cut_on_ties(a, b, cls, sep, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) + 3 > max_length:
        (a if len(a) > len(b) else b).pop()
    return pair_input(a, b, cls, sep, max_length)


def only_a_cut(a, b, cls, sep, max_length):
    return pair_input(list(a)[: max(0, max_length - 3 - len(b))], b, cls, sep, len(a) + len(b) + 3)


def special_tokens_not_counted(a, b, cls, sep, max_length):
    return pair_input(a, b, cls, sep, max_length + 3)


def one_separator_not_counted(a, b, cls, sep, max_length):
    return pair_input(a, b, cls, sep, max_length + 1)


def not_cut(a, b, cls, sep, max_length):
    return pair_input(a, b, cls, sep, len(a) + len(b) + 3)


def cut_at_the_front(a, b, cls, sep, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) + 3 > max_length:
        (b if len(b) > len(a) else a).pop(0)
    return pair_input(a, b, cls, sep, max_length)


def no_special_tokens(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length + 3)
    kept = [i for i, token in enumerate(ids) if token not in (cls, sep)]
    return [ids[i] for i in kept], [types[i] for i in kept]


def last_sep_belongs_to_a(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length)
    return ids, [*types[:-1], 0]


def types_first(a, b, cls, sep, max_length):
    return pair_input(a, b, cls, sep, max_length)[::-1]


def one_too_short(a, b, cls, sep, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) + 3 >= max_length:
        (b if len(b) > len(a) else a).pop()
    return pair_input(a, b, cls, sep, max_length)


def no_types_for_special_tokens(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length)
    return ids, [kind for token, kind in zip(ids, types) if token not in (cls, sep)]


def types_from_one(a, b, cls, sep, max_length):
    ids, types = pair_input(a, b, cls, sep, max_length)
    return ids, [kind + 1 for kind in types]


def in_proportion(a, b, cls, sep, max_length):
    room = max_length - 3
    if len(a) + len(b) > room:
        share = round(room * len(a) / (len(a) + len(b)))
        a, b = list(a)[:share], list(b)[: room - share]
    return pair_input(a, b, cls, sep, max_length)


def half_each(a, b, cls, sep, max_length):
    room = (max_length - 3) // 2
    return pair_input(list(a)[:room], list(b)[:room], cls, sep, max_length)


# ---- 04.2


def collection_perplexity(log_probabilities):
    every = [p for text in log_probabilities for p in text]
    return math.exp(-sum(every) / len(every))


def mean_of_the_texts(log_probabilities):
    return sum(collection_perplexity([text]) for text in log_probabilities) / len(log_probabilities)


def sum_of_the_texts(log_probabilities):
    return sum(collection_perplexity([text]) for text in log_probabilities)


def texts_count_alike(log_probabilities):
    means = [sum(text) / len(text) for text in log_probabilities]
    return math.exp(-sum(means) / len(means))


def minus_forgotten(log_probabilities):
    return 1 / collection_perplexity(log_probabilities)


def not_divided(log_probabilities):
    return math.exp(-sum(map(sum, log_probabilities)))


def product_of_probabilities(log_probabilities):
    probabilities = [math.exp(p) for text in log_probabilities for p in text]
    return math.prod(probabilities) ** (-1 / len(probabilities))


def product_in_numpy(log_probabilities):
    probabilities = np.exp(np.concatenate(log_probabilities))
    with np.errstate(divide="ignore"):
        return np.prod(probabilities) ** (-1 / len(probabilities))


def not_divided_in_numpy(log_probabilities):
    with np.errstate(over="ignore"):
        return np.exp(-sum(map(sum, log_probabilities)))


def mean_probability(log_probabilities):
    every = [math.exp(p) for text in log_probabilities for p in text]
    return len(every) / sum(every)


def mean_of_inverses(log_probabilities):
    every = [math.exp(-p) for text in log_probabilities for p in text]
    return sum(every) / len(every)


def divided_by_texts(log_probabilities):
    return math.exp(-sum(map(sum, log_probabilities)) / len(log_probabilities))


def mean_of_a_ragged_array(log_probabilities):
    return float(np.exp(-np.mean(log_probabilities)))


def not_exponentiated(log_probabilities):
    return math.log(collection_perplexity(log_probabilities))


def base_two(log_probabilities):
    return 2 ** not_exponentiated(log_probabilities)


LONG_A, SHORT, LONG_B = [11, 12, 13, 14, 15, 16, 17, 18], [21, 22], [31, 32, 33, 34, 35, 36]

EXERCISES = {
    "04.1": Exercise(
        title="Build [CLS] A [SEP] B [SEP] and its token types, cut to max_length",
        cases={
            "everything fits": ([11, 12, 13], [21, 22], 1, 2, 20),
            "a long A, a short B": (LONG_A, SHORT, 1, 2, 10),
            "a short A, a long B": (SHORT, LONG_B, 1, 2, 9),
            "both too long": (LONG_B, LONG_A, 1, 2, 11),
            "both equally long": ([11, 12, 13], [21, 22, 23], 1, 2, 8),
        },
        solution=pair_input,
        keeps_arguments=True,
        wrong=[
            (first_sep_belongs_to_b, "The first [SEP] closes A: which token type has it?"),
            (types_all_zero, "The ids are right. The token types should tell the two texts apart."),
            (no_last_sep, "B has no [SEP] after it."),
            (cls_before_both, "There is one [CLS], for the pair: its vector is what the head reads."),
            (cut_off_at_the_end, "You cut the finished sequence: its last [SEP] is lost, and only B gets shorter."),
            (only_b_cut, "You shorten only B. Which of the two texts is longer?"),
            (only_a_cut, "You shorten only A. Which of the two texts is longer?"),
            (b_cut_on_ties, "Almost: where both are equally long, which of the two loses the token?"),
            (
                special_tokens_not_counted,
                "Some results are three longer than max_length. Which tokens did you not count?",
            ),
            (one_separator_not_counted, "Some results are one longer than max_length. How many [SEP] are there?"),
            (not_cut, "Nothing is cut: some results are longer than max_length."),
            (cut_at_the_front, "You take tokens from the front of the longer text. They go from its end."),
            (no_special_tokens, "The texts stand there bare. What opens the row, and what closes each text?"),
            (last_sep_belongs_to_a, "The last [SEP] closes B: which token type has it?"),
            (types_first, "Both lists are right, but the ids come first, then the token types."),
            (one_too_short, "You cut one token too many: exactly max_length is still allowed."),
            (no_types_for_special_tokens, "[CLS] and [SEP] have a token type, too: one list is as long as the other."),
            (types_from_one, "The token types are counted from 0."),
            (in_proportion, "You shorten both in proportion. Only the longer one loses a token, each time."),
            (half_each, "You give each text half of the room, even where one of them does not need it."),
        ],
    ),
    "04.2": Exercise(
        title="Compute the pseudo-perplexity of a collection of texts",
        cases={
            "one text": ([[-1.0, -2.0, -0.5]],),
            "a short and a long one": ([[-3.0], [-0.5, -0.25, -1.0, -0.25]],),
            "certainty": ([[0.0, 0.0], [-0.1]],),
            "a long text": ([[-5.0] * 200],),
        },
        solution=collection_perplexity,
        wrong=[
            (
                mean_of_the_texts,
                "You average the perplexities of the texts. One number for all tokens together is wanted.",
            ),
            (sum_of_the_texts, "You add up the perplexities of the texts. Put all tokens into one mean first."),
            (
                texts_count_alike,
                "You average within each text first, so that a text of one token counts as much as a long one.",
            ),
            (minus_forgotten, "It came out below 1. Log probabilities are negative: what sign does the exponent need?"),
            (
                not_divided,
                "That is one over the probability of everything. Divide by the number of tokens, so that length does "
                "not count.",
            ),
            (
                product_of_probabilities,
                "You multiply probabilities. In the long text their product is smaller than any number the computer "
                "has, and becomes 0. Stay with the logarithms until the end.",
            ),
            (
                product_in_numpy,
                "You multiply probabilities, and in the long text NumPy rounds their product to 0. What do you do with "
                "logarithms in place of a product?",
            ),
            (
                not_divided_in_numpy,
                "For the long text that is infinite: it is one over the probability of everything. Divide by the "
                "number of tokens.",
            ),
            (
                mean_probability,
                "You average the probabilities. Average their logarithms, and take the exponential last.",
            ),
            (mean_of_inverses, "You average one over each probability. Average the logarithms, then the exponential."),
            (divided_by_texts, "You divide by the number of texts. How many tokens are there in all?"),
            (
                mean_of_a_ragged_array,
                "NumPy makes no array of lists of different lengths. Make one list of all tokens first.",
            ),
            (not_exponentiated, "That is the mean cost in nats. The perplexity is its exponential."),
            (base_two, "The logarithms are natural ones. What base has the exponential that undoes them?"),
        ],
    ),
}
