"""Exercise 11.2 asks for what transformers' EarlyStoppingCallback does; both know the answers that are near."""

from types import SimpleNamespace

import pytest
from repository import ROOT
from transformers import EarlyStoppingCallback, TrainerControl, TrainerState

from course_lib.exercises import judge, load_exercises

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "11.py")
CHOOSE, EARLY_STOP = EXERCISES["11.1"], EXERCISES["11.2"]


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


def chosen_on_test(runs):
    score = {name: sum(test for _, test in own) / len(own) for name, own in runs.items()}
    best = max(score, key=score.get)
    return best, score[best]


NEAR = {
    "all scores are looked at": (EARLY_STOP, lambda s, p: (s.index(max(s)), len(s) - 1), "You look at all scores"),
    "the kept one comes after the end": (
        EARLY_STOP,
        lambda s, p: (s.index(max(s)), EARLY_STOP.solution(s, p)[1]),
        "Your kept one may lie after the end",
    ),
    "it never stops": (EARLY_STOP, lambda s, p: (EARLY_STOP.solution(s, p)[0], len(s) - 1), "runs to the end"),
    "chosen on test": (CHOOSE, chosen_on_test, "You choose on test"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message
