"""Solutions of notebook 09. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
import torch.nn.functional as F
from torch.nn.functional import normalize

from course_lib.exercises import Exercise

# ---- 09.1


def distance(a, b):
    return 1 - (normalize(a, dim=1) * normalize(b, dim=1)).sum(1)  # (batch, dim), (batch, dim) -> (batch,)


def triplet_loss(anchors, positives, negatives, margin=0.5):
    return F.relu(distance(anchors, positives) - distance(anchors, negatives) + margin).mean()


def without_floor(anchors, positives, negatives, margin=0.5):
    return (distance(anchors, positives) - distance(anchors, negatives) + margin).mean()


def floor_after_mean(anchors, positives, negatives, margin=0.5):
    return F.relu((distance(anchors, positives) - distance(anchors, negatives) + margin).mean())


def exchanged(anchors, positives, negatives, margin=0.5):
    return triplet_loss(anchors, negatives, positives, margin)


def margin_subtracted(anchors, positives, negatives, margin=0.5):
    return triplet_loss(anchors, positives, negatives, -margin)


def euclidean(anchors, positives, negatives, margin=0.5):
    return F.relu((anchors - positives).norm(dim=1) - (anchors - negatives).norm(dim=1) + margin).mean()


def euclidean_on_the_sphere(anchors, positives, negatives, margin=0.5):
    return euclidean(*(normalize(x, dim=1) for x in (anchors, positives, negatives)), margin)


def squared_on_the_sphere(anchors, positives, negatives, margin=0.5):
    return F.relu(2 * (distance(anchors, positives) - distance(anchors, negatives)) + margin).mean()


def dot_products(anchors, positives, negatives, margin=0.5):
    return F.relu((anchors * negatives).sum(1) - (anchors * positives).sum(1) + margin).mean()


def summed(anchors, positives, negatives, margin=0.5):
    return triplet_loss(anchors, positives, negatives, margin) * len(anchors)


def fixed_margin(anchors, positives, negatives, margin=0.5):
    return triplet_loss(anchors, positives, negatives)


def detached(anchors, positives, negatives, margin=0.5):
    return triplet_loss(anchors, positives, negatives, margin).detach()


# ---- 09.2


def false_negatives(anchors, positives):
    scores = normalize(anchors, dim=1) @ normalize(positives, dim=1).T  # (batch, batch)
    return scores > scores.diag()[:, None]


def with_its_own(anchors, positives):
    scores = normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return scores >= scores.diag()[:, None]


def with_ties(anchors, positives):
    return with_its_own(anchors, positives) & ~torch.eye(len(anchors), dtype=torch.bool)


def own_by_pairs(anchors, positives):
    own = (normalize(anchors, dim=1) * normalize(positives, dim=1)).sum(1)  # rounded otherwise than in the matrix
    return normalize(anchors, dim=1) @ normalize(positives, dim=1).T > own[:, None]


def farther(anchors, positives):
    scores = normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return scores < scores.diag()[:, None]


def by_column(anchors, positives):
    scores = normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return scores > scores.diag()[None, :]


def transposed(anchors, positives):
    return false_negatives(anchors, positives).T


def by_dot_product(anchors, positives):
    scores = anchors @ positives.T
    return scores > scores.diag()[:, None]


def the_others(anchors, positives):
    return ~false_negatives(anchors, positives)


def among_anchors(anchors, positives):
    own = (normalize(anchors, dim=1) * normalize(positives, dim=1)).sum(1)
    scores = normalize(anchors, dim=1) @ normalize(anchors, dim=1).T
    return (scores > own[:, None]) & ~torch.eye(len(anchors), dtype=torch.bool)


def of_numbers(anchors, positives):
    return false_negatives(anchors, positives).float()


# ---- 09.3


def masked_ranking_loss(anchors, positives, mask, scale=20.0):
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T  # (batch, batch)
    return F.cross_entropy(scores.masked_fill(mask, -torch.inf), torch.arange(len(anchors)))


def unmasked(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, torch.zeros_like(mask), scale)


def zeroed(anchors, positives, mask, scale=20.0):
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return F.cross_entropy(scores.masked_fill(mask, 0.0), torch.arange(len(anchors)))


def minus_one(anchors, positives, mask, scale=20.0):
    scores = normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return F.cross_entropy(scale * scores.masked_fill(mask, -1.0), torch.arange(len(anchors)))


def minus_hundred(anchors, positives, mask, scale=20.0):
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return F.cross_entropy(scores.masked_fill(mask, -100.0), torch.arange(len(anchors)))


def by_exponentials(anchors, positives, mask, scale=20.0):
    exps = (scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T).exp() * ~mask
    return -(exps.diag() / exps.sum(1)).log().mean()


def added_up(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, mask, scale) * len(anchors)


def symmetric(anchors, positives, mask, scale=20.0):
    back = masked_ranking_loss(positives, anchors, mask.T, scale)
    return (masked_ranking_loss(anchors, positives, mask, scale) + back) / 2


def mask_inverted(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, ~mask, scale)


def inverted_by_a_number(anchors, positives, mask, scale=20.0):
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return F.cross_entropy(scores.masked_fill(~mask, -1e9), torch.arange(len(anchors)))


def mask_reversed(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, ~mask & ~torch.eye(len(mask), dtype=torch.bool), scale)


def mask_turned(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, mask.T, scale)


def anchors_dropped(anchors, positives, mask, scale=20.0):
    kept = ~mask.any(1)
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    return F.cross_entropy(scores[kept], torch.arange(len(anchors))[kept])


def not_scaled(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, mask, 1.0)


def fixed_scale(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, mask)


def of_dot_products(anchors, positives, mask, scale=20.0):
    return F.cross_entropy((scale * anchors @ positives.T).masked_fill(mask, -torch.inf), torch.arange(len(anchors)))


def own_masked(anchors, positives, mask, scale=20.0):
    scores = scale * normalize(anchors, dim=1) @ normalize(positives, dim=1).T
    others = scores.masked_fill(mask | torch.eye(len(mask), dtype=torch.bool), -torch.inf)
    return (others.logsumexp(1) - scores.diag()).mean()


def cut_off(anchors, positives, mask, scale=20.0):
    return masked_ranking_loss(anchors, positives, mask, scale).detach()


ANCHORS = torch.tensor([[1.0, 0.2, 0.0], [0.1, 2.0, 0.3], [0.5, 0.4, 1.0], [3.0, 0.5, 0.3]])
POSITIVES = torch.tensor([[0.7, 0.5, 0.2], [0.3, 1.0, 0.1], [0.2, 0.4, 0.6], [1.0, 0.1, 0.1]])
NEGATIVES = torch.tensor([[1.0, 0.25, 0.0], [0.3, 1.5, 0.6], [-0.3, -0.2, -1.0], [0.9, 0.4, 0.2]])
MASK = torch.tensor(
    [[False, False, False, True], [False, False, False, False], [True, True, False, False], [False, False, True, False]]
)

FORTY = torch.arange(1.0, 961.0).sqrt().mul(7).reshape(40, 24)  # angles: enough pairs for a last digit to differ

EXERCISES = {
    "09.1": Exercise(
        title="The triplet loss with cosine distance",
        cases={
            "four triplets, one of them easy": (ANCHORS, POSITIVES, NEGATIVES, 0.5),
            "a small margin": (ANCHORS, POSITIVES, NEGATIVES, 0.1),
            "nothing left to learn": (ANCHORS, ANCHORS, -ANCHORS, 0.5),
            "vectors to be trained": (*(x.clone().requires_grad_() for x in (ANCHORS, POSITIVES, NEGATIVES)), 0.5),
        },
        solution=triplet_loss,
        wrong=[
            (without_floor, "A triplet that is good enough lowers your loss further, below 0. What should it cost?"),
            (
                floor_after_mean,
                "In your mean an easy triplet pays for a hard one. Cut at 0 for each triplet, then average.",
            ),
            (
                exchanged,
                "Your loss falls when the negative comes nearer. Which of the two distances should be the smaller one?",
            ),
            (
                margin_subtracted,
                "With your margin, a negative as near as the positive costs nothing. On which side does it belong?",
            ),
            (euclidean, "You measure straight lines between points. The distance asked for is 1 - cosine."),
            (
                euclidean_on_the_sphere,
                "You normalise, which is half of a cosine, and then measure straight lines between the points. The "
                "distance asked for is 1 - cosine.",
            ),
            (
                squared_on_the_sphere,
                "Your distances are twice what they should be: on unit vectors a squared straight line is "
                "2 (1 - cosine). The margin does not grow with it.",
            ),
            (dot_products, "You compare dot products, so a long vector counts more. Which similarity is meant?"),
            (summed, "You add up the losses of the batch where their mean is wanted."),
            (fixed_margin, "Another `margin` gives the same loss in yours. Where does it belong?"),
            (
                detached,
                "Right numbers, but nothing can be trained with them: no gradient flows from your loss to the vectors. "
                "What cuts it off (detach, .item(), no_grad, torch.tensor around a result)?",
            ),
        ],
    ),
    "09.2": Exercise(
        title="What a guide calls false negatives",
        cases={
            "four pairs": (ANCHORS, POSITIVES),
            "nobody nearer": (torch.eye(3), torch.eye(3)),
            "one positive twice": (torch.diag(torch.tensor([1.0, 1.0, 2.0])), torch.eye(3)[[0, 1, 1]] * 3),
            "five pairs": (
                torch.sin(torch.arange(20.0) + 1).reshape(5, 4),
                torch.cos(torch.arange(20.0) * 1.3).reshape(5, 4),
            ),
            "forty pairs": (FORTY.sin(), (1.7 * FORTY).cos()),
        },
        solution=false_negatives,
        wrong=[
            (with_its_own, "You mark the anchor's own positive, too. It is what the anchor should pick."),
            (
                with_ties,
                "You mark ties: a candidate exactly as near as the own positive. Only what is higher is suspicious.",
            ),
            (
                own_by_pairs,
                "You mark some own positives. You compute their cosines a second time, and the last digit is rounded "
                "otherwise than in the matrix. Where in the matrix do they stand already?",
            ),
            (farther, "You mark the candidates that are farther away than the own positive. Which are suspicious?"),
            (by_column, "You compare with the candidate's own pair. The measure is the anchor's own positive."),
            (transposed, "Your matrix lies on its side: a row belongs to an anchor, a column to a candidate."),
            (by_dot_product, "You compare dot products; long candidates win. Cosines are meant."),
            (
                the_others,
                "You mark what may stay. Which candidates are suspicious, those nearer or those farther than the "
                "positive?",
            ),
            (among_anchors, "You compare the anchors with each other. The candidates are the positives of the batch."),
            (of_numbers, "The right cells, but as 0 and 1. A mask is of bool: True and False, as a comparison gives."),
        ],
    ),
    "09.3": Exercise(
        title="A ranking loss that leaves false negatives out",
        cases={
            "three cells masked": (ANCHORS, POSITIVES, MASK, 20.0),
            "a smaller scale": (ANCHORS, POSITIVES, MASK, 5.0),
            "a large scale, positives far away": (ANCHORS, -POSITIVES, MASK, 200.0),
            "vectors to be trained": (ANCHORS.clone().requires_grad_(), POSITIVES.clone().requires_grad_(), MASK, 20.0),
        },
        solution=masked_ranking_loss,
        wrong=[
            (unmasked, "The mask changes nothing in your loss."),
            (
                zeroed,
                "You set the masked scores to 0. exp(0) is 1, so they still take part. Which score has no weight at "
                "all in a softmax?",
            ),
            (
                minus_one,
                "You set the masked cosines to -1. That is little, but exp of it is not 0. Which score has no weight "
                "at all in a softmax?",
            ),
            (
                minus_hundred,
                "You set the masked scores to -100. At a large scale an own positive can be as low, and then they "
                "take part. Which score has no weight in a softmax, whatever the scale?",
            ),
            (mask_reversed, "You leave out what should stay: True means left out."),
            (
                mask_inverted,
                "Your mask is inverted: what is True is kept, and all others are gone, the own positive among them.",
            ),
            (
                inverted_by_a_number,
                "Your mask is inverted: the huge negative number stands at the candidates that should stay, also at "
                "the own positive.",
            ),
            (
                by_exponentials,
                "Right until the scale is large: then your exponentials leave what a float32 can hold. F.cross_entropy "
                "and logsumexp take the largest score off first.",
            ),
            (added_up, "You add up the losses of the batch where their mean is wanted."),
            (
                symmetric,
                "You also let each positive pick its anchor, and take the mean of both ways. Only the anchors pick.",
            ),
            (mask_turned, "Your mask lies on its side: row i is anchor i."),
            (
                anchors_dropped,
                "You drop anchors that have a false negative. They still have a positive to find; drop the "
                "candidates only.",
            ),
            (not_scaled, "You leave `scale` out."),
            (fixed_scale, "Another `scale` gives the same loss in yours. Where does it belong?"),
            (of_dot_products, "You compare dot products, so a long vector counts more. Which similarity is meant?"),
            (
                cut_off,
                "Right numbers, but no gradient flows from your loss to the vectors: it trains nothing. What cuts it "
                "off (detach, .item(), no_grad, torch.tensor around a result)?",
            ),
            (
                own_masked,
                "You leave the own positive out of the sum below the fraction. It is a candidate like the others.",
            ),
        ],
    ),
}
