"""Exercise 11.1 is torch's own loop, 11.2 what `fit` does itself; both know the answers that are near, and 11.2 takes
whatever does the same."""

import contextlib
import copy

import pytest
import torch
from datasets import Dataset, DatasetDict
from repository import ROOT
from sentence_transformers import InputExample, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer import losses
from torch.utils.data import DataLoader

from course_lib.encoder import SentenceEncoder
from course_lib.exercises import judge, load_exercises
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.training import learning_rate_factor
from recipes.shared.trainer_settings import described

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "11.py")
FIT, TRANSLATE = EXERCISES["11.1"], EXERCISES["11.2"]


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
    "the warm-up is a share of all steps, but 4 per cent": (TRANSLATE, in_another_way(warmup_steps=0.04), None),
    "the rate is forgotten": (TRANSLATE, in_another_way(learning_rate=5e-5), "today's default"),
    "no set waits for its turn": (TRANSLATE, in_another_way(multi_dataset_batch_sampler="proportional"), "take turns"),
    "no evaluation is asked for": (
        TRANSLATE,
        in_another_way(eval_strategy="no", load_best_model_at_end=False, save_strategy="no"),
        "never calls it",
    ),
    "gradients are not cleared": (FIT, adam_without_clearing, "gradients of all earlier steps"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == ("known mistake" if message else "wrong") and (message or "learning rate") in result.message
