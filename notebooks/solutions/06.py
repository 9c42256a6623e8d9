"""Solutions of notebook 06. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
import torch.nn.functional as F
from torch.nn.functional import normalize

from course_lib.exercises import Exercise

# ---- 06.1


def cross_entropy(logits, labels):
    log_probabilities = logits - logits.logsumexp(dim=1, keepdim=True)  # (batch, labels)
    return -log_probabilities[torch.arange(len(labels)), labels].mean()


def softmax_twice(logits, labels):
    return F.cross_entropy(logits.softmax(dim=1), labels)


def summed(logits, labels):
    return F.cross_entropy(logits, labels, reduction="sum")


def overflowing(logits, labels):
    exponentials = logits.exp()
    return -(exponentials / exponentials.sum(1, keepdim=True))[torch.arange(len(labels)), labels].log().mean()


def underflowing(logits, labels):
    return -logits.softmax(dim=1)[torch.arange(len(labels)), labels].log().mean()


def without_minus(logits, labels):
    return -cross_entropy(logits, labels)


def over_the_batch(logits, labels):
    return -logits.log_softmax(dim=0)[torch.arange(len(labels)), labels].mean()


def without_log(logits, labels):
    return 1 - logits.softmax(dim=1)[torch.arange(len(labels)), labels].mean()


# ---- 06.2


def ranking_loss(anchors, positives, scale=20.0):
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T  # (batch, batch)
    return F.cross_entropy(scores, torch.arange(len(anchors)))


def dot_products(anchors, positives, scale=20.0):
    return F.cross_entropy(scale * anchors @ positives.T, torch.arange(len(anchors)))


def not_scaled(anchors, positives, scale=20.0):
    return ranking_loss(anchors, positives, 1.0)


def divided(anchors, positives, scale=20.0):
    return ranking_loss(anchors, positives, 1 / scale)


def turned_round(anchors, positives, scale=20.0):
    return ranking_loss(positives, anchors, scale)


def own_pairs_only(anchors, positives, scale=20.0):
    return (1 - F.cosine_similarity(anchors, positives)).mean()


def summed_ranks(anchors, positives, scale=20.0):
    return ranking_loss(anchors, positives, scale) * len(anchors)


ANCHORS = torch.tensor([[1.0, 0.0, 0.2], [0.1, 1.0, 0.0], [0.3, 0.2, 2.0]])
POSITIVES = torch.tensor([[0.8, 0.1, 0.0], [0.4, 0.5, 0.3], [1.0, 0.1, 0.9]])

EXERCISES = {
    "06.1": Exercise(
        title="Cross-entropy from logits",
        cases={
            "three pairs": (
                torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.3, 0.1], [1.0, 1.0, 3.0]]),
                torch.tensor([0, 2, 2]),
            ),
            "logits in the thousands": (
                torch.tensor([[1000.0, 1010.0, 990.0], [3000.0, 0.0, 1000.0]]),
                torch.tensor([1, 2]),
            ),
        },
        solution=cross_entropy,
        wrong=[
            (
                softmax_twice,
                "You apply a softmax twice: torch's cross_entropy has one inside. The trap above shows what that "
                "costs.",
            ),
            (summed, "You add up the losses of the batch. The loss should not depend on how many pairs there are."),
            (
                overflowing,
                "Right for small logits, but exp(1000) is infinite. What may be subtracted from all logits of a row "
                "without changing its softmax? Or which function of torch does exp, sum and log in one go?",
            ),
            (
                underflowing,
                "Right for small logits, but a tiny probability becomes 0, and its log is minus infinity. Stay "
                "with logarithms from the start: what is the log of the softmax?",
            ),
            (without_minus, "Your loss falls as the answer gets worse. Which sign does the log of a probability have?"),
            (
                over_the_batch,
                "Your probabilities add up to 1 over the pairs of the batch. They should over the labels of a pair.",
            ),
            (without_log, "You average how much probability is missing. Cross-entropy is about its logarithm."),
        ],
    ),
    "06.2": Exercise(
        title="The ranking loss of a batch",
        cases={
            "three pairs": (ANCHORS, POSITIVES, 20.0),
            "a smaller scale": (ANCHORS, POSITIVES, 5.0),
            "five pairs": (
                torch.sin(torch.arange(20.0)).reshape(5, 4),
                torch.cos(torch.arange(20.0) * 1.3).reshape(5, 4),
                20.0,
            ),
        },
        solution=ranking_loss,
        wrong=[
            (
                dot_products,
                "You compare by dot product, so a long vector wins against everything. Which similarity is meant?",
            ),
            (not_scaled, "You leave `scale` out. Between -1 and 1 no softmax can be sure of anything."),
            (divided, "You divide by `scale`. It is one over the temperature, not the temperature."),
            (turned_round, "In your matrix the positives choose among the anchors. It is the anchor that chooses."),
            (
                own_pairs_only,
                "You look at each pair alone. What the anchor should *not* choose, the other positives of the batch, "
                "is missing.",
            ),
            (summed_ranks, "You add up the losses of the batch where their mean is wanted."),
        ],
    ),
}
