"""Solutions of notebook 13. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np

from course_lib.exercises import Exercise

# ---- 13.1


def word(low, high):
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def middle(values, share=95):
    """The range of so many per cent of the values, the same number left out at both ends."""
    low, high = np.percentile(values, ((100 - share) / 2, (100 + share) / 2))
    return float(low), float(high)


def judged(values, share=95):
    low, high = middle(values, share)
    return low, high, word(low, high)


def compare(new, old, drawn):
    return judged((new - old)[drawn].mean(axis=1))


def two_intervals(new, old, drawn):
    of_new, of_old = middle(new[drawn].mean(axis=1)), middle(old[drawn].mean(axis=1))
    low, high = of_new[0] - of_old[1], of_new[1] - of_old[0]
    return low, high, word(low, high)


def not_paired(new, old, drawn):
    return judged(new[drawn].mean(axis=1) - old[drawn[::-1]].mean(axis=1))


def of_the_queries(new, old, drawn):
    return judged(new - old)


def of_all_drawn(new, old, drawn):
    return judged((new - old)[drawn])


def mean_of_each_query(new, old, drawn):
    return judged((new - old)[drawn].mean(axis=0))


def by_formula(new, old, drawn):
    gains = new - old
    reach = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains))
    low, high = float(gains.mean() - reach), float(gains.mean() + reach)
    return low, high, word(low, high)


def ninety(new, old, drawn):
    return judged((new - old)[drawn].mean(axis=1), 90)


def lowest_and_highest(new, old, drawn):
    return judged((new - old)[drawn].mean(axis=1), 100)


def below_one_per_cent(new, old, drawn):
    low, high = np.percentile((new - old)[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high), word(low, high)


def other_way_round(new, old, drawn):
    return compare(old, new, drawn)


def word_turned(new, old, drawn):
    low, high, _ = compare(new, old, drawn)
    return low, high, word(-high, -low)


def word_by_the_mean(new, old, drawn):
    low, high, _ = compare(new, old, drawn)
    return low, high, word(*[(new - old).mean()] * 2)


def zero_ends_count_out(new, old, drawn):
    low, high, _ = compare(new, old, drawn)
    return low, high, "better" if low >= 0 else "worse" if high <= 0 else "cannot tell"


def searches(seed, gain, queries=20, draws=400, ties=0):
    """nDCG of a new and an old search, whose scores go up and down with the same queries; and draws of them."""
    generator = np.random.default_rng(seed)
    old = generator.uniform(0.1, 0.8, size=queries)
    new = np.clip(old + generator.normal(gain, 0.1, size=queries), 0, 1)
    new[:ties] = old[:ties]
    return new, old, generator.integers(queries, size=(draws, queries))


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
        title="Is the new search better? The interval of a difference, and what it says",
        cases={
            "a clear gain": searches(0, 0.12),
            "a clear loss": searches(1, -0.12),
            "a gain that these queries cannot show": searches(2, 0.01),
            "a small loss": searches(3, -0.02),
            "a gain on two queries, all others equal": searches(6, 0.3, ties=18),
            "a loss on two queries, all others equal": searches(9, -0.3, ties=18),
        },
        solution=compare,
        wrong=[
            (
                two_intervals,
                "You compare the intervals of the two searches. Both answered the same queries: what can be subtracted "
                "first?",
            ),
            (not_paired, "The two searches are not drawn together. Which queries does one draw take from each?"),
            (of_the_queries, "That is how far the queries differ. How far do their means, over many draws?"),
            (of_all_drawn, "You take the range of single differences. Each draw has one mean."),
            (mean_of_each_query, "You average over the draws. Over which axis are the queries of one draw?"),
            (by_formula, "You compute the range by a formula. Asked for is that of the means that were drawn."),
            (ninety, "Your range holds 90 % of the means: leave out 2.5 % at each end."),
            (lowest_and_highest, "Your range holds all means. Which part of them should it hold?"),
            (below_one_per_cent, "np.percentile counts from 0 to 100, not to 1."),
            (other_way_round, "You subtract the new search from the old one. What should a positive number mean?"),
            (word_turned, "Your words are the wrong way round. Is a high nDCG good or bad?"),
            (word_by_the_mean, "Your word looks at the mean alone. What if the interval contains 0?"),
            (zero_ends_count_out, "An interval that ends at 0 still contains it."),
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
