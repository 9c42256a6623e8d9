"""Solution of notebook 00. Try the exercise first: check() tells you what kind of mistake you made."""

import torch

from course_lib.exercises import Exercise

# ---- 00.1


def closest_pair(cosines):
    upper = torch.ones_like(cosines).triu(1).bool()  # (texts, texts) true where i < j
    place = cosines.masked_fill(~upper, -2).argmax().item()  # in the matrix read line by line
    return divmod(place, len(cosines))


def with_itself(cosines):
    return divmod(cosines.argmax().item(), len(cosines))


def least_alike(cosines):
    return closest_pair(-cosines)


def larger_first(cosines):
    return closest_pair(cosines)[::-1]


def counted_from_one(cosines):
    i, j = closest_pair(cosines)
    return i + 1, j + 1


def place_in_one_row(cosines):
    return cosines.clone().fill_diagonal_(-2).argmax().item()


def the_cosine(cosines):
    return cosines.clone().fill_diagonal_(-2).max().item()


def furthest_from_zero(cosines):
    return closest_pair(cosines.abs())


def diagonal_as_zero(cosines):
    return closest_pair(cosines) if closest_value(cosines) > 0 else (0, 0)


def closest_value(cosines):
    i, j = closest_pair(cosines)
    return cosines[i, j].item()


EXERCISES = {
    "00.1": Exercise(
        title="Find the two texts that are most alike",
        cases={
            "three texts": (torch.tensor([[1.0, 0.2, 0.7], [0.2, 1.0, 0.1], [0.7, 0.1, 1.0]]),),
            "one pair points in opposite directions": (
                torch.tensor([[1, -0.9, 0.3, 0.1], [-0.9, 1, 0, 0.2], [0.3, 0, 1, 0.4], [0.1, 0.2, 0.4, 1]]),
            ),
            "no two texts have anything in common": (torch.tensor([[1.0, -0.5], [-0.5, 1.0]]),),
        },
        solution=closest_pair,
        wrong=[
            (with_itself, "Each text is most alike to itself: the diagonal is 1. Leave it out."),
            (least_alike, "Those are the two that are least alike. The higher the cosine, the more alike."),
            (larger_first, "The right two, the other way round: i < j was wanted."),
            (counted_from_one, "The right two, counted from 1. Python counts from 0."),
            (place_in_one_row, "One number: the place in the matrix read line by line. Which row and column is that?"),
            (the_cosine, "That is their cosine. Wanted are the numbers of the two texts."),
            (furthest_from_zero, "You look for the largest absolute value. A cosine of -0.9 says: not alike at all."),
            (diagonal_as_zero, "You set the diagonal to 0, and cosines below 0 never beat it. Use -2."),
        ],
    ),
}
