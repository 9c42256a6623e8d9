"""Solutions of notebook 07. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np
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


def lengths_subtracted(u, v, weights):
    return (u.abs() - v.abs()) @ weights


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


def from_meaning(before, real, shuffled):
    gains = [real[seed] - shuffled[seed] for seed in sorted(real.keys() & shuffled.keys())]
    return np.mean(gains), np.std(gains, ddof=1)


def since_the_start(before, real, shuffled):
    gains = [real[seed] - before for seed in sorted(real.keys() & shuffled.keys())]
    return np.mean(gains), np.std(gains, ddof=1)


def all_since_the_start(before, real, shuffled):
    gains = [score - before for score in real.values()]
    return np.mean(gains), np.std(gains, ddof=1)


def other_sign(before, real, shuffled):
    return from_meaning(before, shuffled, real)


def without_sign(before, real, shuffled):
    gains = [abs(real[seed] - shuffled[seed]) for seed in real.keys() & shuffled.keys()]
    return np.mean(gains), np.std(gains, ddof=1)


def keys_of_the_first(before, real, shuffled):
    return from_meaning(before, real, {seed: shuffled[seed] for seed in real})


def missing_is_zero(before, real, shuffled):
    gains = [real.get(seed, 0) - shuffled.get(seed, 0) for seed in real.keys() | shuffled.keys()]
    return np.mean(gains), np.std(gains, ddof=1)


def missing_is_the_start(before, real, shuffled):
    gains = [real.get(seed, before) - shuffled.get(seed, before) for seed in real.keys() | shuffled.keys()]
    return np.mean(gains), np.std(gains, ddof=1)


def by_position(before, real, shuffled):
    gains = [x - y for x, y in zip(real.values(), shuffled.values())]
    return np.mean(gains), np.std(gains, ddof=1)


def by_rank(before, real, shuffled):
    gains = [x - y for x, y in zip(sorted(real.values()), sorted(shuffled.values()))]
    return np.mean(gains), np.std(gains, ddof=1)


def means_of_all_runs(before, real, shuffled):
    return np.mean([*real.values()]) - np.mean([*shuffled.values()]), from_meaning(before, real, shuffled)[1]


def as_if_unrelated(before, real, shuffled):
    common = real.keys() & shuffled.keys()
    spreads = [np.std([runs[seed] for seed in common], ddof=1) for runs in (real, shuffled)]
    return from_meaning(before, real, shuffled)[0], np.hypot(*spreads)


def all_as_if_unrelated(before, real, shuffled):
    runs = [[*real.values()], [*shuffled.values()]]
    return np.mean(runs[0]) - np.mean(runs[1]), np.hypot(*(np.std(scores, ddof=1) for scores in runs))


def divided_by_n(before, real, shuffled):
    gains = [real[seed] - shuffled[seed] for seed in real.keys() & shuffled.keys()]
    return np.mean(gains), np.std(gains)


def squares(before, real, shuffled):
    mean, deviation = from_meaning(before, real, shuffled)
    return mean, deviation**2


def error_of_the_mean(before, real, shuffled):
    mean, deviation = from_meaning(before, real, shuffled)
    return mean, deviation / np.sqrt(len(real.keys() & shuffled.keys()))


# ---- 07.3


def differences(a, b, drawn):
    """(pairs,) twice, (test sets, pairs drawn) -> (test sets,) in points."""
    return 100 * (a[drawn] - b[drawn]).mean(axis=1)


def interval(a, b, drawn):
    low, high = np.percentile(differences(a, b, drawn), [2.5, 97.5])
    return low, high


def reversed_sign(a, b, drawn):
    return interval(b, a, drawn)


def shares(a, b, drawn):
    low, high = interval(a, b, drawn)
    return low / 100, high / 100


def edges_subtracted(a, b, drawn):
    (low_a, high_a), (low_b, high_b) = interval(a, 0 * b, drawn), interval(b, 0 * a, drawn)
    return low_a - low_b, high_a - high_b


def edges_crossed(a, b, drawn):
    (low_a, high_a), (low_b, high_b) = interval(a, 0 * b, drawn), interval(b, 0 * a, drawn)
    return low_a - high_b, high_a - low_b


def only_a_drawn(a, b, drawn):
    low, high = interval(a, 0 * b, drawn)
    return low - 100 * b.mean(), high - 100 * b.mean()


def only_a(a, b, drawn):
    return interval(a, 0 * b, drawn)


def five_at_each_end(a, b, drawn):
    return tuple(np.percentile(differences(a, b, drawn), [5, 95]))


def per_mille(a, b, drawn):
    return tuple(np.percentile(differences(a, b, drawn), [0.025, 0.975]))


def lowest_and_highest(a, b, drawn):
    found = differences(a, b, drawn)
    return found.min(), found.max()


def over_pairs(a, b, drawn):
    return tuple(np.percentile(100 * (a[drawn] - b[drawn]).mean(axis=0), [2.5, 97.5]))


def of_single_pairs(a, b, drawn):
    return tuple(np.percentile(100 * (a[drawn] - b[drawn]), [2.5, 97.5]))


def without_signs(a, b, drawn):
    return tuple(np.percentile(np.abs(differences(a, b, drawn)), [2.5, 97.5]))


def two_deviations(a, b, drawn):
    found = differences(a, b, drawn)
    return found.mean() - 1.96 * found.std(), found.mean() + 1.96 * found.std()


def high_first(a, b, drawn):
    return interval(a, b, drawn)[::-1]


A, B = np.array([1, 1, 1, 1, 0, 1, 1, 0, 1, 1]), np.array([1, 0, 1, 0, 0, 1, 1, 1, 1, 0])  # right on ten pairs
DRAWN = np.random.default_rng(7).integers(0, 10, (40, 10))
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
            (
                with_sign,
                "Your differences keep their signs, and so cancel. In |u - v|, bars stand around the difference.",
            ),
            (squared, "You square the differences. The head gets their sizes, and adds nothing of its own."),
            (rooted, "That is a Euclidean distance. A linear head takes no squares and no root."),
            (
                lengths_compared,
                "You drop the signs before you subtract, so that 1 and -1 count as equal. What is taken the absolute "
                "value of?",
            ),
            (
                lengths_subtracted,
                "You drop the signs of u and of v, and then subtract. The head gets the sizes of the differences.",
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
        title="What the meaning of the labels brought",
        cases={
            "real labels better in each seed": (59.0, {0: 60.0, 1: 63.0, 2: 61.5}, {0: 58.0, 1: 61.5, 2: 59.0}),
            "the seeds in another order": (63.0, {0: 60.0, 1: 63.0, 2: 61.5}, {2: 62.0, 1: 61.5, 0: 59.0}),
            "seeds that only one has": (
                70.5,
                {0: 70.0, 1: 72.0, 2: 71.0, 3: 75.0},
                {0: 70.5, 1: 70.0, 2: 71.5, 4: 68.0},
            ),
        },
        solution=from_meaning,
        wrong=[
            (
                since_the_start,
                "You subtract the score before training. Part of that change also comes with labels that mean nothing.",
            ),
            (
                all_since_the_start,
                "You subtract the score before training, from every run. What would a training without meaning have "
                "changed?",
            ),
            (other_sign, "Your sign is turned round: positive should mean that real labels are better."),
            (without_sign, "You drop the signs, so that noise alone looks like a gain."),
            (keys_of_the_first, "You ask one dictionary for a seed that only the other has. Which seeds have both?"),
            (missing_is_zero, "You count a run that is missing as a score of 0. Only seeds in both count."),
            (
                missing_is_the_start,
                "You put the score before training where a run is missing. Only seeds in both count.",
            ),
            (by_position, "You pair by position. Two runs belong together when their seeds are equal."),
            (by_rank, "You pair best with best. What makes two runs a pair?"),
            (
                means_of_all_runs,
                "Your spread is right. For the mean, a run counts only where both have its seed.",
            ),
            (
                as_if_unrelated,
                "The mean is right. For the spread, subtract seed by seed first, then ask how the differences scatter.",
            ),
            (
                all_as_if_unrelated,
                "You compare all runs as if they had nothing in common. Subtract seed by seed first.",
            ),
            (
                divided_by_n,
                "Your differences are right, but their spread divides by n. The notebook divides by n - 1, because the "
                "mean was fitted to the same few numbers.",
            ),
            (squares, "Your spread is in squares of points. Which operation brings it back to points?"),
            (
                error_of_the_mean,
                "That is how far the mean of the differences scatters. Asked is how far one difference does.",
            ),
        ],
    ),
    "07.3": Exercise(
        title="The range of a difference over drawn test sets",
        cases={
            "ten pairs": (A, B, DRAWN),
            "the other way round": (B, A, DRAWN),
            "test sets of half the size": (A, B, DRAWN[:, :5]),
            "larger test sets": (A, B, DRAWN.reshape(20, 20)),
        },
        solution=interval,
        wrong=[
            (reversed_sign, "Your sign is turned round: positive should mean that `a` is right more often."),
            (shares, "Your numbers are a hundred times too small: percentages are asked."),
            (
                edges_subtracted,
                "You take the edges of each model's range and subtract those. Both models meet the same drawn pairs: "
                "subtract first, then look for the edges.",
            ),
            (
                edges_crossed,
                "You put the worst of one model against the best of the other, as if they had met different test sets.",
            ),
            (only_a_drawn, "You draw for `a` and leave `b` as it was. In another test set, both meet other pairs."),
            (only_a, "You give the range of `a` alone. Asked is the difference."),
            (five_at_each_end, "You leave out 5 percent at each end. The two ends together should be 5."),
            (per_mille, "np.percentile takes numbers from 0 to 100, so yours are almost the extremes."),
            (lowest_and_highest, "The extremes grow with the number of test sets. Leave out 2.5 percent at each end."),
            (over_pairs, "You average over the test sets. Each row of `drawn` is one test set: which axis goes?"),
            (of_single_pairs, "You give the range of single pairs. What is the difference for one whole test set?"),
            (without_signs, "You drop the signs, so that a lost test set looks like a won one."),
            (
                two_deviations,
                "You assume the shape of a bell curve. The bootstrap reads the edges off the drawn values.",
            ),
            (high_first, "Both edges are right, but the lower one comes first."),
        ],
    ),
}
