"""Solutions of notebook 11. Try the exercises first: check() tells you what kind of mistake you made."""

import torch
from torch import nn

from course_lib.exercises import Exercise
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.training import learning_rate_factor

# ---- 11.1


def tiny(*sizes, seed=0):
    """A small network in the encoder's place, the same on every machine."""
    draw, layers = torch.Generator().manual_seed(seed), []
    for inside, outside in zip(sizes, sizes[1:]):
        layer = nn.Linear(inside, outside, bias=False)
        layer.weight.data = torch.randn(outside, inside, generator=draw) / inside**0.5
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def noisy_pairs(steps, batch, dim, seed=1):
    """[(anchors, positives), ...], (batch, dim) each: the positives are the anchors and noise."""
    draw = torch.Generator().manual_seed(seed)
    anchors = torch.randn(steps, batch, dim, generator=draw)
    return list(zip(anchors, anchors + torch.randn(steps, batch, dim, generator=draw)))


def adam(encoder, learning_rate):
    return torch.optim.AdamW(encoder.parameters(), lr=learning_rate)


def by_share(step, warmup, total):
    return learning_rate_factor(step, round(warmup * total), total)


def loop(factor=by_share, optimizer=adam, clear=True, step=True, sign=1, again=False, frozen=False, other=True):
    """A training loop, and what it turns into where one of its parts is left out or wrong."""

    def fit(encoder, loss, batches, learning_rate, warmup):
        chosen, history = optimizer(encoder, learning_rate), []
        for i, (anchors, positives) in enumerate(batches):
            for group in chosen.param_groups:
                group["lr"] = learning_rate * factor(i, warmup, len(batches))
            u, v = encoder(anchors), encoder(positives if other else anchors)
            value = loss(u, v.detach() if frozen else v)
            if clear:
                chosen.zero_grad()
            (sign * value).backward()
            if step:
                chosen.step()
            history.append((loss(encoder(anchors), encoder(positives)) if again else value).item())
        return history

    return fit


def fit(encoder, loss, batches, learning_rate, warmup):
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=learning_rate)
    warmup_steps, history = round(warmup * len(batches)), []
    for step, (anchors, positives) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * learning_rate_factor(step, warmup_steps, len(batches))
        value = loss(encoder(anchors), encoder(positives))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(value.item())
    return history


def new_optimizer_for_each_batch(encoder, loss, batches, learning_rate, warmup):
    history = []
    for step, (anchors, positives) in enumerate(batches):
        optimizer = adam(encoder, learning_rate * by_share(step, warmup, len(batches)))
        value = loss(encoder(anchors), encoder(positives))
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        history.append(value.item())
    return history


def never_falls(step, warmup, total):
    return min(1, by_share(step, warmup, total)) if step < round(warmup * total) else 1


def begins_at_zero(step, warmup, total):
    rising = round(warmup * total)
    return step / rising if step < rising else by_share(step, warmup, total)


# ---- 11.2


def early_stop(scores, patience):
    best = 0
    for i, score in enumerate(scores):
        if score > scores[best]:
            best = i
        if i - best >= patience:
            return best, i
    return best, len(scores) - 1


def keeps_the_last(scores, patience):
    _, last = early_stop(scores, patience)
    return last, last


def looks_ahead(scores, patience):
    return max(range(len(scores)), key=scores.__getitem__), early_stop(scores, patience)[1]


def never_stops(scores, patience):
    return max(range(len(scores)), key=scores.__getitem__), len(scores) - 1


def runs_on(scores, patience):
    return early_stop(scores, patience)[0], len(scores) - 1


def keeps_one_too_few(scores, patience):
    return early_stop(scores, patience - 1)


def compares_with_the_one_before(scores, patience):
    best, worse = 0, 0
    for i, score in enumerate(scores):
        worse = worse + 1 if i and score <= scores[i - 1] else 0
        if score > scores[best]:
            best = i
        if worse >= patience:
            return best, i
    return best, len(scores) - 1


def counts_all_failures(scores, patience):
    best, failures = 0, 0
    for i, score in enumerate(scores[1:], start=1):
        if score > scores[best]:
            best = i
        else:
            failures += 1
        if failures >= patience:
            return best, i
    return best, len(scores) - 1


def one_too_patient(scores, patience):
    return early_stop(scores, patience + 1)


def a_tie_is_better(scores, patience):
    best = 0
    for i, score in enumerate(scores):
        if score >= scores[best]:
            best = i
        if i - best >= patience:
            return best, i
    return best, len(scores) - 1


EXERCISES = {
    "11.1": Exercise(
        title="Train",
        cases={
            "a linear map, a quarter of warm-up": (
                tiny(6, 4),
                MultipleNegativesRankingLoss(),
                noisy_pairs(8, 5, 6),
                0.1,
                0.25,
            ),
            "two layers, no warm-up": (
                tiny(5, 8, 3, seed=2),
                MultipleNegativesRankingLoss(),
                noisy_pairs(6, 4, 5, seed=3),
                0.05,
                0.0,
            ),
            "half of it warm-up": (
                tiny(4, 4, seed=4),
                MultipleNegativesRankingLoss(scale=5),
                noisy_pairs(10, 6, 4, seed=5),
                0.2,
                0.5,
            ),
        },
        solution=fit,
        wrong=[
            (loop(step=False), "No weight changes: every loss is the untrained encoder's. What makes the step?"),
            (
                loop(clear=False),
                "Each step still has the gradients of all earlier steps in it: backward() adds to what is there.",
            ),
            (loop(factor=lambda *_: 1), "Your rate is the same in all steps: it should rise first, and then fall."),
            (loop(factor=never_falls), "Your rate rises, and then stays. After the warm-up it should fall to 0."),
            (
                loop(factor=lambda i, warmup, total: by_share(i, 0, total)),
                "Your rate only falls. Over the share `warmup` of the steps it should rise.",
            ),
            (
                loop(factor=lambda i, warmup, total: learning_rate_factor(i, warmup, total)),
                "`warmup` is a share, and learning_rate_factor wants a number of steps.",
            ),
            (loop(factor=begins_at_zero), "Your first step has a rate of 0, as in transformers: here it learns."),
            (
                loop(factor=lambda i, warmup, total: by_share(i + 1, warmup, total)),
                "Your schedule is one step ahead: the first step is step 0.",
            ),
            (
                new_optimizer_for_each_batch,
                "You make a new optimizer for each batch. AdamW averages gradients over the steps: it must live on.",
            ),
            (
                loop(optimizer=lambda encoder, rate: torch.optim.SGD(encoder.parameters(), lr=rate)),
                "That is plain gradient descent. AdamW was asked for, with its own defaults.",
            ),
            (loop(sign=-1), "You climb: your step makes the loss larger."),
            (loop(frozen=True), "No gradient comes through the positives. Both sides are encoded by what is trained."),
            (loop(other=False), "You compare the anchors with themselves. Where do the positives come in?"),
            (loop(again=True), "You note each loss after its step. Note the one that the step was made from."),
            (lambda *arguments: fit(*arguments)[-1], "Return the losses of all steps, not of the last alone."),
            (
                lambda *arguments: sum(fit(*arguments)) / len(arguments[2]),
                "Return the losses of all steps as a list, not their mean.",
            ),
        ],
    ),
    "11.2": Exercise(
        title="Keep the best, stop early",
        cases={
            "a peak in the middle": ([0.5, 0.6, 0.7, 0.65, 0.66, 0.9], 2),
            "a dip, then better": ([0.5, 0.4, 0.6, 0.55, 0.7, 0.6, 0.5], 2),
            "a zigzag below the best": ([0.7, 0.5, 0.6, 0.55, 0.65, 0.5], 3),
            "a tie": ([0.6, 0.6, 0.6, 0.5], 3),
            "two falls in a row": ([0.5, 0.8, 0.7, 0.6, 0.75, 0.9], 2),
            "always better": ([0.1, 0.2, 0.3], 1),
        },
        solution=early_stop,
        wrong=[
            (keeps_the_last, "You keep the last model that was run. The point of evaluating was to keep a better one."),
            (
                never_stops,
                "You look at all scores: the best of them, and the last. Training stops when patience runs out, and "
                "what comes later is never seen.",
            ),
            (runs_on, "The kept one is right, but your training runs to the end. When has patience run out?"),
            (
                keeps_one_too_few,
                "You stop one evaluation too early: with a patience of 2, the second without a new best is the last.",
            ),
            (looks_ahead, "Your kept one may lie after the end: an evaluation that is never run cannot be the best."),
            (
                compares_with_the_one_before,
                "You count how often the score falls below the one before. Count since the best.",
            ),
            (counts_all_failures, "You never set the count back. A new best gives the run its whole patience again."),
            (
                one_too_patient,
                "You wait for one evaluation too many: with a patience of 1, the first without a new best is the last.",
            ),
            (
                a_tie_is_better,
                "You take a tie for a new best. Only a higher score is one, else a run that stands still never stops.",
            ),
        ],
    ),
}
