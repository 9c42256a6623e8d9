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
}
