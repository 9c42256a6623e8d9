"""Solutions of notebook 12. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from torch.nn.functional import normalize

from course_lib.exercises import Exercise

# ---- 12.1


def cut_similarity(a, b, dim):
    return normalize(a[:, :dim], dim=1) @ normalize(b[:, :dim], dim=1).T  # (n, dim) @ (dim, m) -> (n, m)


def normalized_before(a, b, dim):
    return normalize(a, dim=1)[:, :dim] @ normalize(b, dim=1)[:, :dim].T


def dot_products(a, b, dim):
    return a[:, :dim] @ b[:, :dim].T


def not_cut(a, b, dim):
    return normalize(a, dim=1) @ normalize(b, dim=1).T


def last_numbers(a, b, dim):
    return cut_similarity(a.flip(1), b.flip(1), dim)


def rows_cut(a, b, dim):
    return normalize(a[:dim], dim=1) @ normalize(b[:dim], dim=1).T


def row_by_row(a, b, dim):
    return (normalize(a[:, :dim], dim=1) * normalize(b[:, :dim], dim=1)).sum(dim=1)


def turned_round(a, b, dim):
    return cut_similarity(b, a, dim)


# ---- 12.2


def hardest(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if i != positive and score <= scores[positive] - margin]
    return max(allowed, key=lambda i: scores[i], default=-1)


def without_margin(scores, positive, margin):
    return hardest(scores, positive, 0.0)


def unfiltered(scores, positive, margin):
    return max((i for i in range(len(scores)) if i != positive), key=lambda i: scores[i], default=-1)


def wrong_way(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if i != positive and score <= scores[positive] + margin]
    return max(allowed, key=lambda i: scores[i], default=-1)


def relative(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if i != positive and score <= scores[positive] * (1 - margin)]
    return max(allowed, key=lambda i: scores[i], default=-1)


def easiest(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if i != positive and score <= scores[positive] - margin]
    return min(allowed, key=lambda i: scores[i], default=-1)


def first_allowed(scores, positive, margin):
    return next((i for i, score in enumerate(scores) if i != positive and score <= scores[positive] - margin), -1)


def strictly_below(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if i != positive and score < scores[positive] - margin]
    return max(allowed, key=lambda i: scores[i], default=-1)


def raises_where_none(scores, positive, margin):
    return max(
        (i for i, score in enumerate(scores) if i != positive and score <= scores[positive] - margin),
        key=lambda i: scores[i],
    )


def with_the_positive(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if score <= scores[positive] - margin]
    return max(allowed, key=lambda i: scores[i], default=-1)


def last_of_equals(scores, positive, margin):
    allowed = [i for i, score in enumerate(scores) if i != positive and score <= scores[positive] - margin]
    return max(allowed, key=lambda i: (scores[i], i), default=-1)


def counted_from_one(scores, positive, margin):
    found = hardest(scores, positive, margin)
    return found if found < 0 else found + 1


def score_of_the_hardest(scores, positive, margin):
    return max((s for i, s in enumerate(scores) if i != positive and s <= scores[positive] - margin), default=-1)


# ---- 12.3


def false_share(groups):
    return sum(count * false / read for count, read, false in groups) / sum(count for count, _, _ in groups)


def pooled(groups):
    return sum(false for _, _, false in groups) / sum(read for _, read, _ in groups)


def mean_of_shares(groups):
    return sum(false / read for _, read, false in groups) / len(groups)


def found_so_far(groups):
    return sum(false for _, _, false in groups) / sum(count for count, _, _ in groups)


def how_many(groups):
    return sum(count * false / read for count, read, false in groups)


def in_percent(groups):
    return 100 * false_share(groups)


def true_share(groups):
    return 1 - false_share(groups)


def of_each_group(groups):
    return [false / read for _, read, false in groups]


def weighted_by_what_was_read(groups):
    return sum(read * false / count for count, read, false in groups) / sum(read for _, read, _ in groups)


def the_first_group(groups):
    return groups[0][2] / groups[0][1]


A = torch.tensor([[1.0, 2.0, 3.0, -4.0], [0.5, -1.0, 0.0, 2.0], [2.0, 0.3, -1.0, 1.0]])
B = torch.tensor([[2.0, 1.0, -1.0, 0.5], [3.0, 4.0, 1.0, 1.0]])

EXERCISES = {
    "12.1": Exercise(
        title="Cosines of vectors cut to their first numbers",
        cases={
            "three and two vectors, two numbers": (A, B, 2),
            "three numbers": (A, B, 3),
            "as many of both": (A[:2], B, 2),
        },
        solution=cut_similarity,
        wrong=[
            (normalized_before, "You normalise the whole vectors and cut afterwards. Which length have they then?"),
            (
                dot_products,
                "You take dot products: a long vector wins against everything. The trap above shows what that costs.",
            ),
            (not_cut, "You compare the whole vectors. How many numbers are to be used?"),
            (last_numbers, "You keep the last numbers of each vector. The first ones are wanted."),
            (rows_cut, "You leave out vectors where numbers of each vector should go. Which axis is which?"),
            (
                row_by_row,
                "You compare vector i with vector i only. Every one of `a` is to be compared with every one of `b`.",
            ),
            (turned_round, "Your matrix lies on its side: rows belong to `a`, columns to `b`."),
        ],
    ),
    "12.2": Exercise(
        title="The hardest negative below a margin",
        cases={
            "the nearest is too near": ([0.2, 0.8, 0.75, 0.6, 0.71, 0.65], 1, 0.1),
            "one is above the positive": ([0.9, 0.5, 0.3, 0.45, 0.1], 1, 0.125),
            "exactly at the margin": ([0.25, 0.5, 0.125], 1, 0.25),
            "none is left": ([0.7, 0.6, 0.65], 1, 0.2),
            "no margin at all": ([0.3, 0.5, 0.75, 0.4], 1, 0.0),
            "two are equally hard": ([0.125, 0.25, 0.75, 0.25, 0.625], 2, 0.25),
        },
        solution=hardest,
        wrong=[
            (without_margin, "You leave the margin out: what lies just below the positive may be a right answer, too."),
            (unfiltered, "You take the nearest of all other texts, also where it is nearer than the positive."),
            (
                wrong_way,
                "You allow scores up to the positive's _plus_ the margin. On which side of the positive should a "
                "negative be?",
            ),
            (
                with_the_positive,
                "You return the positive itself where the margin is 0. It is no negative, whatever the margin.",
            ),
            (
                last_of_equals,
                "Of two that are equally hard you return the last one's position. The first one's is wanted.",
            ),
            (counted_from_one, "You count from 1. Positions in a list begin at 0."),
            (score_of_the_hardest, "You return the score of the negative. Its position is wanted."),
            (relative, "You take the margin as a share of the positive's score. Here it is subtracted."),
            (easiest, "You take the lowest score of those that are left. Which negative is the hard one?"),
            (first_allowed, "You take the first that is low enough. There may be a higher one after it."),
            (strictly_below, "At most the positive's minus the margin: a score exactly there is allowed."),
            (raises_where_none, "Nothing may be left below the margin. What is to be returned then?"),
        ],
    ),
    "12.3": Exercise(
        title="The share of false negatives, from what was read of each group",
        cases={
            "all of one group read, a few of the other": ([(40, 40, 30), (160, 20, 5)],),
            "three groups": ([(10, 5, 5), (30, 10, 2), (60, 12, 3)],),
            "one group": ([(100, 20, 5)],),
            "one group without any": ([(50, 10, 0), (50, 10, 4)],),
        },
        solution=false_share,
        wrong=[
            (
                pooled,
                "You add up what was read. One group was read whole, the other in part: each must count by its size.",
            ),
            (mean_of_shares, "You average the shares of the groups as if they were of one size."),
            (found_so_far, "You count only those that were found. What of those that nobody has read?"),
            (how_many, "You return how many there may be. Which share of all is that?"),
            (in_percent, "You return per cent. A share lies between 0 and 1."),
            (true_share, "You return the share of true negatives."),
            (of_each_group, "You return a share for each group. One for all of them is wanted."),
            (weighted_by_what_was_read, "You mix up how many there are and how many were read."),
            (the_first_group, "You look at one group only."),
        ],
    ),
}
