"""One training loop, for everything in the course.

It knows nothing of sentences: it is given a model (whose parameters it changes), a sequence of examples, and a function
that turns a list of examples into a scalar loss. Masked language modelling and siamese fine-tuning are two such functions.

What it adds to `loss.backward(); optimizer.step()`: batches of similar length, linear warm-up and decay, bfloat16 where
the machine computes it, progress, evaluation, and checkpoints from which a killed run goes on as if nothing had happened.
The order of the batches is a function of the seed and the epoch alone, so the position in the data is one number, the step.

Left out on purpose: several devices, gradient accumulation, other optimisers than AdamW (Loshchilov and Hutter 2019).
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.devices import native_bfloat16


def make_batches(n: int, batch_size: int, seed: int, lengths: Sequence[int] | None = None) -> list[list[int]]:
    """Shuffle `range(n)` and cut it into lists of `batch_size` indices (the last may be shorter).

    With `lengths`, indices are sorted by length within pools of 50 batches, and the batches shuffled again: sentences
    of similar length come together, and a batch is still a different one in each epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator).tolist()
    if lengths is None:
        return [order[i : i + batch_size] for i in range(0, n, batch_size)]
    batches, pool = [], 50 * batch_size
    for i in range(0, n, pool):
        part = sorted(order[i : i + pool], key=lambda k: lengths[k])
        batches += [part[j : j + batch_size] for j in range(0, len(part), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Rises linearly to 1 over the warm-up, then falls linearly to 0 after the last step. Step 0 already learns."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return (total_steps - step) / max(1, total_steps - warmup_steps)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; biases and norms, which are vectors, do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict):
    """Write weights, optimiser and random state as one safetensors file, its header carrying `state` as JSON.

    Written beside the target, flushed to the disk, then renamed over it: at every moment `path` is either the old
    checkpoint or the new one, whole.
    """
    tensors = {f"model.{name}": t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": t.detach().cpu().contiguous() for name, t in moments.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    save_file(tensors, unfinished, metadata={"state": json.dumps(state, default=float)})  # evaluators return numpy's floats too
    with open(unfinished, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict) -> dict:
    """Put weights, optimiser and random state back; return the `state` given to `save_checkpoint`.

    Raises ValueError, and changes nothing, where the file is damaged, or its model or settings are others.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # a mapped file cannot be replaced on Windows
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f"{path} is not a whole checkpoint ({error}); remove it to start anew") from error
    there = state["settings"]
    changed = {name: (there.get(name), value) for name, value in settings.items() if there.get(name) != value}
    if changed:
        raise ValueError(f"{path} was made with other settings (there, here): {changed}; use them, or another file")
    weights = {name[6:]: t for name, t in tensors.items() if name.startswith("model.")}
    if {name: t.shape for name, t in weights.items()} != {name: t.shape for name, t in model.state_dict().items()}:
        raise ValueError(f"{path} was made by another model: names or shapes of its weights differ; use another file")
    model.load_state_dict(weights)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            moments.setdefault(int(i), {})[key] = t
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    return state


def train(
    model: nn.Module,
    loss: Callable[[list], Tensor],
    examples: Sequence,
    *,
    batch_size: int,
    learning_rate: float,
    epochs: int = 1,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    max_grad_norm: float = 1.0,
    seed: int = 0,
    length: Callable[[object], int] | None = None,
    autocast: bool | str = "auto",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    evaluators: Sequence[Callable] = (),
    log_every: int = 100,
    log: Callable[[dict], None] | None = None,
    show_progress_bar: bool = True,
) -> list[dict]:
    """Minimise `loss` over `examples`, and return the history: one dict for each `log_every` steps and each epoch's end.

    model: holds every parameter that is to change (an encoder and a head: `nn.ModuleDict`). It is in training mode
        while the loop runs and in evaluation mode afterwards.
    loss: takes a list of at most `batch_size` examples, returns a scalar tensor.
    warmup: share of all steps over which the learning rate rises; then it falls linearly to zero.
    length: of one example, in tokens, for batches of similar length and for the tokens/s in the log.
    autocast: bfloat16 arithmetic in matrix products; "auto" uses it where the device has it in hardware.
    checkpoint: a file. If it exists the run goes on from it, exactly (bit for bit in float32 on one thread); settings
        that differ from the checkpoint's raise ValueError. It stays after the last step: a second call returns at once.
    evaluators: called with the model at the end of each epoch; each returns a dict that joins the history.

    Raises FloatingPointError, naming step and examples, when the loss is not a finite number.
    """
    if not len(examples):
        raise ValueError("there are no examples to train on")
    device = next(model.parameters()).device
    use_bfloat16 = native_bfloat16(device) if autocast == "auto" else autocast
    lengths = [length(example) for example in examples] if length else None
    steps_per_epoch = math.ceil(len(examples) / batch_size)
    total_steps = epochs * steps_per_epoch
    warmup_steps = round(warmup * total_steps)
    settings = dict(examples=len(examples), batch_size=batch_size, learning_rate=learning_rate, epochs=epochs, warmup=warmup,
                    weight_decay=weight_decay, max_grad_norm=max_grad_norm, seed=seed, bfloat16=use_bfloat16)  # fmt: skip

    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=learning_rate)
    step, history, losses, seconds_before = 0, [], [], 0.0
    checkpoint = Path(checkpoint) if checkpoint else None
    if checkpoint and checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizer, settings)
        step, history, losses, seconds_before = state["step"], state["history"], state["losses"], state["seconds"]

    start, tokens = time.perf_counter(), 0
    since = start
    progress = tqdm(total=total_steps, initial=step, disable=not show_progress_bar, unit="step")
    model.train()
    while step < total_steps:
        epoch = step // steps_per_epoch
        batches = make_batches(len(examples), batch_size, seed * 1_000_003 + epoch, lengths)
        for batch in batches[step % steps_per_epoch :]:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_factor(step, warmup_steps, total_steps)
            with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16):
                value = loss([examples[i] for i in batch])
            if not torch.isfinite(value):
                raise FloatingPointError(f"the loss is {value.item()} at step {step}, on the examples {batch}")
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            losses.append(value.item())
            tokens += sum(lengths[i] for i in batch) if lengths else 0
            progress.update()

            ended = step % steps_per_epoch == 0
            if step % log_every == 0 or ended:
                now = time.perf_counter()
                entry = {"step": step, "epoch": step / steps_per_epoch, "loss": sum(losses) / len(losses)}
                entry["seconds"] = round(seconds_before + now - start, 1)
                entry |= {"tokens_per_second": round(tokens / (now - since))} if lengths else {}
                progress.set_postfix(loss=f"{entry['loss']:.3f}", **({"tokens/s": entry["tokens_per_second"]} if lengths else {}))
                if ended and evaluators:
                    model.eval()
                    for evaluate in evaluators:
                        entry |= evaluate(model)
                    model.train()
                history.append(entry)
                if log:
                    log(entry)
                tokens, losses, since = 0, [], time.perf_counter()
            if checkpoint and (step % checkpoint_every == 0 or step == total_steps):
                state = {"step": step, "history": history, "losses": losses, "settings": settings}
                save_checkpoint(checkpoint, model, optimizer, state | {"seconds": seconds_before + time.perf_counter() - start})
    progress.close()
    model.eval()
    return history
