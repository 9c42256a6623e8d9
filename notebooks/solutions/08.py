"""Solutions of notebook 08. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
import torch.nn.functional as F

from course_lib.exercises import Exercise

# ---- 08.1


def unread(token_counts, max_seq_length):
    too_many = [count + 2 - max_seq_length for count in token_counts if count + 2 > max_seq_length]
    return len(too_many), sum(too_many)


def without_special_tokens(token_counts, max_seq_length):
    too_many = [count - max_seq_length for count in token_counts if count > max_seq_length]
    return len(too_many), sum(too_many)


def one_special_token(token_counts, max_seq_length):
    return unread([count - 1 for count in token_counts], max_seq_length)


def those_that_just_fit(token_counts, max_seq_length):
    too_many = [count + 2 - max_seq_length for count in token_counts if count + 2 >= max_seq_length]
    return len(too_many), sum(too_many)


def all_tokens_of_cut_texts(token_counts, max_seq_length):
    cut = [count for count in token_counts if count + 2 > max_seq_length]
    return len(cut), sum(cut)


def with_short_texts(token_counts, max_seq_length):
    return unread(token_counts, max_seq_length)[0], sum(count + 2 - max_seq_length for count in token_counts)


def as_shares(token_counts, max_seq_length):
    texts, tokens = unread(token_counts, max_seq_length)
    return texts / len(token_counts), tokens / sum(token_counts)


def swapped(token_counts, max_seq_length):
    return unread(token_counts, max_seq_length)[::-1]


def the_tokens_that_are_read(token_counts, max_seq_length):
    cut = [count for count in token_counts if count + 2 > max_seq_length]
    return len(cut), len(cut) * (max_seq_length - 2)


# ---- 08.2


def closest_pair(vectors):
    unit = F.normalize(vectors, dim=1)
    cosines = (unit @ unit.T).triu(1) + torch.full((len(unit), len(unit)), -2.0).tril()  # (n, n)
    return divmod(int(cosines.argmax()), len(unit))


def with_itself(vectors):
    unit = F.normalize(vectors, dim=1)
    return divmod(int((unit @ unit.T).argmax()), len(unit))


def by_dot_product(vectors):
    scores = (vectors @ vectors.T).masked_fill(torch.ones(len(vectors), len(vectors)).tril().bool(), -torch.inf)
    return divmod(int(scores.argmax()), len(vectors))


def by_distance(vectors):
    distances = torch.cdist(vectors, vectors).masked_fill(
        torch.ones(len(vectors), len(vectors)).tril().bool(), torch.inf
    )
    return divmod(int(distances.argmin()), len(vectors))


def least_similar(vectors):
    unit = F.normalize(vectors, dim=1)
    return divmod(
        int((unit @ unit.T).masked_fill(torch.ones(len(unit), len(unit)).tril().bool(), torch.inf).argmin()), len(unit)
    )


def the_other_way_round(vectors):
    return closest_pair(vectors)[::-1]


def zeros_instead_of_a_mask(vectors):
    unit = F.normalize(vectors, dim=1)
    return divmod(int((unit @ unit.T).triu(1).argmax()), len(unit))


def by_size_of_cosine(vectors):
    unit = F.normalize(vectors, dim=1)
    return divmod(int((unit @ unit.T).abs().triu(1).argmax()), len(unit))


def counted_from_one(vectors):
    i, j = closest_pair(vectors)
    return i + 1, j + 1


EXERCISES = {
    "08.1": Exercise(
        title="Count what a model will not read",
        cases={
            "four texts, limit 10": ([3, 8, 9, 20], 10),
            "nothing is cut": ([1, 2, 3], 128),
            "all are cut": ([300, 400], 128),
        },
        solution=unread,
        wrong=[
            (without_special_tokens, "You give the text all places. [CLS] and [SEP] take two of them."),
            (one_special_token, "Nearly: how many special tokens are added, and how many places are left?"),
            (those_that_just_fit, "A text that just fits is not cut. Look at the comparison."),
            (all_tokens_of_cut_texts, "You count all tokens of the texts that are cut. Their beginnings are read."),
            (
                with_short_texts,
                "Short texts lower your sum of tokens: a text that fits leaves nothing unread, not less than nothing.",
            ),
            (as_shares, "You return shares. Asked for are two counts."),
            (swapped, "Both numbers are right, in the other order: texts first, then tokens."),
            (the_tokens_that_are_read, "You count the tokens of long texts that are read. Asked for are the others."),
        ],
    ),
    "08.2": Exercise(
        title="The two most similar sentences",
        cases={
            "four vectors": (torch.tensor([[1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [0.1, 0.9]]),),
            "long ones that differ": (
                torch.tensor([[10.0, 0.0, 1.0], [0.0, 10.0, 1.0], [1.0, 0.0, 0.15], [8.0, 8.0, 0.0]]),
            ),
            "all far apart": (torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.7, -0.9]]),),
        },
        solution=closest_pair,
        wrong=[
            (with_itself, "Every sentence is closest to itself. Leave the diagonal out."),
            (by_dot_product, "You compare by dot product, so long vectors win. The cosine does not look at lengths."),
            (by_distance, "You compare by distance, which depends on the lengths of the vectors. The cosine does not."),
            (least_similar, "You found the two that are least similar."),
            (the_other_way_round, "The right pair, the wrong way round: the smaller index comes first."),
            (
                zeros_instead_of_a_mask,
                "Right as long as some cosine is positive. What stands in the places that you emptied, when all real "
                "cosines are negative?",
            ),
            (by_size_of_cosine, "A cosine of -0.9 is large in size, and means far apart. Do not drop the sign."),
            (counted_from_one, "You count rows from 1. Python counts from 0."),
        ],
    ),
}
