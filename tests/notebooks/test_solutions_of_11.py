"""Exercise 11.1 is torch's own loop, 11.2 transformers' EarlyStoppingCallback; both know the answers that are near."""

import copy
from types import SimpleNamespace

import pytest
import torch
from repository import ROOT
from transformers import EarlyStoppingCallback, TrainerControl, TrainerState

from course_lib.encoder import SentenceEncoder
from course_lib.exercises import judge, load_exercises
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.training import learning_rate_factor

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "11.py")
FIT, EARLY_STOP = EXERCISES["11.1"], EXERCISES["11.2"]


@pytest.mark.parametrize("case", FIT.cases)
def test_solution_trains_as_torchs_own_scheduler_does(case):
    encoder, loss, batches, learning_rate, warmup = copy.deepcopy(FIT.cases[case])
    losses = FIT.solution(copy.deepcopy(encoder), loss, batches, learning_rate, warmup)
    optimizer, total = torch.optim.AdamW(encoder.parameters(), lr=learning_rate), len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, round(warmup * total), total)
    )
    for (anchors, positives), noted in zip(batches, losses, strict=True):
        value = loss(encoder(anchors), encoder(positives))
        assert value.item() == pytest.approx(noted, abs=1e-5)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()


def test_solution_trains_an_encoder():
    encoder = SentenceEncoder.load("course/sbert-mini-ranking", device="cpu", dtype="float32").train()
    batch = (["Where can I park?", "Is the pool open?"], ["a space for my car", "swimming hours"])
    torch.manual_seed(0)
    losses = FIT.solution(encoder, MultipleNegativesRankingLoss(), [batch] * 4, 5e-4, 0.25)
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("case", EARLY_STOP.cases)
def test_solution_stops_where_the_library_does(case):
    scores, patience = EARLY_STOP.cases[case]
    callback, state, control = EarlyStoppingCallback(early_stopping_patience=patience), TrainerState(), TrainerControl()
    arguments = SimpleNamespace(metric_for_best_model="score", greater_is_better=True)
    kept = 0
    for last, score in enumerate(scores):
        callback.on_evaluate(arguments, state, control, {"eval_score": score})
        if state.best_metric is None or score > state.best_metric:  # as the trainer does after its callbacks
            state.best_metric, kept = score, last
        if control.should_training_stop:
            break
    assert EARLY_STOP.solution(scores, patience) == (kept, last)


def adam_without_clearing(encoder, loss, batches, learning_rate, warmup):
    """As a learner may write it: the rate is handed to a scheduler, zero_grad is forgotten."""
    optimizer, total = torch.optim.AdamW(encoder.parameters(), lr=learning_rate), len(batches)
    factor = lambda step: learning_rate_factor(step, round(warmup * total), total)
    schedule, losses = torch.optim.lr_scheduler.LambdaLR(optimizer, factor), []
    for anchors, positives in batches:
        losses.append(loss(encoder(anchors), encoder(positives)))
        losses[-1].backward()
        optimizer.step()
        schedule.step()
    return [value.item() for value in losses]


NEAR = {
    "all scores are looked at": (EARLY_STOP, lambda s, p: (s.index(max(s)), len(s) - 1), "You look at all scores"),
    "the kept one comes after the end": (
        EARLY_STOP,
        lambda s, p: (s.index(max(s)), EARLY_STOP.solution(s, p)[1]),
        "Your kept one may lie after the end",
    ),
    "it never stops": (EARLY_STOP, lambda s, p: (EARLY_STOP.solution(s, p)[0], len(s) - 1), "runs to the end"),
    "gradients are not cleared": (FIT, adam_without_clearing, "gradients of all earlier steps"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message
