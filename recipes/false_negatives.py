"""How many of a batch's candidates should an anchor not be pushed away from? Counted for recipes/loss_comparison.py.

In a batch of pairs the ranking loss takes every other pair's positive for a negative. Two ways say which of these are
none: a fixed rule (one source, or one text), and the cosines of another encoder, a guide.
"""

import random
import time
from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.data import LABELS, load_nli
from course_lib.datasets.captions import caption_pairs, load_captions
from course_lib.encoder import SentenceEncoder
from course_lib.similarity import cos_sim
from course_lib.support.texts import only_words
from recipes.shared.minilm import MINILM
from recipes.shared.results import data_sha256, row


def count_false(batches: list[list[int]], is_false: Callable[[list[int]], Tensor]) -> tuple[float, float]:
    """False negatives an anchor, and the share of anchors that have any.

    is_false: n pairs to (n, n) of bool; an own positive is none.
    """
    counts = [(is_false(batch) & ~torch.eye(len(batch), dtype=torch.bool)).sum(1) for batch in batches]
    found = torch.cat(counts)  # (anchors,)
    return found.double().mean().item(), (found > 0).double().mean().item()


def nested_batches(n: int, sizes: tuple[int, ...], times: int, seed: int) -> dict[int, list[list[int]]]:
    """For each size, batches drawn from range(n): `times` large ones, and the parts they fall into."""
    generator = random.Random(seed)
    large = [generator.sample(range(n), max(sizes)) for _ in range(times)]
    return {size: [batch[i : i + size] for batch in large for i in range(0, max(sizes), size)] for size in sizes}


def ranking_pairs(data: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Positive pairs as a ranking loss gets them, and where each comes from: its premise, or its image."""
    if data.startswith("captions/"):
        image_of = {caption: image for image, captions in load_captions(data).items() for caption in captions}
        pairs = caption_pairs(data, seed=0)
        return pairs, [image_of[a] for a, _ in pairs]
    pairs = list(dict.fromkeys((e.premise, e.hypothesis) for e in load_nli(data) if e.label == LABELS["entailment"]))
    return pairs, [only_words(premise) for premise, _ in pairs]


def false_negative_rows(teacher: SentenceEncoder, teacher_sha: str, command: str) -> list[dict]:
    """How many there are in batches of several sizes, for data/results/09.csv. teacher: the guide."""
    sizes, rows = (16, 32, 64, 128, 256, 512), []
    for data in ("snli/train", "captions/flickr30k"):
        begun = time.process_time()
        pairs, sources = ranking_pairs(data)
        many = nested_batches(len(pairs), sizes, 40, seed=0)
        few = nested_batches(len(pairs), sizes, 3, seed=0)  # the teacher is slow, and finds more
        numbers: dict = {}
        sides = sources, [only_words(b) for _, b in pairs]
        source, text = (torch.tensor([numbers.setdefault(x, len(numbers)) for x in side]) for side in sides)  # (pairs,)
        used = sorted({i for batch in few[max(sizes)] for i in batch})
        anchors, positives = (torch.zeros(len(pairs), teacher.get_embedding_dimension()) for _ in range(2))
        for side, vectors in enumerate((anchors, positives)):
            vectors[used] = torch.from_numpy(teacher.encode([pairs[i][side] for i in used], show_progress_bar=False))

        def same(batch: list[int]) -> Tensor:
            return (source[batch][:, None] == source[batch]) | (text[batch][:, None] == text[batch])

        def nearer(batch: list[int]) -> Tensor:
            scores = cos_sim(anchors[batch], positives[batch])
            return scores > scores.diag()[:, None]

        def near(batch: list[int]) -> Tensor:
            return cos_sim(anchors[batch], positives[batch]) > 0.8

        for how, is_false, drawn in (
            ("rule", same, many),
            ("teacher, nearer than the positive", nearer, few),
            ("teacher, cosine above 0.8", near, few),
        ):
            by, sha = (MINILM, teacher_sha) if "teacher" in how else ("(rule)", "")
            for size in sizes:
                counted = zip(("false negatives an anchor", "share of anchors"), count_false(drawn[size], is_false))
                for metric, value in counted:
                    what = "false negatives", by, data, metric, value, command, time.process_time() - begun
                    rows.append(row(*what, n=size, setting=how, data_sha256=data_sha256(data), model_sha256=sha))
    return rows
