"""course_lib.training: the loop, its checkpoints, and runs that are killed and go on as if nothing had happened."""

import hashlib
import json
import math
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from processes import start, wait
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib import training
from course_lib.bert import BertConfig, BertForMaskedLM, mask_tokens
from course_lib.training import learning_rate_factor, make_batches, parameter_groups, train


def toy(n: int = 64):
    """A linear map to be learnt, and n examples of it; one example is (x, y)."""
    torch.manual_seed(0)
    x = torch.randn(n, 5)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) + 1
    model = nn.Linear(5, 1)
    loss = lambda batch: sum((model(x)[0] - y) ** 2 for x, y in batch) / len(batch)  # noqa: E731
    return model, loss, list(zip(x, y))


def fit(model, loss, examples, **options):
    return train(model, loss, examples, **dict(batch_size=8, learning_rate=0.1, show_progress_bar=False, autocast=False) | options)


# ---- parts


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
    spread = lambda batches: np.mean([np.ptp([lengths[i] for i in batch]) for batch in batches])  # noqa: E731
    plain, bucketed = make_batches(5000, 16, 0), make_batches(5000, 16, 0, lengths)
    assert spread(bucketed) < 0.05 * spread(plain)
    means = [np.mean([lengths[i] for i in batch]) for batch in bucketed]
    assert abs(np.corrcoef(range(len(means)), means)[0, 1]) < 0.2  # not from short to long
    assert {frozenset(b) for b in bucketed} != {frozenset(b) for b in make_batches(5000, 16, 1, lengths)}


def test_learning_rate_rises_and_falls_linearly():
    factors = [learning_rate_factor(step, 4, 12) for step in range(13)]
    np.testing.assert_allclose(factors[:5], [0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(np.diff(factors[4:]), -1 / 8)
    assert factors[12] == 0
    assert learning_rate_factor(0, 0, 5) == 1 and learning_rate_factor(0, 0, 1) == 1


def test_learning_rate_of_each_step_is_the_schedule(monkeypatch):
    used = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: used.append(self.param_groups[0]["lr"]) or step(self))
    fit(*toy(), epochs=2, warmup=0.25)
    np.testing.assert_allclose(used, [0.1 * learning_rate_factor(k, 4, 16) for k in range(16)])


def test_matrices_decay_and_vectors_do_not():
    model = nn.ModuleDict({"a": nn.Linear(3, 4), "norm": nn.LayerNorm(4), "frozen": nn.Linear(2, 2).requires_grad_(False)})
    decaying, rest = parameter_groups(model, 0.3)
    assert decaying["weight_decay"] == 0.3 and rest["weight_decay"] == 0
    assert [id(p) for p in decaying["params"]] == [id(model["a"].weight)]
    assert {id(p) for p in rest["params"]} == {id(model["a"].bias), id(model["norm"].weight), id(model["norm"].bias)}
    zero = lambda batch: model["a"].weight.sum() * 0  # noqa: E731
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, zero, [0, 1], batch_size=1, learning_rate=0.1, weight_decay=0.3, warmup=0, show_progress_bar=False, autocast=False)
    torch.testing.assert_close(model["a"].weight, before.pop("a.weight") * (1 - 0.03) * (1 - 0.015))
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name != "a.weight")


def test_long_gradients_are_clipped(monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def look(self):
        norms.append(math.sqrt(sum(p.grad.square().sum().item() for group in self.param_groups for p in group["params"])))
        return step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", look)
    model, loss, examples = toy()
    fit(model, lambda batch: 1000 * loss(batch), examples, max_grad_norm=0.5)
    np.testing.assert_allclose(norms, 0.5, rtol=1e-4)


# ---- the loop


def test_the_loss_falls_and_the_history_tells():
    model, loss, examples = toy()
    seen = []
    evaluate = lambda m: {"mode": float(m.training), "bias": m.bias.item()}  # noqa: E731
    logged = []
    history = fit(model, lambda b: seen.append(len(b)) or loss(b), examples, epochs=25, log_every=3, length=lambda e: 10,
                  evaluators=[evaluate], log=logged.append)  # fmt: skip
    assert history[-1]["loss"] < 0.01 * history[0]["loss"]
    torch.testing.assert_close(model.weight[0], torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]), atol=0.05, rtol=0)
    assert [e["step"] for e in history[:6]] == [3, 6, 8, 9, 12, 15] and history[-1]["step"] == 200 and sum(seen) == 25 * 64
    assert history == logged and json.loads(json.dumps(history)) == history
    ends = [e for e in history if "bias" in e]
    assert [e["epoch"] for e in ends] == list(range(1, 26)) and all(e["mode"] == 0 for e in ends)
    assert all(e["tokens_per_second"] > 0 and e["seconds"] >= 0 for e in history)
    assert not model.training


def test_the_loss_in_the_history_is_the_mean_since_the_last_entry():
    values = iter(range(1, 9))
    model = nn.Linear(1, 1)
    history = fit(model, lambda batch: model.weight.sum() * 0 + next(values), list(range(8)), batch_size=1, log_every=3)
    assert [e["loss"] for e in history] == [2, 5, 7.5]


def test_every_epoch_has_an_order_of_its_own_that_follows_the_seed():
    def order(seed):
        seen = []
        model = nn.Linear(1, 1)
        fit(model, lambda b: seen.extend(b) or model.weight.sum() * 0, list(range(30)), epochs=2, seed=seed)
        return seen[:30], seen[30:]

    first, second = order(0)
    assert sorted(first) == sorted(second) == list(range(30)) and first != second
    assert order(0) == (first, second) and order(1) != (first, second)


def test_training_mode_while_it_runs():
    model, loss, examples = toy()
    model.eval()
    modes = set()
    fit(model, lambda b: modes.add(model.training) or loss(b), examples)
    assert modes == {True} and not model.training


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_an_error(bad):
    model, loss, examples = toy()
    calls = []
    before = None

    def broken(batch):
        nonlocal before
        calls.append(batch)
        before = model.weight.detach().clone()
        return loss(batch) * (bad if len(calls) == 4 else 1)

    with pytest.raises(FloatingPointError, match=rf"the loss is {bad} at step 3, on the examples \[\d+(, \d+){{7}}\]"):
        fit(model, broken, examples)
    assert torch.equal(model.weight, before)  # the broken step was not taken


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ValueError, match="there are no examples"):
        fit(*toy()[:2], [])


@pytest.mark.parametrize("autocast, dtype", [(True, torch.bfloat16), (False, torch.float32), ("auto", None)])
def test_autocast(autocast, dtype, monkeypatch):
    model, _, examples = toy()
    seen = set()

    def loss(batch):
        out = model(torch.stack([x for x, _ in batch]))
        seen.add(out.dtype)
        return out.float().square().mean()

    for native in (True, False):
        seen.clear()
        monkeypatch.setattr(training, "native_bfloat16", lambda device: native)
        fit(model, loss, examples, autocast=autocast)
        assert seen == {dtype or (torch.bfloat16 if native else torch.float32)}
    assert model.weight.dtype == torch.float32


# ---- checkpoints


def test_checkpoint_holds_all_and_a_finished_run_is_not_run_again(tmp_path):
    file = tmp_path / "new folder/run.safetensors"
    model, loss, examples = toy()
    evaluate = lambda m: {"score": np.float32(0.5)}  # noqa: E731
    history = fit(model, loss, examples, epochs=3, checkpoint=file, checkpoint_every=5, evaluators=[evaluate])
    assert os.listdir(file.parent) == ["run.safetensors"]
    with safe_open(file, "pt") as opened:
        state = json.loads(opened.metadata()["state"])
        names = set(opened.keys())
    assert state["step"] == 24 and state["history"] == history
    assert names == {"model.weight", "model.bias", "random.cpu"} | {f"optimizer.{i}.{n}" for i in (0, 1) for n in ("step", "exp_avg", "exp_avg_sq")} | (
        {"random.cuda"} if torch.cuda.is_available() else set())  # fmt: skip
    again = toy()[0]
    fails = lambda batch: pytest.fail("trained again")  # noqa: E731
    assert fit(again, fails, examples, epochs=3, checkpoint=file) == history
    assert torch.equal(again.weight, model.weight) and not again.training


@pytest.mark.parametrize("changes", [{"learning_rate": 0.2}, {"epochs": 2}, {"seed": 1}, {"batch_size": 4}, {"weight_decay": 0.0},
                                     {"warmup": 0.0}, {"max_grad_norm": 2.0}, {"autocast": True}], ids=str)  # fmt: skip
def test_changed_settings_are_an_error_that_changes_nothing(changes, tmp_path):
    fit(*toy(), checkpoint=tmp_path / "c")
    model, loss, examples = toy()
    before = model.weight.detach().clone()
    name = "bfloat16" if "autocast" in changes else next(iter(changes))
    with pytest.raises(ValueError, match=rf"was made with other settings \(there, here\): {{'{name}': .*use them, or another file"):
        fit(model, loss, examples, checkpoint=tmp_path / "c", **changes)
    with pytest.raises(ValueError, match="'examples': "):
        fit(model, loss, examples[:-1], checkpoint=tmp_path / "c")
    assert torch.equal(model.weight, before)


def test_another_model_is_an_error(tmp_path):
    _, loss, examples = toy()
    fit(*toy(), checkpoint=tmp_path / "c")
    for other in (nn.Linear(5, 2), nn.Linear(5, 1, bias=False)):
        with pytest.raises(ValueError, match="was made by another model"):
            fit(other, loss, examples, checkpoint=tmp_path / "c")


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other tensors"])
def test_damaged_checkpoints_are_an_error(damage, tmp_path):
    file = tmp_path / "c"
    model, loss, examples = toy()
    fit(model, loss, examples, checkpoint=file)
    content = file.read_bytes()
    if damage == "other tensors":
        save_file({"a": torch.ones(2)}, file)
    else:
        file.write_bytes({"cut": content[:-10], "empty": b"", "text": b"something else entirely, and long enough"}[damage])
    with pytest.raises(ValueError, match="c is not a whole checkpoint .*; remove it to start anew"):
        fit(*toy(), checkpoint=file)


# ---- killed and resumed


def masked_language_model():
    """A tiny BERT with dropout that guesses masked words: random numbers at every step, from two sources."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    config = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=16)
    model = BertForMaskedLM(config)
    examples = [torch.randint(5, 40, (3 + i % 12,)) for i in range(90)]

    def loss(batch):
        ids, lengths = torch.cat(batch), [len(example) for example in batch]
        ids, positions, labels = mask_tokens(ids, torch.arange(len(ids)), max(1, len(ids) // 5), 1, 40)
        return nn.functional.cross_entropy(model(ids, lengths, positions), labels)

    return model, loss, examples


def run(checkpoint, result, before_step=lambda step: None):
    """Train for 69 steps with a checkpoint every 4; write the weights when done."""
    model, loss, examples = masked_language_model()
    steps = iter(range(10**9))

    def watched(batch):
        before_step(next(steps))
        return loss(batch)

    history = train(model, watched, examples, batch_size=4, learning_rate=3e-3, epochs=3, length=len, log_every=5, autocast=False,
                    checkpoint=checkpoint, checkpoint_every=4, show_progress_bar=False)  # fmt: skip
    save_file(dict(model.state_dict()), result)
    result.with_suffix(".json").write_text(json.dumps([[e["step"], e["loss"]] for e in history]))


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(checkpoint, result, step):
    """Killed before this step of this process."""
    run(checkpoint, result, lambda k: k == step and die())


def die_while_writing(checkpoint, result, count, moment):
    """Killed while a checkpoint is written, the count-th of this process: half-way through the file, or before the renaming."""
    written = iter(range(1, 10**9))
    if moment == "half":
        original = training.save_file

        def save(tensors, path, metadata):
            original(tensors, path, metadata=metadata)
            if next(written) == count:
                os.truncate(path, path.stat().st_size // 2)
                die()

        training.save_file = save
    else:
        original = os.replace
        os.replace = lambda a, b: die() if next(written) == count else original(a, b)
    run(checkpoint, result)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The weights and history of a run that is never stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert wait(start(run, None, folder / "weights")) == 0
    return (folder / "weights").read_bytes(), (folder / "weights.json").read_text()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def assert_resumed_ends_like(unbroken, checkpoint, result):
    assert not result.exists()
    assert wait(start(run, checkpoint, result)) == 0
    assert sha256(result.read_bytes()) == sha256(unbroken[0])
    assert result.with_suffix(".json").read_text() == unbroken[1]
    assert sorted(os.listdir(checkpoint.parent)) == ["checkpoint", "weights", "weights.json"]


def test_a_run_with_checkpoints_is_the_run_without(unbroken, tmp_path):
    assert_resumed_ends_like(unbroken, tmp_path / "checkpoint", tmp_path / "weights")


def test_killed_at_random_steps_and_resumed_ends_with_equal_weights(unbroken, tmp_path):
    paths = tmp_path / "checkpoint", tmp_path / "weights"
    steps = random.Random(time.time_ns()).sample(range(2, 24), 4)
    for step in steps:
        assert wait(start(die_at_step, *paths, step)) == -signal.SIGKILL, steps
    assert_resumed_ends_like(unbroken, *paths)


def test_killed_while_writing_checkpoints_and_resumed_ends_with_equal_weights(unbroken, tmp_path):
    paths = tmp_path / "checkpoint", tmp_path / "weights"
    for count, moment in [(1, "half"), (3, "before"), (2, "half"), (1, "before")]:
        assert wait(start(die_while_writing, *paths, count, moment)) == -signal.SIGKILL
        assert (tmp_path / "checkpoint.unfinished").exists()
    assert load_file(paths[0])  # old, and whole
    assert_resumed_ends_like(unbroken, *paths)


def test_killed_at_random_times_and_resumed_ends_with_equal_weights(unbroken, tmp_path):
    """Whatever the process is doing: from outside, with no help from it."""
    paths = tmp_path / "checkpoint", tmp_path / "weights"
    killed = 0
    for k in range(5):
        pid = start(run, *paths)
        time.sleep(random.uniform(0.05, 0.4))
        os.kill(pid, signal.SIGKILL)
        killed += wait(pid) == -signal.SIGKILL
        paths[1].unlink(missing_ok=True), paths[1].with_suffix(".json").unlink(missing_ok=True)
    assert killed
    assert_resumed_ends_like(unbroken, *paths)


def test_another_seed_ends_with_other_weights(unbroken, tmp_path):
    """The hashes above could differ."""
    model, loss, examples = masked_language_model()
    train(model, loss, examples, batch_size=4, learning_rate=3e-3, epochs=3, length=len, autocast=False, seed=1, show_progress_bar=False)
    save_file(dict(model.state_dict()), tmp_path / "weights")
    assert sha256((tmp_path / "weights").read_bytes()) != sha256(unbroken[0])
