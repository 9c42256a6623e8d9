"""Solutions of notebook 07. Try the exercises first: check() tells you what kind of mistake you made."""

import math

import torch

from course_lib.exercises import Exercise

# ---- 07.1


def score(u, v, weights):
    return (u - v).abs() @ weights  # (batch, dim) @ (dim,) -> (batch,)


def with_sign(u, v, weights):
    return (u - v) @ weights


def squared(u, v, weights):
    return (u - v).square() @ weights


def rooted(u, v, weights):
    return ((u - v).square() * weights).sum(dim=1).abs().sqrt()


def lengths_compared(u, v, weights):
    return (u.abs() - v.abs()).abs() @ weights


def absolute_last(u, v, weights):
    return ((u - v) @ weights).abs()


def product(u, v, weights):
    return (u * v) @ weights


def weights_made_positive(u, v, weights):
    return (u - v).abs() @ weights.abs()


def averaged(u, v, weights):
    return ((u - v).abs() * weights).mean(dim=1)


def not_added(u, v, weights):
    return (u - v).abs() * weights


def without_weights(u, v, weights):
    return (u - v).abs().sum(dim=1)


def one_number(u, v, weights):
    return ((u - v).abs() @ weights).sum()


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


def error_by_n_minus_1(scores):
    mean, deviation, _ = summary(scores)
    return mean, deviation, deviation / math.sqrt(len(scores) - 1)


def mean_distance(scores):
    mean = summary(scores)[0]
    spread = sum(abs(score - mean) for score in scores) / len(scores)
    return mean, spread, spread / math.sqrt(len(scores))


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


def paired_by_n(a, b):
    return divided_by_n([a[seed] - b[seed] for seed in a.keys() & b.keys()])[:2]


def paired_error(a, b):
    mean, _, error = summary([a[seed] - b[seed] for seed in a.keys() & b.keys()])
    return mean, error


def paired_variance(a, b):
    mean, deviation = paired_difference(a, b)
    return mean, deviation**2


def paired_error_by_n(a, b):
    mean, _, error = divided_by_n([a[seed] - b[seed] for seed in a.keys() & b.keys()])
    return mean, error


def means_of_all_runs(a, b):
    return summary(list(a.values()))[0] - summary(list(b.values()))[0], paired_difference(a, b)[1]


def missing_is_zero(a, b):
    return summary([a.get(seed, 0) - b.get(seed, 0) for seed in a.keys() | b.keys()])[:2]


def share_won(a, b):
    common = a.keys() & b.keys()
    return paired_difference(a, b)[0], sum(a[seed] > b[seed] for seed in common) / len(common)


U = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])
V = torch.tensor([[0.0, 1.0], [2.0, -1.5], [-3.0, 0.5]])

EXERCISES = {
    "07.1": Exercise(
        title="What a linear head makes of |u - v|",
        cases={
            "weights of one sign": (U, V, torch.tensor([-1.0, -0.5])),
            "weights of both signs": (U, V, torch.tensor([2.0, -1.0])),
            "equal vectors": (U, U.clone(), torch.tensor([2.0, -1.0])),
        },
        solution=score,
        wrong=[
            (with_sign, "Your differences keep their signs, so that they cancel each other. Where do the bars stand?"),
            (squared, "You square the differences. The head gets their sizes, and adds nothing of its own."),
            (rooted, "That is a Euclidean distance. A linear head takes no squares and no root."),
            (
                lengths_compared,
                "You drop the signs before you subtract, so that 1 and -1 count as equal. What is taken the absolute "
                "value of?",
            ),
            (
                absolute_last,
                "You take the absolute value of the sum. Which comes first, the absolute value or the weights?",
            ),
            (product, "You multiply u and v. That is the part u*v, which has a head of its own."),
            (
                weights_made_positive,
                "Your weights lose their signs. A label may lose points where two sentences differ: that is a "
                "negative weight.",
            ),
            (without_weights, "You leave out the weights: a head may count one dimension more than another."),
            (averaged, "You average over the dimensions. What does a linear map do with its products?"),
            (not_added, "You give a number for each dimension. A head gives one for each pair."),
            (one_number, "You give one number for the whole batch. A head gives one for each pair: which dim goes?"),
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
            (
                error_by_n_minus_1,
                "Mean and deviation are right. The error divides by the root of n itself: 1 is taken off once.",
            ),
            (mean_distance, "You average the distances from the mean. The standard deviation squares them first."),
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
            (
                paired_by_n,
                "Your differences are right, but their spread divides by n, as if their true mean were known.",
            ),
            (
                paired_error,
                "That is how far the mean of the differences scatters. Asked is how far one difference does.",
            ),
            (
                paired_error_by_n,
                "Twice off: your deviation divides by n, then by its root. How far does one difference scatter?",
            ),
            (
                means_of_all_runs,
                "Your spread is right. For the mean, a run counts only where both settings have its seed.",
            ),
            (paired_variance, "Your spread is in squares of points. Which operation brings it back to points?"),
            (missing_is_zero, "You count a run that is missing as a score of 0. Only seeds in both count."),
            (share_won, "You count the seeds that `a` wins. Asked is how far its lead scatters, in points."),
            (by_position, "You pair by position. Two runs belong together when their seeds are equal."),
        ],
    ),
}
