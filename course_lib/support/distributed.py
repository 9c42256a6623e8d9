"""One training on several devices: who computes which examples, and what the processes tell each other.

    accelerate launch --multi_gpu --num_processes 2 my_training.py
    torchrun --nproc-per-node 2 my_training.py                # the same; also without GPUs

The launcher starts the same script several times, and `training.train` does the rest. Each process has a copy of the
model and takes its share of each batch; the gradients are added up, so that all copies take the same step as one
process with the whole batch would. accelerate tells who is who and connects the processes: NCCL between NVIDIA devices,
gloo between CPUs. Without a launcher there is one process, and nothing here does anything.

In-batch negatives need more than gradients: an anchor of one process must see the positives of all. That is `gather`,
for losses to use:

    MultipleNegativesRankingLoss(gather=gather)

Left out on purpose: what torch's DistributedDataParallel does beyond this, above all sending gradients while others are
still computed; models or optimisers split over devices (FSDP, DeepSpeed); processes that do not share a disk.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

_sharing = False  # while a loss sees one process's share of a batch


def processes() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are: (0, 1) unless a launcher started several."""
    if "LOCAL_RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0, 1
    state = _state()
    return state.process_index, state.num_processes


def own_device() -> torch.device | None:
    """Where this process computes, of several on one machine; None for a single process, which may choose."""
    return _state().device if processes()[1] > 1 else None


def _state():
    from accelerate import PartialState  # here, because it is needed in few programs and takes a second

    cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes") or not torch.cuda.is_available()
    return PartialState(cpu=cpu, timeout=timedelta(hours=2))  # process 0 may evaluate for long while the others wait


@contextmanager
def shared(batch: list) -> Iterator[tuple[list, float]]:
    """This process's part of a batch, and its weight: mean losses times weights add up to the mean over the batch.

    A batch with fewer examples than processes is computed whole by all of them, without `gather`.
    """
    global _sharing
    rank, count = processes()
    n = len(batch)
    if n < count:
        yield batch, 1 / count
        return
    mine = batch[rank * n // count : (rank + 1) * n // count]
    _sharing = count > 1
    try:
        yield mine, len(mine) / n
    finally:
        _sharing = False


def gather(rows: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes, (all rows, ...), and where this process's begin among them.

    rows: (any number, ...), the same dtype and inner shape everywhere. Every process must call it, in the same order.
    Gradients flow back to the process that the rows came from. Outside of `shared`, as in an evaluation by one process
    alone: (rows, 0).
    """
    if not _sharing:
        return rows, 0
    counts = [int(count) for count in _everyone(torch.tensor([len(rows)], device=rows.device))]
    return _AllRows.apply(rows, counts), sum(counts[: processes()[0]])


class _AllRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, counts: list[int]) -> Tensor:
        rank = processes()[0]
        ctx.own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
        padded = rows.new_zeros(max(counts), *rows.shape[1:])  # all processes must send the same shape
        padded[: len(rows)] = rows
        return torch.cat([part[:count] for part, count in zip(_everyone(padded), counts)])  # (all rows, ...)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient)  # what my rows did to the losses of all processes
        return gradient[ctx.own], None


def _everyone(tensor: Tensor) -> list[Tensor]:
    """The tensors of all processes, which have one shape and dtype, in the order of the processes."""
    received = [torch.empty_like(tensor) for _ in range(processes()[1])]
    distributed.all_gather(received, tensor)
    return received


def total(value: Tensor) -> Tensor:
    """The sum of the values of all processes, without gradients."""
    value = value.detach().clone()
    if processes()[1] > 1:
        distributed.all_reduce(value)
    return value


def add_gradients(parameters: Iterable[nn.Parameter]):
    """Give every process the sum of all processes' gradients, in one message."""
    trained = [p for p in parameters if p.requires_grad]
    if processes()[1] == 1:
        return
    used = torch.tensor([float(p.grad is not None) for p in trained], device=trained[0].device)
    message = torch.cat([*((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained), used])
    distributed.all_reduce(message)
    *gradients, used = message.split([*(p.numel() for p in trained), len(trained)])
    for p, gradient, by in zip(trained, gradients, used):  # used by nobody: no gradient, rather than one of zeros
        p.grad = gradient.view_as(p).to(p.dtype) if by else None


def copy_from_first(model: nn.Module):
    """Give every process the weights of process 0: a head made without a seed differs between them."""
    if processes()[1] > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, 0)


def said_by_first(content):
    """What process 0 passes, in every process: anything that JSON can hold. The others pass what they like."""
    if processes()[1] == 1:
        return content
    device = own_device()
    message = json.dumps(content, default=float).encode() if processes()[0] == 0 else b""
    size = torch.tensor([len(message)], device=device)
    distributed.broadcast(size, 0)
    buffer = torch.tensor(list(message) or [0] * int(size), dtype=torch.uint8, device=device)  # (bytes,)
    distributed.broadcast(buffer, 0)
    return json.loads(bytes(buffer.tolist()))


def random_states() -> dict[str, Tensor]:
    """The state of torch's random numbers in every process: "random.cpu" of process 0, "random.cpu.1" of the next..."""
    states = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["random.cuda"] = torch.cuda.get_rng_state()
    if processes()[1] == 1:
        return states
    everyone = {name: _everyone(state.to(own_device())) for name, state in states.items()}
    return {
        f"{name}.{i}" if i else name: state.cpu()
        for name, several in everyone.items()
        for i, state in enumerate(several)
    }


def set_random_state(states: dict[str, Tensor]):
    """Put this process's state of `random_states` back."""
    suffix = f".{processes()[0]}" if processes()[0] else ""
    torch.set_rng_state(states[f"random.cpu{suffix}"])
    if f"random.cuda{suffix}" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[f"random.cuda{suffix}"])
