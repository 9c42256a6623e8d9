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


# ---- 13.2


def windows(tokens, size, overlap):
    found = []
    for start in range(0, max(tokens - overlap, min(tokens, 1)), size - overlap):
        found.append((start, min(start + size, tokens)))
    return found


def no_overlap(tokens, size, overlap):
    return windows(tokens, size, 0)


def last_one_missing(tokens, size, overlap):
    return [(start, start + size) for start in range(0, tokens - size + 1, size - overlap)]


def past_the_end(tokens, size, overlap):
    return [(start, start + size) for start, _ in windows(tokens, size, overlap)]


def step_is_overlap(tokens, size, overlap):
    return [(start, min(start + size, tokens)) for start in range(0, max(tokens - overlap, 1), overlap or size)]


def one_too_many(tokens, size, overlap):
    return [(start, min(start + size, tokens)) for start in range(0, tokens, size - overlap)]


def to_the_last_token(tokens, size, overlap):
    return [(start, start + size) for start in range(0, tokens - overlap, size - overlap)]


def none_for_short_ones(tokens, size, overlap):
    return [(start, min(start + size, tokens)) for start in range(0, tokens - overlap, size - overlap)]


def steps_of_overlap(tokens, size, overlap):
    return [(start, min(start + size, tokens)) for start in range(0, tokens, overlap or size)]


EXERCISES = {
    "13.1": Exercise(
        title="Graded nDCG of the first k documents",
        cases={
            "the better one late": (["a", "b", "c", "d"], {"d": 2, "b": 1, "x": 1}, 4),
            "the best order": (["d", "b", "a"], {"d": 2, "b": 1}, 3),
            "more right ones than places": (["b", "d", "a"], {"d": 3, "b": 1, "c": 2}, 2),
            "nothing found": (["a", "c"], {"d": 2}, 2),
            "found behind k": (["a", "c", "d"], {"d": 2}, 2),
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
            (exponential_gain, "You add 2^grade - 1, as some do; here it is the grade itself."),
            (ideal_not_sorted, "The best order begins with the highest grade: sort the grades first."),
            (ideal_not_cut, "The best order has k places, too: not all right documents may fit into it."),
        ],
    ),
    "13.2": Exercise(
        title="Begin and end of overlapping pieces",
        cases={
            "three pieces": (10, 5, 2),
            "the last one is shorter": (11, 4, 1),
            "no overlap": (9, 3, 0),
            "shorter than a piece": (3, 5, 2),
            "as long as a piece": (5, 5, 2),
            "no longer than the overlap": (2, 5, 3),
        },
        solution=windows,
        wrong=[
            (no_overlap, "Your pieces share nothing. How far is it from one start to the next?"),
            (last_one_missing, "The end of the text is in none of your pieces: the last piece may be shorter."),
            (past_the_end, "Your last piece ends after the text does."),
            (
                to_the_last_token,
                "Your last piece ends after the text does, and a text no longer than the overlap has none at all.",
            ),
            (none_for_short_ones, "A text no longer than the overlap is one piece, too."),
            (step_is_overlap, "You step forward by the overlap. Step by what is new in each piece."),
            (
                steps_of_overlap,
                "Each of your pieces begins one overlap after the one before. Step by what is new in each piece.",
            ),
            (one_too_many, "Your last piece holds nothing that the one before it does not hold already."),
        ],
    ),
}
