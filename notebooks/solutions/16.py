"""Solutions of notebook 16. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from torch.nn.functional import cross_entropy, normalize

from course_lib.exercises import Exercise

# ---- 16.1


def patches(pictures, size):
    n, side, _, channels = pictures.shape
    grid = pictures.reshape(n, side // size, size, side // size, size, channels)  # (n, rows, i, columns, j, channels)
    return grid.transpose(2, 3).reshape(
        n, -1, size * size * channels
    )  # (n, rows, columns, i, j, channels) -> (n, patches, numbers)


def not_transposed(pictures, size):
    n, side, _, channels = pictures.shape
    return pictures.reshape(n, (side // size) ** 2, size * size * channels)


def by_columns(pictures, size):
    return patches(pictures.transpose(1, 2), size)


def columns_first(pictures, size):
    n, side, _, channels = pictures.shape
    rows = side // size
    return patches(pictures, size).reshape(n, rows, rows, -1).transpose(1, 2).reshape(n, rows * rows, -1)


def channels_first(pictures, size):
    n, side, _, channels = pictures.shape
    cut = patches(pictures, size).reshape(n, -1, size * size, channels)
    return cut.transpose(2, 3).reshape(n, -1, size * size * channels)


def pixels_by_columns(pictures, size):
    n, side, _, channels = pictures.shape
    cut = patches(pictures, size).reshape(n, -1, size, size, channels)
    return cut.transpose(2, 3).reshape(n, -1, size * size * channels)


def pieces_and_pixels_exchanged(pictures, size):
    n, side, _, channels = pictures.shape
    grid = pictures.reshape(n, size, side // size, size, side // size, channels)
    return grid.transpose(2, 3).reshape(n, -1, size * size * channels)


def pixels_apart(pictures, size):
    n, side, _, channels = pictures.shape
    grid = pictures.reshape(n, size, side // size, size, side // size, channels)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, size * size * channels)


def one_channel(pictures, size):
    return patches(pictures[..., :1], size)


def three_channels(pictures, size):
    n, side, _, _ = pictures.shape
    grid = pictures.reshape(n, side // size, size, side // size, size, 3)  # fails where the channels are not three
    return grid.transpose(2, 3).reshape(n, -1, size * size * 3)


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


GRID = torch.arange(2 * 4 * 4 * 3.0).reshape(2, 4, 4, 3)  # (2 pictures, 4, 4, 3 channels)
LARGER = torch.arange(6 * 6 * 3.0).reshape(1, 6, 6, 3)  # pieces and pixels differ: 3 pieces of 2
GREY = torch.arange(2 * 4 * 4.0).reshape(2, 4, 4, 1)  # one channel
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
        title="Cut pictures into patches, by rows from the top left",
        cases={
            "two pictures of 4 x 4, patches of 2": (GRID, 2),
            "a picture of 6 x 6, patches of 2": (LARGER, 2),
            "one patch": (GRID, 4),
            "patches of one pixel": (GRID, 1),
            "two pictures with one channel": (GREY, 2),
        },
        solution=patches,
        wrong=[
            (
                not_transposed,
                "The shape is right, but a patch takes its pixels from neighbouring rows in full. Which two axes "
                "have to change places?",
            ),
            (by_columns, "Rows and columns are exchanged, within each patch and among the patches."),
            (
                columns_first,
                "Each patch is right, but they come by columns: the second one should lie to the right of the first.",
            ),
            (
                pixels_by_columns,
                "Each patch is in its place, but its pixels come by columns. Which axis is the row of a pixel within "
                "its patch?",
            ),
            (
                pieces_and_pixels_exchanged,
                "You cut each side into `size` pieces, not into pieces of `size` pixels: that is the same only where "
                "both numbers are equal.",
            ),
            (
                pixels_apart,
                "The pixels of a patch come from all over the picture. Where a side is split in two axes, which "
                "comes first: "
                "the number of the piece, or the pixel within it?",
            ),
            (
                channels_first,
                "Each patch has its pixels, but ordered by channel. Keep the channels of a pixel together.",
            ),
            (
                three_channels,
                "It works for three channels only. A picture may have one, as in shades of grey: read the number "
                "from the shape.",
            ),
            (one_channel, "Only the first channel is there: a pixel has all of its channels."),
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
