"""Solutions of notebook 16. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from torch.nn.functional import cross_entropy, normalize

from course_lib.exercises import Exercise

# ---- 16.1


def found_first(cosines, held_out):
    """(2, held-out scenes) bool: does the picture find its caption first, does the caption find its picture?"""
    own, wanted = torch.arange(len(cosines)), torch.tensor(held_out)
    return torch.stack([cosines.argmax(1) == own, cosines.argmax(0) == own])[:, wanted]


def of_model(cosines, held_out):
    return found_first(cosines, held_out).float().mean().item()


def of_blind(looks, held_out):
    guesses = [1 / looks.count(look) for look, wanted in zip(looks, held_out) if wanted]
    return sum(guesses) / len(guesses)


def beside_blind(cosines, looks, held_out):
    return of_model(cosines, held_out), of_blind(looks, held_out)


def all_scenes_counted(cosines, looks, held_out):
    return beside_blind(cosines, looks, [True] * len(looks))


def among_the_held_out_alone(cosines, looks, held_out):
    rows = [i for i, wanted in enumerate(held_out) if wanted]
    return beside_blind(cosines[rows][:, rows], [looks[i] for i in rows], [True] * len(rows))


def blind_among_the_held_out_alone(cosines, looks, held_out):
    return of_model(cosines, held_out), among_the_held_out_alone(cosines, looks, held_out)[1]


def pictures_find(cosines, looks, held_out):
    return found_first(cosines, held_out)[0].float().mean().item(), of_blind(looks, held_out)


def captions_find(cosines, looks, held_out):
    return found_first(cosines, held_out)[1].float().mean().item(), of_blind(looks, held_out)


def both_ways_at_once(cosines, looks, held_out):
    return found_first(cosines, held_out).all(0).float().mean().item(), of_blind(looks, held_out)


def either_way(cosines, looks, held_out):
    return found_first(cosines, held_out).any(0).float().mean().item(), of_blind(looks, held_out)


def sum_of_both(cosines, looks, held_out):
    return 2 * of_model(cosines, held_out), of_blind(looks, held_out)


def blind_knows_what_is_alone(cosines, looks, held_out):
    alone = [float(looks.count(look) == 1) for look, wanted in zip(looks, held_out) if wanted]
    return of_model(cosines, held_out), sum(alone) / len(alone)


def looks_among_the_held_out(cosines, looks, held_out):
    wanted = [look for look, is_wanted in zip(looks, held_out) if is_wanted]
    return of_model(cosines, held_out), len(set(wanted)) / len(looks)


def one_over_the_mean(cosines, looks, held_out):
    counts = [looks.count(look) for look, wanted in zip(looks, held_out) if wanted]
    return of_model(cosines, held_out), len(counts) / sum(counts)


def others_that_look_the_same(cosines, looks, held_out):
    guesses = [1 / (1 + looks.count(look)) for look, wanted in zip(looks, held_out) if wanted]
    return of_model(cosines, held_out), sum(guesses) / len(guesses)


def guesses_among_all(cosines, looks, held_out):
    return of_model(cosines, held_out), 1 / len(looks)


def blind_first(cosines, looks, held_out):
    return beside_blind(cosines, looks, held_out)[::-1]


def the_gain(cosines, looks, held_out):
    model, blind = beside_blind(cosines, looks, held_out)
    return model - blind


# ---- 16.2


def named(numbers, names):
    return [names[number] for number in numbers.tolist()]


def classify(pictures, prompts, names):
    classes = normalize(prompts, dim=-1).mean(1)  # (classes, dim)
    return named((normalize(pictures, dim=1) @ normalize(classes, dim=1).T).argmax(1), names)  # (n, classes) -> (n,)


def not_normalised_prompts(pictures, prompts, names):
    return named((normalize(pictures, dim=1) @ normalize(prompts.mean(1), dim=1).T).argmax(1), names)


def dot_with_the_mean(pictures, prompts, names):
    return named((pictures @ normalize(prompts, dim=-1).mean(1).T).argmax(1), names)


def best_single_prompt(pictures, prompts, names):
    cosines = torch.einsum("nd,cpd->ncp", normalize(pictures, dim=1), normalize(prompts, dim=-1))
    return named(cosines.amax(2).argmax(1), names)


def first_prompt(pictures, prompts, names):
    return classify(pictures, prompts[:, :1], names)


def mean_over_classes(pictures, prompts, names):
    return named((normalize(pictures, dim=1) @ normalize(normalize(prompts, dim=-1).mean(0), dim=1).T).argmax(1), names)


def mean_over_numbers(pictures, prompts, names):
    return named((normalize(pictures, dim=1) @ normalize(normalize(prompts, dim=-1).mean(2), dim=1).T).argmax(1), names)


def per_class(pictures, prompts, names):
    classes = normalize(prompts, dim=-1).mean(1)
    return named((normalize(pictures, dim=1) @ normalize(classes, dim=1).T).argmax(0), names)


def class_numbers(pictures, prompts, names):
    return [names.index(name) for name in classify(pictures, prompts, names)]


def index_is_a_float(pictures, prompts, names):
    return [names[float(number)] for number in class_numbers(pictures, prompts, names)]


# ---- 16.3


def equal_captions(texts):
    return torch.tensor([[a == b for b in texts] for a in texts])  # (n, n)


def both_directions(scores, columns=None):
    columns, own = scores.T if columns is None else columns, torch.arange(len(scores))
    return (cross_entropy(scores, own) + cross_entropy(columns, own)) / 2


def masked(cosines, texts, scale, value=-torch.inf):
    false_negatives = equal_captions(texts) & ~torch.eye(len(texts), dtype=torch.bool)  # (n, n)
    return (scale * cosines).masked_fill(false_negatives, value)


def symmetric_loss(cosines, texts, scale):
    return both_directions(masked(cosines, texts, scale))


def nothing_masked(cosines, texts, scale):
    return both_directions(scale * cosines)


def rows_masked_alone(cosines, texts, scale):
    return both_directions(masked(cosines, texts, scale), (scale * cosines).T)


def masked_by_zero(cosines, texts, scale):
    return both_directions(masked(cosines, texts, scale, 0.0))


def own_caption_masked(cosines, texts, scale):
    return both_directions((scale * cosines).masked_fill(equal_captions(texts), -torch.inf))


def pictures_choose(cosines, texts, scale):
    return cross_entropy(masked(cosines, texts, scale), torch.arange(len(texts)))


def captions_choose(cosines, texts, scale):
    return cross_entropy(masked(cosines, texts, scale).T, torch.arange(len(texts)))


def the_sum(cosines, texts, scale):
    return 2 * symmetric_loss(cosines, texts, scale)


def not_scaled(cosines, texts, scale):
    return symmetric_loss(cosines, texts, 1.0)


def equal_captions_as_targets(cosines, texts, scale):
    same = equal_captions(texts).float()
    return both_directions_of_shares(scale * cosines, same / same.sum(1, keepdim=True))


def both_directions_of_shares(scores, shares):
    return (cross_entropy(scores, shares) + cross_entropy(scores.T, shares)) / 2


ONE = torch.tensor([[0.9, 0.2, 0.1, 0.3], [0.8, 0.7, 0.0, 0.1], [0.3, 0.1, 0.5, 0.6], [0.2, 0.4, 0.3, 0.8]])  # (4, 4)
SIX = torch.tensor(
    [
        [0.5, 0.7, 0.1, 0.0, 0.2, 0.3],
        [0.1, 0.5, 0.3, 0.2, 0.0, 0.4],
        [0.2, 0.1, 0.5, 0.6, 0.3, 0.0],
        [0.0, 0.3, 0.2, 0.5, 0.1, 0.2],
        [0.3, 0.0, 0.4, 0.1, 0.6, 0.2],
        [0.1, 0.2, 0.0, 0.3, 0.8, 0.5],
    ]
)  # (6 pictures, 6 captions)
RED, BLUE, GREEN = ("red", 1), ("blue", 2), ("green", 1)  # what a reader of colours and counts reads
LOOKS = torch.tensor([[1.0, 0.1], [0.5, 0.6], [0.2, 1.0], [0.9, 0.75]])  # (4 pictures, 2)
PROMPTS = torch.tensor(
    [[[1.0, 0.0], [0.0, 3.0]], [[0.1, 1.0], [0.0, 1.0]], [[5.0, 0.5], [1.0, 0.9]]]
)  # (3 classes, 2 prompts, 2)
MANY = torch.sin(torch.arange(36.0)).reshape(12, 3)  # (12 pictures, 3)
LENGTHS = torch.tensor([1.0, 4.0, 0.5])[:, None]  # of the prompts
MIXED = LENGTHS * torch.cos(1.7 * torch.arange(36.0)).reshape(4, 3, 3)  # (4 classes, 3 prompts, 3)
FIVE = torch.sin(2.3 * torch.arange(20.0)).reshape(5, 4)  # (5 pictures, 4): no two of the lengths
TWICE = LENGTHS[:2] * torch.cos(0.9 * torch.arange(24.0)).reshape(3, 2, 4)  # (3 classes, 2 prompts, 4) are equal
THREE = torch.tensor([[0.86, 1.0, 0.0], [0.93, 0.68, -0.8], [0.38, 0.74, 0.6]])  # (3 pictures, 3 captions)
FOUR = torch.cos(1.3 * torch.arange(16.0)).reshape(4, 4)  # (4, 4)
NAMES = ["ring", "cross", "square", "circle"]

EXERCISES = {
    "16.1": Exercise(
        title="The recall of held-out scenes, beside that of a blind reader",
        cases={
            "four scenes, the first two held out": (ONE, [RED, RED, BLUE, BLUE], [True, True, False, False]),
            "one of three that look the same": (ONE, [RED, BLUE, RED, RED], [True, True, False, False]),
            "six scenes, every other held out": (
                SIX,
                [RED, BLUE, GREEN, BLUE, BLUE, RED],
                [True, False, True, False, True, False],
            ),
            "all held out, all look different": (SIX[:3, :3], [RED, BLUE, GREEN], [True] * 3),
            "one held out": (SIX, [RED, RED, RED, BLUE, BLUE, GREEN], [False, False, True, False, False, False]),
        },
        solution=beside_blind,
        wrong=[
            (
                all_scenes_counted,
                "You count all scenes. The distractors take part as candidates, but only held-out scenes are counted.",
            ),
            (
                among_the_held_out_alone,
                "You leave the other scenes out of the candidates. They are to distract: search among all, count the "
                "held-out ones.",
            ),
            (
                blind_among_the_held_out_alone,
                "Your blind reader chooses among the held-out scenes alone, your model among all. Same candidates!",
            ),
            (pictures_find, "This is one direction: pictures find captions. Captions are to find pictures, too."),
            (captions_find, "This is one direction: captions find pictures. Pictures are to find captions, too."),
            (both_ways_at_once, "You ask for both directions at once. Their mean is wanted."),
            (either_way, "You are content with either direction. Their mean is wanted."),
            (sum_of_both, "You add the two directions. Their mean is wanted."),
            (
                blind_knows_what_is_alone,
                "Your blind reader gives up where several look the same. It guesses, and is right once in as many.",
            ),
            (
                looks_among_the_held_out,
                "You count the different looks. Each held-out scene has a chance of its own: one over how many "
                "candidates look like it.",
            ),
            (
                one_over_the_mean,
                "You average how many look the same, then divide. Average the chances themselves, scene by scene.",
            ),
            (
                others_that_look_the_same,
                "You count a scene twice among those that look like it: it is one of them already.",
            ),
            (guesses_among_all, "Your blind reader guesses among all. It chooses among those that look the same."),
            (blind_first, "Both numbers are right, in the other order: the model comes first."),
            (the_gain, "You return the difference. Return both numbers: how far each is from 1 matters, too."),
        ],
    ),
    "16.2": Exercise(
        title="Zero-shot classification with the mean of several prompts",
        cases={
            "five pictures, three classes": (FIVE, TWICE, NAMES[:3]),
            "four pictures, three classes": (LOOKS, PROMPTS, NAMES[:3]),
            "two classes": (LOOKS, PROMPTS[:2], NAMES[:2]),
            "twelve pictures": (MANY, MIXED, NAMES),
        },
        solution=classify,
        wrong=[
            (
                not_normalised_prompts,
                "A long prompt vector weighs more than a short one in your mean. Bring them to length 1 first.",
            ),
            (
                dot_with_the_mean,
                "The mean of vectors of length 1 is shorter than 1, the more so the more they differ: this is no "
                "cosine yet.",
            ),
            (best_single_prompt, "You take each class's best prompt. Their mean is wanted: one vector a class."),
            (
                mean_over_classes,
                "You average over the classes, and one vector a class is wanted. Which axis counts the prompts?",
            ),
            (mean_over_numbers, "You average the numbers within each vector. Which axis counts the prompts?"),
            (class_numbers, "Your classes are right, but you return their numbers. Their names are wanted."),
            (index_is_a_float, "A list is indexed by integers, and your class numbers are floats."),
            (first_prompt, "You use one prompt a class. There are several."),
            (per_class, "You look for the best picture of each class. What is wanted is a class for each picture."),
        ],
    ),
    "16.3": Exercise(
        title="The symmetric loss in which an equal caption is no negative",
        cases={
            "three captions, all different": (THREE, ["a red ring", "a blue cross", "two circles"], 20.0),
            "the first and the last caption are equal": (THREE, ["a red ring", "a blue cross", "a red ring"], 20.0),
            "two pairs of equal captions": (FOUR, ["a ring", "a cross", "a cross", "a ring"], 5.0),
            "three equal captions of four": (FOUR, ["a ring", "a cross", "a ring", "a ring"], 2.0),
        },
        solution=symmetric_loss,
        wrong=[
            (
                nothing_masked,
                "Right where all captions differ. Where two are equal, each is still a negative of the other's "
                "picture: take it out of the softmax.",
            ),
            (
                rows_masked_alone,
                "You mask where pictures choose captions. Where captions choose pictures, the other picture fits too.",
            ),
            (
                masked_by_zero,
                "A score of 0 still takes part in the softmax: exp(0) is 1. Which score has the exponential 0?",
            ),
            (
                own_caption_masked,
                "You masked the diagonal as well: a caption equals itself, and that is the one to be chosen.",
            ),
            (pictures_choose, "This is one direction: pictures choose captions. The captions choose, too."),
            (captions_choose, "This is one direction: captions choose pictures. The pictures choose, too."),
            (the_sum, "You add the two directions. Their mean is wanted."),
            (not_scaled, "The scale is missing: multiply the cosines by it before the softmax."),
            (
                equal_captions_as_targets,
                "You made equal captions right answers, with a share each. Here they are to be neither right nor "
                "wrong: take them out.",
            ),
        ],
    ),
}
