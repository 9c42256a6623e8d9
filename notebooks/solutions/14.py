"""Solutions of notebook 14. Try the exercises first: check() tells you what kind of mistake you made."""

import numpy as np
import torch

from course_lib.exercises import Exercise

# ---- 14.1


def added(rankings, k):
    scores = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, 1):
            scores[document] = scores.get(document, 0) + 1 / (k + rank)
    return scores


def fuse_ranks(rankings, k):
    scores = added(rankings, k)
    return sorted(scores, key=lambda document: -scores[document])


def from_zero(rankings, k):
    scores = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking):
            scores[document] = scores.get(document, 0) + 1 / max(k + rank, 1e-9)
    return sorted(scores, key=lambda document: -scores[document])


def without_k(rankings, k):
    return fuse_ranks(rankings, 0)


def worst_first(rankings, k):
    return fuse_ranks(rankings, k)[::-1]


def sorted_upwards(rankings, k):
    scores = added(rankings, k)
    return sorted(scores, key=scores.get)


def not_sorted(rankings, k):
    return list(added(rankings, k))


def always_sixty(rankings, k):
    return fuse_ranks(rankings, 60)


def last_list_only(rankings, k):
    scores = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, 1):
            scores[document] = 1 / (k + rank)
    return sorted(scores, key=lambda document: -scores[document])


def only_in_all(rankings, k):
    return [document for document in fuse_ranks(rankings, k) if all(document in ranking for ranking in rankings)]


def sum_of_ranks(rankings, k):
    ranks = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, 1):
            ranks[document] = ranks.get(document, 0) + rank
    return sorted(ranks, key=lambda document: ranks[document])


def best_rank_only(rankings, k):
    best = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, 1):
            best[document] = max(best.get(document, 0), 1 / (k + rank))
    return sorted(best, key=lambda document: -best[document])


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
        title="Fuse rankings by their reciprocal ranks",
        cases={
            "two lists that agree on the second place": ([["a", "b", "c"], ["d", "b", "a"]], 60),
            "a small constant: to be first counts": ([["a", "b", "c", "f"], ["d", "e", "f", "b"]], 1),
            "a list that is empty": ([[], ["x", "y"]], 60),
            "three lists, one document each": ([["p"], ["q"], ["r"]], 60),
            "a document low in two lists, others high in one": (
                [["a", "b", "c", "d", "z"], ["e", "f", "g", "h", "z"]],
                60,
            ),
            "the same with hardly any constant": ([["a", "b", "c", "d", "z"], ["e", "f", "g", "h", "z"]], 1),
        },
        solution=fuse_ranks,
        wrong=[
            (from_zero, "Your ranks count from 0. Which rank does the first document have?"),
            (without_k, "You leave out k. Is 1 / rank what the formula says?"),
            (always_sixty, "Your constant is always 60. What is the argument k for?"),
            (worst_first, "The worst document comes first. Does a high score mean good or bad?"),
            (
                sorted_upwards,
                "The worst document comes first: that is how `sorted` orders numbers. What does a high score mean?",
            ),
            (not_sorted, "Your documents come in the order in which the lists name them. What should decide?"),
            (
                last_list_only,
                "A document that two lists name keeps what the last one gave. Where are the numbers added up?",
            ),
            (only_in_all, "You drop documents that one of the lists does not name. What do they get from that list?"),
            (
                sum_of_ranks,
                "You add up ranks: a document that is in one list only is better off than one in both. What of 1 / "
                "(k + rank)?",
            ),
            (best_rank_only, "You keep a document's best rank. What should happen if two lists name it?"),
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
