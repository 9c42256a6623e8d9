"""Solutions of notebook 05. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from torch.nn.functional import normalize

from course_lib.exercises import Exercise

# ---- 05.1


def mean_of_words(token_embeddings, attention_mask):
    words = attention_mask.clone().float()  # (batch, tokens)
    words[:, 0] = 0  # [CLS]
    words[torch.arange(len(words)), attention_mask.sum(1) - 1] = 0  # [SEP], the last token that counts
    words = words.unsqueeze(-1)  # (batch, tokens, 1)
    return (token_embeddings * words).sum(1) / words.sum(1)  # (batch, dim)


def masked_mean(token_embeddings, attention_mask):
    mask = attention_mask.unsqueeze(-1).float()
    return (token_embeddings * mask).sum(1) / mask.sum(1)


def plain_mean(token_embeddings, attention_mask):
    return token_embeddings.mean(1)


def first_and_last_column_dropped(token_embeddings, attention_mask):
    return masked_mean(token_embeddings[:, 1:-1], attention_mask[:, 1:-1])


def everything_but_the_ends(token_embeddings, attention_mask):
    return token_embeddings[:, 1:-1].mean(1)


def all_tokens_counted(token_embeddings, attention_mask):
    words = mean_of_words(token_embeddings, attention_mask)
    count = attention_mask.sum(1, keepdim=True)
    return words * (count - 2) / count


def only_cls_dropped(token_embeddings, attention_mask):
    return masked_mean(token_embeddings[:, 1:], attention_mask[:, 1:])


# ---- 05.2


def centred_cosines(vectors):
    unit = normalize(vectors - vectors.mean(0), dim=1)  # (n, dim)
    return unit @ unit.T  # (n, n)


def not_centred(vectors):
    unit = normalize(vectors, dim=1)
    return unit @ unit.T


def centred_within_each_vector(vectors):
    unit = normalize(vectors - vectors.mean(1, keepdim=True), dim=1)
    return unit @ unit.T


def not_normalised(vectors):
    centred = vectors - vectors.mean(0)
    return centred @ centred.T


def normalised_too_early(vectors):
    centred = normalize(vectors, dim=1)
    centred = centred - centred.mean(0)
    return centred @ centred.T


def normalised_before_and_after(vectors):
    return centred_cosines(normalize(vectors, dim=1))


def one_number_subtracted(vectors):
    return not_centred(vectors - vectors.mean())


# ---- 05.3


def last_token(token_embeddings, attention_mask):
    positions = torch.arange(attention_mask.shape[1])  # (tokens,)
    last = (attention_mask * positions).argmax(1)  # (batch,)
    return token_embeddings[torch.arange(len(last)), last]  # (batch, dim)


def last_column(token_embeddings, attention_mask):
    return token_embeddings[:, -1]


def number_of_tokens_as_position(token_embeddings, attention_mask):
    return token_embeddings[torch.arange(len(token_embeddings)), attention_mask.sum(1) - 1]


def first_real_token(token_embeddings, attention_mask):
    return token_embeddings[torch.arange(len(token_embeddings)), attention_mask.argmax(1)]


def one_before_the_last(token_embeddings, attention_mask):
    positions = torch.arange(attention_mask.shape[1])
    last = (attention_mask * positions).argmax(1)
    return token_embeddings[torch.arange(len(last)), last - 1]


RISING = torch.arange(30.0).reshape(2, 5, 3).sqrt()  # (2 sentences, 5 tokens, 3)
SCATTERED = torch.tensor([[3.0, 1.0, 2.0], [4.0, -1.0, 2.5], [2.0, 2.0, 6.0], [5.0, 0.5, 1.0]])  # (4, 3)

EXERCISES = {
    "05.1": Exercise(
        title="Average the vectors of the words, without [CLS], [SEP] and padding",
        cases={
            "nothing padded": (RISING, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1]])),
            "the second sentence padded": (RISING, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])),
        },
        solution=mean_of_words,
        wrong=[
            (masked_mean, "That is the ordinary masked mean: [CLS] and [SEP] are still in it."),
            (plain_mean, "You average over every position, [PAD], [CLS] and [SEP] included."),
            (
                first_and_last_column_dropped,
                "In a padded sentence the last column is [PAD], not [SEP]: its [SEP] is still in your average.",
            ),
            (
                everything_but_the_ends,
                "You cut off both ends, but do not use attention_mask: a padded sentence comes out wrong.",
            ),
            (all_tokens_counted, "The sum is right. What do you divide by? [CLS] and [SEP] are still counted."),
            (only_cls_dropped, "[CLS] is out, [SEP] is still in."),
        ],
    ),
    "05.2": Exercise(
        title="Subtract the mean vector, then take the cosines of all pairs",
        cases={
            "four vectors": (SCATTERED,),
            "two vectors": (SCATTERED[:2],),
            "a large common part": (SCATTERED + torch.tensor([50.0, 20.0, -30.0]),),
        },
        solution=centred_cosines,
        wrong=[
            (not_centred, "These are the cosines as they are: nothing has been subtracted that all vectors share."),
            (
                centred_within_each_vector,
                "You subtract from each vector the mean of its own components. Over which dimension is the mean of "
                "all vectors?",
            ),
            (not_normalised, "The mean is gone, but these are dot products: the diagonal of a cosine matrix is 1."),
            (
                normalised_too_early,
                "After the subtraction the vectors no longer have length 1, so these are no cosines: look at the "
                "diagonal.",
            ),
            (
                normalised_before_and_after,
                "You normalise before subtracting as well. This exercise takes the vectors as they are.",
            ),
            (
                one_number_subtracted,
                "You subtract one number from everything. The mean of the vectors is itself a vector.",
            ),
        ],
    ),
    "05.3": Exercise(
        title="Take the vector of the last token that is not padding",
        cases={
            "padding on the right": (RISING, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])),
            "padding on the left": (RISING, torch.tensor([[0, 1, 1, 1, 1], [0, 0, 0, 1, 1]])),
        },
        solution=last_token,
        wrong=[
            (last_column, "The last column is right only where nothing is padded on the right: otherwise it is [PAD]."),
            (
                number_of_tokens_as_position,
                "The number of tokens says where the last one is only if padding is on the right. Try the left.",
            ),
            (first_real_token, "That is the first real token, which `cls` takes. The last one is wanted."),
            (one_before_the_last, "You are off by one: that is the token before the last."),
        ],
    ),
}
