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


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)  # (..., dim)


def merged(scores, documents, k):
    """The first k documents and their first piece, in the order of the pieces' scores, (pieces,)."""
    best = {}
    for piece in np.argsort(-scores, kind="stable").tolist():
        best.setdefault(documents[piece], piece)
    return list(best.items())[:k]


def best_documents(query, pieces, documents, k):
    return merged(unit(pieces) @ query, documents, k)


def not_normalised_pieces(query, pieces, documents, k):
    return merged(pieces @ query, documents, k)


def normalised_over_the_pieces(query, pieces, documents, k):
    return merged(pieces / np.linalg.norm(pieces, axis=0) @ query, documents, k)


def documents_twice(query, pieces, documents, k):
    return [(documents[piece], piece) for piece in np.argsort(-(unit(pieces) @ query)).tolist()[:k]]


def cut_before_merging(query, pieces, documents, k):
    best = {}
    for document, piece in documents_twice(query, pieces, documents, k):
        best.setdefault(document, piece)
    return list(best.items())


def last_piece_kept(query, pieces, documents, k):
    best = {}
    for document, piece in documents_twice(query, pieces, documents, len(pieces)):
        best[document] = piece
    return list(best.items())[:k]


def lowest_first(query, pieces, documents, k):
    return merged(-(unit(pieces) @ query), documents, k)


def by_sum(query, pieces, documents, k):
    scores, best = unit(pieces) @ query, dict(best_documents(query, pieces, documents, len(pieces)))
    totals = {document: sum(s for s, of in zip(scores, documents) if of == document) for document in best}
    return [(document, best[document]) for document in sorted(totals, key=totals.get, reverse=True)[:k]]


def by_mean(query, pieces, documents, k):
    scores, best = unit(pieces) @ query, dict(best_documents(query, pieces, documents, len(pieces)))
    means = {document: np.mean([s for s, of in zip(scores, documents) if of == document]) for document in best}
    return [(document, best[document]) for document in sorted(means, key=means.get, reverse=True)[:k]]


def first_piece_only(query, pieces, documents, k):
    firsts = [piece for piece, document in enumerate(documents) if document not in documents[:piece]]
    found = merged(unit(pieces)[firsts] @ query, [documents[piece] for piece in firsts], k)
    return [(document, firsts[row]) for document, row in found]


def by_number(query, pieces, documents, k):
    return sorted(best_documents(query, pieces, documents, k))


def piece_and_document(query, pieces, documents, k):
    return [(piece, document) for document, piece in best_documents(query, pieces, documents, k)]


TURNED = np.array([[1.0, 0.2], [6.0, 6.0], [0.9, 0.4], [0.1, 2.0], [0.3, 0.35], [0.0, 1.0]])  # (pieces, dim)
OWNERS = [7, 3, 7, 3, 5, 9]  # the document of each
WIDE = np.random.default_rng(3).normal(size=(9, 4)) * np.arange(1, 10)[:, None]  # (pieces, dim), ever longer
WIDE = WIDE * [0.1, 1, 1, 8]  # and each dimension of a size of its own
MIXED = [2, 0, 2, 1, 0, 3, 1, 2, 0]


EXERCISES = {
    "13.1": Exercise(
        title="Graded nDCG of the first k documents",
        cases={
            "the better one late": (["a", "b", "c", "d"], {"d": 2, "b": 1, "x": 1}, 4),
            "the best order": (["d", "b", "a"], {"d": 2, "b": 1}, 3),
            "more right ones than places": (["b", "d", "a"], {"d": 3, "b": 1, "c": 2}, 2),
            "the better one behind k": (["a", "b", "c", "d"], {"d": 2, "b": 1, "x": 1}, 2),
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
        title="A search over pieces that returns each document once",
        cases={
            "two documents of four": (np.array([1.0, 0.0]), TURNED, OWNERS, 2),
            "a query of another length and direction": (np.array([2.0, 3.0]), TURNED, OWNERS, 3),
            "fewer documents than k": (np.array([0.5, 0.1]), TURNED, OWNERS, 10),
            "the best one alone": (np.array([0.0, 5.0]), TURNED, OWNERS, 1),
            "pieces in any order": (np.array([0.3, -1.0, 0.5, 0.2]), WIDE, MIXED, 3),
            "the same with another query": (np.array([-1.0, 0.2, 0.1, 0.9]), WIDE, MIXED, 4),
            "one piece a document": (np.array([0.6, 0.8]), TURNED[[0, 1, 4]], [2, 0, 1], 2),
        },
        solution=best_documents,
        wrong=[
            (
                not_normalised_pieces,
                "You rank by raw dot products: long vectors win. When is one a cosine?",
            ),
            (
                normalised_over_the_pieces,
                "You divide each column by its length. Which axis of `pieces` runs along one vector?",
            ),
            (documents_twice, "A document comes up once for each of its pieces. How often may it stand in the list?"),
            (
                cut_before_merging,
                "You take the k best pieces and merge them afterwards: then there may be fewer than k documents left.",
            ),
            (last_piece_kept, "You name a document's worst piece: a later one overwrites it. Which one speaks for it?"),
            (lowest_first, "The lowest cosine comes first. Is a high one near or far?"),
            (
                by_sum,
                "You add up the cosines of a document's pieces: then many pieces win. Which one speaks for it?",
            ),
            (by_mean, "You average over a document's pieces. Here the best one alone speaks for it."),
            (first_piece_only, "You look at each document's first piece only. Why was it cut into pieces?"),
            (by_number, "Your documents are in the order of their numbers. What should decide?"),
            (piece_and_document, "The other way round: first the document, then its piece."),
        ],
    ),
}
