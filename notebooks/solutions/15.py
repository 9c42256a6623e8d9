"""Solutions of notebook 15. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np

from course_lib.exercises import Exercise

# ---- 15.1


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


# ---- 15.2


def precision_at(scores, same, times, threshold):
    called = scores >= threshold
    right, wrong = (called & same).sum(), times * (called & ~same).sum()
    return right / max(right + wrong, 1e-9)


def choose(scores, same, times, wanted):
    fitting = [t for t in scores if precision_at(scores, same, times, t) >= wanted]
    return scores >= min(fitting, default=np.inf)


def as_kept(scores, same, times, wanted):
    return choose(scores, same, 1, wanted)


def duplicates_made_more(scores, same, times, wanted):
    return choose(scores, same, 1 / times, wanted)


def thrown_away_alone(scores, same, times, wanted):
    return choose(scores, same, times - 1, wanted)


def precision_divided(scores, same, times, wanted):
    return choose(scores, same, 1, wanted * times)


def until_it_fails(scores, same, times, wanted):
    called = np.zeros(len(scores), dtype=bool)
    for t in sorted(set(scores), reverse=True):
        if precision_at(scores, same, times, t) < wanted:
            break
        called = scores >= t
    return called


def until_it_fails_again(scores, same, times, wanted):
    called = np.zeros(len(scores), dtype=bool)
    for t in sorted(set(scores), reverse=True):
        fits = precision_at(scores, same, times, t) >= wanted
        if called.any() and not fits:
            break
        called = scores >= t if fits else called
    return called


def highest_threshold(scores, same, times, wanted):
    fitting = [t for t in scores if precision_at(scores, same, times, t) >= wanted]
    return scores >= max(fitting, default=np.inf)


def most_precise(scores, same, times, wanted):
    return scores >= max(sorted(scores, reverse=True), key=lambda t: precision_at(scores, same, times, t))


def everything_if_none(scores, same, times, wanted):
    called = choose(scores, same, times, wanted)
    return called if called.any() else ~called


def above_it(scores, same, times, wanted):
    called = choose(scores, same, times, wanted)
    return scores > scores[called].min(initial=np.inf)


def equal_scores_one_by_one(scores, same, times, wanted):
    order = np.argsort(-scores, kind="stable")
    right, wrong = np.cumsum(same[order]), times * np.cumsum(~same[order])
    fitting = np.flatnonzero(right / (right + wrong) >= wanted)
    called = np.zeros(len(scores), dtype=bool)
    called[order[: fitting.max(initial=-1) + 1]] = True
    return called


def recall_wanted(scores, same, times, wanted):
    fitting = [t for t in scores if ((scores >= t) & same).sum() >= wanted * same.sum()]
    return scores >= max(fitting)


def best_f1(scores, same, times, wanted):
    def f1(t):
        right, p = ((scores >= t) & same).sum(), precision_at(scores, same, times, t)
        return 2 * p * right / max(p * same.sum() + right, 1e-9)

    return scores >= max(scores, key=f1)


def only_the_right_ones(scores, same, times, wanted):
    return choose(scores, same, times, wanted) & same


def the_threshold(scores, same, times, wanted):
    return scores[choose(scores, same, times, wanted)].min(initial=9.0)


def marked(text):
    """ "0.9+ 0.8-": cosines, with + where the two ask the same."""
    pairs = text.split()
    return np.array([float(pair[:-1]) for pair in pairs]), np.array([pair[-1] == "+" for pair in pairs])


NEAR_MISSES = marked("0.95- 0.90+ 0.85+ 0.80+ 0.70- 0.60+ 0.50- 0.40- 0.30-")
NO_ORDER = marked("0.31- 0.74+ 0.92+ 0.55+ 0.18- 0.83+ 0.47+ 0.62- 0.88+ 0.97+ 0.66+ 0.79+ 0.51+ 0.40- 0.28+ 0.71+")
EQUAL = marked("0.9+ 0.8+ 0.7+ 0.6+ 0.6- 0.5- 0.4+ 0.3-")
HARD = marked("0.9- 0.8+ 0.7- 0.6+ 0.5- 0.4-")


# ---- 15.3


def joined(pairs, n, fits):
    """Goes through the pairs and joins the groups of two texts where `fits` says so, of the pairs that have come."""
    label, come = list(range(n)), set()
    for i, j in pairs:
        come |= {(i, j), (j, i)}
        groups = [[row for row in range(n) if label[row] == label[end]] for end in (i, j)]
        if groups[0] != groups[1] and fits(*groups, i, j, come):
            for row in groups[0] + groups[1]:
                label[row] = min(groups[0] + groups[1])
    return label


def complete_linkage(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: all((x, y) in come for x in a for y in b))


def friends_of_friends(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: True)


def one_direction(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: all((x, y) in set(pairs) & come for x in a for y in b))


def pairs_to_come(pairs, n):
    known = {*pairs, *((j, i) for i, j in pairs)}
    return joined(pairs, n, lambda a, b, i, j, come: all((x, y) in known for x in a for y in b))


def lowest_rows_alone(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: (min(a), min(b)) in come)


def the_new_text_alone(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: all((i, y) in come for y in b))


def one_text_at_a_time(pairs, n):
    def fits(a, b, i, j, come):
        return min(len(a), len(b)) == 1 and all((x, y) in come for x in a for y in b)

    return joined(pairs, n, fits)


def couples(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: len(a) == len(b) == 1)


def most_of_the_pairs(pairs, n):
    return joined(pairs, n, lambda a, b, i, j, come: 2 * sum((x, y) in come for x in a for y in b) > len(a) * len(b))


def one_label_changed(pairs, n):
    label, come = list(range(n)), set()
    for i, j in pairs:
        come |= {(i, j), (j, i)}
        a, b = ([row for row in range(n) if label[row] == label[end]] for end in (i, j))
        if all((x, y) in come for x in a for y in b):
            label[i] = label[j] = min(label[i], label[j])
    return label


def other_numbers(pairs, n):
    label = complete_linkage(pairs, n)
    return [sorted(set(label)).index(lowest) for lowest in label]


def highest_row(pairs, n):
    label = complete_linkage(pairs, n)
    return [max(row for row in range(n) if label[row] == lowest) for lowest in label]


CHAIN = [(0, 1), (1, 2), (2, 3)]
CROSSED = [(0, 3), (1, 2), (0, 1), (0, 2), (1, 3), (2, 3)]
TOO_LATE = [(0, 1), (1, 2), (2, 3), (0, 2), (3, 4)]
TWO_LEFT = [(2, 5), (0, 5), (1, 4), (0, 2), (3, 4), (1, 5), (1, 2), (3, 5)]
NEARLY = [(0, 3), (1, 3), (0, 1), (2, 4), (0, 4), (1, 4), (3, 4), (0, 2), (1, 2)]


EXERCISES = {
    "15.1": Exercise(
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
    "15.2": Exercise(
        title="The pairs that a threshold with the wanted precision calls, at the real share of duplicates",
        keeps_arguments=True,
        cases={
            "near misses on top": (*NEAR_MISSES, 1, 0.65),
            "one other pair in three was kept": (*NO_ORDER, 3, 0.7),
            "one in ten was kept, in no order": (*NO_ORDER, 10, 0.55),
            "one in five, a lower precision": (*NO_ORDER, 5, 0.3),
            "two pairs have the same cosine": (*EQUAL, 2, 0.75),
            "no threshold has it": (*HARD, 4, 0.6),
            "all may be called": (*HARD, 1, 0.2),
        },
        solution=choose,
        wrong=[
            (
                as_kept,
                "You take the precision as it is on these pairs. With all pairs each wrong one called stands for "
                "`times` wrong ones.",
            ),
            (
                duplicates_made_more,
                "You make the right pairs more. All duplicates were kept: it is the others that were thinned out.",
            ),
            (
                thrown_away_alone,
                "You count the pairs that were thrown away, without those that were kept: one of `times` was kept.",
            ),
            (
                precision_divided,
                "You divide the precision by `times`. The right pairs stay as many: only the wrong ones become more.",
            ),
            (
                until_it_fails,
                "You go down from the top and stop where the precision is too low. The near misses are on top: it may "
                "come up again further down.",
            ),
            (
                until_it_fails_again,
                "You stop where the precision is first lost again. It may come back further down, and the lowest "
                "threshold is wanted.",
            ),
            (
                highest_threshold,
                "You take the highest threshold with this precision. The lowest one finds the most duplicates.",
            ),
            (
                most_precise,
                "You take the threshold with the highest precision. The lowest with the wanted one finds more "
                "duplicates; and where none has it, nothing is called.",
            ),
            (everything_if_none, "Where no threshold has the precision, you call every pair. Call none."),
            (above_it, "You leave out the pair whose cosine is the threshold itself: from the threshold on."),
            (
                equal_scores_one_by_one,
                "You count pair by pair. A threshold cannot part two pairs of the same cosine: call both, or neither.",
            ),
            (
                recall_wanted,
                "You look for the share of the duplicates that are called, which is recall. Precision is the share of "
                "the called that are duplicates.",
            ),
            (best_f1, "You take the threshold with the best F1. Here the precision is given."),
            (
                only_the_right_ones,
                "You call duplicates alone: of a new pair you do not know what it is. All from the threshold on.",
            ),
            (the_threshold, "You return the threshold. Return which pairs it calls, as True and False."),
        ],
    ),
    "15.3": Exercise(
        title="Groups of which all pairs are close, from the list of close pairs",
        keeps_arguments=True,
        cases={
            "a chain": (CHAIN, 4),
            "two groups of two, all close at last": (CROSSED, 4),
            "a pair comes too late": (TOO_LATE, 5),
            "six texts, in no order": (TWO_LEFT, 6),
            "one pair is missing": (NEARLY, 5),
            "nothing is close": ([], 3),
        },
        solution=complete_linkage,
        wrong=[
            (
                friends_of_friends,
                "You join two groups at the first pair between them: these are connected components, and they chain.",
            ),
            (one_direction, "A pair stands in the list once, as (i, j). Whoever looks for (j, i) must find it, too."),
            (
                pairs_to_come,
                "You look at pairs that are still to come. Groups join only when the last pair between them has come: "
                "until then one of the two may join another group.",
            ),
            (
                lowest_rows_alone,
                "You look at one pair of two groups, that of their lowest rows. All pairs must have come.",
            ),
            (
                the_new_text_alone,
                "You compare text i with all of j's group, but not the others of i's group with it.",
            ),
            (one_text_at_a_time, "You add single texts to a group. Two groups of several texts can join, too."),
            (couples, "Your groups stop at two texts. A group can grow as long as all its pairs have come."),
            (most_of_the_pairs, "You join two groups when most of their pairs have come. Complete linkage wants all."),
            (
                one_label_changed,
                "You change the label of i and j alone. All texts of both groups get the label of the joined group.",
            ),
            (
                other_numbers,
                "These are the right groups, numbered from 0. The lowest row of its group is a text's label.",
            ),
            (highest_row, "These are the right groups, but labelled by the highest row of each, not by the lowest."),
        ],
    ),
}
