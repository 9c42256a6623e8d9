"""Solutions of notebook 15. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np

from course_lib.exercises import Exercise

# ---- 15.1


def components(n, pairs):
    group = list(range(n))
    changed = True
    while changed:
        changed = False
        for i, j in pairs:
            low = min(group[i], group[j])
            changed |= group[i] != low or group[j] != low
            group[i] = group[j] = low
    return group


def one_round(n, pairs):
    group = list(range(n))
    for i, j in pairs:
        group[i] = group[j] = min(group[i], group[j])
    return group


def two_rounds(n, pairs):
    group = list(range(n))
    for i, j in pairs + pairs:
        group[i] = group[j] = min(group[i], group[j])
    return group


def three_rounds(n, pairs):
    group = list(range(n))
    for i, j in pairs + pairs + pairs:
        group[i] = group[j] = min(group[i], group[j])
    return group


def sorted_first(n, pairs):
    return one_round(n, sorted(pairs))


def lower_first_and_sorted(n, pairs):
    return one_round(n, sorted(tuple(sorted(pair)) for pair in pairs))


def one_way(n, pairs):
    def reached(start):
        seen, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            onward = [j for i, j in pairs if i == here and j not in seen]
            seen.update(onward)
            waiting += onward
        return seen

    return [min(reached(i)) for i in range(n)]


def names_not_followed(n, pairs):
    group = list(range(n))
    for i, j in pairs:
        group[max(i, j)] = min(group[i], group[j])
    return group


def only_neighbours(n, pairs):
    return [min([i, *(a + b - i for a, b in pairs if i in (a, b))]) for i in range(n)]


def numbered_in_order(n, pairs):
    group = components(n, pairs)
    numbers = sorted(set(group))
    return [numbers.index(lowest) for lowest in group]


def highest(n, pairs):
    turned = components(n, [(n - 1 - i, n - 1 - j) for i, j in pairs])
    return [n - 1 - g for g in reversed(turned)]


def first_that_came(n, pairs):
    name, group = {}, components(n, pairs)
    for text in [text for pair in pairs for text in pair] + list(range(n)):
        name.setdefault(group[text], text)
    return [name[lowest] for lowest in group]


def joined_to_the_first(n, pairs):
    group = list(range(n))
    for i, j in pairs:
        group = [group[i] if name == group[j] else name for name in group]
    return group


def joined_to_the_second(n, pairs):
    return joined_to_the_first(n, [(j, i) for i, j in pairs])


def only_linked(n, pairs):
    linked = {text for pair in pairs for text in pair}
    return [g for text, g in enumerate(components(n, pairs)) if text in linked]


def groups_as_lists(n, pairs):
    group = components(n, pairs)
    return [[text for text in range(n) if group[text] == lowest] for lowest in sorted(set(group))]


PATH = [7, 12, 3, 14, 5, 10, 1, 13, 6, 15, 2, 11, 4, 9, 8, 0]  # neighbours here are linked
ZIGZAG = [(PATH[k], PATH[k + 1]) for k in (3, 11, 7, 0, 14, 9, 5, 1, 12, 8, 2, 13, 6, 10, 4)]

# ---- 15.2


def recommend(vectors, liked, k):
    scores = vectors @ vectors[liked].mean(axis=0)  # (n, dim) @ (dim,) -> (n,)
    scores[liked] = -np.inf
    return np.argsort(-scores, kind="stable")[:k].tolist()


def offers_what_is_liked(vectors, liked, k):
    return np.argsort(-(vectors @ vectors[liked].mean(axis=0)), kind="stable")[:k].tolist()


def too_few(vectors, liked, k):
    return [row for row in offers_what_is_liked(vectors, liked, k) if row not in liked]


def farthest(vectors, liked, k):
    return offers_what_is_liked(vectors, liked, len(vectors))[::-1][:k]


def farthest_of_the_others(vectors, liked, k):
    return recommend(vectors, liked, len(vectors) - len(liked))[::-1][:k]


def near_the_first(vectors, liked, k):
    return [row for row in offers_what_is_liked(vectors, liked[:1], len(vectors)) if row not in liked][:k]


def near_any(vectors, liked, k):
    scores = (vectors @ vectors[liked].T).max(axis=1)
    scores[liked] = -np.inf
    return np.argsort(-scores, kind="stable")[:k].tolist()


def near_the_farthest(vectors, liked, k):
    scores = (vectors @ vectors[liked].T).min(axis=1)
    scores[liked] = -np.inf
    return np.argsort(-scores, kind="stable")[:k].tolist()


def lowest_rows_first(vectors, liked, k):
    return sorted(recommend(vectors, liked, k))


def near_the_median(vectors, liked, k):
    scores = vectors @ np.median(vectors[liked], axis=0)
    scores[liked] = -np.inf
    return np.argsort(-scores, kind="stable")[:k].tolist()


def rows_of_what_is_left(vectors, liked, k):
    left = np.delete(vectors, liked, axis=0)
    return np.argsort(-(left @ vectors[liked].mean(axis=0)), kind="stable")[:k].tolist()


def nearest_last(vectors, liked, k):
    return recommend(vectors, liked, k)[::-1]


ANGLES = np.radians([0, 20, 35, 60, 80, 103, 200, 290])
AROUND = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (8, 2)


# ---- 15.3


def with_all_pairs(precision, times):
    return precision / (precision + (1 - precision) * times)


def as_measured(precision, times):
    return precision


def divided(precision, times):
    return precision / times


def wrong_share_times(precision, times):
    return 1 - (1 - precision) * times


def odds(precision, times):
    return precision / ((1 - precision) * times)


def duplicates_multiplied(precision, times):
    return precision * times / (precision * times + 1 - precision)


def wrong_share(precision, times):
    return 1 - with_all_pairs(precision, times)


def kept_pairs_counted_twice(precision, times):
    return with_all_pairs(precision, times + 1)


def only_those_thrown_away(precision, times):
    return with_all_pairs(precision, times - 1)


EXERCISES = {
    "15.1": Exercise(
        title="Groups from pairs",
        cases={
            "a chain, its links out of order": (5, [(3, 4), (1, 2), (2, 3)]),
            "three groups and one alone": (7, [(0, 5), (1, 2), (3, 6)]),
            "a ring": (4, [(3, 2), (2, 1), (1, 0), (0, 3)]),
            "no pairs": (3, []),
            "the lowest comes last": (4, [(1, 3), (2, 1), (2, 0)]),
            "two groups that the last pair joins": (4, [(1, 2), (0, 3), (2, 3)]),
            "the middle one is the highest": (3, [(0, 2), (2, 1)]),
            "a long chain in no order": (16, ZIGZAG),
            "a long chain, from its end": (9, [(i, i + 1) for i in range(7, -1, -1)]),
        },
        solution=components,
        wrong=[
            (
                one_round,
                "You go over the pairs once. A later pair can join what earlier ones had already settled: go on "
                "until nothing changes.",
            ),
            (
                two_rounds,
                "You go over the pairs twice. A long chain needs more rounds than any fixed number: when can you stop?",
            ),
            (
                three_rounds,
                "You go over the pairs three times. A longer chain needs a fourth round, and so on: when can you stop?",
            ),
            (
                sorted_first,
                "You sort the pairs and go over them once. No order of the pairs makes one round enough.",
            ),
            (
                lower_first_and_sorted,
                "You sort the pairs, the lower text first, and go over them once. No order makes one round enough.",
            ),
            (one_way, "You follow a link (i, j) from i to j only. Friendship goes both ways."),
            (
                names_not_followed,
                "You give the new number to one text of the pair. What becomes of the others that had its old number?",
            ),
            (only_neighbours, "You look at direct neighbours only. Friends of friends belong to the group."),
            (
                numbered_in_order,
                "Your groups are right, but numbered 0, 1, 2. The lowest text in the group is wanted as its number.",
            ),
            (highest, "You name a group by its highest text. The lowest is wanted."),
            (
                first_that_came,
                "Your groups are right, but named by another text than the lowest: by the one that comes first in "
                "the pairs.",
            ),
            (
                joined_to_the_first,
                "Your groups are right, but named by another text than the lowest: the first of each pair passes its "
                "name on.",
            ),
            (
                joined_to_the_second,
                "Your groups are right, but named by another text than the lowest: the second of each pair passes "
                "its name on.",
            ),
            (only_linked, "Texts without a link are missing. Each of the n texts has a group, if only of itself."),
            (groups_as_lists, "You return the groups. A number for each text is wanted."),
        ],
    ),
    "15.2": Exercise(
        title="The nearest others to the mean of what is liked",
        keeps_arguments=True,
        cases={
            "three liked": (AROUND, [0, 1, 3], 3),
            "one liked": (AROUND, [2], 2),
            "two far apart": (AROUND, [0, 5], 3),
            "all others, the nearest first": (AROUND, [4], 7),
            "two close together and one farther away": (AROUND, [1, 2, 5], 2),
            "the mean is not the middle of the ends": (AROUND, [0, 1, 5], 3),
        },
        solution=recommend,
        wrong=[
            (offers_what_is_liked, "You recommend what the person already has."),
            (too_few, "You take out the liked things at the end, and fewer than k are left. What if you do it first?"),
            (farthest, "You recommend what is farthest. Which end of the order is wanted?"),
            (
                farthest_of_the_others,
                "You offer the others from the farthest on: a sort puts the lowest number first. What is high here?",
            ),
            (near_the_first, "You look at the first liked thing only. All of them have a say."),
            (
                near_any,
                "You take what is close to any one of the liked things. Compare with the mean of their vectors.",
            ),
            (
                near_the_farthest,
                "You let the liked thing decide that is farthest from each other thing. Compare with the mean of all.",
            ),
            (
                near_the_median,
                "You take the median of the liked vectors. One far from the others then has no say: take the mean.",
            ),
            (
                rows_of_what_is_left,
                "You took the liked rows out and then counted anew: your numbers are places among what was left. "
                "Rows of `vectors` are wanted.",
            ),
            (nearest_last, "The right things from the far end: the nearest comes first. Which way does a sort run?"),
            (lowest_rows_first, "The right things in another order: the nearest comes first."),
        ],
    ),
    "15.3": Exercise(
        title="The precision with all pairs, from that with some of them",
        atol=1e-7,
        cases={
            "one in ten was kept": (0.9, 10),
            "one in 99": (0.5, 99),
            "nothing wrong was called": (1.0, 50),
            "all were kept": (0.8, 1),
            "one in 50,000": (0.95, 50_000),
        },
        solution=with_all_pairs,
        wrong=[
            (as_measured, "You return the precision that was measured. Of the pairs called, which become more?"),
            (
                divided,
                "You divide the precision. With all pairs the right ones among those called stay as many: only the "
                "wrong ones become more.",
            ),
            (
                wrong_share_times,
                "You multiply the share of wrong pairs. But the pairs called become more, too: a share of which total?",
            ),
            (odds, "You return how many right pairs there are for each wrong one, not their share of all called."),
            (duplicates_multiplied, "You make the right pairs more. All duplicates were kept: it is the others."),
            (wrong_share, "You return the share of the wrong ones. The share of the right ones is wanted."),
            (
                kept_pairs_counted_twice,
                "Your total of pairs called is too large: the right ones are the share `precision` of what was called, "
                "and the wrong ones that were kept are among the `times` as many.",
            ),
            (only_those_thrown_away, "You count the pairs that were thrown away, without those that were kept."),
        ],
    ),
}
