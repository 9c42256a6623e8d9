"""Solutions of notebook 03. Try the exercises first: check() tells you what kind of mistake you made."""

import math

import torch

from course_lib.exercises import Exercise

# ---- 03.1


def decoder_weights(query, key, mask):
    allowed = causal(mask) & (mask == 1)[:, None]  # (batch, tokens, tokens)
    return softmax_of(scores(query, key), allowed).masked_fill(~allowed, 0.0)  # rows without any key: 0, not NaN


def scores(query, key):
    return query @ key.transpose(1, 2) / math.sqrt(query.shape[2])  # (batch, tokens, tokens)


def causal(mask):
    n = mask.shape[1]
    return torch.ones(n, n, dtype=torch.bool).tril().expand(len(mask), n, n)  # (batch, tokens, tokens)


def softmax_of(scores, allowed, dim=2):
    return scores.masked_fill(~allowed, -math.inf).softmax(dim)


def nothing_masked(query, key, mask):
    return scores(query, key).softmax(2)


def only_causal(query, key, mask):
    return softmax_of(scores(query, key), causal(mask))


def only_causal_rows_cleared(query, key, mask):
    return only_causal(query, key, mask) * mask[:, :, None]


def only_padding(query, key, mask):
    return softmax_of(scores(query, key), (mask == 1)[:, None].expand(-1, mask.shape[1], -1))


def only_padding_rows_cleared(query, key, mask):
    return only_padding(query, key, mask) * mask[:, :, None]


def rows_left_nan(query, key, mask):
    return softmax_of(scores(query, key), causal(mask) & (mask == 1)[:, None])


def large_negative_number(query, key, mask):
    allowed = causal(mask) & (mask == 1)[:, None]
    return scores(query, key).masked_fill(~allowed, -1e9).softmax(2)


def zero_scores(query, key, mask):
    allowed = causal(mask) & (mask == 1)[:, None]
    return (scores(query, key) * allowed).softmax(2)


def zero_scores_rows_cleared(query, key, mask):
    return zero_scores(query, key, mask) * mask[:, :, None]


def masked_after_the_softmax(query, key, mask):
    return nothing_masked(query, key, mask) * (causal(mask) & (mask == 1)[:, None])


def future_taken_after_the_softmax(query, key, mask):
    return nothing_masked(query, key, mask) * causal(mask)


def padding_taken_after_the_softmax(query, key, mask):
    return nothing_masked(query, key, mask) * (mask == 1)[:, None]


def padding_hidden_future_taken_after(query, key, mask):
    return only_padding(query, key, mask) * causal(mask)


def future_hidden_padding_taken_after(query, key, mask):
    return only_causal(query, key, mask) * (mask == 1)[:, None]


def normalised_again(query, key, mask):
    weights = masked_after_the_softmax(query, key, mask)
    return weights / weights.sum(2, keepdim=True)


def normalised_again_without_nan(query, key, mask):
    return normalised_again(query, key, mask).nan_to_num()


def future_only(query, key, mask):
    allowed = causal(mask).transpose(1, 2) & (mask == 1)[:, None]
    return softmax_of(scores(query, key), allowed).nan_to_num() * mask[:, :, None]


def future_only_rows_left(query, key, mask):
    return softmax_of(scores(query, key), causal(mask).transpose(1, 2) & (mask == 1)[:, None])


def future_only_without_itself(query, key, mask):
    n = mask.shape[1]
    return softmax_of(
        scores(query, key), torch.ones(n, n, dtype=torch.bool).triu(1) & (mask == 1)[:, None]
    ).nan_to_num()


def future_only_without_itself_left(query, key, mask):
    n = mask.shape[1]
    return softmax_of(scores(query, key), torch.ones(n, n, dtype=torch.bool).triu(1) & (mask == 1)[:, None])


def one_further(query, key, mask):
    n = mask.shape[1]
    return softmax_of(scores(query, key), torch.ones(n, n, dtype=torch.bool).tril(1) & (mask == 1)[:, None])


def one_further_rows_cleared(query, key, mask):
    return one_further(query, key, mask).nan_to_num() * mask[:, :, None]


def one_further_without_nan(query, key, mask):
    return one_further(query, key, mask).nan_to_num()


def first_mask_for_all(query, key, mask):
    return decoder_weights(query, key, mask[:1].expand_as(mask))


def scaled_by_the_tokens(query, key, mask):
    return decoder_weights(query * math.sqrt(query.shape[2] / query.shape[1]), key, mask)


def hidden_get(number, query, key, mask):
    """The weights where hidden scores get a number that is not low enough; rows of [PAD] are left as they come."""
    allowed = causal(mask) & (mask == 1)[:, None]
    return scores(query, key).masked_fill(~allowed, number).softmax(2)


def minus_thirty(query, key, mask):
    return hidden_get(-30.0, query, key, mask) * mask[:, :, None]


def minus_thirty_rows_left(query, key, mask):
    return hidden_get(-30.0, query, key, mask)


def minus_ten(query, key, mask):
    return hidden_get(-10.0, query, key, mask) * mask[:, :, None]


def minus_ten_rows_left(query, key, mask):
    return hidden_get(-10.0, query, key, mask)


def without_itself(query, key, mask):
    n = mask.shape[1]
    allowed = torch.ones(n, n, dtype=torch.bool).tril(-1) & (mask == 1)[:, None]
    return softmax_of(scores(query, key), allowed)


def without_itself_rows_cleared(query, key, mask):
    return without_itself(query, key, mask).nan_to_num()


def not_scaled(query, key, mask):
    return decoder_weights(query * math.sqrt(query.shape[2]), key, mask)


def divided_by_the_size(query, key, mask):
    return decoder_weights(query / math.sqrt(query.shape[2]), key, mask)


def no_softmax(query, key, mask):
    return scores(query, key).masked_fill(~(causal(mask) & (mask == 1)[:, None]), 0.0)


def no_softmax_minus_infinity(query, key, mask):
    return scores(query, key).masked_fill(~(causal(mask) & (mask == 1)[:, None]), -math.inf)


def softmax_over_queries(query, key, mask):
    return softmax_of(scores(query, key), causal(mask) & (mask == 1)[:, None], dim=1)


def softmax_over_queries_without_nan(query, key, mask):
    return softmax_over_queries(query, key, mask).nan_to_num()


def softmax_over_the_batch(query, key, mask):
    return softmax_of(scores(query, key), causal(mask) & (mask == 1)[:, None], dim=0).nan_to_num()


def queries_masked(query, key, mask):
    return softmax_of(scores(query, key), causal(mask) & (mask == 1)[:, :, None])


def keys_and_queries_swapped(query, key, mask):
    return decoder_weights(key, query, mask)


# ---- 03.2


def head_parts(x, weight):
    own = weight.unflatten(1, (x.shape[1], x.shape[3]))  # (hidden, heads, size): the columns that each head meets
    return torch.einsum("bhts,ohs->bhto", x, own)  # (batch, heads, tokens, hidden)


def whole_result(x, weight):
    return head_parts(x, weight).sum(1)


def equal_shares(x, weight):
    return whole_result(x, weight)[:, None].expand(-1, x.shape[1], -1, -1) / x.shape[1]


def whole_result_for_each(x, weight):
    return whole_result(x, weight)[:, None].expand(-1, x.shape[1], -1, -1)


def all_in_the_first(x, weight):
    parts = torch.zeros_like(head_parts(x, weight))
    parts[:, 0] = whole_result(x, weight)
    return parts


def parts_in_reverse(x, weight):
    return head_parts(x, weight).flip(1)


def averaged(x, weight):
    return head_parts(x, weight) / x.shape[1]


def heads_after_tokens(x, weight):
    return head_parts(x, weight).transpose(1, 2)


def rows_of_the_matrix(x, weight):
    size = x.shape[3]
    return torch.stack([x[:, h] @ weight[h * size : (h + 1) * size] for h in range(x.shape[1])], 1)


def chunks_of_rows(x, weight):
    pieces = weight.chunk(x.shape[1], dim=0)
    return torch.stack([x[:, h] @ piece.T for h, piece in enumerate(pieces)], 1)


def joined_and_repeated(x, weight):
    return x.transpose(1, 2).flatten(2)[:, None].expand(-1, x.shape[1], -1, -1)


def repeated_in_each(x, weight):
    return x.repeat(1, 1, 1, x.shape[1])


def matrix_only_reshaped(x, weight):
    return x @ weight.reshape(x.shape[1], x.shape[3], -1)


def matrix_transposed(x, weight):
    return torch.einsum("bhts,ohs->bhto", x, weight.T.unflatten(1, (x.shape[1], x.shape[3])))


def heads_interleaved(x, weight):
    heads = x.shape[1]
    return torch.stack([x[:, h] @ weight[:, h::heads].T for h in range(heads)], 1)


def one_head_for_all(x, weight):
    return x @ weight[:, : x.shape[3]].T


def heads_backwards(x, weight):
    return head_parts(x.flip(1), weight).flip(1)


def tokens_mixed(x, weight):
    joined = x.reshape(x.shape[0], x.shape[2], -1)  # (batch, tokens, heads * size), but of mixed tokens
    return head_parts(joined.unflatten(2, (x.shape[1], x.shape[3])).transpose(1, 2), weight)


torch.manual_seed(0)
QUERY, KEY = torch.randn(2, 4, 3), torch.randn(2, 4, 3)  # (2 sentences, 4 tokens, 3)
ALL, LEFT = torch.ones(2, 4, dtype=torch.int64), torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
HUGE = torch.tensor([[500.0], [1.0], [1.0], [-1.0]]) * torch.tensor([1.0, 0.5, 0.2])  # (4 tokens, 3)
X, WEIGHT = torch.randn(2, 2, 3, 4), torch.randn(8, 8)  # (2 sentences, 2 heads, 3 tokens, 4), (hidden, 2 * 4)

EXERCISES = {
    "03.1": Exercise(
        title="A decoder's attention weights, padded on the left",
        cases={
            "nothing padded": (QUERY, KEY, ALL),
            "padding on the left": (QUERY, KEY, LEFT),
            "scores far below zero": (QUERY.abs(), -99 * KEY.abs() - 99, LEFT),
            "a [PAD] with a huge score": (QUERY.abs()[:1], HUGE[None], torch.tensor([[0, 1, 1, 1]])),
        },
        solution=decoder_weights,
        wrong=[
            (nothing_masked, "Nothing is masked: every token looks at [PAD] and at what comes after it."),
            (only_causal, "The future is hidden, but the keys of [PAD] still get a share of the attention."),
            (
                only_causal_rows_cleared,
                "The rows of [PAD] are cleared and the future is hidden, but real tokens still look at [PAD].",
            ),
            (only_padding, "[PAD] is hidden, but each token still looks at the tokens after it."),
            (
                only_padding_rows_cleared,
                "[PAD] is hidden and its rows are cleared, but each token still looks at the tokens after it.",
            ),
            (
                rows_left_nan,
                "Real tokens are right. The rows of [PAD] are NaN: a softmax over nothing but minus infinity divides "
                "zero by zero.",
            ),
            (
                large_negative_number,
                "Real tokens are right. The rows of [PAD] are not 0: where every score is the same large negative "
                "number, the softmax spreads its weight evenly.",
            ),
            (zero_scores, "A score of 0 is not nothing: its exponential is 1. Which score has the exponential 0?"),
            (
                masked_after_the_softmax,
                "What is hidden gets nothing, but where something was taken away a real token's row no longer sums to "
                "1: the masks come too late.",
            ),
            (
                zero_scores_rows_cleared,
                "The rows of [PAD] are right. In the others a hidden score of 0 still counts: exp(0) is 1.",
            ),
            (
                future_taken_after_the_softmax,
                "You take the future away after the softmax, so rows no longer sum to 1. And [PAD] is still looked at.",
            ),
            (
                padding_taken_after_the_softmax,
                "You take [PAD] away after the softmax, so rows no longer sum to 1. And the future is still looked at.",
            ),
            (
                padding_hidden_future_taken_after,
                "[PAD] is hidden in time. The future is taken away after the softmax, so the rows no longer sum to 1.",
            ),
            (
                future_hidden_padding_taken_after,
                "The future is hidden in time. [PAD] is taken away after the softmax, so the rows no longer sum to 1.",
            ),
            (
                minus_thirty,
                "Your number for hidden scores is not small enough: where real scores are smaller, tokens look at what "
                "is hidden.",
            ),
            (
                minus_ten,
                "Your number for hidden scores leaves them a small share, and a large one where real ones are lower. "
                "Which score has the exponential 0?",
            ),
            (
                minus_thirty_rows_left,
                "Your number for hidden scores is not small enough where real scores are smaller. And the rows of "
                "[PAD] are not 0.",
            ),
            (
                minus_ten_rows_left,
                "Your number for hidden scores leaves them a share, a large one where real scores are smaller. And the "
                "rows of [PAD] are not 0.",
            ),
            (
                normalised_again,
                "You mask after the softmax and divide by what is left. Where nothing is left, or where a [PAD] had a "
                "huge score and took everything, that is zero by zero.",
            ),
            (
                normalised_again_without_nan,
                "You mask after the softmax, divide by what is left and repair zero by zero. Where a [PAD] had a huge "
                "score, a real token then looks at nothing.",
            ),
            (future_only, "The mask is the wrong way round: your tokens look at what comes after them."),
            (
                future_only_rows_left,
                "The mask is the wrong way round, your tokens look at what comes after them; rows of [PAD] are not 0.",
            ),
            (
                future_only_without_itself,
                "Your triangle hides the past and the token itself, and shows the future: it is the one to be hidden.",
            ),
            (one_further, "Each token also sees the one after it. And the rows of [PAD] are to be 0."),
            (one_further_rows_cleared, "Each token also sees the one after it: look at the diagonal of your triangle."),
            (
                one_further_without_nan,
                "Each token also sees the one after it, so even a [PAD] finds a real one: look at your diagonal.",
            ),
            (
                future_only_without_itself_left,
                "Your triangle shows the future and hides the rest. Its last row has nothing to look at, hence NaN.",
            ),
            (first_mask_for_all, "The mask of the first text is used for all. Each text has its own row."),
            (
                scaled_by_the_tokens,
                "You divide by the root of the number of tokens. It is a query's number of components that counts.",
            ),
            (without_itself, "A token may look at itself too. And a row with nothing to look at is to be 0, not NaN."),
            (without_itself_rows_cleared, "A token may look at itself too, not only at those before it."),
            (not_scaled, "You did not divide by the root of the number of components."),
            (divided_by_the_size, "You divide by the number of components, not by its root."),
            (no_softmax, "These are scores, not weights: the softmax is missing."),
            (no_softmax_minus_infinity, "These are masked scores: the softmax that makes weights of them is missing."),
            (
                softmax_over_queries,
                "Your columns sum to 1. Each query, that is each row, has one unit of attention to give.",
            ),
            (
                softmax_over_queries_without_nan,
                "Your columns sum to 1, and NaN is replaced. Each query, that is each row, has one unit to give.",
            ),
            (softmax_over_the_batch, "Your softmax runs over the sentences of the batch, not over the keys."),
            (queries_masked, "You mask the rows, the queries of [PAD]. It is its keys that nobody may look at."),
            (keys_and_queries_swapped, "Queries and keys have changed places: row i has to belong to query i."),
        ],
    ),
    "03.2": Exercise(
        title="What each head adds to the output map's result",
        cases={
            "two sentences, two heads": (X, WEIGHT),
            "an output wider than the heads": (X[:1], torch.cat([WEIGHT, WEIGHT[:2] + 1])),
            "one head": (X[:, :1], WEIGHT[:, :4]),
        },
        solution=head_parts,
        wrong=[
            (whole_result, "This is the sum of the parts, the output map's result. The single parts are wanted."),
            (averaged, "Your parts add up to the output map's result divided by the number of heads."),
            (equal_shares, "You give every head an equal share of the whole. What did each add itself?"),
            (
                whole_result_for_each,
                "Each of your parts is the whole result: one head's part comes from that head alone.",
            ),
            (
                all_in_the_first,
                "The sum is right, but the first head has all of it: which numbers of it come from the others?",
            ),
            (parts_in_reverse, "The parts are right, but the heads stand in reverse order."),
            (heads_after_tokens, "The parts are right, but heads and tokens stand in the wrong order."),
            (
                rows_of_the_matrix,
                "You cut the matrix into rows. nn.Linear computes x @ weight.T: which numbers of the matrix does a "
                "component of x meet?",
            ),
            (
                chunks_of_rows,
                "With more than one head the sizes do not fit. A component of x meets one column of the matrix: give "
                "each head its own columns (dimension 1), not all of them and not a share of the rows.",
            ),
            (joined_and_repeated, "You join the heads and repeat that: the matrix has not been used."),
            (repeated_in_each, "You repeat what the heads have made: the matrix has not been used."),
            (
                matrix_only_reshaped,
                "A reshape alone cuts the matrix in the order in which it lies in memory, row by row. nn.Linear "
                "computes x @ weight.T.",
            ),
            (
                matrix_transposed,
                "The matrix is the wrong way round: nn.Linear computes x @ weight.T, so cut its columns, not its rows.",
            ),
            (
                heads_interleaved,
                "You give the heads every second (third, ...) column. In the joined vector head 1 comes first, whole, "
                "then head 2.",
            ),
            (one_head_for_all, "Every head gets the columns of the first. Each has its own."),
            (heads_backwards, "The heads meet each other's columns: head 1 has the first ones."),
            (tokens_mixed, "Your parts mix the numbers of different tokens: look at what a reshape joins."),
        ],
    ),
}
