"""Solutions of notebook 01. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
import torch.nn.functional as F

from course_lib.exercises import Exercise

# ---- 01.1


def lstm_step(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)  # (hidden,) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def without_bias(x, h, c, W, U, b):
    return lstm_step(x, h, c, W, U, torch.zeros_like(b))


def without_old_state(x, h, c, W, U, b):
    return lstm_step(x, torch.zeros_like(h), c, W, U, b)


def gates_swapped(x, h, c, W, U, b):
    i, f, g, o = (W @ x + U @ h + b).chunk(4)
    c = torch.sigmoid(i) * c + torch.sigmoid(f) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


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


# ---- 01.2


def last_states(states, mask):
    return states[torch.arange(len(states)), mask.sum(1) - 1]  # (batch, hidden)


def last_time_step(states, mask):
    return states[:, -1]


def one_too_far(states, mask):
    return states[torch.arange(len(states)), mask.sum(1)]


def mean_state(states, mask):
    return (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def every_row(states, mask):
    return states[:, mask.sum(1) - 1]


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


def summed(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="sum")


def waves(*shape):
    """Numbers that look random and are the same everywhere."""
    n = torch.tensor(shape).prod()
    return (torch.arange(float(n)) * 1.7).sin().reshape(shape)


STATES, LOGITS = waves(3, 4, 2), 2 * waves(2, 4, 5)

EXERCISES = {
    "01.1": Exercise(
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
            "a later word": (-waves(2), 0.7 * waves(3), 2 * waves(3), waves(12, 2), 0.5 * waves(12, 3), waves(12)),
        },
        solution=lstm_step,
        wrong=[
            (without_bias, "You leave the bias out. It is the last argument."),
            (
                without_old_state,
                "Right for the first word, whose old state is zero. What of h goes into the gates later?",
            ),
            (
                gates_swapped,
                "Two gates are swapped: f decides how much of the old c stays, i how much of the proposal comes in.",
            ),
            (cell_not_squashed, "Your h' shows c' as it is. What keeps an LSTM's h between -1 and 1?"),
            (old_cell_shown, "Your h' is made from the old c. Which c does the new h show?"),
            (wrong_way_round, "The two states come back in the wrong order: first h', then c'."),
        ],
    ),
    "01.2": Exercise(
        title="The state after each sentence's last real token",
        cases={
            "three lengths": (STATES, torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]]).bool()),
            "all of one length": (STATES[:2], torch.ones(2, 4).bool()),
            "none fills the batch": (STATES, torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]).bool()),
        },
        solution=last_states,
        wrong=[
            (
                last_time_step,
                "You take the last time step. For a short sentence that is a state at [PAD]: the trap above.",
            ),
            (one_too_far, "You are one step too far. At which index does a sentence of n tokens end?"),
            (mean_state, "You average the states. Wanted is one of them."),
            (
                every_row,
                "Your result has a dimension too many: each row's position was looked up in every row. Index rows "
                "and positions together.",
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
            (summed, "You add up the losses where their mean is wanted."),
        ],
    ),
}
