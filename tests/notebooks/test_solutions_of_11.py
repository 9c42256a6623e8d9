"""Exercise 11.1 agrees with SciPy's bootstrap, 11.2 with what `fit` does itself; both know the answers that are near,
and take whatever does the same."""

import contextlib
import copy

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict
from repository import ROOT
from scipy.stats import bootstrap
from sentence_transformers import InputExample, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer import losses
from torch.utils.data import DataLoader

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.metrics import paired_bootstrap
from recipes.shared.trainer_settings import described

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "11.py")
REPORT, TRANSLATE = EXERCISES["11.1"], EXERCISES["11.2"]


@pytest.mark.parametrize("case", REPORT.cases)
def test_solution_reports_what_scipy_does(case):
    """One score for each group: the mean of its queries, which is the mean of the seeds. SciPy draws it anew."""
    runs, groups, start = REPORT.cases[case]
    recipe, gain, low, high, shown = REPORT.solution(runs, groups, start)
    on_dev = {name: sum(run["dev"]) / len(run["dev"]) for name, run in runs.items()}
    assert on_dev[recipe] == max(on_dev.values())
    own = pd.DataFrame(runs[recipe]["test"] - start, columns=groups).T.groupby(level=0).mean()  # (groups, seeds)
    by_scipy = bootstrap(
        (own.mean(axis=1),), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert gain == pytest.approx(own.to_numpy().mean())
    assert (low, high) == pytest.approx(tuple(by_scipy), abs=0.25)
    assert shown == (by_scipy.low > 0 and (own.mean() > 0).all())


def test_cases_hold_every_verdict():
    """Shown, not shown because of the groups or of a seed alone, and a loss."""
    found = [REPORT.solution(*case) for case in REPORT.cases.values()]
    assert [shown for *_, shown in found] == [True, True, False, False, False]
    assert found[2][2] < 0 < found[2][3] and found[3][2] > 0 and found[4][3] < 0


def in_another_way(**changes):
    """As a learner may write it who knows the library well: shares, a DatasetDict, other names, the best saved only."""

    def translated(model, questions, graded, evaluator, metric, folder):
        a, b, scores = zip(*graded)
        data = DatasetDict(
            scored=Dataset.from_dict({"score": scores, "sentence1": a, "sentence2": b}),
            asked=Dataset.from_list([{"query": q, "answer": other} for q, other in questions]),
        )
        loss = {
            "asked": losses.MultipleNegativesRankingLoss(model),
            "scored": losses.CosineSimilarityLoss(model),
        }
        settings = dict(
            num_train_epochs=1,
            train_batch_size=16,
            learning_rate=2e-5,
            weight_decay=0.01,
            warmup_steps=0.4,
            multi_dataset_batch_sampler="round_robin",
            batch_sampler="no_duplicates",
            eval_strategy="steps",
            eval_steps=0.5,
            save_strategy="best",
            load_best_model_at_end=True,
            metric_for_best_model=f"eval_{metric}",
            greater_is_better=True,
        )
        settings |= changes
        settings["per_device_train_batch_size"] = settings.pop("train_batch_size")
        arguments = SentenceTransformerTrainingArguments(output_dir=folder, use_cpu=True, report_to=[], **settings)
        return SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=data, loss=loss, evaluator=[evaluator]
        )

    return described(translated)


def test_another_way_to_the_same_trainer_is_right():
    assert judge(TRANSLATE, in_another_way())


def test_not_started_means_not_started():
    result = judge(TRANSLATE, described(lambda model, *rest: model))
    assert result.kind == "wrong" and "not started yet, got a SentenceTransformer" in result.message


def test_solution_does_what_fit_does(monkeypatch, tmp_path):
    """`fit` makes a trainer, too. Evaluating and keeping the best it leaves to callbacks, which are not compared."""
    model, questions, graded, evaluator, metric, folder = copy.deepcopy(next(iter(TRANSLATE.cases.values())))
    made = []
    monkeypatch.setattr(SentenceTransformerTrainer, "train", lambda self, **_: made.append(self))
    asks = DataLoader([InputExample(texts=pair) for pair in questions], shuffle=True, batch_size=16)
    scores = DataLoader([InputExample(texts=[a, b], label=s) for a, b, s in graded], shuffle=True, batch_size=16)
    objectives = [(asks, losses.MultipleNegativesRankingLoss(model)), (scores, losses.CosineSimilarityLoss(model))]
    with contextlib.chdir(tmp_path):
        model.fit(objectives, warmup_steps=4, evaluator=evaluator, evaluation_steps=5, output_path=folder)
    by_fit = described(lambda *_: made[0])(model, questions, graded, evaluator, metric, folder)
    own = TRANSLATE.solution(*copy.deepcopy(next(iter(TRANSLATE.cases.values()))))
    assert by_fit[:-2] == own[:-2]


def seeds_in_a_loop(runs, groups, start):
    """As a learner may write it: with sums, and two means of groups for the bootstrap."""
    best = sorted(runs, key=lambda name: -sum(runs[name]["dev"]))[0]
    of = lambda scores: np.array([scores[groups == g].mean() for g in dict.fromkeys(groups.tolist())])
    gain, low, high = paired_bootstrap(of(runs[best]["test"].mean(axis=0)), of(start))
    above = [of(seed).mean() > of(start).mean() for seed in runs[best]["test"]]
    return [best, np.float64(gain), low, high, low > 0 and np.all(above)]


def test_another_way_to_report_is_right():
    assert judge(REPORT, seeds_in_a_loop)


def queries_drawn(runs, groups, start):
    best, *_, shown = REPORT.solution(runs, groups, start)
    gain, low, high = paired_bootstrap(runs[best]["test"].mean(axis=0), start)
    return best, gain, low, high, low > 0 and (runs[best]["test"].mean(axis=1) > start.mean()).all()


NEAR = {
    "the warm-up is a share of all steps, but 4 per cent": (TRANSLATE, in_another_way(warmup_steps=0.04), None),
    "the rate is forgotten": (TRANSLATE, in_another_way(learning_rate=5e-5), "today's default"),
    "no set waits for its turn": (TRANSLATE, in_another_way(multi_dataset_batch_sampler="proportional"), "take turns"),
    "no evaluation is asked for": (
        TRANSLATE,
        in_another_way(eval_strategy="no", load_best_model_at_end=False, save_strategy="no"),
        "never calls it",
    ),
    "queries are drawn": (REPORT, queries_drawn, "no independent draws"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == ("known mistake" if message else "wrong") and (message or "learning rate") in result.message
