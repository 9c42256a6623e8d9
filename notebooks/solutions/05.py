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


def frequency_weighted_mean(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = attention_mask * a / (a + frequencies)  # (batch, tokens)
    total = (token_embeddings * weights.unsqueeze(-1)).sum(1)  # (batch, dim)
    return total / weights.sum(1, keepdim=True)


def plain_masked_mean(token_embeddings, attention_mask, frequencies, a=0.001):
    return masked_mean(token_embeddings, attention_mask)


def padding_weighted_too(token_embeddings, attention_mask, frequencies, a=0.001):
    return frequency_weighted_mean(token_embeddings, torch.ones_like(attention_mask), frequencies, a)


def divided_by_the_tokens(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = attention_mask * a / (a + frequencies)
    return (token_embeddings * weights.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)


def divided_by_padded_weights(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = a / (a + frequencies)
    total = (token_embeddings * (attention_mask * weights).unsqueeze(-1)).sum(1)
    return total / weights.sum(1, keepdim=True)


def divided_by_the_columns(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = attention_mask * a / (a + frequencies)
    return (token_embeddings * weights.unsqueeze(-1)).mean(1)


def weighted_sum(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = attention_mask * a / (a + frequencies)
    return (token_embeddings * weights.unsqueeze(-1)).sum(1)


def common_words_weigh_more(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = attention_mask * frequencies / (a + frequencies)
    return (token_embeddings * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)


def one_over_frequency(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = attention_mask / frequencies
    return (token_embeddings * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)


def a_is_fixed(token_embeddings, attention_mask, frequencies, a=0.001):
    return frequency_weighted_mean(token_embeddings, attention_mask, frequencies)


def frequency_masked(token_embeddings, attention_mask, frequencies, a=0.001):
    weights = a / (a + attention_mask * frequencies)
    return (token_embeddings * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)


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
FREQUENCIES = torch.tensor([[0.05, 0.0002, 0.03, 0.001, 0.01], [0.06, 0.002, 0.0005, 0.04, 0.0001]])  # shares of a text

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
        title="Average the real tokens' vectors with the weights a / (a + frequency)",
        cases={
            "nothing padded": (RISING, torch.ones(2, 5), FREQUENCIES),
            "the second sentence padded": (RISING, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), FREQUENCIES),
            "another a": (RISING, torch.ones(2, 5), FREQUENCIES, 0.1),
        },
        solution=frequency_weighted_mean,
        wrong=[
            (plain_masked_mean, "That is the ordinary masked mean: every word weighs the same."),
            (padding_weighted_too, "Padding is weighted and counted as well. What does attention_mask say?"),
            (
                divided_by_the_tokens,
                "The sum is right. You divide by the number of tokens; their weights add up to less.",
            ),
            (
                frequency_masked,
                "You mask the frequency, and a frequency of 0 gives the weight 1: padding weighs most of all. "
                "Mask the weight.",
            ),
            (divided_by_padded_weights, "The sum is right, but the weights of padding are in the divisor."),
            (
                divided_by_the_columns,
                "The sum is right. You divide by the number of columns, not by the sum of weights.",
            ),
            (weighted_sum, "That is the weighted sum. A weighted mean divides it by what the weights add up to."),
            (common_words_weigh_more, "Look at your weights: common words weigh more than rare ones."),
            (one_over_frequency, "You weigh by 1 / frequency. With a in it the rarest words do not take over."),
            (a_is_fixed, "You do not use the argument a."),
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
