"""The order in which training sees its examples: a function of the seed and the epoch alone.

So a run that was killed finds its place again by one number, the step, and two runs with one seed see the same batches.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

SAMPLING = ("proportional", "round-robin")


def make_batches(
    n: int,
    batch_size: int,
    seed: int,
    lengths: Sequence[int] | None = None,
    texts: Sequence[Sequence[str]] | None = None,
) -> list[list[int]]:
    """Shuffle `range(n)` and cut it into lists of `batch_size` indices (the last may be shorter).

    With `lengths`, indices are sorted by length within pools of 50 batches, and the batches shuffled again: sentences
    of similar length come together, and a batch is still a different one in each epoch.
    With `texts`, those of each index, no batch holds a text twice: see `without_duplicates`.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator).tolist()
    pool = n if lengths is None else 50 * batch_size
    batches = []
    for i in range(0, n, pool):
        part = order[i : i + pool] if lengths is None else sorted(order[i : i + pool], key=lambda k: lengths[k])
        batches += [part[j : j + batch_size] for j in range(0, len(part), batch_size)]
    if texts is not None:
        batches = without_duplicates(batches, texts)
    if lengths is not None:
        batches = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
    return batches


def without_duplicates(batches: list[list[int]], texts: Sequence[Sequence[str]]) -> list[list[int]]:
    """The batches, with indices exchanged between them until none holds a text twice. texts[i]: of index i, each once.

    For losses that take the other examples of a batch for negatives: a text that stands there twice would be its own
    negative. The number of batches stays, and batches without duplicates stay as they are as far as possible. The
    nearest batch that can exchange does, so that where neighbours have similar lengths they still do.
    An index for which no exchange makes a place is left out: certainly where a text stands in more examples than there
    are batches. (sentence_transformers' NoDuplicatesBatchSampler makes more batches for them, the last ones of a
    single example.)
    """
    clean, held, waiting = [], [], []
    for a, batch in enumerate(batches):
        seen: set[str] = set()
        clean.append([])
        for i in batch:
            if seen.isdisjoint(texts[i]):
                clean[a].append(i)
                seen.update(texts[i])
            else:
                waiting.append((a, i))
        held.append(seen)
    holding: dict[str, int] = {}  # text: how many batches have it
    for seen in held if waiting else ():
        for text in seen:
            holding[text] = holding.get(text, 0) + 1

    def put(i: int, b: int):
        clean[b].append(i)
        held[b].update(texts[i])
        for text in texts[i]:
            holding[text] = holding.get(text, 0) + 1

    def take(i: int, b: int):
        clean[b].remove(i)
        held[b].difference_update(texts[i])
        for text in texts[i]:
            holding[text] -= 1

    for a, i in waiting:
        if any(holding.get(text) == len(batches) for text in texts[i]):
            continue  # left out
        nearest = (b for b in _outwards(a, len(batches)) if len(clean[b]) < len(batches[b]))
        home = next(nearest)  # has room: as often as one waits
        for b in _outwards(home, len(batches)):
            if held[b].isdisjoint(texts[i]):
                j = None if b == home else next((j for j in clean[b] if held[home].isdisjoint(texts[j])), None)
                if j is not None:
                    take(j, b)
                    put(j, home)
                if j is not None or b == home:
                    put(i, b)
                    break
    return clean


def _outwards(a: int, n: int) -> Iterator[int]:
    """0..n - 1, the nearest to a first."""
    for distance in range(n):
        yield from (b for b in dict.fromkeys((a - distance, a + distance)) if 0 <= b < n)


@dataclass(frozen=True)
class Order:
    """Which examples each step sees, of one or several tasks with `sizes` examples: a batch of one of the tasks.

    sampling: "proportional" takes all batches of all tasks, shuffled, each task's in its order; "round-robin" one of
    each task in turn, until the smallest has no more: in each epoch other examples of the larger ones are not used.
    lengths, texts: for each task as in `make_batches`, or None. ValueError for a batch size or sampling there is not.
    """

    sizes: Sequence[int]
    batch_size: int
    seed: int
    sampling: str
    lengths: Sequence[Sequence[int] | None]
    texts: Sequence[Sequence[Sequence[str]] | None]

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size!r}; expected at least 1")
        if self.sampling not in SAMPLING:
            raise ValueError(f"sampling is {self.sampling!r}; expected one of {', '.join(SAMPLING)}")

    @property
    def steps_per_epoch(self) -> int:
        counts = [math.ceil(n / self.batch_size) for n in self.sizes]
        return len(counts) * min(counts) if self.sampling == "round-robin" else sum(counts)

    def epoch(self, number: int) -> tuple[list[tuple[int, list[int]]], int]:
        """The (task, indices) of each step of an epoch, counted from 0, and how many examples had no place in any."""
        seed = self.seed * 1_000_003 + number
        of_tasks = [
            make_batches(n, self.batch_size, seed + 50_021 * task, lengths, texts)
            for task, (n, lengths, texts) in enumerate(zip(self.sizes, self.lengths, self.texts))
        ]
        left_out = sum(self.sizes) - sum(len(batch) for batches in of_tasks for batch in batches)
        if self.sampling == "round-robin":
            return [(task, batch) for turn in zip(*of_tasks) for task, batch in enumerate(turn)], left_out
        tasks = [task for task, batches in enumerate(of_tasks) for _ in batches]
        if len(of_tasks) > 1:
            shuffle = torch.randperm(len(tasks), generator=torch.Generator().manual_seed(seed)).tolist()
            tasks = [tasks[i] for i in shuffle]
        remaining = [iter(batches) for batches in of_tasks]
        return [(task, next(remaining[task])) for task in tasks], left_out
