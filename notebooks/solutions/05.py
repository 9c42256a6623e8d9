"""Solutions of notebook 05. Try the exercises first: check() tells you what kind of mistake you made."""

import torch

from course_lib.exercises import Exercise

# ---- 05.1


def unusual(u_tokens, u_mask, v_tokens, v_mask):
    u, v = (masked_mean(tokens, mask) for tokens, mask in ((u_tokens, u_mask), (v_tokens, v_mask)))  # (pairs, dim) each
    cosines = unit(u) @ unit(v).T  # (pairs, pairs): a pair's own on the diagonal
    others = cosines[~torch.eye(len(u), dtype=torch.bool)]  # (pairs * (pairs - 1),)
    return (others < cosines.diagonal().unsqueeze(1)).float().mean(1)  # (pairs,)


def masked_mean(token_embeddings, attention_mask):
    mask = attention_mask.unsqueeze(-1).float()
    return (token_embeddings * mask).sum(1) / mask.sum(1)


def unit(vectors):
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)


def matrix(u_tokens, u_mask, v_tokens, v_mask, pool=masked_mean, scale=unit):
    return scale(pool(u_tokens, u_mask)) @ scale(pool(v_tokens, v_mask)).T


def between_pairs(cosines):
    return cosines[~torch.eye(len(cosines), dtype=torch.bool)]


def share_below(cosines):
    return (between_pairs(cosines) < cosines.diagonal().unsqueeze(1)).float().mean(1)


def padding_counted(*batch):
    return share_below(matrix(*batch, pool=lambda tokens, mask: tokens.mean(1)))


def first_token(*batch):
    return share_below(matrix(*batch, pool=lambda tokens, mask: tokens[:, 0]))


def dot_products(*batch):
    return share_below(matrix(*batch, scale=lambda vectors: vectors))


def no_baseline(*batch):
    return matrix(*batch).diagonal()


def own_pairs_counted(*batch):
    cosines = matrix(*batch)
    return (cosines.flatten() < cosines.diagonal().unsqueeze(1)).float().mean(1)


def own_row(*batch):
    cosines = matrix(*batch)
    return (cosines < cosines.diagonal().unsqueeze(1)).float().sum(1) / (len(cosines) - 1)


def own_column(*batch):
    cosines = matrix(*batch)
    return (cosines < cosines.diagonal()).float().sum(0) / (len(cosines) - 1)


def share_above(*batch):
    return 1 - unusual(*batch)


def less_their_mean(*batch):
    cosines = matrix(*batch)
    return cosines.diagonal() - between_pairs(cosines).mean()


def less_the_mean_of_all(*batch):
    cosines = matrix(*batch)
    return cosines.diagonal() - cosines.mean()


def among_the_first_list(u_tokens, u_mask, v_tokens, v_mask):
    own = matrix(u_tokens, u_mask, v_tokens, v_mask).diagonal()
    others = between_pairs(matrix(u_tokens, u_mask, u_tokens, u_mask))
    return (others < own.unsqueeze(1)).float().mean(1)


def counted(*batch):
    cosines = matrix(*batch)
    return (between_pairs(cosines) < cosines.diagonal().unsqueeze(1)).float().sum(1)


def against_the_mean(*batch):
    cosines = matrix(*batch)
    return (cosines.diagonal() > between_pairs(cosines).mean()).float()


# ---- 05.2


def centred(vectors, others):
    moved = vectors - others.mean(0)  # (texts, dim)
    length = moved.norm(dim=1, keepdim=True)  # (texts, 1)
    return moved / torch.where(length > 0, length, 1.0)


def own_mean(vectors, others):
    return unit(vectors - vectors.mean(0))


def mean_of_both(vectors, others):
    return unit(vectors - torch.cat([vectors, others]).mean(0))


def not_normalised(vectors, others):
    return vectors - others.mean(0)


def normalised_before(vectors, others):
    return unit(vectors) - unit(others).mean(0)


def normalised_before_and_after(vectors, others):
    return unit(unit(vectors) - unit(others).mean(0))


def mean_of_the_numbers(vectors, others):
    return unit(vectors - vectors.mean(1, keepdim=True))


def only_normalised(vectors, others):
    return unit(vectors)


def standardised(vectors, others):
    return unit((vectors - others.mean(0)) / others.std(0))


def by_the_first_length(vectors, others):
    moved = vectors - others.mean(0)
    return moved / moved.norm()


def unguarded(vectors, others):
    moved = vectors - others.mean(0)
    return moved / moved.norm(dim=1, keepdim=True)


# ---- 05.3


def last_token(token_embeddings, attention_mask):
    positions = torch.arange(attention_mask.shape[1])  # (tokens,)
    last = (attention_mask * positions).argmax(1)  # (batch,)
    return token_embeddings[torch.arange(len(last)), last]  # (batch, dim)


def last_column(token_embeddings, attention_mask):
    return token_embeddings[:, -1]


def number_of_tokens_as_position(token_embeddings, attention_mask):
    return token_embeddings[torch.arange(len(token_embeddings)), attention_mask.sum(1) - 1]


def last_column_masked(token_embeddings, attention_mask):
    return (token_embeddings * attention_mask.unsqueeze(-1))[:, -1]


def one_after_the_last(token_embeddings, attention_mask):
    return token_embeddings[torch.arange(len(token_embeddings)), attention_mask.sum(1)]


def one_position_too_far(token_embeddings, attention_mask):
    positions = torch.arange(attention_mask.shape[1])
    last = (attention_mask * positions).argmax(1)
    return token_embeddings[torch.arange(len(last)), last + 1]


def one_side_for_the_batch(token_embeddings, attention_mask):
    if attention_mask[:, -1].all():
        return last_column(token_embeddings, attention_mask)
    return number_of_tokens_as_position(token_embeddings, attention_mask)


def one_side_by_the_first_column(token_embeddings, attention_mask):
    if attention_mask[:, 0].all():
        return number_of_tokens_as_position(token_embeddings, attention_mask)
    return last_column(token_embeddings, attention_mask)


def first_column(token_embeddings, attention_mask):
    return token_embeddings[:, 0]


def first_real_token(token_embeddings, attention_mask):
    return token_embeddings[torch.arange(len(token_embeddings)), attention_mask.argmax(1)]


def one_before_the_last(token_embeddings, attention_mask):
    positions = torch.arange(attention_mask.shape[1])
    last = (attention_mask * positions).argmax(1)
    return token_embeddings[torch.arange(len(last)), last - 1]


RISING = torch.arange(30.0).reshape(2, 5, 3).sqrt()  # (2 sentences, 5 tokens, 3)
WAVES = 2 + torch.arange(120.0).mul(1.7).sin().reshape(2, 4, 5, 3)  # (2 lists, 4 sentences, 5 tokens, 3)
ALL = torch.ones(4, 5, dtype=torch.long)
SOME = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])
OTHERWISE = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 0, 0, 0]])
LONG = torch.tensor([1.0, 8.0, 0.5, 3.0]).reshape(4, 1, 1)  # a factor for each sentence
TEXTS = torch.tensor([[4.0, 1.0, -2.0], [3.0, 2.0, 0.5], [5.0, -1.0, 1.0]])  # (texts, dim)
OTHERS = torch.tensor([[3.0, 0.0, 1.0], [4.0, 1.0, -3.0], [5.0, 2.0, 0.0], [2.0, -1.0, 4.0]])

EXERCISES = {
    "05.1": Exercise(
        title="Say how unusual each pair's cosine is",
        cases={
            "nothing padded": (WAVES[0], ALL, WAVES[1], ALL),
            "some sentences padded": (WAVES[0], SOME, WAVES[1], OTHERWISE),
            "sentences of very different length in numbers": (WAVES[0] * LONG, ALL, WAVES[1], SOME),
        },
        solution=unusual,
        wrong=[
            (padding_counted, "You average over [PAD] as well. Which tokens does the mask say to count?"),
            (first_token, "That is the first token's vector. The mean of all real tokens is wanted."),
            (dot_products, "You compare dot products: a long vector gets high ones with everything. Take cosines."),
            (no_baseline, "Those are the cosines themselves. Is 0.9 high, where all others are 0.9 too?"),
            (own_pairs_counted, "The pairs themselves are among what you compare with. Leave the diagonal out."),
            (
                own_row,
                "You compare a pair with what its first sentence gets from the other list. All cosines between "
                "different pairs are wanted.",
            ),
            (
                own_column,
                "You compare a pair with what its second sentence gets from the other list. All cosines between "
                "different pairs are wanted.",
            ),
            (share_above, "That is the share of the others that are higher. How many are lower?"),
            (
                less_their_mean,
                "You subtract the others' mean. That says how far a cosine is above it, not how rare that is.",
            ),
            (
                less_the_mean_of_all,
                "You subtract the mean of all cosines, the pairs' own included. A share of the others is wanted.",
            ),
            (
                among_the_first_list,
                "Your baseline compares sentences of one list. A pair has one of each: so should the others.",
            ),
            (counted, "That is how many others are lower. Divide by how many there are."),
            (against_the_mean, "You only say whether a pair is above the others' mean. How many of them are lower?"),
        ],
        keeps_arguments=True,
    ),
    "05.2": Exercise(
        title="Subtract the mean of other texts and bring each vector to length 1",
        cases={
            "three texts, and four others": (TEXTS, OTHERS),
            "one text": (TEXTS[:1], OTHERS),
            "a text that is the others' mean": (torch.stack([TEXTS[0], OTHERS.mean(0)]), OTHERS),
        },
        solution=centred,
        wrong=[
            (
                own_mean,
                "You subtract the mean of the texts that you judge: it changes with them, and of one text nothing is "
                "left.",
            ),
            (mean_of_both, "The texts to be judged are in your mean. It should come from the others alone."),
            (not_normalised, "The mean is gone; now bring each vector to length 1."),
            (
                normalised_before,
                "You bring the vectors to length 1 and subtract then: after it they are not of length 1.",
            ),
            (
                normalised_before_and_after,
                "You subtract the mean of vectors of length 1. Subtract that of the vectors as they are.",
            ),
            (mean_of_the_numbers, "You subtract from each vector the mean of its own numbers: look at the dimension."),
            (only_normalised, "You bring the vectors to length 1, but subtract nothing."),
            (standardised, "You divide each dimension by its standard deviation, too. Only the mean is to go."),
            (by_the_first_length, "You divide all vectors by one number, the length of the whole table."),
            (unguarded, "A text that is the mean has length 0, and 0 / 0 is no number. Leave its vector at 0."),
        ],
        keeps_arguments=True,
    ),
    "05.3": Exercise(
        title="Take the vector of the last token that is not padding",
        cases={
            "padding on the right": (RISING, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])),
            "padding on the left": (RISING, torch.tensor([[0, 1, 1, 1, 1], [0, 0, 0, 1, 1]])),
            "padding on the left of one, on the right of the other": (
                RISING,
                torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]]),
            ),
        },
        solution=last_token,
        wrong=[
            (last_column, "The last column is right only where nothing is padded on the right: otherwise it is [PAD]."),
            (
                number_of_tokens_as_position,
                "The number of tokens says where the last one is only if padding is on the right. Try the left.",
            ),
            (
                last_column_masked,
                "Where the last column is padding you return zeros: the last real token is further left.",
            ),
            (
                one_after_the_last,
                "Positions count from 0: of n tokens the last stands at n - 1, and there is none at n.",
            ),
            (one_position_too_far, "You look one place too far: after the last real token there is none, or padding."),
            (
                one_side_for_the_batch,
                "You choose one side for the whole batch: where one sentence is padded on the right, you count as if "
                "all were.",
            ),
            (
                one_side_by_the_first_column,
                "You choose one side for the whole batch: where one sentence is padded on the left, you take the last "
                "column of all.",
            ),
            (first_column, "That is the first column: [CLS], or padding where it stands on the left."),
            (first_real_token, "That is the first real token, which `cls` takes. The last one is wanted."),
            (one_before_the_last, "You are off by one: that is the token before the last."),
        ],
        keeps_arguments=True,
    ),
}
