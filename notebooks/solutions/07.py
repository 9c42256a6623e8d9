"""Solutions of notebook 07. Try the exercises first: check() tells you what kind of mistake you made."""

import math

import torch

from course_lib.exercises import Exercise

# ---- 07.1


def join(u, v, names):
    parts = {"u": u, "v": v, "|u-v|": (u - v).abs(), "u*v": u * v}  # each (batch, dim)
    return torch.cat([parts[name] for name in names], dim=1)  # (batch, len(names) * dim)


def with_sign(u, v, names):
    parts = {"u": u, "v": v, "|u-v|": u - v, "u*v": u * v}
    return torch.cat([parts[name] for name in names], dim=1)


def lengths_compared(u, v, names):
    parts = {"u": u, "v": v, "|u-v|": (u.abs() - v.abs()).abs(), "u*v": u * v}
    return torch.cat([parts[name] for name in names], dim=1)


def dot_product(u, v, names):
    parts = {"u": u, "v": v, "|u-v|": (u - v).abs(), "u*v": (u * v).sum(dim=1, keepdim=True)}
    return torch.cat([parts[name] for name in names], dim=1)


def one_distance(u, v, names):
    parts = {"u": u, "v": v, "|u-v|": (u - v).norm(dim=1, keepdim=True), "u*v": u * v}
    return torch.cat([parts[name] for name in names], dim=1)


def stacked(u, v, names):
    parts = {"u": u, "v": v, "|u-v|": (u - v).abs(), "u*v": u * v}
    return torch.cat([parts[name] for name in names], dim=0)


def own_order(u, v, names):
    return join(u, v, [name for name in ("u", "v", "|u-v|", "u*v") if name in names])


# ---- 07.2


def summary(scores):
    n, mean = len(scores), sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / (n - 1))
    return mean, deviation, deviation / math.sqrt(n)


def divided_by_n(scores):
    n, mean = len(scores), sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / n)
    return mean, deviation, deviation / math.sqrt(n)


def variance(scores):
    mean, deviation, _ = summary(scores)
    return mean, deviation**2, deviation**2 / len(scores)


def error_by_n(scores):
    mean, deviation, _ = summary(scores)
    return mean, deviation, deviation / len(scores)


def one_spread(scores):
    mean, deviation, _ = summary(scores)
    return mean, deviation, deviation


def swapped(scores):
    mean, deviation, error = summary(scores)
    return mean, error, deviation


def whole_range(scores):
    mean, spread = summary(scores)[0], max(scores) - min(scores)
    return mean, spread, spread / math.sqrt(len(scores))


# ---- 07.3


def paired_difference(a, b):
    differences = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
    return summary(differences)[:2]


def as_if_unrelated(a, b):
    (mean_a, deviation_a, _), (mean_b, deviation_b, _) = summary(list(a.values())), summary(list(b.values()))
    return mean_a - mean_b, math.hypot(deviation_a, deviation_b)


def unrelated_on_common_seeds(a, b):
    common = a.keys() & b.keys()
    return as_if_unrelated({seed: a[seed] for seed in common}, {seed: b[seed] for seed in common})


def other_sign(a, b):
    return paired_difference(b, a)


def without_sign(a, b):
    return summary([abs(a[seed] - b[seed]) for seed in a.keys() & b.keys()])[:2]


def by_rank(a, b):
    return summary([x - y for x, y in zip(sorted(a.values()), sorted(b.values()))])[:2]


def by_position(a, b):
    return summary([x - y for x, y in zip(a.values(), b.values())])[:2]


U = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])
V = torch.tensor([[0.0, 1.0], [2.0, -1.5], [-3.0, 0.5]])

EXERCISES = {
    "07.1": Exercise(
        title="Join the parts that are asked for",
        cases={
            "the best of the paper": (U, V, ["u", "v", "|u-v|"]),
            "the two parts that compare": (U, V, ["|u-v|", "u*v"]),
            "another order": (U, V, ["u*v", "v", "u"]),
        },
        solution=join,
        wrong=[
            (
                with_sign,
                "Your difference keeps its sign. A linear head gets nothing new from u - v: it can subtract by itself.",
            ),
            (
                lengths_compared,
                "You drop the signs before you subtract, so that 1 and -1 count as equal. What is taken the absolute "
                "value of?",
            ),
            (
                dot_product,
                "Your product is a single number a pair, the dot product. The part has one number for each dimension.",
            ),
            (
                one_distance,
                "Your difference is a single number a pair, the Euclidean distance. The part has one number for each "
                "dimension.",
            ),
            (stacked, "You put the parts below each other, so the batch grows. A pair stays one row: which dim grows?"),
            (own_order, "The right parts, but in an order of your own. `names` gives the order."),
        ],
    ),
    "07.2": Exercise(
        title="Mean, standard deviation, standard error",
        cases={
            "three seeds": ([62.0, 63.5, 61.0],),
            "two seeds": ([70.0, 71.0],),
            "five seeds": ([55.5, 57.0, 56.0, 54.5, 58.5],),
        },
        solution=summary,
        wrong=[
            (
                divided_by_n,
                "Your standard deviation divides by n. That is right if you know the true mean; yours was fitted to "
                "the same "
                "few numbers, which costs one of them.",
            ),
            (variance, "You give squares of points. Which operation brings them back to points?"),
            (error_by_n, "Mean and deviation are right. The error of a mean shrinks more slowly than 1/n."),
            (one_spread, "Your error equals the deviation. Does a mean of many runs scatter as much as a single one?"),
            (swapped, "All the right numbers: which of the two last ones describes single runs, and which their mean?"),
            (
                whole_range,
                "Highest minus lowest grows with the number of runs. Use all the runs: how far is each from the mean?",
            ),
        ],
    ),
    "07.3": Exercise(
        title="The difference of two settings that share their seeds",
        cases={
            "seeds that move both": ({0: 60.0, 1: 63.0, 2: 61.5}, {0: 58.0, 1: 61.5, 2: 59.0}),
            "the seeds in another order": ({0: 60.0, 1: 63.0, 2: 61.5}, {2: 62.0, 1: 61.5, 0: 59.0}),
            "a seed that only one has": ({0: 70.0, 1: 72.0, 2: 71.0, 3: 75.0}, {0: 70.5, 1: 70.0, 2: 71.5}),
        },
        solution=paired_difference,
        wrong=[
            (
                as_if_unrelated,
                "You take the two spreads together, as if the runs had nothing in common, and use all runs. The same "
                "seed "
                "gave both settings the same pairs: subtract first.",
            ),
            (
                unrelated_on_common_seeds,
                "The mean is right. For the spread, you forget that a seed that is lucky for one setting may be "
                "lucky for the other: subtract first, then ask how the differences scatter.",
            ),
            (other_sign, "Your sign is turned round: positive should mean that `a` is better."),
            (without_sign, "You drop the signs, so that noise alone looks like a difference."),
            (by_rank, "You pair best with best. What makes two runs a pair?"),
            (by_position, "You pair by position. Two runs belong together when their seeds are equal."),
        ],
    ),
}
