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


# ---- 12.3


def cosine_of_rows(a, b):
    return (normalize(a, dim=1) * normalize(b, dim=1)).sum(dim=1)  # (n, dim), (n, dim) -> (n,)


def suspects(positives, negatives, threshold):
    cosines = cosine_of_rows(positives, negatives).tolist()
    return sorted((i for i, x in enumerate(cosines) if x >= threshold), key=lambda i: -cosines[i])


def by_dot_product(positives, negatives, threshold):
    scores = (positives * negatives).sum(dim=1).tolist()
    return sorted((i for i, x in enumerate(scores) if x >= threshold), key=lambda i: -scores[i])


def with_any_positive(positives, negatives, threshold):
    nearest = (normalize(negatives, dim=1) @ normalize(positives, dim=1).T).amax(dim=1).tolist()  # (n, n) -> (n,)
    return sorted((i for i, x in enumerate(nearest) if x >= threshold), key=lambda i: -nearest[i])


def in_order_of_rows(positives, negatives, threshold):
    return sorted(suspects(positives, negatives, threshold))


def farthest_first(positives, negatives, threshold):
    return suspects(positives, negatives, threshold)[::-1]


def harmless(positives, negatives, threshold):
    cosines = cosine_of_rows(positives, negatives).tolist()
    return sorted((i for i, x in enumerate(cosines) if x < threshold), key=lambda i: -cosines[i])


def beyond_threshold(positives, negatives, threshold):
    cosines = cosine_of_rows(positives, negatives).tolist()
    return sorted((i for i, x in enumerate(cosines) if x > threshold), key=lambda i: -cosines[i])


def how_many(positives, negatives, threshold):
    return len(suspects(positives, negatives, threshold))


def true_or_false(positives, negatives, threshold):
    return [x >= threshold for x in cosine_of_rows(positives, negatives).tolist()]


POSITIVES = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.5, 0.0], [3.0, 4.0]])
NEGATIVES = torch.tensor([[3.0, 3.0], [0.0, 0.25], [-1.0, 1.0], [2.0, 1.0], [4.0, -3.0]])
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
            (relative, "You take the margin as a share of the positive's score. Here it is subtracted."),
            (easiest, "You take the lowest score of those that are left. Which negative is the hard one?"),
            (first_allowed, "You take the first that is low enough. There may be a higher one after it."),
            (strictly_below, "At most the positive's minus the margin: a score exactly there is allowed."),
            (raises_where_none, "Nothing may be left below the margin. What is to be returned then?"),
        ],
    ),
    "12.3": Exercise(
        title="Mined negatives that nearly repeat their positive",
        cases={
            "cosines 0.71, 1, 0, 0.89, 0": (POSITIVES, NEGATIVES, 0.7),
            "a higher threshold": (POSITIVES, NEGATIVES, 0.8),
            "exactly at the threshold": (POSITIVES[:2], NEGATIVES[:2], 1.0),
            "none": (POSITIVES[2:3], NEGATIVES[2:3], 0.5),
        },
        solution=suspects,
        wrong=[
            (by_dot_product, "You compare by dot products: long vectors look close. Cosines are wanted."),
            (with_any_positive, "You compare a negative with all positives. Only its own row's positive is asked for."),
            (in_order_of_rows, "You return the rows in their order. Which one would you read first?"),
            (farthest_first, "Your list begins with the least suspicious row."),
            (harmless, "You return the rows below the threshold: these need no reading."),
            (beyond_threshold, "A cosine exactly at the threshold belongs to the list."),
            (how_many, "You return how many there are. Which ones?"),
            (true_or_false, "You return True and False for each row. The numbers of the rows are wanted, in order."),
        ],
    ),
}
