"""Solutions of notebook 06. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
import torch.nn.functional as F
from torch.nn.functional import normalize

from course_lib.exercises import Exercise

# ---- 06.1


def gradient(logits, labels):
    return (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1])) / len(labels)  # (batch, classes)


def of_the_sum(logits, labels):
    return gradient(logits, labels) * len(labels)


def downhill(logits, labels):
    return -gradient(logits, labels)


def downhill_of_the_sum(logits, labels):
    return downhill(logits, labels) * len(labels)


def probabilities_only(logits, labels):
    return logits.softmax(dim=1)


def probabilities_over_the_batch(logits, labels):
    return logits.softmax(dim=1) / len(labels)


def right_label_only(logits, labels):
    return gradient(logits, labels) * F.one_hot(labels, logits.shape[1])


def columns_of_all_rows(logits, labels):
    probabilities = logits.softmax(dim=1)
    probabilities[:, labels] -= 1
    return probabilities / len(labels)


def without_softmax(logits, labels):
    return (logits - F.one_hot(labels, logits.shape[1])) / len(labels)


def over_the_batch(logits, labels):
    return (logits.softmax(dim=0) - F.one_hot(labels, logits.shape[1])) / len(labels)


def softmax_twice(logits, labels):
    return gradient(logits.softmax(dim=1), labels)


def through_softmax_twice(logits, labels):
    logits = logits.detach().clone().requires_grad_()
    F.cross_entropy(logits.softmax(dim=1), labels).backward()
    return logits.grad


def over_all_numbers(logits, labels):
    return (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1])) / logits.numel()


def over_the_labels(logits, labels):
    return (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1])) / logits.shape[1]


def overflowing(logits, labels):
    exponentials = logits.exp()
    return (exponentials / exponentials.sum(1, keepdim=True) - F.one_hot(labels, logits.shape[1])) / len(labels)


def the_loss(logits, labels):
    return F.cross_entropy(logits, labels)


# ---- 06.2


def scores_of(anchors, positives, scale=20.0):
    return scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T  # (batch, batch)


def others_of_the_group(groups):
    same = groups[:, None] == groups[None, :]  # (batch, batch)
    return same & ~torch.eye(len(groups), dtype=torch.bool)


def masked_loss(scores, groups):
    scores = scores.masked_fill(others_of_the_group(groups), -torch.inf)
    return F.cross_entropy(scores, torch.arange(len(groups)))


def ranking_loss(anchors, positives, groups, scale=20.0):
    return masked_loss(scores_of(anchors, positives, scale), groups)


def groups_ignored(anchors, positives, groups, scale=20.0):
    return F.cross_entropy(scores_of(anchors, positives, scale), torch.arange(len(groups)))


def set_to_zero(anchors, positives, groups, scale=20.0):
    scores = scores_of(anchors, positives, scale).masked_fill(others_of_the_group(groups), 0.0)
    return F.cross_entropy(scores, torch.arange(len(groups)))


def cosine_set_to_minus_one(anchors, positives, groups, scale=20.0):
    scores = scores_of(anchors, positives, scale).masked_fill(others_of_the_group(groups), -scale)
    return F.cross_entropy(scores, torch.arange(len(groups)))


def own_positive_set_very_low(anchors, positives, groups, scale=20.0):
    scores = scores_of(anchors, positives, scale).masked_fill(groups[:, None] == groups[None, :], -1e9)
    return F.cross_entropy(scores, torch.arange(len(groups)))


def groups_as_labels(anchors, positives, groups, scale=20.0):
    return F.cross_entropy(scores_of(anchors, positives, scale), groups)


def groups_as_labels_after_the_mask(anchors, positives, groups, scale=20.0):
    scores = scores_of(anchors, positives, scale).masked_fill(others_of_the_group(groups), -torch.inf)
    return F.cross_entropy(scores, groups)


def masked_after_the_softmax(anchors, positives, groups, scale=20.0, value=0.0):
    probabilities = scores_of(anchors, positives, scale).softmax(dim=1)
    return F.cross_entropy(probabilities.masked_fill(others_of_the_group(groups), value), torch.arange(len(groups)))


def masked_with_minus_infinity_after_the_softmax(anchors, positives, groups, scale=20.0):
    return masked_after_the_softmax(anchors, positives, groups, scale, -torch.inf)


def own_positive_masked(anchors, positives, groups, scale=20.0):
    scores = scores_of(anchors, positives, scale).masked_fill(groups[:, None] == groups[None, :], -torch.inf)
    return F.cross_entropy(scores, torch.arange(len(groups)))


def any_of_the_group(anchors, positives, groups, scale=20.0):
    probabilities = scores_of(anchors, positives, scale).softmax(dim=1)
    return -(probabilities * (groups[:, None] == groups[None, :])).sum(1).log().mean()


def first_of_each_group(anchors, positives, groups, scale=20.0):
    kept = [i for i, group in enumerate(groups.tolist()) if group not in groups[:i].tolist()]
    return groups_ignored(anchors[kept], positives[kept], groups[kept], scale)


def softmax_before(anchors, positives, groups, scale=20.0):
    scores = scores_of(anchors, positives, scale).masked_fill(others_of_the_group(groups), -torch.inf)
    return F.cross_entropy(scores.softmax(dim=1), torch.arange(len(groups)))


def dot_products(anchors, positives, groups, scale=20.0):
    return masked_loss(scale * anchors @ positives.T, groups)


def not_scaled(anchors, positives, groups, scale=20.0):
    return ranking_loss(anchors, positives, groups, 1.0)


def divided(anchors, positives, groups, scale=20.0):
    return ranking_loss(anchors, positives, groups, 1 / scale)


def always_20(anchors, positives, groups, scale=20.0):
    return ranking_loss(anchors, positives, groups, 20.0)


def turned_round(anchors, positives, groups, scale=20.0):
    return ranking_loss(positives, anchors, groups, scale)


def both_directions(anchors, positives, groups, scale=20.0):
    return (ranking_loss(anchors, positives, groups, scale) + turned_round(anchors, positives, groups, scale)) / 2


def own_pairs_only(anchors, positives, groups, scale=20.0):
    return (1 - F.cosine_similarity(anchors, positives)).mean()


def summed_ranks(anchors, positives, groups, scale=20.0):
    return ranking_loss(anchors, positives, groups, scale) * len(anchors)


ANCHORS = torch.tensor([[1.0, 0.0, 0.2], [0.1, 1.0, 0.0], [0.3, 0.2, 2.0], [0.9, 0.1, 0.3]])
POSITIVES = torch.tensor([[0.8, 0.3, 0.0], [0.4, 0.5, 0.3], [1.0, 0.1, 0.9], [0.7, 0.6, 0.4]])

EXERCISES = {
    "06.1": Exercise(
        title="The gradient of cross-entropy for the logits",
        cases={
            "three pairs": (
                torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.3, 0.1], [1.0, 1.0, 3.0]]),
                torch.tensor([0, 2, 2]),
            ),
            "one pair": (torch.tensor([[0.5, -0.5, 1.5]]), torch.tensor([0])),
            "logits in the thousands": (
                torch.tensor([[1000.0, 1001.0, 990.0], [3000.0, 0.0, 1000.0]]),
                torch.tensor([1, 2]),
            ),
        },
        solution=gradient,
        wrong=[
            (of_the_sum, "Right for one pair. The loss is the mean over the pairs of the batch: what follows for it?"),
            (downhill, "Every sign is the other way round. The gradient points uphill; the step goes against it."),
            (
                downhill_of_the_sum,
                "Two things: the gradient points uphill, and the loss is the mean over the pairs, not their sum.",
            ),
            (
                probabilities_only,
                "You return the probabilities. All numbers of a row are positive, so a step downhill would lower every "
                "logit, the right label's too.",
            ),
            (
                probabilities_over_the_batch,
                "The labels do not appear in what you return, so a right answer and a wrong one get the same gradient.",
            ),
            (
                right_label_only,
                "Right for the right label's logit. But the other logits are in the loss too: they are in the sum "
                "below the fraction.",
            ),
            (
                columns_of_all_rows,
                "Right for one pair. But `[:, labels]` takes those columns of every row. Wanted is one number of each "
                "row: in row i, the column labels[i].",
            ),
            (without_softmax, "You use the logits where their probabilities belong."),
            (
                over_the_batch,
                "Your probabilities add up to 1 over the pairs of the batch. They should over the labels of a pair.",
            ),
            (
                softmax_twice,
                "One softmax too many: it is applied to numbers that are probabilities already. The trap above shows "
                "what that costs.",
            ),
            (
                through_softmax_twice,
                "You let torch differentiate, but of a loss with one softmax too many: `cross_entropy` has one inside.",
            ),
            (over_the_labels, "You divide by the number of labels. The mean is over the pairs."),
            (over_all_numbers, "You divide by the number of logits. The mean is over the pairs."),
            (
                overflowing,
                "Right for small logits, but exp(1000) is infinite. What may be subtracted from all logits of a row "
                "without changing its softmax? torch's softmax does it.",
            ),
            (the_loss, "You return the loss, one number. Wanted is its slope for each logit, a matrix."),
        ],
    ),
    "06.2": Exercise(
        title="The ranking loss of a batch in which some texts mean the same",
        cases={
            "anchors 1 and 4 mean the same": (ANCHORS, POSITIVES, torch.tensor([0, 1, 2, 0]), 20.0),
            "a smaller scale": (ANCHORS, POSITIVES, torch.tensor([0, 1, 2, 0]), 5.0),
            "a scale of 1": (ANCHORS, POSITIVES, torch.tensor([0, 1, 2, 0]), 1.0),
            "vectors to be trained": (
                ANCHORS.clone().requires_grad_(),
                POSITIVES.clone().requires_grad_(),
                torch.tensor([0, 1, 2, 0]),
                20.0,
            ),
            "only the positives to be trained": (
                ANCHORS,
                POSITIVES.clone().requires_grad_(),
                torch.tensor([0, 1, 2, 0]),
                20.0,
            ),
            "all differ": (ANCHORS, POSITIVES, torch.tensor([3, 1, 2, 0]), 20.0),
            "five pairs, two groups of two": (
                torch.sin(torch.arange(20.0)).reshape(5, 4),
                torch.cos(torch.arange(20.0) * 1.3).reshape(5, 4),
                torch.tensor([7, 4, 7, 4, 1]),
                20.0,
            ),
        },
        solution=ranking_loss,
        wrong=[
            (
                groups_ignored,
                "Right where all differ. Elsewhere an anchor is still punished for being close to a positive of its "
                "own group. (A mask put on after the softmax comes too late: its sum already holds them.)",
            ),
            (
                set_to_zero,
                "You give the masked candidates a score of 0, and the exponential of 0 is 1: they still compete. Which "
                "score has the exponential 0?",
            ),
            (
                cosine_set_to_minus_one,
                "Right for a large scale. But a cosine of -1 has the exponential e^-scale, and with a scale of 1 that "
                "still competes. Which score has the exponential 0?",
            ),
            (
                own_positive_masked,
                "You mask the anchor's own positive as well, so there is no right answer left to choose.",
            ),
            (
                own_positive_set_very_low,
                "You give the anchor's own positive a very low score as well: the right answer can never win.",
            ),
            (groups_as_labels, "You take `groups` for the labels. The right answer of anchor i is column i."),
            (
                groups_as_labels_after_the_mask,
                "The mask is right, but you take `groups` for the labels. The right answer of anchor i is column i.",
            ),
            (
                masked_after_the_softmax,
                "You mask probabilities with 0. The softmax has shared them out already, and `cross_entropy` adds a "
                "second one. Mask the scores.",
            ),
            (
                masked_with_minus_infinity_after_the_softmax,
                "You mask, but after a softmax: `cross_entropy` has one inside. Mask the scores.",
            ),
            (
                any_of_the_group,
                "You count every positive of the group as a right answer. Wanted is less: those are not wrong answers, "
                "and the own positive remains the only right one.",
            ),
            (
                first_of_each_group,
                "You drop anchors. Every anchor still chooses; only some of its candidates do not count.",
            ),
            (
                softmax_before,
                "The mask is right. One softmax too many: `cross_entropy` has one inside. It takes logits.",
            ),
            (
                dot_products,
                "You compare by dot product, so a long vector wins against everything. Which similarity is meant?",
            ),
            (not_scaled, "You leave `scale` out: bare cosines. The section on the scale shows what that costs."),
            (divided, "You divide by `scale`. It multiplies."),
            (always_20, "Right for a scale of 20. Do you use the argument `scale`?"),
            (turned_round, "In your matrix the positives choose among the anchors. It is the anchor that chooses."),
            (
                both_directions,
                "You average two directions. That loss exists (it is called symmetric), but here only the anchors "
                "choose.",
            ),
            (
                own_pairs_only,
                "You look at each pair alone. What the anchor should _not_ choose, the other positives of the batch, "
                "is missing.",
            ),
            (summed_ranks, "You add up the losses of the batch where their mean is wanted."),
        ],
    ),
}
