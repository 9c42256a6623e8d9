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


def choose_and_report(values, chooses):
    best = values[:, chooses].mean(1).argmax()
    return int(best), float(values[best, ~chooses].mean())


def report_on_the_same(values, chooses):
    best = values[:, chooses].mean(1).argmax()
    return int(best), float(values[best, chooses].mean())


def report_on_all(values, chooses):
    best = values[:, chooses].mean(1).argmax()
    return int(best), float(values[best].mean())


def choose_on_all(values, chooses):
    best = values.mean(1).argmax()
    return int(best), float(values[best, ~chooses].mean())


def choose_on_the_others(values, chooses):
    best = values[:, ~chooses].mean(1).argmax()
    return int(best), float(values[best, ~chooses].mean())


def halves_swapped(values, chooses):
    return choose_and_report(values, ~chooses)


def luckiest_query(values, chooses):
    best = values[:, chooses].max(1).argmax()
    return int(best), float(values[best, ~chooses].mean())


def median_chooses(values, chooses):
    best = np.median(values[:, chooses], axis=1).argmax()
    return int(best), float(values[best, ~chooses].mean())


def median_reports(values, chooses):
    best = values[:, chooses].mean(1).argmax()
    return int(best), float(np.median(values[best, ~chooses]))


def worst_setting(values, chooses):
    best = values[:, chooses].mean(1).argmin()
    return int(best), float(values[best, ~chooses].mean())


SWEEP = np.array([[0.9, 0.5, 0.1, 0.2], [0.6, 0.9, 0.6, 0.3], [0.2, 0.4, 0.8, 0.9]])  # (settings, queries)
SKEWED = np.array([[0.9, 0.1, 0.1, 0.5, 0.6, 1.0], [0.2, 0.3, 0.3, 0.4, 0.1, 0.1]])  # its medians are no means
FIRST_TWO = np.array([True, True, False, False])

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
        title="Choose a setting on some queries, and report on the others",
        cases={
            "three settings, four queries": (SWEEP, FIRST_TWO),
            "the other two choose": (SWEEP, ~FIRST_TWO),
            "one query chooses": (SWEEP, np.array([True, False, False, False])),
            "one query is left": (SWEEP, np.array([True, False, True, True])),
            "one setting": (SWEEP[:1], FIRST_TWO),
            "one query in each half stands out": (SKEWED, np.array([True, True, True, False, False, False])),
        },
        solution=choose_and_report,
        wrong=[
            (report_on_the_same, "You report on the queries that chose. Are they not the ones that flatter?"),
            (report_on_all, "The queries that chose are still among those that you report on."),
            (choose_on_all, "All queries take part in your choice. Which may?"),
            (choose_on_the_others, "You choose on the queries that you report on. Which ones may choose?"),
            (halves_swapped, "You took the two parts the wrong way round. What does True in `chooses` mean?"),
            (luckiest_query, "You choose by a setting's best query. What stands for all of them?"),
            (median_chooses, "You choose by a setting's median. Does nDCG over queries not mean their mean?"),
            (median_reports, "You report the median of the other queries. What does the text ask for?"),
            (worst_setting, "You choose the lowest mean. Is a high nDCG good or bad?"),
        ],
    ),
}
