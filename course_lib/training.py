"""One training loop, for everything in the course.

It knows nothing of sentences: it is given a model (whose parameters it changes), a sequence of examples, and a function
that turns a list of examples into a scalar loss. Masked language modelling and siamese fine-tuning are two such functions.
For several tasks at once it is given several of both.

What it adds to `loss.backward(); optimizer.step()`: batches of similar length or without duplicate texts (batches.py),
schedules with warm-up, accumulated and clipped gradients, bfloat16 where the machine computes it, several devices
(distributed.py), progress, evaluation and an early stop, and checkpoints from which a killed run goes on as if nothing
had happened (training_checkpoint.py).

Left out on purpose: other optimisers than AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), different learning rates
for parts of the model, and loss scaling for float16, which bfloat16 does not need.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.support.batches import Order
from course_lib.support.devices import native_bfloat16
from course_lib.support.distributed import (
    add_gradients,
    copy_from_first,
    own_device,
    processes,
    said_by_first,
    shared,
    total,
)
from course_lib.support.examples import check_examples, texts_of
from course_lib.support.training_checkpoint import BestModel, load_checkpoint, save_checkpoint, save_failed_batch

_log = logging.getLogger(__name__)


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int, schedule: str = "linear") -> float:
    """Rises linearly to 1 over the warm-up; then falls linearly or as a cosine to 0 after the last step, or stays.

    Step 0 already learns, where transformers' schedules begin with a step of 0; after the warm-up they are the same.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    remaining = (total_steps - step) / max(1, total_steps - warmup_steps)
    return {"linear": remaining, "constant": 1.0, "cosine": (1 - math.cos(math.pi * remaining)) / 2}[schedule]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; biases and norms, which are vectors, do not. Frozen parameters are in neither group."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError(
            "the model has no parameters to train: all are frozen (requires_grad=False), or there are none"
        )
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def train(
    model: nn.Module,
    loss: Callable[[list], Tensor] | Sequence[Callable[[list], Tensor]],
    examples: Sequence,
    *,
    batch_size: int,
    learning_rate: float,
    epochs: int = 1,
    schedule: str = "linear",
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    max_grad_norm: float = 1.0,
    accumulate: int = 1,
    seed: int = 0,
    sampling: str = "proportional",
    no_duplicates: bool = False,
    length: Callable[[object], int] | None = None,
    num_labels: int | None = None,
    autocast: bool | str = "auto",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    evaluators: Sequence[Callable] = (),
    evaluate_every: int | None = None,
    metric_for_best_model: str | None = None,
    best: str | Path | None = None,
    patience: int | None = None,
    log_every: int = 100,
    log: Callable[[dict], None] | None = None,
    show_progress_bar: bool = True,
) -> list[dict]:
    """Minimise `loss` over `examples`, and return the history: one dict for each `log_every` steps and each evaluation.

    model: holds every parameter that is to change (an encoder and a head: `nn.ModuleDict`). It is in training mode
        while the loop runs and in evaluation mode afterwards.
    loss: takes a list of at most `batch_size` examples, returns a scalar tensor, their mean loss. For several tasks a
        list of losses, and as many lists of examples.
    examples: of any kind; where they hold texts, `examples.check_examples` looks at all before the first step.
    schedule: "linear" (down to zero), "constant" or "cosine". warmup: share of all steps over which the rate rises.
    max_grad_norm: the gradient is scaled down to this length where it is longer; `math.inf` for never.
    accumulate: batches to a step. Gradients are weighted by the batches' sizes: with a mean of losses of single examples
        the step is that of one large batch. In-batch negatives stay those of the small batch (gradient_cache.py).
    sampling: of several tasks, "proportional" to their sizes or "round-robin", which ends with the smallest.
    no_duplicates: no batch holds a text twice, for losses with in-batch negatives. What finds no place is left out of an
        epoch; the history says how many examples ("left_out"), and a warning.
    length: of one example, in tokens, for batches of similar length and for the tokens/s in the log.
    num_labels: numbers in the examples must be labels, 0..num_labels - 1.
    autocast: bfloat16 arithmetic in matrix products; "auto" uses it where the device has it in hardware.
    checkpoint: a file. If it exists the run goes on from it, exactly (bit for bit in float32 on one thread); settings
        that differ from the checkpoint's raise ValueError. It stays after the last step: a second call returns at once.
    evaluators: called with the model at the end of each epoch and every `evaluate_every` steps; each returns a dict that
        joins the history. They do not disturb the random numbers of the training.
    metric_for_best_model: a key of these dicts, higher is better; without it the first evaluator's `primary_metric`.
    best: a file for the weights of the evaluation where it was highest (training_checkpoint.BestModel).
    patience: stop after so many evaluations without a new highest one.

    Raises ValueError before the first step where arguments or examples do not fit; FloatingPointError when the loss or
    its gradient is not a finite number, naming step and examples, which with a `checkpoint` are written beside it, to
    NAME.failed_batch.json; OSError when a checkpoint cannot be written. In all three the last checkpoint stays.
    """
    several = isinstance(loss, (list, tuple))
    losses, data = (list(loss), list(examples)) if several else ([loss], [examples])
    names = [f"examples[{task}]" for task in range(len(data))] if several else ["examples"]
    _check_settings(
        losses, data, schedule=schedule, warmup=warmup, sampling=sampling, batch_size=batch_size, accumulate=accumulate
    )
    for own, name in zip(data, names):
        check_examples(own, num_labels, name)
    texts = [[texts_of(example) for example in own] if no_duplicates else None for own in data]
    for own, name in zip(texts, names):
        if own and not own[0]:
            raise ValueError(f"no_duplicates compares texts, but {name} hold none")
    keeper = BestModel(evaluators, metric_for_best_model, best, patience)

    device = own_device() or next(model.parameters()).device
    model.to(device).train()
    copy_from_first(model)
    use_bfloat16 = native_bfloat16(device) if autocast == "auto" else autocast
    sizes = [len(own) for own in data]
    lengths = [[length(example) for example in own] if length else None for own in data]
    order = Order(sizes, batch_size, seed, sampling, accumulate, lengths, texts)
    steps_per_epoch = order.steps_per_epoch
    total_steps = epochs * steps_per_epoch
    warmup_steps = round(warmup * total_steps)
    rank, count = processes()
    settings = dict(
        examples=sizes if several else sizes[0],
        batch_size=batch_size,
        learning_rate=learning_rate,
        epochs=epochs,
        warmup=warmup,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        seed=seed,
        bfloat16=use_bfloat16,
    )
    optional = dict(
        schedule=(schedule, "linear"),
        accumulate=(accumulate, 1),
        sampling=(sampling, "proportional"),
        no_duplicates=(no_duplicates, False),
        evaluate_every=(evaluate_every, None),
        metric_for_best_model=(keeper.metric, None),
        patience=(patience, None),
        processes=(count, 1),
    )
    settings |= {
        name: value for name, (value, default) in optional.items() if value != default
    }  # so that older checkpoints fit

    torch.manual_seed(seed + 1_000_003 * rank)
    fused = device.type in ("cpu", "cuda", "mps")  # one pass over all parameters, on devices for which torch has it
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=learning_rate, fused=fused)
    step, history, values, seconds_before = 0, [], [], 0.0
    checkpoint = Path(checkpoint) if checkpoint else None
    if checkpoint and checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizer, settings)
        step, history, values, seconds_before = state["step"], state["history"], state["losses"], state["seconds"]
        keeper.highest, keeper.since = state.get("highest"), state.get("since", 0)

    start, tokens = time.perf_counter(), 0
    last = start
    progress = tqdm(total=total_steps, initial=step, disable=rank > 0 or not show_progress_bar, unit="step")
    while step < total_steps and not keeper.stop:
        steps, left_out = order.epoch(step // steps_per_epoch)
        if left_out and step % steps_per_epoch == 0 and rank == 0:
            _log.warning(
                "%d of %d examples share texts with too many others for a place in a batch of this epoch",
                left_out,
                sum(sizes),
            )
        for batches in steps[step % steps_per_epoch :]:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_factor(step, warmup_steps, total_steps, schedule)
            try:
                values.append(_gradients(model, losses, data, batches, use_bfloat16, max_grad_norm))
            except FloatingPointError as error:
                what, bad = error.args
                report = checkpoint.with_name(checkpoint.stem + ".failed_batch.json") if checkpoint else None
                if report and rank == 0:
                    save_failed_batch(
                        report,
                        f"{what} at step {step}",
                        [(names[task], i, data[task][i]) for task, batch in bad for i in batch],
                    )
                where = ", ".join(f"{batch} of {names[task]}" if several else f"{batch}" for task, batch in bad)
                raise FloatingPointError(
                    f"{what} at step {step}, on the examples {where}" + f", written to {report}" * bool(report)
                ) from None
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            tokens += sum(lengths[task][i] for task, batch in batches for i in batch) if length else 0
            progress.update()

            ended = step % steps_per_epoch == 0
            to_evaluate = evaluators and (ended or evaluate_every and step % evaluate_every == 0)
            if step % log_every == 0 or ended or to_evaluate:
                now = time.perf_counter()
                entry = {"step": step, "epoch": step / steps_per_epoch, "loss": sum(values) / len(values)}
                entry["seconds"] = round(seconds_before + now - start, 1)
                entry |= {"tokens_per_second": round(tokens / (now - last))} if length else {}
                entry |= {"left_out": left_out} if left_out and ended else {}
                progress.set_postfix(
                    loss=f"{entry['loss']:.3f}", **({"tokens/s": entry["tokens_per_second"]} if length else {})
                )
                if to_evaluate:
                    entry = said_by_first(entry | _evaluate(model, evaluators, device) if rank == 0 else None)
                    keeper.see(entry, model)
                history.append(entry)
                if log and rank == 0:
                    log(entry)
                tokens, values, last = 0, [], time.perf_counter()
            if checkpoint and (step % checkpoint_every == 0 or step == total_steps or keeper.stop):
                state = {
                    "step": step,
                    "history": history,
                    "losses": values,
                    "settings": settings,
                    "seconds": seconds_before + time.perf_counter() - start,
                }
                save_checkpoint(checkpoint, model, optimizer, state | keeper.state())
            if keeper.stop:
                break
    progress.close()
    model.eval()
    return history


def _gradients(
    model: nn.Module, losses: list, data: list, batches: list[tuple[int, list[int]]], bfloat16: bool, max_norm: float
) -> float:
    """The mean loss over the examples of these (task, indices); its gradient, clipped, is left in the parameters.

    Raises FloatingPointError(what is not finite, the batches it comes from).
    """
    device, n, mean = next(model.parameters()).device, sum(len(batch) for _, batch in batches), 0.0
    for task, batch in batches:
        with shared(batch) as (mine, weight), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            value = losses[task]([data[task][i] for i in mine]) * (weight * len(batch) / n)
        of_all = total(value).item()
        if not math.isfinite(of_all):
            raise FloatingPointError(f"the loss is {of_all}", [(task, batch)])
        value.backward()
        mean += of_all
    add_gradients(model.parameters())
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm).item()
    if not math.isfinite(norm):
        raise FloatingPointError(f"the length of the gradient is {norm}", batches)
    return mean


def _evaluate(model: nn.Module, evaluators: Sequence[Callable], device: torch.device) -> dict:
    """What all evaluators say, in one dict. Random numbers they draw are not missing in the training."""
    found = {}
    model.eval()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for evaluate in evaluators:
            found |= evaluate(model)
    model.train()
    return found


def _check_settings(losses: list, data: list, **settings):
    if len(losses) != len(data) or not losses:
        raise ValueError(
            f"several tasks need a list of examples for each loss, got {len(losses)} losses and {len(data)} lists of examples"
        )
    if not all(len(own) for own in data):
        raise ValueError(
            "there are no examples to train on"
            + f": {[len(own) for own in data]} for {len(data)} tasks" * (len(data) > 1)
        )
    allowed = {"schedule": ("linear", "constant", "cosine"), "sampling": ("proportional", "round-robin")}
    for name, value in settings.items():
        if name in allowed and value not in allowed[name]:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(allowed[name])}")
        if name in ("batch_size", "accumulate") and value < 1:
            raise ValueError(f"{name} is {value!r}; expected at least 1")
    if not 0 <= settings["warmup"] <= 1:
        raise ValueError(
            f"warmup is {settings['warmup']!r}; expected the share of all steps, 0 to 1, over which the learning rate rises"
        )
