"""Solutions of notebook 16. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from torch.nn.functional import cross_entropy, normalize

from course_lib.exercises import Exercise

# ---- 16.1


def read_the_same(looks, looks_missed):
    return torch.tensor([look == other for look, other in zip(looks, looks_missed)])  # (n,)


def beside_blind(own, missed, looks, looks_missed):
    nearer, same = (own > missed).float(), read_the_same(looks, looks_missed)
    return nearer.mean().item(), (1 - same.float() / 2).mean().item(), nearer[same].mean().item()


def with_equals(own, missed, looks, looks_missed):
    return beside_blind(own, missed - 1e-9 * (own == missed) - 1e-6, looks, looks_missed)


def nearer_to_the_miss(own, missed, looks, looks_missed):
    return beside_blind(missed, own, looks, looks_missed)


def blind_gives_up(own, missed, looks, looks_missed):
    model, _, there = beside_blind(own, missed, looks, looks_missed)
    return model, (~read_the_same(looks, looks_missed)).float().mean().item(), there


def blind_is_lucky(own, missed, looks, looks_missed):
    model, _, there = beside_blind(own, missed, looks, looks_missed)
    return model, 1.0, there


def blind_guesses_always(own, missed, looks, looks_missed):
    model, _, there = beside_blind(own, missed, looks, looks_missed)
    return model, 0.5, there


def blind_where_it_reads_the_same(own, missed, looks, looks_missed):
    model, _, there = beside_blind(own, missed, looks, looks_missed)
    return model, read_the_same(looks, looks_missed).float().mean().item(), there


def guesses_among_all_looks(own, missed, looks, looks_missed):
    chances = [1 / (looks + looks_missed).count(look) for look in looks]
    model, _, there = beside_blind(own, missed, looks, looks_missed)
    return model, sum(chances) / len(chances), there


def where_it_can_tell(own, missed, looks, looks_missed):
    model, blind, _ = beside_blind(own, missed, looks, looks_missed)
    return model, blind, (own > missed)[~read_the_same(looks, looks_missed)].float().mean().item()


def share_of_all(own, missed, looks, looks_missed):
    model, blind, _ = beside_blind(own, missed, looks, looks_missed)
    return model, blind, ((own > missed) & read_the_same(looks, looks_missed)).float().mean().item()


def the_gain(own, missed, looks, looks_missed):
    model, blind, _ = beside_blind(own, missed, looks, looks_missed)
    return model, blind, model - blind


def margins(own, missed, looks, looks_missed):
    _, blind, _ = beside_blind(own, missed, looks, looks_missed)
    return (own - missed).mean().item(), blind, (own - missed)[read_the_same(looks, looks_missed)].mean().item()


def blind_first(own, missed, looks, looks_missed):
    model, blind, there = beside_blind(own, missed, looks, looks_missed)
    return blind, model, there


def counts(own, missed, looks, looks_missed):
    same = read_the_same(looks, looks_missed)
    return (own > missed).sum().item(), len(looks) - same.sum().item() / 2, ((own > missed) & same).sum().item()


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


RED, BLUE, GREEN = ("red", 1), ("blue", 2), ("green", 1)  # what a reader of colours and counts reads
OWN = torch.tensor([0.9, 0.4, 0.3, 0.7, 0.6, 0.2, 0.8])  # cosines of seven pictures with their own captions,
MISSED = torch.tensor([0.5, 0.6, 0.1, 0.7, 0.4, 0.3, 0.1])  # and with near misses: one is equal
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
        title="A test of near misses, beside a blind reader",
        keeps_arguments=True,
        atol=1e-6,
        cases={
            "four pictures, two read the same": (OWN[:4], MISSED[:4], [RED, BLUE, RED, GREEN], [RED, GREEN, RED, BLUE]),
            "seven pictures": (
                OWN,
                MISSED,
                [RED, BLUE, RED, GREEN, BLUE, BLUE, GREEN],
                [BLUE, BLUE, GREEN, GREEN, BLUE, RED, RED],
            ),
            "one is read the same": (
                OWN[:5],
                MISSED[:5],
                [RED, RED, BLUE, BLUE, GREEN],
                [GREEN, RED, RED, GREEN, BLUE],
            ),
            "all are read the same": (OWN[3:], MISSED[3:], [RED, RED, BLUE, GREEN], [RED, RED, BLUE, GREEN]),
        },
        solution=beside_blind,
        wrong=[
            (
                with_equals,
                "You count a picture whose two cosines are equal. Nearer means that its own caption's is higher.",
            ),
            (nearer_to_the_miss, "You count the pictures that are nearer to the near miss."),
            (
                blind_gives_up,
                "Your blind reader is never right where it reads the same in both texts. It guesses between two there.",
            ),
            (blind_is_lucky, "Your blind reader is always right. Where it reads the same in both texts, it guesses."),
            (blind_guesses_always, "Your blind reader always guesses. Where it reads a difference, it is right."),
            (
                blind_where_it_reads_the_same,
                "You return how often the reader reads the same in both texts. How often is it right, there and "
                "elsewhere?",
            ),
            (
                guesses_among_all_looks,
                "Your blind reader guesses among all texts that read like this one. Here it has two: the own caption "
                "and the near miss.",
            ),
            (
                where_it_can_tell,
                "Your third number is of the pictures where the reader can tell. Those where it cannot are wanted.",
            ),
            (share_of_all, "Your third number divides by all pictures: by how many of them does the reader guess?"),
            (
                the_gain,
                "Your third number is the gain over the reader. Take the share anew, of the pictures where it guesses.",
            ),
            (margins, "You average differences of cosines. How many pictures are nearer to their own caption?"),
            (blind_first, "The numbers are right, in another order: the model's share comes first."),
            (counts, "You return numbers of pictures. Shares are wanted."),
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
