"""course_lib.support.batches: the order of the examples, with similar lengths, without duplicates, of several tasks."""

import math
import random
import time
from collections import Counter

import numpy as np
import pytest
import torch

from course_lib.support.batches import Order, make_batches, without_duplicates


@pytest.mark.parametrize("n, size", [(10, 3), (12, 4), (1, 5), (1000, 7)])
@pytest.mark.parametrize("bucketed", [True, False])
def test_batches_are_a_permutation_that_follows_the_seed(n, size, bucketed):
    lengths = [random.Random(i).randrange(50) for i in range(n)] if bucketed else None
    batches = make_batches(n, size, 1, lengths)
    assert sorted(i for batch in batches for i in batch) == list(range(n))
    assert len(batches) == math.ceil(n / size) and all(1 <= len(batch) <= size for batch in batches)
    assert batches == make_batches(n, size, 1, lengths)
    if n == 1000:
        assert batches != make_batches(n, size, 2, lengths)


def test_buckets_hold_similar_lengths_in_random_order():
    lengths = [random.Random(i).randrange(200) for i in range(5000)]
    spread = lambda batches: np.mean([np.ptp([lengths[i] for i in batch]) for batch in batches])
    plain, bucketed = make_batches(5000, 16, 0), make_batches(5000, 16, 0, lengths)
    assert spread(bucketed) < 0.05 * spread(plain)
    means = [np.mean([lengths[i] for i in batch]) for batch in bucketed]
    assert abs(np.corrcoef(range(len(means)), means)[0, 1]) < 0.2  # not from short to long
    assert {frozenset(b) for b in bucketed} != {frozenset(b) for b in make_batches(5000, 16, 1, lengths)}


def test_the_order_is_the_one_of_recorded_results():
    """Results in data/results were measured with this order; another would make them impossible to repeat."""
    assert make_batches(10, 4, 0) == [[4, 1, 7, 5], [3, 9, 0, 8], [6, 2]]
    assert make_batches(6, 2, 3, [5, 1, 4, 2, 6, 3]) == [[1, 3], [5, 2], [0, 4]]


# ---- without duplicate texts


def pairs(n: int, different: int) -> list[tuple[str, str]]:
    """n pairs whose anchors repeat."""
    return [(f"anchor {i % different}", f"positive {i}") for i in range(n)]


def assert_no_text_twice(batches, texts):
    for batch in batches:
        inside = [text for i in batch for text in texts[i]]
        assert len(inside) == len(set(inside))


@pytest.mark.parametrize("bucketed", [True, False])
@pytest.mark.parametrize("n, different, size", [(3000, 1000, 64), (1000, 40, 30), (128, 64, 64), (99, 33, 10)])
def test_no_text_twice_and_no_example_lost(n, different, size, bucketed):
    texts, lengths = pairs(n, different), [random.Random(i).randrange(50) for i in range(n)] if bucketed else None
    plain, batches = make_batches(n, size, 1, lengths), make_batches(n, size, 1, lengths, texts)
    assert any(len({texts[i][0] for i in batch}) < len(batch) for batch in plain)
    assert_no_text_twice(batches, texts)
    assert sorted(i for batch in batches for i in batch) == list(range(n))
    assert sorted(map(len, batches)) == sorted(map(len, plain))
    assert batches == make_batches(n, size, 1, lengths, texts) and batches != make_batches(n, size, 2, lengths, texts)


def test_across_columns_too():
    texts = [("a", "b"), ("b", "c"), ("d", "e"), ("f", "g")]
    for seed in range(20):
        batches = make_batches(4, 2, seed, None, texts)
        assert_no_text_twice(batches, texts)
        assert sorted(map(sorted, batches)) != [[0, 1], [2, 3]] and sum(map(len, batches)) == 4


def test_batches_without_duplicates_stay_as_they_are():
    texts = [(f"{i}", f"and {i}") for i in range(500)]
    assert make_batches(500, 16, 3, None, texts) == make_batches(500, 16, 3)
    texts[7] = texts[8]
    changed = sum(
        set(a) != set(b) for a, b in zip(make_batches(500, 500 // 2, 3, None, texts), make_batches(500, 500 // 2, 3))
    )
    assert changed in (0, 2)


def test_lengths_stay_similar():
    n = 6400
    lengths = [random.Random(i).randrange(200) for i in range(n)]
    texts = [(f"anchor {i % 400}", f"positive {i}") for i in range(n)]
    spread = lambda batches: np.mean([np.ptp([lengths[i] for i in batch]) for batch in batches])
    plain, exchanged = make_batches(n, 32, 0, lengths), make_batches(n, 32, 0, lengths, texts)
    assert_no_text_twice(exchanged, texts)
    assert sum(set(a) != set(b) for a, b in zip(plain, exchanged)) > 20
    assert spread(exchanged) < 0.1 * spread(make_batches(n, 32, 0))


@pytest.mark.parametrize("seed", range(30))
def test_random_texts_lose_only_what_hardly_fits(seed):
    """Every example that is left out has a text that most batches hold already; in the other cases nothing is lost."""
    draw = random.Random(seed)
    n, size = draw.randrange(20, 200), draw.randrange(2, 9)
    texts = [tuple(dict.fromkeys(f"{draw.randrange(5 + 10 * seed)}" for _ in range(2))) for _ in range(n)]
    batches = make_batches(n, size, seed, None, texts)
    assert_no_text_twice(batches, texts)
    placed = [i for batch in batches for i in batch]
    assert (
        len(placed) == len(set(placed))
        and len(batches) == math.ceil(n / size)
        and all(0 < len(batch) <= size for batch in batches)
    )
    often = Counter(text for own in texts for text in own)
    lost = set(range(n)) - set(placed)
    assert all(max(often[text] for text in texts[i]) > 0.5 * len(batches) for i in lost)
    assert lost or max(often.values()) <= len(batches)


def test_a_text_in_more_examples_than_there_are_batches_is_left_out_each_time_another():
    texts = [("the same", f"{i}") if i < 30 else (f"{i}", f"and {i}") for i in range(100)]
    lost = []
    for seed in range(3):
        batches = make_batches(100, 10, seed, None, texts)
        assert_no_text_twice(batches, texts)
        assert all("the same" in {text for i in batch for text in texts[i]} for batch in batches)
        lost.append(set(range(100)) - {i for batch in batches for i in batch})
        assert len(lost[-1]) == 20 and max(lost[-1]) < 30
    assert lost[0] != lost[1] != lost[2]


def test_one_batch_has_nobody_to_exchange_with():
    assert without_duplicates([[0, 1, 2]], [("a",), ("a",), ("b",)]) == [[0, 2]]


def test_many_examples_are_placed_in_seconds():
    begun = time.perf_counter()
    batches = make_batches(100_000, 64, 0, None, pairs(100_000, 30_000))
    assert sum(map(len, batches)) == 100_000 and time.perf_counter() - begun < 20  # 0.7 s alone on a core


# ---- several tasks


def order(sizes, sampling="proportional", batch_size=4, seed=0, texts=None):
    return Order(sizes, batch_size, seed, sampling, [None] * len(sizes), texts or [None] * len(sizes))


def test_one_task_is_make_batches():
    steps, left_out = order([30]).epoch(2)
    assert (
        [batch for task, batch in steps] == make_batches(30, 4, 2)
        and left_out == 0
        and len(steps) == order([30]).steps_per_epoch
    )
    steps, _ = order([30], seed=5).epoch(2)
    assert [batch for task, batch in steps] == make_batches(30, 4, 5 * 1_000_003 + 2)


def test_proportional_takes_everything_mixed():
    sizes = [100, 20, 41]
    steps, _ = order(sizes).epoch(0)
    assert len(steps) == order(sizes).steps_per_epoch == 25 + 5 + 11
    for task, n in enumerate(sizes):
        assert sorted(i for of, batch in steps if of == task for i in batch) == list(range(n))
    tasks = [task for task, _ in steps]
    assert tasks != sorted(tasks) and tasks != [task for task, _ in order(sizes).epoch(1)[0]]
    assert 5 < np.mean([k for k, task in enumerate(tasks) if task == 1]) < 35  # not all at one end


def test_round_robin_takes_turns_until_the_smallest_ends():
    sizes, seen = [100, 9, 41], set()
    for epoch in range(150):
        steps, _ = order(sizes, "round-robin").epoch(epoch)
        assert [task for task, _ in steps] == [0, 1, 2] * 3 and len(steps) == order(
            sizes, "round-robin"
        ).steps_per_epoch
        assert sorted(i for task, batch in steps if task == 1 for i in batch) == list(range(9))
        seen |= {i for task, batch in steps if task == 0 for i in batch}
    assert seen == set(range(100))  # other examples in each epoch


def test_tasks_of_one_size_have_orders_of_their_own():
    steps, _ = order([12, 12], "round-robin").epoch(0)
    assert [batch for task, batch in steps if task == 0] != [batch for task, batch in steps if task == 1]


def test_what_is_left_out_is_counted():
    texts = [("a", f"{i}") for i in range(10)]
    steps, left_out = order([10, 8], texts=[texts, pairs(8, 8)]).epoch(0)
    assert left_out == 7 and sum(len(batch) for _, batch in steps) == 18 - 7


def test_like_the_reference_samplers():
    """The same counts as sentence_transformers' samplers; which example comes when is random in both."""
    sampler = pytest.importorskip("sentence_transformers.base.sampler")
    from datasets import Dataset

    texts = pairs(300, 60)
    data = [
        Dataset.from_dict({"anchor": [a for a, _ in texts], "positive": [b for _, b in texts]}),
        Dataset.from_dict({"x": list("abcdefgh"), "y": list("ijklmnop")}),
    ]
    samplers = [sampler.NoDuplicatesBatchSampler(d, 16, False, generator=torch.Generator(), seed=0) for d in data]
    ours, _ = Order([300, 8], 16, 0, "proportional", [None] * 2, [texts, pairs(8, 8)]).epoch(0)
    for name, kind in [
        ("proportional", sampler.ProportionalBatchSampler),
        ("round-robin", sampler.RoundRobinBatchSampler),
    ]:
        both = kind(torch.utils.data.ConcatDataset(data), samplers, generator=torch.Generator(), seed=0)
        assert Order([300, 8], 16, 0, name, [None] * 2, [texts, pairs(8, 8)]).steps_per_epoch == len(both)
    theirs = list(samplers[0])
    assert_no_text_twice(theirs, texts)
    assert sorted(map(len, theirs)) == sorted(len(batch) for task, batch in ours if task == 0)
