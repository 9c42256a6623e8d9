"""Solutions of notebook 11. Try the exercises first: check() tells you what kind of mistake you made."""

import tempfile

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn

from course_lib.exercises import Exercise
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.training import learning_rate_factor
from recipes.shared.trainer_settings import described

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


def trainer(columns=("text1", "text2", "label"), losses_of=None, leave_out=(), given=("asks", "scores"), **options):
    """A translation, and what it turns into where something is left out or wrong."""

    def translation(model, questions, graded, evaluator, metric, folder):
        data = {
            "asks": Dataset.from_dict(dict(zip(("anchor", "positive"), map(list, zip(*questions))))),
            "scores": Dataset.from_dict(dict(zip(columns, map(list, zip(*graded))))),
        }
        loss = {"asks": losses.MultipleNegativesRankingLoss(model), "scores": losses.CosineSimilarityLoss(model)}
        settings = {
            "per_device_train_batch_size": 16,
            "num_train_epochs": 1,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "warmup_steps": 4,
            "multi_dataset_batch_sampler": "round_robin",
            "eval_strategy": "steps",
            "eval_steps": 5,
            "save_strategy": "steps",
            "save_steps": 5,
            "load_best_model_at_end": True,
            "metric_for_best_model": metric,
        } | options
        settings = {name: value for name, value in settings.items() if name not in leave_out}
        arguments = SentenceTransformerTrainingArguments(
            folder, report_to="none", use_cpu=True, disable_tqdm=True, **settings
        )
        data, loss = ({name: of[name] for name in given} for of in (data, loss))
        loss = losses_of(loss) if losses_of else loss
        return SentenceTransformerTrainer(model, arguments, data, loss=loss, evaluator=evaluator)

    return translation


def small_model():
    """A vector for each word, the same on every machine."""
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(200)}, unk_token="w0"))
    words.pre_tokenizer = Whitespace()
    model = SentenceTransformer(modules=[StaticEmbedding(words, embedding_weights=np.eye(200, 4))], device="cpu")
    model.model_card_data.widget = ["no examples for a model card"]
    return model


WORDS = [f"w{i}" for i in range(200)]
QUESTIONS, GRADED = list(zip(WORDS[:80], WORDS[90:])), [(a, b, i / 80) for i, a, b in zip(range(80), WORDS, WORDS[5:])]
FOLDER = tempfile.TemporaryDirectory()  # a trainer makes its folder at once


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
        title="Translate a `fit` of 2022",
        cases={
            f"best by {name}": (
                small_model(),
                QUESTIONS,
                GRADED,
                EmbeddingSimilarityEvaluator(*zip(*GRADED[:9]), name="dev", write_csv=False),
                name,
                FOLDER.name,
            )
            for name in ("dev_spearman_cosine", "dev_pearson_cosine")
        },
        solution=described(trainer()),
        wrong=[
            (described(translation), message)
            for translation, message in (
                (
                    trainer(leave_out=["learning_rate", "weight_decay"]),
                    "Your learning rate and weight decay are today's defaults. The table above has those of `fit`.",
                ),
                (
                    trainer(leave_out=["learning_rate"]),
                    "Your learning rate is today's default. The table above has that of `fit`.",
                ),
                (
                    trainer(leave_out=["weight_decay"]),
                    "Your weights do not decay, which is today's default. In `fit` they did: see the table above.",
                ),
                (
                    trainer(leave_out=["multi_dataset_batch_sampler"]),
                    "Your batches come from both sets in a mixed order, by their sizes. In `fit` the tasks take turns.",
                ),
                (
                    trainer(leave_out=["warmup_steps"]),
                    "Your first step has the full rate: today's default is no warm-up at all.",
                ),
                (
                    trainer(leave_out=["per_device_train_batch_size"]),
                    "Your batches hold 8, today's default. In the old script the DataLoader said how many.",
                ),
                (
                    trainer(leave_out=["num_train_epochs"]),
                    "You train for three epochs, today's default. `fit`'s was 1.",
                ),
                (
                    trainer(losses_of=lambda loss: dict(zip(loss, reversed(loss.values())))),
                    "Your losses are swapped: the ranking loss wants pairs, the cosine loss two texts and a label.",
                ),
                (
                    trainer(losses_of=lambda loss: loss["asks"]),
                    "You train both sets with the ranking loss, which does not read a label. Give a dictionary.",
                ),
                (
                    trainer(given=["asks"]),
                    "You train on the questions alone. Where do the graded pairs come in?",
                ),
                (
                    trainer(given=["scores"]),
                    "You train on the graded pairs alone. Where do the questions come in?",
                ),
                (
                    trainer(columns=("text1", "text2", "similarity")),
                    "Your scores stand in a column that the trainer takes for a third text. Call it label or score.",
                ),
                (
                    trainer(leave_out=["eval_strategy", "load_best_model_at_end"]),
                    "Your trainer has an evaluator and never calls it: when should it?",
                ),
                (
                    trainer(leave_out=["eval_steps", "save_steps"]),
                    "You do not say after how many steps to evaluate: by default 500, more than there are.",
                ),
                (
                    trainer(leave_out=["load_best_model_at_end"]),
                    "Your model ends with the last weights. The old script kept the best.",
                ),
                (
                    trainer(leave_out=["metric_for_best_model"]),
                    "Which checkpoint is the best? Without a metric, that of the lowest loss, which nobody measures.",
                ),
            )
        ],
    ),
}
