"""What a SentenceTransformerTrainer would do, in words, so that two can be compared without training either.

It is read off the trainer, not off the way in which it was made: a warm-up given as a number or as a share, and a
metric with "eval_" before its name or without, come to the same words. Left out: what does not change what is learnt
(folders, logging, precision), and which pairs share a batch.
"""

import math
from collections.abc import Callable, Sequence

from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.sampler import MultiDatasetBatchSamplers, RoundRobinBatchSampler

ROUND_ROBIN = MultiDatasetBatchSamplers.ROUND_ROBIN


def described(translate: Callable) -> Callable:
    """`translate`, which gives a trainer for the arguments below, as a function that gives what that trainer would do.

    That is a list of lines. None is passed on. TypeError where anything but a trainer is given.
    """

    def description(model, questions, graded, evaluator, metric, folder):
        trainer = translate(model, questions, graded, evaluator, metric, folder)
        if trainer is None or trainer is Ellipsis:
            return None
        if not isinstance(trainer, SentenceTransformerTrainer):
            raise TypeError(f"expected a SentenceTransformerTrainer, not started yet, got a {type(trainer).__name__}")
        rates = learning_rates(trainer)
        decays = sorted({group["weight_decay"] for group in trainer.optimizer.param_groups if group["params"]})
        return [
            "trains the model given" if trainer.model is model else "trains another model",
            *tasks(trainer, {"questions": questions, "graded pairs": graded}),
            f"batches of {trainer.args.train_batch_size}, {order(trainer)}",
            f"{len(rates)} steps, learning rate at most {max(rates):.2g}, in step {rates.index(max(rates))}, "
            f"in the last {rates[-1]:.2g}",
            f"weight decay {', '.join(f'{decay:g}' for decay in decays)}",
            evaluation(trainer, evaluator, len(rates)),
            kept(trainer, len(rates)),
        ]

    return description


def tasks(trainer: SentenceTransformerTrainer, given: dict[str, Sequence[tuple]]) -> list[str]:
    """A line for each data set: what it holds, in how many columns of text, with labels or without, and its loss."""
    data, found = trainer.train_dataset, []
    for name, own in (data if isinstance(data, dict) else {"": data}).items():
        loss = trainer.loss[name] if isinstance(trainer.loss, dict) else trainer.loss
        labels = [column for column in own.column_names if column in trainer.data_collator.valid_label_columns]
        texts = [column for column in own.column_names if column not in labels]
        rows = sorted(map(str, zip(*(own[column] for column in texts + labels))))
        what = next((kind for kind, examples in given.items() if rows == sorted(map(str, examples))), "other examples")
        with_labels = "and labels" if labels else "without labels"
        found.append(f"{what}: {len(texts)} columns of text {with_labels}, {type(loss).__name__}")
    return sorted(found)


def order(trainer: SentenceTransformerTrainer) -> str:
    sampling = trainer.args.multi_dataset_batch_sampler
    in_turn = issubclass(sampling, RoundRobinBatchSampler) if isinstance(sampling, type) else sampling == ROUND_ROBIN
    return "the data sets in turn" if in_turn else "the data sets as their sizes say"


def learning_rates(trainer: SentenceTransformerTrainer) -> list[float]:
    """Of each step. It makes the trainer's optimizer and schedule."""
    steps, rates = trainer.args.max_steps, []
    if steps <= 0:
        steps = round(trainer.args.num_train_epochs * len(trainer.get_train_dataloader()))
    trainer.create_optimizer_and_scheduler(steps)
    for _ in range(steps):
        rates += trainer.lr_scheduler.get_last_lr()[:1]
        trainer.optimizer.step()  # without a gradient: it moves nothing
        trainer.lr_scheduler.step()
    return rates


def in_steps(number: float, steps: int) -> int:
    """Below 1 it is a share of all steps."""
    return math.ceil(number * steps) if number < 1 else int(number)


def evaluation(trainer: SentenceTransformerTrainer, evaluator, steps: int) -> str:
    given = trainer.evaluator is evaluator or evaluator in getattr(trainer.evaluator, "evaluators", [])
    strategy = trainer.args.eval_strategy.value
    when = f"every {in_steps(trainer.args.eval_steps, steps)} steps" if strategy == "steps" else f"when: {strategy}"
    return f"evaluates {when}, {'by the evaluator given' if given else 'without the evaluator given'}"


def kept(trainer: SentenceTransformerTrainer, steps: int) -> str:
    arguments = trainer.args
    if not arguments.load_best_model_at_end:
        return "ends with the last weights"
    if arguments.save_strategy.value == "steps":
        if in_steps(arguments.save_steps, steps) != in_steps(arguments.eval_steps, steps):
            return "ends with the best of those saved, fewer than are evaluated"
    which = "highest" if arguments.greater_is_better else "lowest"
    return f"ends with the weights of the {which} {arguments.metric_for_best_model.removeprefix('eval_')}"
