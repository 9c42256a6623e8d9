"""One training loop, for everything in the course.

It knows nothing of sentences: it is given a model (whose parameters it changes), a sequence of examples, and a function
that turns a list of examples into a scalar loss. Masked language modelling and siamese fine-tuning (siamese.py) are two
such functions. For several tasks at once it is given several of both.

What it adds to `loss.backward(); optimizer.step()`: batches of similar length or without duplicate texts, warm-up,
clipped gradients, bfloat16 where the machine computes it, several devices (support/distributed.py), a history with
evaluations, and checkpoints from which a killed run goes on as if nothing had happened.

Left out on purpose: other optimisers than AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), other schedules,
learning rates for parts of the model, and loss scaling for float16, which bfloat16 does not need.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.support.batches import Order
from course_lib.support.devices import native_bfloat16
from course_lib.support.distributed import add_gradients, copy_from_first, own_device, processes, shared, total
from course_lib.support.fingerprint import fingerprint
from course_lib.support.training_checkpoint import failed_batch, load_checkpoint, save_checkpoint
from course_lib.support.training_evaluation import Evaluation
from course_lib.support.training_examples import checked_tasks, distinct_texts
from course_lib.support.training_log import TrainingLog


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Rises linearly to 1 over the warm-up, then falls linearly to 0 after the last step.

    Step 0 already learns, where transformers' schedule begins with a step of 0; after the warm-up they are the same.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return (total_steps - step) / max(1, total_steps - warmup_steps)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; biases and norms, which are vectors, do not. Frozen parameters are in neither group."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("no parameters to train: all are frozen (requires_grad=False), or the model has none")
    matrices, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def train(
    model: nn.Module,
    loss: Callable[[list], Tensor] | Sequence[Callable[[list], Tensor]],
    examples: Sequence,
    *,
    batch_size: int,
    learning_rate: float,
    epochs: int = 1,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    seed: int = 0,
    sampling: str = "proportional",
    no_duplicates: bool = False,
    length: Callable[[object], int] | None = None,
    autocast: bool | str = "auto",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    evaluators: Sequence[Callable] = (),
    evaluate_every: int | None = None,
    best: str | Path | None = None,
    log_every: int = 100,
    log: Callable[[dict], None] | None = None,
    show_progress_bar: bool = True,
) -> list[dict]:
    """Minimise `loss` over `examples`; the history: one dict for each `log_every` steps and each evaluation.

    model: holds all parameters that are to change (an encoder and a head: `nn.ModuleDict`). It is in training mode
        while the loop runs and in evaluation mode afterwards. Gradients longer than 1 are scaled down to that.
    loss: takes a list of at most `batch_size` examples, returns a scalar tensor, their mean loss. For several tasks a
        list of losses, and as many lists of examples.
    warmup: share of all steps over which the learning rate rises.
    sampling: of several tasks, "proportional" to their sizes or "round-robin", which ends with the smallest.
    no_duplicates: no batch holds a text twice, for losses with in-batch negatives. What finds no place is left out of
        an epoch; the history says how many examples ("left_out"), and a warning.
    length: of one example, in tokens, for batches of similar length and for the tokens/s in the history.
    autocast: bfloat16 arithmetic in matrix products; "auto" uses it where the device has it in hardware.
    checkpoint: a file. If it exists the run goes on from it, exactly (bit for bit in float32 on one thread). ValueError
        unless settings and examples are its own. It stays after the last step: a second call returns at once.
    evaluators: called with the model at the end of each epoch and every `evaluate_every` steps; each returns a dict
        that joins the history. best: a file for the weights of the highest score (support/training_evaluation.py).

    Raises ValueError before the first step where arguments or examples (support/training_examples.py) do not fit;
    FloatingPointError when the loss or its gradient is not a finite number, naming step and examples, which with a
    `checkpoint` are written beside it; OSError when that cannot be written. In all three the last checkpoint stays.
    """
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup is {warmup!r}; expected the share of all steps over which the rate rises, 0 to 1")
    losses, data, names = checked_tasks(loss, examples)
    texts = [distinct_texts(own, name) if no_duplicates else None for own, name in zip(data, names)]
    lengths = [[length(example) for example in own] if length else None for own in data]
    order = Order([len(own) for own in data], batch_size, seed, sampling, lengths, texts)
    steps_per_epoch, total_steps = order.steps_per_epoch, epochs * order.steps_per_epoch
    evaluation = Evaluation(evaluators, evaluate_every, best)

    device = own_device() or next(model.parameters()).device
    model.to(device).train()
    copy_from_first(model)
    rank, count = processes()
    torch.manual_seed(seed + 1_000_003 * rank)  # of its own in each process: for dropout
    use_bfloat16 = native_bfloat16(device) if autocast == "auto" else autocast
    fused = device.type in ("cpu", "cuda", "mps")  # one pass over all parameters, on devices for which torch has it
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=learning_rate, fused=fused)

    content = [fingerprint(own) for own in data] if checkpoint else None
    settings = {"examples": order.sizes, "content": content, "batch_size": batch_size, "learning_rate": learning_rate}
    settings |= {"epochs": epochs, "warmup": warmup, "weight_decay": weight_decay, "seed": seed, "sampling": sampling}
    settings |= {"no_duplicates": no_duplicates, "bfloat16": use_bfloat16, "processes": count}
    settings |= {"evaluate_every": evaluate_every, "best": evaluation.metric if best else None}
    checkpoint = Path(checkpoint) if checkpoint else None
    state = load_checkpoint(checkpoint, model, optimizer, settings)
    step, evaluation.highest = state["step"], state["highest"]
    journal = TrainingLog(state, total_steps, log, show_progress_bar)

    while step < total_steps:
        batches, left_out = order.epoch(step // steps_per_epoch)
        for task, batch in batches[step % steps_per_epoch :]:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_factor(step, round(warmup * total_steps), total_steps)
            try:
                value = _gradient(model, losses[task], [data[task][i] for i in batch], use_bfloat16)
            except FloatingPointError as error:
                raise failed_batch(checkpoint, f"{error} at step {step}", names[task], data[task], batch) from None
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            journal.step(value, sum(lengths[task][i] for i in batch) if length else 0)
            ended = step % steps_per_epoch == 0
            to_evaluate = evaluation.due(step, ended)
            if ended or to_evaluate or step % log_every == 0:
                entry = journal.entry(step, step / steps_per_epoch, left_out if ended else 0)
                journal.add(entry | (evaluation(model, step) if to_evaluate else {}))
            if checkpoint and (step % checkpoint_every == 0 or step == total_steps):
                state = {"step": step, "settings": settings, "highest": evaluation.highest} | journal.state()
                save_checkpoint(checkpoint, model, optimizer, state)
    journal.close()
    model.eval()
    return journal.history


def _gradient(model: nn.Module, loss: Callable[[list], Tensor], batch: list, bfloat16: bool) -> float:
    """The mean loss; its gradient, clipped, is left in the parameters. FloatingPointError where one is not finite."""
    device = next(model.parameters()).device
    with shared(batch) as (mine, weight), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        value = loss(mine) * weight
    mean = total(value).item()
    if not math.isfinite(mean):
        raise FloatingPointError(f"the loss is {mean}")
    value.backward()
    add_gradients(model.parameters())
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0).item()
    if not math.isfinite(norm):
        raise FloatingPointError(f"the length of the gradient is {norm}")
    return mean
