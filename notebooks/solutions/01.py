"""Solutions of notebook 01. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
import torch.nn.functional as F

from course_lib.exercises import Exercise

# ---- 01.1


def greedy(step, state, n, bos, eos, most):
    previous, written = torch.full((n,), bos), [[] for _ in range(n)]
    going = [True] * n
    for _ in range(most):
        logits, state = step(previous, state)
        previous = logits.argmax(1)
        for i, word in enumerate(previous.tolist()):
            going[i] = going[i] and word != eos
            if going[i]:
                written[i].append(word)
        if not any(going):
            break
    return written


def decoded(step, state, n, bos, eos, most, choose=lambda logits: logits.argmax(1), fed=True, kept=True):
    """(steps, n) ids without any stop, as lists, one a sentence; what the wrong answers cut in wrong ways."""
    first, columns = torch.full((n,), bos), []
    previous = first
    for _ in range(most):
        logits, new = step(previous, state)
        columns.append(choose(logits))
        previous = columns[-1] if fed else first
        state = new if kept else state
    return torch.stack(columns, 1).tolist()


def until(row, eos):
    return row[: row.index(eos)] if eos in row else row


def never_stops(step, state, n, bos, eos, most):
    return decoded(step, state, n, bos, eos, most)


def all_stop_together(step, state, n, bos, eos, most):
    rows = decoded(step, state, n, bos, eos, most)
    first = min(len(until(row, eos)) for row in rows)
    return [row[:first] for row in rows]


def first_end_ends_all(step, state, n, bos, eos, most):
    rows = decoded(step, state, n, bos, eos, most)
    first = min(len(until(row, eos)) for row in rows)
    return [until(row[: first + 1], eos) for row in rows]


def first_end_ends_all_and_stays(step, state, n, bos, eos, most):
    rows = decoded(step, state, n, bos, eos, most)
    first = min(len(until(row, eos)) for row in rows)
    return [row[: first + 1] for row in rows]


def waits_for_the_last(step, state, n, bos, eos, most):
    rows = decoded(step, state, n, bos, eos, most)
    last = max(len(until(row, eos)) for row in rows)
    return [row[:last] for row in rows]


def waits_and_keeps_eos(step, state, n, bos, eos, most):
    rows = decoded(step, state, n, bos, eos, most)
    last = max(len(until(row, eos)) for row in rows)
    return [row[: last + 1] for row in rows]


def waits_and_skips_eos(step, state, n, bos, eos, most):
    return [[word for word in row if word != eos] for row in waits_and_keeps_eos(step, state, n, bos, eos, most)]


def padded(step, state, n, bos, eos, most):
    rows = greedy(step, state, n, bos, eos, most)
    return [row + [0] * (max(map(len, rows)) - len(row)) for row in rows]


def eos_kept_and_padded(step, state, n, bos, eos, most):
    rows = eos_kept(step, state, n, bos, eos, most)
    return [row + [0] * (max(map(len, rows)) - len(row)) for row in rows]


def waits_and_drops_eos(step, state, n, bos, eos, most):
    return [[word for word in row if word != eos] for row in waits_for_the_last(step, state, n, bos, eos, most)]


def only_drops_eos(step, state, n, bos, eos, most):
    return [[word for word in row if word != eos] for row in decoded(step, state, n, bos, eos, most)]


def numbers_of_the_notebook(step, state, n, bos, eos, most):
    return greedy(step, state, n, 1, 2, most)


def eos_kept(step, state, n, bos, eos, most):
    return [row[: len(until(row, eos)) + 1] for row in decoded(step, state, n, bos, eos, most)]


def eos_repeated(step, state, n, bos, eos, most):
    rows = eos_kept(step, state, n, bos, eos, most)
    longest = max(map(len, rows))
    return [row + [eos] * (longest - len(row)) for row in rows]


def eos_to_the_end(step, state, n, bos, eos, most):
    rows = eos_kept(step, state, n, bos, eos, most)
    return [row + [eos] * (most - len(row)) for row in rows]


def eos_kept_and_one_too_many(step, state, n, bos, eos, most):
    return eos_kept(step, state, n, bos, eos, most + 1)


def eos_kept_and_fixed(step, state, n, bos, eos, most):
    return eos_kept(step, state, n, 1, 2, most)


def one_list_for_all(step, state, n, bos, eos, most):
    rows, shared = greedy(step, state, n, bos, eos, most), []
    for i in range(max(map(len, rows))):
        shared += [row[i] for row in rows if i < len(row)]
    return [shared] * n


def bos_kept(step, state, n, bos, eos, most):
    return [[bos, *row] for row in greedy(step, state, n, bos, eos, most)]


def always_bos(step, state, n, bos, eos, most):
    return [until(row, eos) for row in decoded(step, state, n, bos, eos, most, fed=False)]


def old_state(step, state, n, bos, eos, most):
    return [until(row, eos) for row in decoded(step, state, n, bos, eos, most, kept=False)]


def lowest_score(step, state, n, bos, eos, most):
    return [until(row, eos) for row in decoded(step, state, n, bos, eos, most, lambda logits: logits.argmin(1))]


def no_limit(step, state, n, bos, eos, most):
    return greedy(step, state, n, bos, eos, 50)


def one_too_many(step, state, n, bos, eos, most):
    return greedy(step, state, n, bos, eos, most + 1)


def one_sentence(step, state, n, bos, eos, most):
    return greedy(step, state, n, bos, eos, most)[0]


def by_step(step, state, n, bos, eos, most):
    return torch.tensor(decoded(step, state, n, bos, eos, most)).T.tolist()


# ---- 01.2


def lstm_step(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)  # (hidden,) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def overwritten(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)
    c *= torch.sigmoid(f)
    c += torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def without_bias(x, h, c, W, U, b):
    return lstm_step(x, h, c, W, U, torch.zeros_like(b))


def without_old_state(x, h, c, W, U, b):
    return lstm_step(x, torch.zeros_like(h), c, W, U, b)


def gates_swapped(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)
    c = torch.sigmoid(i) * c + torch.sigmoid(f) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def order_of_others(x, h, c, W, U, b):
    i, f, o, g = (W @ x + U @ h + b).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def tanh_gates(x, h, c, W, U, b):
    i, f, g, o = torch.tanh(W @ x + U @ h + b).chunk(4)
    c = f * c + i * g
    return o * torch.tanh(c), c


def sigmoid_everywhere(x, h, c, W, U, b):
    i, f, g, o = torch.sigmoid(W @ x + U @ h + b).chunk(4)
    c = f * c + i * g
    return o * torch.tanh(c), c


def gates_not_squashed(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)
    c = f * c + i * torch.tanh(g)
    return o * torch.tanh(c), c


def one_gate_for_both(x, h, c, W, U, b):
    i, _, g, o = (W @ x + U @ h + b).chunk(4)
    c = (1 - torch.sigmoid(i)) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def other_gate_for_both(x, h, c, W, U, b):
    _, f, g, o = (W @ x + U @ h + b).chunk(4)
    c = torch.sigmoid(f) * c + (1 - torch.sigmoid(f)) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def only_h(x, h, c, W, U, b):
    return lstm_step(x, h, c, W, U, b)[0]


def only_c(x, h, c, W, U, b):
    return lstm_step(x, h, c, W, U, b)[1]


def stacked(x, h, c, W, U, b):
    return torch.stack(lstm_step(x, h, c, W, U, b))


def gates_from_cell(x, h, c, W, U, b):
    return lstm_step(x, c, c, W, U, b)


def cell_not_squashed(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * c, c


def old_cell_shown(x, h, c, W, U, b):
    o = torch.sigmoid((W @ x + U @ h + b).chunk(4)[3])
    return o * torch.tanh(c), lstm_step(x, h, c, W, U, b)[1]


def wrong_way_round(x, h, c, W, U, b):
    h, c = lstm_step(x, h, c, W, U, b)
    return c, h


# ---- 01.3


def translation_cross_entropy(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)


def padding_counted(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def padding_in_the_mean(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="sum") / targets.numel()


def mean_of_means(logits, targets):
    return torch.stack([F.cross_entropy(a, b, ignore_index=0) for a, b in zip(logits, targets)]).mean()


def softmax_twice(logits, targets):
    return translation_cross_entropy(logits.softmax(-1), targets)


def logarithm_forgotten(logits, targets):
    right = logits.softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (batch, words)
    return -right[targets != 0].mean()


def no_gradient(logits, targets):
    return translation_cross_entropy(logits, targets).item()


def softmax_over_words(logits, targets):
    right = logits.log_softmax(1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (batch, words)
    return -right[targets != 0].mean()


def softmax_and_padding_forgotten(logits, targets):
    return -logits.gather(-1, targets.unsqueeze(-1)).mean()


def softmax_forgotten_padding_in_the_mean(logits, targets):
    return -(logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) * (targets != 0)).mean()


def softmax_and_sign_forgotten(logits, targets):
    return -softmax_forgotten(logits, targets)


def logarithm_of_logits(logits, targets):
    return -logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)[targets != 0].log().mean()


def softmax_forgotten(logits, targets):
    return -logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)[targets != 0].mean()


def sign_forgotten(logits, targets):
    return -translation_cross_entropy(logits, targets)


def shifted_again(logits, targets):
    return translation_cross_entropy(logits[:, :-1], targets[:, 1:])


def reshaped(logits, targets):
    return F.cross_entropy(logits.reshape(len(logits), logits.shape[2], -1), targets, ignore_index=0)


def pad_never_scored(logits, targets):
    logits = logits.clone()
    logits[..., 0] = -torch.inf
    return translation_cross_entropy(logits, targets)


def zeros_at_pad(logits, targets):
    return padding_counted(logits * (targets != 0).unsqueeze(-1), targets)


def loss_of_each_word(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="none").view_as(targets)


def per_sentence(logits, targets):
    return summed(logits, targets) / len(targets)


def summed(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="sum")


def waves(*shape):
    """Numbers that look random and are the same everywhere."""
    n = torch.tensor(shape).prod()
    return (torch.arange(float(n)) * 1.7).sin().reshape(shape)


LOGITS = (2 * waves(2, 4, 5)).requires_grad_()


def plan(*rows):
    """A decoder that writes these rows, and other words when it is not told its own previous word or state."""
    script = torch.tensor([[1, *row] for row in rows])  # (sentences, 1 + words), 1 is [BOS]

    def step(previous, state):  # (n,), (n,) -> (n, 9), (n,)
        i = torch.arange(len(script))
        t = state.clamp(max=script.shape[1] - 2)
        expected = torch.where(previous == script[i, t], script[i, t + 1], 8 - t % 2)
        logits = -torch.arange(9.0).repeat(len(script), 1)  # the lowest is the last word's
        logits[:, 8] = -20.0
        logits[i, expected] = 1.0
        return logits, state + 1

    return step


STEPS = torch.zeros(3, dtype=torch.long)

EXERCISES = {
    "01.1": Exercise(
        title="Greedy decoding of several sentences",
        cases={
            "three sentences of different length": (
                plan([5, 4, 2, 6, 7, 5, 6], [4, 2, 5, 6, 4, 7, 5], [6, 5, 7, 4, 2, 6, 5]),
                STEPS,
                3,
                1,
                2,
                20,
            ),
            "a sentence that never ends": (plan([5, 4, 6, 7, 5, 6, 4], [4, 7, 2, 6, 5, 5, 7]), STEPS[:2], 2, 1, 2, 6),
            "a translation without words": (plan([2, 5, 6, 4, 4], [7, 2, 5, 6, 6]), STEPS[:2], 2, 1, 2, 5),
            "other numbers for [BOS] and [EOS]": (
                plan([5, 4, 2, 6, 7, 3, 6], [4, 3, 5, 6, 4, 7, 5]),
                STEPS[:2],
                2,
                1,
                3,
                7,
            ),
        },
        solution=greedy,
        wrong=[
            (never_stops, "You write on to the very end. What should happen when the decoder writes [EOS]?"),
            (all_stop_together, "All sentences stop when the first one does. The others have more to write."),
            (
                first_end_ends_all,
                "Your loop ends at the first [EOS]. The others have more to write: who is not done yet?",
            ),
            (
                first_end_ends_all_and_stays,
                "Your loop ends at the first [EOS], and keeps that [EOS]. The others have more to write.",
            ),
            (
                waits_for_the_last,
                "A sentence that has written [EOS] goes on until the last one is done. Its own [EOS] ends it.",
            ),
            (
                waits_and_keeps_eos,
                "A sentence that has written [EOS] goes on until the last one is done, and its [EOS] is in your list. "
                "Wanted are the ids before it.",
            ),
            (
                waits_and_skips_eos,
                "You skip [EOS], and a sentence that has written it goes on until the last one is done. Its words end "
                "at its own [EOS].",
            ),
            (
                padded,
                "You fill your shorter lists up with 0. They may differ in length: nothing follows the last word.",
            ),
            (
                eos_kept_and_padded,
                "Your shorter lists are filled up with 0, and [EOS] is still in them. Wanted are the ids before it.",
            ),
            (waits_and_drops_eos, "You leave [EOS] itself out, but keep what a sentence writes after it."),
            (
                only_drops_eos,
                "You skip [EOS], and keep what a sentence writes after it. What follows [EOS] is no translation.",
            ),
            (
                numbers_of_the_notebook,
                "Your [BOS] and [EOS] have fixed numbers. Take those that your function is given.",
            ),
            (eos_kept, "The [EOS] is still in your lists. Wanted are the ids before it."),
            (eos_repeated, "Your shorter lists are filled up with [EOS]. Wanted are the ids before the first one."),
            (eos_to_the_end, "You fill each list up with [EOS], to `most` ids. Wanted are those before the first one."),
            (
                eos_kept_and_one_too_many,
                "[EOS] is still in your lists, and a sentence without one gets more than `most` ids.",
            ),
            (eos_kept_and_fixed, "[EOS] is still in your lists, and its number is fixed. Take the one that is given."),
            (
                one_list_for_all,
                "All sentences share one list. `[[]] * n` holds the same list n times: make n of them.",
            ),
            (bos_kept, "The [BOS] is in your lists. It is told to the decoder, and not written by it."),
            (always_bos, "You tell the decoder [BOS] in every step. What is it told after the first?"),
            (old_state, "You give every step the first state. Each step returns a new one."),
            (lowest_score, "You write the word with the lowest score."),
            (no_limit, "A sentence that never writes [EOS] must end, too: after `most` words."),
            (one_too_many, "You take one step too many: `most` is how many words a sentence may have."),
            (one_sentence, "You return the first sentence alone. Wanted is a list of n lists."),
            (by_step, "Your lists hold the words of one step each. Wanted is one list for each sentence."),
        ],
    ),
    "01.2": Exercise(
        title="One step of an LSTM",
        cases={
            "the first word": (
                waves(2),
                torch.zeros(3),
                torch.zeros(3),
                waves(12, 2),
                0.5 * waves(12, 3),
                torch.full((12,), 0.3),
            ),
            "a later word, in training": (
                -waves(2),
                0.7 * waves(3),
                (2 * waves(3)).requires_grad_(),
                waves(12, 2),
                0.5 * waves(12, 3),
                waves(12),
            ),
        },
        solution=lstm_step,
        wrong=[
            (
                overwritten,
                "Torch refuses in the second case: the old c belongs to a training, whose gradient still needs it. "
                "Make a new tensor (no `c *= ...`, no numpy).",
            ),
            (without_bias, "Something that is added to W x + U h is missing."),
            (
                without_old_state,
                "Right for the first word, whose old state is zero. What of h goes into the gates later?",
            ),
            (
                gates_swapped,
                "Two gates are swapped: f decides how much of the old c stays, i how much of the proposal comes in.",
            ),
            (order_of_others, "The parts come in another order than you take them: i, f, g, o."),
            (tanh_gates, "Your gates go through a tanh. Which function has values between 0 and 1?"),
            (
                sigmoid_everywhere,
                "g is no gate but the proposal, and it may be negative. Which function does the formula give it?",
            ),
            (gates_not_squashed, "Your gates are not between 0 and 1. What does the formula do with i, f and o?"),
            (one_gate_for_both, "You use i for both. An LSTM has a gate of its own, f, for what stays of the old c."),
            (
                other_gate_for_both,
                "You use f for both. An LSTM has a gate of its own, i, for what comes in of the proposal.",
            ),
            (only_h, "You return h' alone. The next step needs both states: return a pair."),
            (only_c, "You return c' alone. The next step needs both states: return a pair."),
            (stacked, "Right numbers, but in one tensor. Return a pair of tensors."),
            (gates_from_cell, "The old c goes into your gates. Which of the two states does U multiply?"),
            (cell_not_squashed, "Your h' shows c' as it is. What keeps an LSTM's h between -1 and 1?"),
            (old_cell_shown, "Your h' is made from the old c. Which c does the new h show?"),
            (wrong_way_round, "Both states are right, but they come back in another order than the docstring's."),
        ],
    ),
    "01.3": Exercise(
        title="Cross-entropy without [PAD]",
        cases={
            "one padded sentence": (LOGITS, torch.tensor([[4, 2, 3, 1], [3, 0, 0, 0]])),
            "nothing padded": (LOGITS, torch.tensor([[4, 2, 3, 1], [3, 1, 1, 2]])),
        },
        solution=translation_cross_entropy,
        wrong=[
            (
                padding_counted,
                "You ask the model to predict [PAD], and count how well it does. Which targets should be left out?",
            ),
            (padding_in_the_mean, "You leave [PAD] out of the sum, but not out of the number you divide by."),
            (
                mean_of_means,
                "You average each sentence first, so a word of a short sentence counts more than one of a long "
                "sentence.",
            ),
            (softmax_twice, "You apply a softmax before cross_entropy, which has one inside: it wants logits."),
            (logarithm_forgotten, "You average probabilities. What does the cross-entropy take of each?"),
            (softmax_forgotten, "You average the logits of the right words. What makes probabilities of logits?"),
            (
                softmax_and_padding_forgotten,
                "You average the logits of the right words, at [PAD] too. What makes probabilities of logits, and "
                "which targets should be left out?",
            ),
            (
                softmax_forgotten_padding_in_the_mean,
                "You average logits, and divide by the number of all places. What makes probabilities of logits, and "
                "how many places count?",
            ),
            (
                softmax_and_sign_forgotten,
                "You average the logits of the right words: they are no probabilities yet, and a loss falls when the "
                "right words get more likely.",
            ),
            (
                logarithm_of_logits,
                "You take the logarithm of numbers that may be negative. What makes probabilities of logits?",
            ),
            (
                softmax_over_words,
                "Your softmax runs over the places of the sentence. Which dimension has the vocabulary?",
            ),
            (
                no_gradient,
                "The right number, but nothing can be learnt from it: .item(), detach() or no_grad() cut the gradient "
                "off. Return the tensor.",
            ),
            (sign_forgotten, "Right but for the sign: a loss falls when the right words get more likely."),
            (shifted_again, "You shift the targets. Here logits[i, t] already belongs to targets[i, t]."),
            (
                reshaped,
                "cross_entropy wants the words of the vocabulary in dimension 1. A reshape to that shape mixes numbers "
                "that do not belong together: which operation swaps two dimensions?",
            ),
            (
                pad_never_scored,
                "You take [PAD] out of the softmax. It may stay a word that can be scored; leave out the places "
                "whose target it is.",
            ),
            (zeros_at_pad, "You set the logits at [PAD] to zero, and still count these places. Leave them out."),
            (loss_of_each_word, "You return a loss for each word. Wanted is one number, their mean."),
            (per_sentence, "You divide by the number of sentences. The mean is over words."),
            (summed, "You add up the losses where their mean is wanted."),
        ],
    ),
}
