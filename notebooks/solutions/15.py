"""Solutions of notebook 15. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np

from course_lib.exercises import Exercise

# ---- 15.1


def precision_recall(scores, labels, threshold):
    called, labels = scores >= threshold, labels == 1  # (n,) each
    hits = (called & labels).sum()
    return (float(hits / called.sum()) if called.any() else 1.0, float(hits / labels.sum()))


def turned_round(scores, labels, threshold):
    return precision_recall(scores, labels, threshold)[::-1]


def strictly_above(scores, labels, threshold):
    return precision_recall(scores, labels, np.nextafter(threshold, np.inf))


def accuracy_for_precision(scores, labels, threshold):
    called = scores >= threshold
    return (float((called == labels).mean()), precision_recall(scores, labels, threshold)[1])


def share_of_all(scores, labels, threshold):
    called, labels = scores >= threshold, labels == 1
    return (precision_recall(scores, labels, threshold)[0], float((called & labels).mean()))


def nothing_called_is_zero(scores, labels, threshold):
    precision, recall = precision_recall(scores, labels, threshold)
    return (precision if (scores >= threshold).any() else 0.0, recall)


def divides_by_zero(scores, labels, threshold):
    called = [label for score, label in zip(scores, labels) if score >= threshold]
    return (sum(called) / len(called), sum(called) / sum(labels))


def nan_for_nothing(scores, labels, threshold):  # what arrays make of that division
    precision, recall = precision_recall(scores, labels, threshold)
    return (precision if (scores >= threshold).any() else float("nan"), recall)


# ---- 15.2


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


EXERCISES = {
    "15.1": Exercise(
        title="Precision and recall of a threshold",
        cases={
            "two of three called are right": (np.array([0.9, 0.8, 0.7, 0.6, 0.2]), np.array([1, 0, 1, 1, 0]), 0.65),
            "one exactly at the threshold": (np.array([0.9, 0.5, 0.25, 0.75]), np.array([0, 1, 1, 1]), 0.5),
            "nothing is called": (np.array([0.3, 0.2, 0.1]), np.array([1, 0, 0]), 0.5),
            "everything is called": (np.array([0.9, 0.8, 0.6, 0.7, 0.95]), np.array([1, 0, 0, 1, 0]), 0.5),
        },
        solution=precision_recall,
        wrong=[
            (
                turned_round,
                "You return recall first. Precision: of those called, how many are right? Recall: of the right ones, "
                "how many were called?",
            ),
            (strictly_above, "A score exactly at the threshold is called a duplicate, too."),
            (
                accuracy_for_precision,
                "Your first number counts pairs that were rightly left alone. Precision looks only at those that "
                "were called.",
            ),
            (share_of_all, "Your recall divides by all pairs. Of which pairs is it the share?"),
            (
                nothing_called_is_zero,
                "Where nothing is called nothing is called wrongly. Which precision does the docstring want then?",
            ),
            (divides_by_zero, "You divide by zero where nothing is called. Treat that case on its own."),
            (
                nan_for_nothing,
                "Where nothing is called your precision is NaN: zero divided by zero. Treat that case on its own.",
            ),
        ],
    ),
    "15.2": Exercise(
        title="Groups from pairs",
        cases={
            "a chain, its links out of order": (5, [(3, 4), (1, 2), (2, 3)]),
            "three groups and one alone": (7, [(0, 5), (1, 2), (3, 6)]),
            "a ring": (4, [(3, 2), (2, 1), (1, 0), (0, 3)]),
            "no pairs": (3, []),
        },
        solution=components,
        wrong=[
            (
                one_round,
                "You go over the pairs once. A later pair can join what earlier ones had already settled: go on "
                "until nothing changes.",
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
}
