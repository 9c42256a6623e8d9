"""Solutions of notebook 13. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np

from course_lib.exercises import Exercise

# ---- 13.1


def discounted(gains):
    return float(sum(gain / np.log2(1 + rank) for rank, gain in enumerate(gains, 1)))


def ndcg_at_k(ranking, grades, k):
    gain = discounted([grades.get(document, 0) for document in ranking[:k]])
    return gain / discounted(sorted(grades.values(), reverse=True)[:k])


def grades_ignored(ranking, grades, k):
    return ndcg_at_k(ranking, dict.fromkeys(grades, 1), k)


def not_normalised(ranking, grades, k):
    return discounted([grades.get(document, 0) for document in ranking[:k]])


def best_of_those_found(ranking, grades, k):
    found = [grades[document] for document in ranking[:k] if document in grades]
    return not_normalised(ranking, grades, k) / discounted(sorted(found, reverse=True)) if found else 0.0


def ranks_from_zero(ranking, grades, k):
    def total(gains):
        return float(sum(gain / np.log2(2 + rank) for rank, gain in enumerate(gains, 1)))

    return total([grades.get(document, 0) for document in ranking[:k]]) / total(
        sorted(grades.values(), reverse=True)[:k]
    )


def whole_ranking(ranking, grades, k):
    return ndcg_at_k(ranking, grades, max(len(ranking), len(grades)))


def ideal_not_cut(ranking, grades, k):
    return not_normalised(ranking, grades, k) / discounted(sorted(grades.values(), reverse=True))


def exponential_gain(ranking, grades, k):
    return ndcg_at_k(ranking, {document: 2**grade - 1 for document, grade in grades.items()}, k)


def ideal_not_sorted(ranking, grades, k):
    return not_normalised(ranking, grades, k) / discounted(list(grades.values())[:k])


def ranking_not_cut(ranking, grades, k):
    return not_normalised(ranking, grades, len(ranking)) / discounted(sorted(grades.values(), reverse=True)[:k])


def ideal_as_short_as_the_ranking(ranking, grades, k):
    return not_normalised(ranking, grades, k) / discounted(sorted(grades.values(), reverse=True)[: len(ranking[:k])])


def divided_by_rank(ranking, grades, k):
    def total(gains):
        return float(sum(gain / rank for rank, gain in enumerate(gains, 1)))

    return total([grades.get(document, 0) for document in ranking[:k]]) / total(
        sorted(grades.values(), reverse=True)[:k]
    )


# ---- 13.2


def places(rough, exact, k):
    """The places, from 1, that the k best by `exact` have in the order of `rough`, the best of them first."""
    by_rough = sorted(range(len(rough)), key=lambda text: -rough[text])
    by_exact = sorted(range(len(exact)), key=lambda text: -exact[text])
    return [1 + by_rough.index(text) for text in by_exact[:k]]


def candidates_needed(rough, exact, k):
    return max(places(rough, exact, k))


def places_from_zero(rough, exact, k):
    return candidates_needed(rough, exact, k) - 1


def only_the_best(rough, exact, k):
    return places(rough, exact, 1)[0]


def the_first_of_them(rough, exact, k):
    return min(places(rough, exact, k))


def the_last_of_the_best(rough, exact, k):
    return places(rough, exact, k)[-1]


def other_way_round(rough, exact, k):
    return candidates_needed(exact, rough, k)


def lowest_first(rough, exact, k):
    return candidates_needed([-score for score in rough], [-score for score in exact], k)


def missed_ones_added(rough, exact, k):
    return k + sum(place > k for place in places(rough, exact, k))


def always_k(rough, exact, k):
    return k


def share_found(rough, exact, k):
    return sum(place <= k for place in places(rough, exact, k)) / k


EXERCISES = {
    "13.1": Exercise(
        title="Graded nDCG of the first k documents",
        cases={
            "the better one late": (["a", "b", "c", "d"], {"d": 2, "b": 1, "x": 1}, 4),
            "the best order": (["d", "b", "a"], {"d": 2, "b": 1}, 3),
            "more right ones than places": (["b", "d", "a"], {"d": 3, "b": 1, "c": 2}, 2),
            "nothing found": (["a", "c"], {"d": 2}, 2),
            "found behind k": (["a", "c", "d"], {"d": 2}, 2),
            "fewer found than places": (["a", "d"], {"d": 1, "b": 2, "c": 2}, 3),
        },
        solution=ndcg_at_k,
        wrong=[
            (grades_ignored, "You count every right document as 1. What does a grade of 2 add?"),
            (not_normalised, "That is the gain. The n of nDCG stands for a division: by what?"),
            (
                best_of_those_found,
                "You divide by the best order of the documents that were found. Those that were missed count as well.",
            ),
            (ranks_from_zero, "Your discount is off by one rank: the first place is divided by log2(2), which is 1."),
            (whole_ranking, "You look at places after the k-th."),
            (ranking_not_cut, "You look at places of the ranking after the k-th."),
            (
                ideal_as_short_as_the_ranking,
                "A search that returns fewer than k documents missed the rest: the best order still fills k places.",
            ),
            (divided_by_rank, "You discount by the rank itself. nDCG discounts more gently: look at the logarithm."),
            (exponential_gain, "You add 2^grade - 1, as some do; here it is the grade itself."),
            (ideal_not_sorted, "The best order begins with the highest grade: sort the grades first."),
            (ideal_not_cut, "The best order has k places, too: not all right documents may fit into it."),
        ],
    ),
    "13.2": Exercise(
        title="How many candidates must be rescored",
        cases={
            "the second best lies deep": ([0.9, 0.8, 0.7, 0.6, 0.5], [0.9, 0.1, 0.2, 0.3, 0.8], 2),
            "the best lies deepest": ([0.3, 0.9, 0.7, 0.1, 0.5], [0.9, 0.8, 0.2, 0.7, 0.1], 2),
            "both orders agree": ([5, 4, 3, 2], [0.4, 0.3, 0.2, 0.1], 3),
            "rough scores below 0": ([-4, -1, -3, -2, -6, -5], [0.2, 0.9, 0.1, 0.3, 0.5, 0.4], 3),
            "only the best counts": ([0.2, 0.4, 0.1, 0.3], [0.9, 0.1, 0.3, 0.2], 1),
            "all of them": ([2, 3, 1], [1, 2, 3], 3),
        },
        solution=candidates_needed,
        wrong=[
            (places_from_zero, "You count places from 0: to reach the first place takes one candidate."),
            (only_the_best, "You look for the best text alone: none of the k may be missed."),
            (the_first_of_them, "You stop at the first of the k that comes up. When have all of them come up?"),
            (the_last_of_the_best, "The k-th best by `exact` need not be the one that lies deepest by `rough`."),
            (other_way_round, "The other way round: where do the best by `exact` stand in the order of `rough`?"),
            (lowest_first, "The highest score is the best, in both lists."),
            (missed_ones_added, "You add the number of those missed. How deep do they lie?"),
            (always_k, "The first k by `rough` need not hold all k best."),
            (share_found, "That is the share of the k best that k candidates hold. How many candidates hold all?"),
        ],
    ),
}
