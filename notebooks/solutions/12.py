"""Solutions of notebook 12. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np
import torch
from torch.nn.functional import normalize

from course_lib.exercises import Exercise
from course_lib.similarity import cos_sim
from recipes.shared.mined_measures import measured, questions_in_groups

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


def mined(anchors, texts, own, share=0.8, limit=None, cosine=cos_sim, best=np.argmax):
    """The nearest text whose cosine is at most `share` of the positive's."""
    scores, rows = np.asarray(cosine(anchors, texts)), np.arange(len(anchors))  # (n, m)
    limits = share * scores[rows, own] if limit is None else limit
    allowed = scores <= np.reshape(limits, (-1, 1))
    allowed[rows, own] = False
    found = [np.flatnonzero(line) for line in allowed]
    return [int(places[best(line[places])]) if len(places) else None for line, places in zip(scores, found)]


def nearest(anchors, texts, own):
    return cos_sim(anchors, texts).argmax(dim=1).tolist()


def any_text(anchors, texts, own):
    return ((own + len(texts) // 2) % len(texts)).tolist()


def nearer_than_the_positive(anchors, texts, own):
    scores, rows = cos_sim(anchors, texts).numpy(), np.arange(len(anchors))
    too_far = scores < 0.95 * scores[rows, own][:, None]
    scores[too_far], scores[rows, own] = -2, -2
    return [int(line.argmax()) if line.max() > -2 else None for line in scores]


def gives_up(anchors, texts, own):
    """No negative for an anchor whose nearest is suspect, where the next one would do."""
    good, all_of_them = mined(anchors, texts, own), mined(anchors, texts, own, share=1e9)
    return [a if a == b else None for a, b in zip(good, all_of_them)]


def limits_of_other_rows(anchors, texts, own):
    return mined(anchors, texts, own, limit=0.8 * cos_sim(anchors, texts).numpy()[:, 0])


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
        title="Mine hard negatives, and leave out the false ones",
        cases={f"questions {i}": questions_in_groups(seed=i) for i in (1, 2)},
        solution=measured(mined),
        wrong=[
            (measured(function), message)
            for function, message in (
                (
                    nearest,
                    "You take the nearest text of all, and often that is the anchor's own positive.",
                ),
                (
                    lambda *given: mined(*given, share=1e9),
                    "You take the nearest text that is not the positive. More than half of these are right answers.",
                ),
                (
                    lambda *given: mined(*given, share=1),
                    "You only leave out what is nearer than the positive. What is nearly as near may be right, too.",
                ),
                (
                    lambda *given: mined(*given, share=0.95),
                    "A relative margin of 0.05 leaves a third of false ones here. How far below the positive is safe?",
                ),
                (
                    nearer_than_the_positive,
                    "You keep what is nearly as near as the positive, and leave out the rest. Which are the suspects?",
                ),
                (
                    lambda *given: mined(*given, cosine=lambda a, b: a @ b.T),
                    "You compare by dot product: these vectors have different lengths, and long ones win.",
                ),
                (
                    lambda *given: mined(*given, best=np.argmin),
                    "You take the farthest of those that are left. Which negative is the hard one?",
                ),
                (any_text, "Your negatives do not depend on the vectors. Hard ones are near their anchors."),
                (
                    gives_up,
                    "You give up each anchor whose nearest text is suspect. The next one may do.",
                ),
                (
                    limits_of_other_rows,
                    "You compare with the first text of the list. Where `texts` has an anchor's positive says `own`.",
                ),
            )
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
