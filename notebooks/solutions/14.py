"""Solutions of notebook 14. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np
import torch

from course_lib.exercises import Exercise

# ---- 14.1


def discounted(grades):
    return float(sum(grade / np.log2(1 + rank) for rank, grade in enumerate(grades, 1)))


def graded(ranking, grades):
    return [grades.get(document, 0) for document in ranking]


def ideal(grades, k):
    return discounted(sorted(grades.values(), reverse=True)[:k])


def ceiling(ranking, grades, n, k):
    best = sorted(graded(ranking[:n], grades), reverse=True) + graded(ranking[n:], grades)
    return discounted(best[:k]) / ideal(grades, k)


def as_it_is(ranking, grades, n, k):
    return ceiling(ranking, grades, 0, k)


def everything_reordered(ranking, grades, n, k):
    return ceiling(ranking, grades, len(ranking), k)


def candidates_alone(ranking, grades, n, k):
    return ceiling(ranking[:n], grades, n, k)


def cut_to_k_first(ranking, grades, n, k):
    return ceiling(ranking[:k], grades, n, k)


def worst_first(ranking, grades, n, k):
    return discounted((sorted(graded(ranking[:n], grades)) + graded(ranking[n:], grades))[:k]) / ideal(grades, k)


def best_of_the_candidates(ranking, grades, n, k):
    kept = {document: grades[document] for document in ranking[:n] if document in grades}
    return ceiling(ranking, grades, n, k) * ideal(grades, k) / ideal(kept, k) if kept else 0.0


def best_of_those_listed(ranking, grades, n, k):
    kept = {document: grades[document] for document in ranking if document in grades}
    return ceiling(ranking, grades, n, k) * ideal(grades, k) / ideal(kept, k) if kept else 0.0


def not_divided(ranking, grades, n, k):
    return ceiling(ranking, grades, n, k) * ideal(grades, k)


def not_cut_at_k(ranking, grades, n, k):
    return ceiling(ranking, grades, n, len(ranking)) * ideal(grades, len(ranking)) / ideal(grades, k)


def ideal_not_cut(ranking, grades, n, k):
    return not_divided(ranking, grades, n, k) / ideal(grades, len(grades))


def ideal_not_sorted(ranking, grades, n, k):
    return not_divided(ranking, grades, n, k) / discounted(list(grades.values())[:k])


def grades_ignored(ranking, grades, n, k):
    return ceiling(ranking, dict.fromkeys(grades, 1), n, k)


def ranks_from_zero(ranking, grades, n, k):
    def total(gains):
        return float(sum(gain / np.log2(2 + rank) for rank, gain in enumerate(gains, 1)))

    best = sorted(graded(ranking[:n], grades), reverse=True) + graded(ranking[n:], grades)
    return total(best[:k]) / total(sorted(grades.values(), reverse=True)[:k])


def what_is_gained(ranking, grades, n, k):
    return ceiling(ranking, grades, n, k) - as_it_is(ranking, grades, n, k)


# ---- 14.2


def splade(logits, attention_mask):
    weights = torch.log1p(torch.relu(logits)) * attention_mask.unsqueeze(-1)  # (batch, tokens, vocabulary)
    return weights.amax(1)  # (batch, vocabulary)


def unmasked(logits, attention_mask):
    return torch.log1p(torch.relu(logits)).amax(1)


def summed(logits, attention_mask):
    return (torch.log1p(torch.relu(logits)) * attention_mask.unsqueeze(-1)).sum(1)


def averaged(logits, attention_mask):
    return summed(logits, attention_mask) / attention_mask.sum(1, keepdim=True)


def without_log(logits, attention_mask):
    return (torch.relu(logits) * attention_mask.unsqueeze(-1)).amax(1)


def over_terms(logits, attention_mask):
    return (torch.log1p(torch.relu(logits)) * attention_mask.unsqueeze(-1)).amax(2)


def without_relu(logits, attention_mask):
    return (torch.log1p(logits) * attention_mask.unsqueeze(-1)).amax(1)


def without_relu_masked_first(logits, attention_mask):
    return torch.log1p(logits * attention_mask.unsqueeze(-1)).amax(1)


def masked_first(logits, attention_mask):
    return torch.log1p((logits * attention_mask.unsqueeze(-1)).amax(1))  # the log of numbers below 0


def first_tokens(logits, attention_mask):
    lengths = attention_mask.sum(1)
    return torch.stack([torch.log1p(torch.relu(of[:n])).amax(0) for of, n in zip(logits, lengths)])


def mask_of_the_first(logits, attention_mask):
    return (torch.log1p(torch.relu(logits)) * attention_mask[0].unsqueeze(-1)).amax(1)


# ---- 14.3


def scaled(scores, axis=1):
    low, high = scores.min(axis=axis, keepdims=True), scores.max(axis=axis, keepdims=True)
    return (scores - low) / (high - low)


def marks(fused, right):
    """The reciprocal rank of each query's right page: (queries, pages), (queries,) -> (queries,)."""
    own = fused[np.arange(len(fused)), right]  # (queries,)
    return 1 / (1 + (fused > own[:, None]).sum(axis=1))


def of_weights(words, meaning, right, weights, scale=scaled):
    """(weights, queries): the marks of each query with each weight."""
    words, meaning = scale(words), scale(meaning)
    return np.stack([marks(weight * words + (1 - weight) * meaning, right) for weight in weights])


def chosen(values, weights, chooses, judges):
    best = values[:, chooses].mean(axis=1).argmax()
    return weights[best], values[best, judges].mean()


def fuse_and_report(words, meaning, right, weights, chooses):
    return chosen(of_weights(words, meaning, right, weights), weights, chooses, ~chooses)


def report_on_the_same(words, meaning, right, weights, chooses):
    return chosen(of_weights(words, meaning, right, weights), weights, chooses, chooses)


def report_on_all(words, meaning, right, weights, chooses):
    return chosen(of_weights(words, meaning, right, weights), weights, chooses, chooses | True)


def choose_on_all(words, meaning, right, weights, chooses):
    return chosen(of_weights(words, meaning, right, weights), weights, chooses | True, ~chooses)


def choose_on_the_others(words, meaning, right, weights, chooses):
    return chosen(of_weights(words, meaning, right, weights), weights, ~chooses, ~chooses)


def halves_swapped(words, meaning, right, weights, chooses):
    return fuse_and_report(words, meaning, right, weights, ~chooses)


def raw_scores(words, meaning, right, weights, chooses):
    return chosen(of_weights(words, meaning, right, weights, lambda scores: scores), weights, chooses, ~chooses)


def scaled_over_all_queries(words, meaning, right, weights, chooses):
    values = of_weights(words, meaning, right, weights, lambda scores: scaled(scores, axis=None))
    return chosen(values, weights, chooses, ~chooses)


def scaled_by_page(words, meaning, right, weights, chooses):
    values = of_weights(words, meaning, right, weights, lambda scores: scaled(scores, axis=0))
    return chosen(values, weights, chooses, ~chooses)


def divided_by_the_highest(words, meaning, right, weights, chooses):
    values = of_weights(words, meaning, right, weights, lambda scores: scores / scores.max(axis=1, keepdims=True))
    return chosen(values, weights, chooses, ~chooses)


def weights_swapped(words, meaning, right, weights, chooses):
    return fuse_and_report(meaning, words, right, weights, chooses)


def meaning_always_whole(words, meaning, right, weights, chooses):
    words, meaning = scaled(words), scaled(meaning)
    values = np.stack([marks(weight * words + meaning, right) for weight in weights])
    return chosen(values, weights, chooses, ~chooses)


def first_place_only(words, meaning, right, weights, chooses):
    values = of_weights(words, meaning, right, weights) == 1
    return chosen(values, weights, chooses, ~chooses)


def position_of_the_weight(words, meaning, right, weights, chooses):
    weight, value = fuse_and_report(words, meaning, right, weights, chooses)
    return list(weights).index(weight), value


def worst_weight(words, meaning, right, weights, chooses):
    values = of_weights(words, meaning, right, weights)
    worst = values[:, chooses].mean(axis=1).argmin()
    return weights[worst], values[worst, ~chooses].mean()


def two_searches(seed, queries=12, pages=8):
    """Scores of a search with a scale of its own for each query, of one between -1 and 1; and the right pages."""
    generator = np.random.default_rng(seed)
    right = generator.integers(pages, size=queries)
    own = np.eye(pages)[right]  # (queries, pages): 1 where the right page is
    words = np.exp(own * generator.normal(1, 1, size=(queries, 1)) + generator.normal(size=own.shape))
    words = (words + 0.3) * generator.uniform(3, 30, size=(queries, 1))
    meaning = np.tanh(own * generator.normal(0.5, 0.5, size=(queries, 1)) + generator.normal(0, 0.4, size=own.shape))
    return words, meaning, right


THIRD = np.arange(12) < 4
WEIGHTS = [0.1, 0.3, 0.5, 0.7, 0.9]


EXERCISES = {
    "14.1": Exercise(
        title="The highest nDCG that a reranker of the first n documents can reach",
        cases={
            "a better one lower among the candidates, one missed": (
                ["a", "b", "c", "d", "e"],
                {"b": 1, "d": 2, "x": 2},
                4,
                4,
            ),
            "right ones behind the candidates": (["a", "b", "c", "d", "e", "f"], {"d": 1, "b": 1, "e": 2}, 3, 5),
            "more candidates than places": (["a", "b", "c", "d", "e"], {"b": 1, "e": 3, "c": 2}, 5, 2),
            "more right ones than places": (["a", "b", "c", "d"], {"b": 1, "a": 1, "c": 2, "x": 3}, 3, 2),
            "already in the best order": (["a", "b", "c"], {"a": 2, "b": 1}, 2, 3),
            "no right one among the candidates": (["a", "b", "c", "d"], {"d": 1, "x": 2}, 2, 4),
            "nothing found": (["a", "b"], {"x": 1}, 2, 2),
        },
        solution=ceiling,
        wrong=[
            (as_it_is, "That is the nDCG of the ranking as it is. In which order should its first n documents come?"),
            (everything_reordered, "You reorder documents after the n-th, too. Which ones does the reranker read?"),
            (
                candidates_alone,
                "You drop what comes after the candidates. It keeps its places, and may be among the k.",
            ),
            (cut_to_k_first, "You cut to k before you reorder: a right one between k and n can still be lifted."),
            (worst_first, "Your candidates come worst first. Is a high grade good or bad?"),
            (
                best_of_the_candidates,
                "You divide by the best order of the candidates. The right ones that are not among them count, too.",
            ),
            (best_of_those_listed, "You divide by the best order of those that were found. What of those missed?"),
            (not_divided, "That is the gain. The n of nDCG stands for a division: by what?"),
            (not_cut_at_k, "You add places after the k-th."),
            (ideal_not_cut, "The best possible ranking has k places, too: not all right ones may fit into it."),
            (ideal_not_sorted, "The best possible ranking begins with the highest grade: sort the grades."),
            (grades_ignored, "You count every right document as 1. What does a grade of 2 add?"),
            (ranks_from_zero, "Your discount is off by one rank: the first place is divided by log2(2), which is 1."),
            (what_is_gained, "That is what the reranker can add. Asked for is the nDCG that it can reach."),
        ],
    ),
    "14.2": Exercise(
        title="Make SPLADE vectors of a padded batch",
        cases={
            "one text, nothing padded": (
                torch.tensor([[[2.0, -0.5, 0.5], [1.0, -0.25, -0.75]]]),
                torch.tensor([[1, 1]]),
            ),
            "logits below -1": (torch.tensor([[[3.0, -1.0, 0.5], [1.0, -3.0, 2.0]]]), torch.tensor([[1, 1]])),
            "the padding has the highest logits": (
                torch.tensor([[[1.0, -1.0, 0.5], [0.5, -3.0, 2.0], [9.0, 9.0, 9.0]]]),
                torch.tensor([[1, 1, 0]]),
            ),
            "the padding has the lowest logits": (
                torch.tensor([[[2.0, 0.5, -0.5], [-3.0, -4.0, -5.0]]]),
                torch.tensor([[1, 0]]),
            ),
            "the padding on the left": (
                torch.tensor([[[9.0, 9.0, 9.0], [1.0, -1.0, 0.5], [0.5, -3.0, 2.0]]]),
                torch.tensor([[0, 1, 1]]),
            ),
            "two texts": (torch.arange(-8.0, 10.0).reshape(2, 3, 3) / 3, torch.tensor([[1, 1, 1], [1, 0, 0]])),
        },
        solution=splade,
        wrong=[
            (unmasked, "Padding takes part in your maximum. Which tokens does attention_mask say to count?"),
            (first_tokens, "You take as many tokens as the mask counts, from the first on. Where may padding stand?"),
            (mask_of_the_first, "All texts get the first one's mask. Does each have its own?"),
            (summed, "You add over the tokens, as the first SPLADE did. Here the highest guess counts."),
            (averaged, "You average over the tokens. Here the highest guess counts."),
            (without_log, "There is no logarithm in your weights: one large logit outweighs everything."),
            (
                over_terms,
                "You take the maximum over the vocabulary: one number a token. There should be one number a term.",
            ),
            (masked_first, "Terms that no token wants get a negative weight, or NaN. Where did relu go?"),
            (
                without_relu_masked_first,
                "You mask the logits, but a negative one still reaches the logarithm. Where did relu go?",
            ),
            (without_relu, "A negative logit reaches your logarithm, and below -1 that is NaN. Where did relu go?"),
        ],
    ),
    "14.3": Exercise(
        title="Fuse two searches with a weight chosen on some queries, and report on the others",
        cases={
            "four of twelve queries choose": (*two_searches(0), WEIGHTS, THIRD),
            "the other eight choose": (*two_searches(0), WEIGHTS, ~THIRD),
            "other scores": (*two_searches(16), WEIGHTS, THIRD),
            "every second query chooses": (*two_searches(2), WEIGHTS, np.arange(12) % 2 == 0),
            "one weight": (*two_searches(3), [0.4], THIRD),
            "one search or the other": (*two_searches(4), [0.0, 1.0], ~THIRD),
        },
        solution=fuse_and_report,
        wrong=[
            (report_on_the_same, "You report on the queries that chose. Are they not the ones that flatter?"),
            (report_on_all, "The queries that chose are still among those that you report on."),
            (choose_on_all, "All queries take part in your choice. Which may?"),
            (choose_on_the_others, "You choose on the queries that you report on. Which ones may choose?"),
            (halves_swapped, "You took the two parts the wrong way round. What does True in `chooses` mean?"),
            (raw_scores, "You add raw scores: the search with the larger numbers wins. What has to come first?"),
            (scaled_over_all_queries, "You scale all queries together. Does each query not have a scale of its own?"),
            (scaled_by_page, "You scale along the wrong axis: each query's scores, over the pages, need one scale."),
            (divided_by_the_highest, "Your lowest score is not 0. What has to be taken off before you divide?"),
            (weights_swapped, "Your weights are the wrong way round: they are those of the words."),
            (meaning_always_whole, "Meaning always counts in full. What is left for it beside the words' weight?"),
            (first_place_only, "You count only first places. What is a right page on the second place worth?"),
            (position_of_the_weight, "You return the place of the weight in the list, not the weight."),
            (worst_weight, "You choose the lowest mean. Is a high reciprocal rank good or bad?"),
        ],
    ),
}
