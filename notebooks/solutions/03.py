"""Solutions of notebook 03. Try the exercises first: check() tells you what kind of mistake you made."""

import math

import torch

from course_lib.exercises import Exercise

# ---- 03.1


def attention_weights(query, key, mask):
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # (batch, tokens, tokens)
    return scores.masked_fill(mask[:, None] == 0, -math.inf).softmax(-1)  # (batch, tokens, tokens)


def no_mask(query, key, mask):
    return (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)


def zero_scores(query, key, mask):
    return (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) * mask[:, None]).softmax(-1)


def masked_after_the_softmax(query, key, mask):
    return no_mask(query, key, mask) * mask[:, None]


def not_scaled(query, key, mask):
    return attention_weights(query * math.sqrt(query.shape[-1]), key, mask)


def divided_by_the_size(query, key, mask):
    return attention_weights(query / math.sqrt(query.shape[-1]), key, mask)


def softmax_over_queries(query, key, mask):
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return scores.masked_fill(mask[:, None] == 0, -1e9).softmax(-2)


def queries_masked(query, key, mask):
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return scores.masked_fill(mask[:, :, None] == 0, -1e9).softmax(-1)


def keys_and_queries_swapped(query, key, mask):
    return attention_weights(key, query, mask)


# ---- 03.2


def merge_heads(x):
    return x.transpose(1, 2).flatten(2)  # (batch, tokens, heads, size) -> (batch, tokens, hidden)


def only_reshaped(x):
    return x.reshape(x.shape[0], x.shape[2], -1)


def sizes_outside(x):
    return x.permute(0, 2, 3, 1).flatten(2)


def heads_averaged(x):
    return x.mean(1)


def heads_added(x):
    return x.sum(1)


def left_in_four_dimensions(x):
    return x.transpose(1, 2)


def tokens_joined(x):
    return x.flatten(2)


torch.manual_seed(0)
QUERY, KEY = torch.randn(2, 4, 3), torch.randn(2, 4, 3)  # (2 sentences, 4 tokens, 3)
COUNTED = torch.arange(24.0).reshape(1, 2, 3, 4)  # (1 sentence, 2 heads, 3 tokens, 4)

EXERCISES = {
    "03.1": Exercise(
        title="Attention weights of a padded batch",
        cases={
            "nothing padded": (QUERY, KEY, torch.ones(2, 4, dtype=torch.int64)),
            "padding on the right": (QUERY, KEY, torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])),
            "padding on the left": (QUERY, KEY, torch.tensor([[0, 1, 1, 1], [0, 0, 1, 1]])),
        },
        solution=attention_weights,
        wrong=[
            (no_mask, "The mask is not used: the keys of [PAD] get a share of the attention."),
            (zero_scores, "A score of 0 is not nothing: its exponential is 1. Which score has the exponential 0?"),
            (
                masked_after_the_softmax,
                "[PAD] gets nothing, but where something was taken away the row no longer sums to 1: the mask comes "
                "too late.",
            ),
            (not_scaled, "You did not divide by the root of the number of components."),
            (divided_by_the_size, "You divide by the number of components, not by its root."),
            (
                softmax_over_queries,
                "Your columns sum to 1. Each query, that is each row, has one unit of attention to give.",
            ),
            (queries_masked, "You mask the rows, the queries of [PAD]. It is the keys that nobody may look at."),
            (keys_and_queries_swapped, "Queries and keys have changed places: row i has to belong to query i."),
        ],
    ),
    "03.2": Exercise(
        title="Join the heads' results, token by token",
        cases={
            "one sentence": (COUNTED,),
            "two sentences, as many heads as tokens": (torch.arange(36.0).reshape(2, 3, 3, 2),),
            "one head": (torch.arange(6.0).reshape(1, 1, 3, 2),),
        },
        solution=merge_heads,
        wrong=[
            (
                only_reshaped,
                "The shape is right, the numbers of different tokens are mixed: what has to stand beside what "
                "before the last two dimensions can be joined?",
            ),
            (
                sizes_outside,
                "Each token has its own numbers, but the heads are interleaved: head 1 has to come first, whole, "
                "then head 2.",
            ),
            (heads_averaged, "You average the heads. Nothing is to be lost: the last dimension becomes heads * size."),
            (heads_added, "You add the heads up. Nothing is to be lost: the last dimension becomes heads * size."),
            (left_in_four_dimensions, "The order is right. Now join the last two dimensions into one."),
            (tokens_joined, "You join tokens with sizes. There has to be one row for each token."),
        ],
    ),
}
