"""Solutions of notebook 05. Try the exercises first: check() tells you what kind of mistake you made."""

import torch

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


def one_special_token_counted(token_embeddings, attention_mask):
    count = attention_mask.sum(1, keepdim=True)
    return mean_of_words(token_embeddings, attention_mask) * (count - 2) / (count - 1)


def columns_counted(token_embeddings, attention_mask):
    count = attention_mask.sum(1, keepdim=True)
    return mean_of_words(token_embeddings, attention_mask) * (count - 2) / attention_mask.shape[1]


def columns_but_two_counted(token_embeddings, attention_mask):
    count = attention_mask.sum(1, keepdim=True)
    return mean_of_words(token_embeddings, attention_mask) * (count - 2) / (attention_mask.shape[1] - 2)


def summed(token_embeddings, attention_mask):
    count = attention_mask.sum(1, keepdim=True)
    return mean_of_words(token_embeddings, attention_mask) * (count - 2)


def one_place_too_far(token_embeddings, attention_mask):
    words = attention_mask.clone()
    words[:, 0] = 0
    words[torch.arange(len(words)), attention_mask.sum(1)] = 0
    return masked_mean(token_embeddings, words)


def only_sep_dropped(token_embeddings, attention_mask):
    words = attention_mask.clone()
    words[torch.arange(len(words)), attention_mask.sum(1) - 1] = 0
    return masked_mean(token_embeddings, words)


# ---- 05.2


def centred(vectors, others):
    moved = vectors - others.mean(0)  # (texts, dim)
    length = moved.norm(dim=1, keepdim=True)  # (texts, 1)
    return moved / torch.where(length > 0, length, 1.0)


def unit(vectors):
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)


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
TEXTS = torch.tensor([[4.0, 1.0, -2.0], [3.0, 2.0, 0.5], [5.0, -1.0, 1.0]])  # (texts, dim)
OTHERS = torch.tensor([[3.0, 0.0, 1.0], [4.0, 1.0, -3.0], [5.0, 2.0, 0.0], [2.0, -1.0, 4.0]])

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
            (only_sep_dropped, "[SEP] is out, [CLS] is still in."),
            (one_special_token_counted, "The sum is right. The divisor is one too large."),
            (columns_counted, "The sum is right, but you divide by the number of columns, padding included."),
            (
                columns_but_two_counted,
                "The sum is right, but you divide by the number of columns less two, and a padded sentence has fewer "
                "words.",
            ),
            (
                one_place_too_far,
                "Positions count from 0: of n tokens the last stands at n - 1, and there is none at n.",
            ),
            (summed, "That is the sum of the words' vectors. A mean divides it."),
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
