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


def context_vectors(cell, vectors, mask, h):
    for x, real in zip(vectors.unbind(1), mask.unbind(1)):  # word by word: (batch, input), (batch,)
        h = torch.where(real.unsqueeze(1), cell(x, h), h)  # [PAD] leaves a state as it is
    return h


def states(cell, vectors, h):
    """(batch, words, hidden): the state after every step, [PAD] read like a word."""
    found = []
    for x in vectors.unbind(1):
        h = cell(x, h)
        found.append(h)
    return torch.stack(found, 1)


def picked(found, places):
    return found[torch.arange(len(found)), places]


def last_step(cell, vectors, mask, h):
    return states(cell, vectors, h)[:, -1]


def zeros_in_place_of_pad(cell, vectors, mask, h):
    return last_step(cell, vectors * mask.unsqueeze(2), mask, h)


def one_step_too_far(cell, vectors, mask, h):
    return picked(states(cell, vectors, h), mask.sum(1).clamp(max=mask.shape[1] - 1))


def counted_from_one(cell, vectors, mask, h):
    return picked(states(cell, vectors, h), mask.sum(1))


def one_word_short(cell, vectors, mask, h):
    return picked(states(cell, vectors, h), mask.sum(1) - 2)


def longest_for_all(cell, vectors, mask, h):
    return states(cell, vectors, h)[:, mask.sum(1).max() - 1]


def shortest_for_all(cell, vectors, mask, h):
    return states(cell, vectors, h)[:, mask.sum(1).min() - 1]


def first_for_all(cell, vectors, mask, h):
    return states(cell, vectors, h)[:, mask[0].sum() - 1]


def state_zeroed(cell, vectors, mask, h):
    for x, real in zip(vectors.unbind(1), mask.unbind(1)):
        h = cell(x, h) * real.unsqueeze(1)
    return h


def mask_turned(cell, vectors, mask, h):
    return context_vectors(cell, vectors, ~mask, h)


def mean_of_states(cell, vectors, mask, h):
    real = mask.unsqueeze(2)
    return (states(cell, vectors, h) * real).sum(1) / real.sum(1)


def mean_of_all_states(cell, vectors, mask, h):
    return states(cell, vectors, h).mean(1)


def nothing_passed_on(cell, vectors, mask, h):
    return picked(torch.stack([cell(x, h) for x in vectors.unbind(1)], 1), mask.sum(1) - 1)


def first_state(cell, vectors, mask, h):
    return states(cell, vectors, h)[:, 0]


def begun_with_zeros(cell, vectors, mask, h):
    return context_vectors(cell, vectors, mask, torch.zeros_like(h))


def backwards(cell, vectors, mask, h):
    return context_vectors(cell, vectors.flip(1), mask.flip(1), h)


def all_states(cell, vectors, mask, h):
    return states(cell, vectors, h)


def all_states_zeroed(cell, vectors, mask, h):
    return states(cell, vectors, h) * mask.unsqueeze(2)


def arguments_swapped(cell, vectors, mask, h):
    return context_vectors(lambda x, h: cell(h, x), vectors, mask, h)


def cut_off(cell, vectors, mask, h):
    return context_vectors(cell, vectors, mask, h).detach()


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


def cell(x, h):
    """A recurrent cell with a bias: (batch, 2), (batch, 3) -> (batch, 3)."""
    return torch.tanh(x @ waves(2, 3) + h @ waves(3, 3) + 0.3)


def real(*lengths):
    """(sentences, 4): True at the words, False at the [PAD] behind them."""
    return torch.arange(4) < torch.tensor(lengths).unsqueeze(1)


VECTORS, START = waves(3, 4, 2).requires_grad_(), 0.5 * waves(3, 3)


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
        title="The context vectors of a padded batch",
        cases={
            "sentences of 3, 2 and 4 words": (cell, VECTORS, real(3, 2, 4), START),
            "two [PAD] behind the longest": (cell, VECTORS, real(2, 1, 2), START),
            "nothing padded": (cell, VECTORS, real(4, 4, 4), START),
            "one sentence": (cell, VECTORS[:1].detach().requires_grad_(), real(3), START[:1]),
        },
        solution=context_vectors,
        wrong=[
            (
                last_step,
                "You take the state after the last step of the batch. A short sentence has read [PAD] by then.",
            ),
            (
                zeros_in_place_of_pad,
                "You set the vectors at [PAD] to 0, and go on. The old state and the biases still change the state.",
            ),
            (
                one_step_too_far,
                "Each sentence reads one [PAD] too many: after n words its state is number n - 1, from 0 on.",
            ),
            (
                counted_from_one,
                "Your place of the last state lies one too far, and behind the end where nothing is padded: python "
                "counts from 0.",
            ),
            (one_word_short, "Your states are those before the last real word."),
            (longest_for_all, "All sentences stop where the longest does. Each has an end of its own."),
            (shortest_for_all, "All sentences stop where the shortest does. The others have more to read."),
            (first_for_all, "All sentences stop where the first one does. Each has an end of its own."),
            (state_zeroed, "You set the state to 0 at [PAD], and lose it. There it has to stay as it was."),
            (mask_turned, "You read [PAD] and leave the words out. The mask is True at a real word."),
            (mean_of_states, "You average the states. The context vector is one of them: which?"),
            (
                mean_of_all_states,
                "You average all states, those at [PAD] too. The context vector is one of them: which?",
            ),
            (
                nothing_passed_on,
                "Each word is read from the first state, so your vector knows one word alone. What does the cell get "
                "from the step before?",
            ),
            (first_state, "You return the state after the first word."),
            (begun_with_zeros, "You begin with zeros. Begin with the states that are given."),
            (backwards, "You read the sentences from their end."),
            (all_states, "You return the state after every word. Wanted is one state for each sentence."),
            (
                all_states_zeroed,
                "You return the state after every word, with zeros at [PAD]. Wanted is one state for each sentence.",
            ),
            (
                arguments_swapped,
                "torch cannot multiply these shapes. The cell takes the words' vectors of one step, (batch, input), "
                "and then the states, (batch, hidden).",
            ),
            (
                cut_off,
                "The right numbers, but nothing can be learnt from them: detach(), no_grad() or numpy cut the gradient "
                "off.",
            ),
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
