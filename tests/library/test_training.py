"""course_lib.training: the loop, several tasks, evaluation, and checkpoints (which test_training_killed.py breaks)."""

import json
import logging
import math
import os

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib import training
from course_lib.data import NLIExample
from course_lib.training import learning_rate_factor, parameter_groups, train


def toy(n: int = 64):
    """A linear map to be learnt, and n examples of it; one example is (x, y)."""
    torch.manual_seed(0)
    x = torch.randn(n, 5)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) + 1
    model = nn.Linear(5, 1)
    loss = lambda batch: sum((model(x)[0] - y) ** 2 for x, y in batch) / len(batch)
    return model, loss, list(zip(x, y))


def fit(model, loss, examples, **options):
    return train(
        model,
        loss,
        examples,
        **dict(batch_size=8, learning_rate=0.1, show_progress_bar=False, autocast=False) | options,
    )


# ---- parts


def test_learning_rate_rises_and_falls_linearly():
    factors = [learning_rate_factor(step, 4, 12) for step in range(13)]
    np.testing.assert_allclose(factors[:5], [0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(np.diff(factors[4:]), -1 / 8)
    assert factors[12] == 0
    assert learning_rate_factor(0, 0, 5) == 1 and learning_rate_factor(0, 0, 1) == 1


def test_the_schedule_is_that_of_transformers():
    """Its warm-up begins with a step of 0, ours with the first step of the rise."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    reference = transformers.get_scheduler("linear", optimizer, num_warmup_steps=10, num_training_steps=50)
    factors = []
    for _ in range(50):
        factors.append(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    ours = [learning_rate_factor(step, 10, 50) for step in range(50)]
    np.testing.assert_allclose(ours[10:], factors[10:], atol=1e-12)
    np.testing.assert_allclose(ours[:9], factors[1:10], atol=1e-12)
    assert factors[0] == 0 < ours[0]


def test_learning_rate_of_each_step_is_the_schedule(monkeypatch):
    used = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: used.append(self.param_groups[0]["lr"]) or step(self))
    fit(*toy(), epochs=2, warmup=0.25)
    np.testing.assert_allclose(used, [0.1 * learning_rate_factor(k, 4, 16) for k in range(16)])


def test_matrices_decay_and_vectors_do_not():
    model = nn.ModuleDict(
        {"a": nn.Linear(3, 4), "norm": nn.LayerNorm(4), "frozen": nn.Linear(2, 2).requires_grad_(False)}
    )
    decaying, rest = parameter_groups(model, 0.3)
    assert decaying["weight_decay"] == 0.3 and rest["weight_decay"] == 0
    assert [id(p) for p in decaying["params"]] == [id(model["a"].weight)]
    assert {id(p) for p in rest["params"]} == {id(model["a"].bias), id(model["norm"].weight), id(model["norm"].bias)}
    zero = lambda batch: model["a"].weight.sum() * 0
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(
        model,
        zero,
        [0, 1],
        batch_size=1,
        learning_rate=0.1,
        weight_decay=0.3,
        warmup=0,
        show_progress_bar=False,
        autocast=False,
    )
    torch.testing.assert_close(model["a"].weight, before.pop("a.weight") * (1 - 0.03) * (1 - 0.015))
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name != "a.weight")


def test_the_optimizer_is_the_fused_one_and_does_what_the_plain_one_does(monkeypatch):
    made, original, weights = [], torch.optim.AdamW, []
    for fused in (True, False):
        monkeypatch.setattr(
            torch.optim,
            "AdamW",
            lambda groups, plain=not fused, **kw: (
                made.append(kw) or original(groups, **(kw | ({"fused": False} if plain else {})))
            ),
        )
        model, loss, examples = toy()
        fit(model, loss, examples)
        weights.append(model.weight.detach())
    assert made[0]["fused"] is True
    torch.testing.assert_close(*weights, atol=1e-6, rtol=1e-5)


def test_a_frozen_model_is_an_error():
    model, loss, examples = toy()
    with pytest.raises(ValueError, match="no parameters to train: all are frozen"):
        fit(model.requires_grad_(False), loss, examples)


def test_long_gradients_are_clipped(monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def look(self):
        norms.append(
            math.sqrt(sum(p.grad.square().sum().item() for group in self.param_groups for p in group["params"]))
        )
        return step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", look)
    model, loss, examples = toy()
    fit(model, lambda batch: 1000 * loss(batch), examples)
    np.testing.assert_allclose(norms, 1, rtol=1e-4)
    norms.clear()
    fit(model, lambda batch: loss(batch) / 1000, examples)
    assert 0 < max(norms) < 0.1  # short ones stay as they are


# ---- the loop


def test_the_loss_falls_and_the_history_tells():
    model, loss, examples = toy()
    seen = []
    evaluate = lambda m: {"mode": float(m.training), "bias": m.bias.item()}
    logged = []
    history = fit(
        model,
        lambda b: seen.append(len(b)) or loss(b),
        examples,
        epochs=25,
        log_every=3,
        length=lambda e: 10,
        evaluators=[evaluate],
        log=logged.append,
    )
    assert history[-1]["loss"] < 0.01 * history[0]["loss"]
    torch.testing.assert_close(model.weight[0], torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]), atol=0.05, rtol=0)
    assert (
        [e["step"] for e in history[:6]] == [3, 6, 8, 9, 12, 15] and history[-1]["step"] == 200 and sum(seen) == 25 * 64
    )
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


def test_the_batch_that_broke_the_run_is_written_for_people_to_read(tmp_path):
    examples = [NLIExample(f"Él dijo «sí» {i}.", "He said yes.", i % 3) for i in range(12)]
    model, numbers = nn.Linear(1, 1), {"x": torch.ones(2)}
    loss = lambda batch: model.weight.sum() * (math.inf if examples[5] in batch else 1)
    with pytest.raises(
        FloatingPointError,
        match=r"the loss is (-?inf) at step \d, on the examples \[.*\], written to .*run\.failed_batch\.json",
    ):
        fit(model, loss, examples, batch_size=4, checkpoint=tmp_path / "run.safetensors")
    text = (tmp_path / "run.failed_batch.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert "Él dijo «sí» 5." in text and "inf at step" in content["failed"] and len(content["examples"]) == 4
    assert {
        "of": "examples",
        "index": 5,
        "example": {"premise": "Él dijo «sí» 5.", "hypothesis": "He said yes.", "label": 2},
    } in content["examples"]
    assert os.listdir(tmp_path) == ["run.failed_batch.json"]
    with pytest.raises(
        FloatingPointError, match=r"on the examples \[0\] of examples\[1\], written"
    ):  # no text, and one of two tasks
        fit(
            model,
            [lambda b: model.weight.sum(), lambda b: model.weight.sum() * math.nan],
            [examples, [numbers]],
            checkpoint=tmp_path / "two",
        )
    assert json.loads((tmp_path / "two.failed_batch.json").read_text(encoding="utf-8"))["examples"] == [
        {"of": "examples[1]", "index": 0, "example": {"x": [1, 1]}}
    ]


def test_a_gradient_that_is_no_number_is_an_error_before_it_ruins_the_weights(tmp_path):
    model, loss, examples = toy()
    before = model.weight.detach().clone()
    root = lambda batch: (model.weight * 0).abs().sum().sqrt() + 1
    with pytest.raises(
        FloatingPointError, match=r"the length of the gradient is (nan|inf) at step 0, on the examples \[.*\]"
    ):
        fit(model, root, examples, checkpoint=tmp_path / "run")
    assert (
        torch.equal(model.weight, before)
        and len(json.loads((tmp_path / "run.failed_batch.json").read_text(encoding="utf-8"))["examples"]) == 8
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sampling": "random"}, "expected one of proportional"),
        ({"warmup": 100}, "warmup is 100; expected the share of all steps"),
        ({"warmup": 1.5}, "warmup is 1.5; expected the share of all steps"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"best": "b"}, "best needs an evaluator with a primary_metric"),
        ({"best": "b", "evaluators": [lambda m: {"a": 1}]}, "best needs an evaluator with a primary_metric"),
        ({"no_duplicates": True}, "no_duplicates compares texts, but examples hold none"),
    ],
)
def test_settings_that_do_not_fit_are_an_error_before_the_first_step(options, message):
    model, loss, examples = toy()
    with pytest.raises(ValueError, match=message):
        fit(model, lambda batch: pytest.fail("trained"), examples, **options)


def test_examples_are_looked_at_before_the_first_step():
    model = nn.Linear(1, 1)
    examples = [("a", "b", 0)] * 20 + [("a", "", 1)]
    with pytest.raises(ValueError, match=r"examples\[20\] has a blank text in column 1"):
        fit(model, lambda batch: pytest.fail("trained"), examples)
    with pytest.raises(ValueError, match=r"examples\[1\]\[20\] has nan in column 2"):
        fit(model, [lambda batch: pytest.fail("trained")] * 2, [examples[:3], [*examples[:20], ("a", "b", math.nan)]])


# ---- several tasks


def test_each_task_has_its_examples_and_its_loss():
    model, seen = nn.Linear(1, 1), []
    losses = [lambda batch, k=k: seen.append((k, len(batch))) or model.weight.sum() * 0 + k for k in range(2)]
    history = fit(model, losses, [list(range(40)), ["a", "b", "c"]], batch_size=4, log_every=1, epochs=2)
    assert sorted(seen) == [(0, 4)] * 20 + [(1, 3)] * 2 and len(history) == 22
    assert [k for k, _ in seen] == [e["loss"] for e in history]
    seen.clear()
    history = fit(model, losses, [list(range(40)), ["a", "b", "c"]], batch_size=4, sampling="round-robin", epochs=3)
    assert [k for k, _ in seen] == [0, 1] * 3 and [e["epoch"] for e in history] == [1, 2, 3]


def test_one_network_learns_two_tasks():
    """Two heads on one layer, each with its own targets; one task alone leaves the other where it was."""

    def trained(which):
        torch.manual_seed(0)
        model = nn.ModuleDict({"body": nn.Linear(5, 5), "sum": nn.Linear(5, 1), "first": nn.Linear(5, 1)})
        x = torch.randn(200, 5)
        targets = {"sum": x.sum(1), "first": x[:, 0] + 2}
        losses = {
            name: lambda batch, name=name: (
                (model[name](model["body"](x[batch]))[:, 0] - targets[name][batch]).square().mean()
            )
            for name in targets
        }
        fit(model, [losses[name] for name in which], [list(range(200))] * len(which), epochs=20, learning_rate=0.02)
        with torch.no_grad():
            return [losses[name](list(range(200))).item() for name in ("sum", "first")]

    both, one = trained(["sum", "first"]), trained(["sum"])
    assert max(both) < 0.1 and one[0] < 0.1 and one[1] > 1


@pytest.mark.parametrize(
    "losses, examples, message",
    [
        ([len], [[1], [2]], "a list of examples for each loss, got 1 losses and 2 lists"),
        ([], [], "got 0 losses"),
        ([len, len], [[1], []], r"no examples to train on: examples\[1\] is empty"),
    ],
)
def test_tasks_that_do_not_fit_are_an_error(losses, examples, message):
    with pytest.raises(ValueError, match=message):
        fit(nn.Linear(1, 1), losses, examples)


# ---- without duplicate texts


def test_batches_without_duplicate_texts(caplog):
    model, seen = nn.Linear(1, 1), []
    examples = [(f"anchor {i % 16}", f"positive {i}") for i in range(64)]
    loss = lambda batch: seen.append([a for a, _ in batch]) or model.weight.sum()
    fit(model, loss, examples)
    assert any(len(set(batch)) < len(batch) for batch in seen)
    seen.clear()
    history = fit(model, loss, examples, no_duplicates=True, epochs=2)
    assert all(len(set(batch)) == len(batch) == 8 for batch in seen) and len(seen) == 16
    assert "left_out" not in history[-1] and not caplog.records
    with caplog.at_level(logging.WARNING):
        more = [("anchor 0", f"another {i}") for i in range(8)]
        history = fit(model, loss, examples + more, no_duplicates=True, epochs=2, log_every=6)
    found = [(e["step"], e.get("left_out")) for e in history]  # 12 examples with that anchor, 9 batches
    assert found == [(6, None), (9, 3), (12, None), (18, 3)]
    assert [record.getMessage() for record in caplog.records] == [
        "3 examples share texts with too many others for a place in a batch of this epoch"
    ] * 2


# ---- evaluation


class Rises:
    """An evaluator whose metric follows a script."""

    primary_metric = "score"

    def __init__(self, scores):
        self.scores, self.weights = iter(scores), []

    def __call__(self, model):
        self.weights.append(model.weight.detach().clone())
        return {"score": next(self.scores), "noise": torch.rand(3).sum().item(), "mode": float(model.training)}


def test_evaluation_every_n_steps_and_at_epoch_ends():
    evaluator = Rises(range(100))
    history = fit(*toy(), epochs=2, evaluators=[evaluator], evaluate_every=3, log_every=4)
    assert [e["step"] for e in history] == [3, 4, 6, 8, 9, 12, 15, 16]
    assert [e["step"] for e in history if "score" in e] == [3, 6, 8, 9, 12, 15, 16] and all(
        e["mode"] == 0 for e in history if "mode" in e
    )


def test_what_several_evaluators_say_stands_in_one_entry():
    history = fit(*toy(), evaluators=[lambda model: {"first": 1.0}, lambda model: {"second": 2.0}])
    assert [(e["first"], e["second"]) for e in history if "first" in e] == [(1.0, 2.0)]


def test_another_seed_is_another_training():
    def trained(seed):
        torch.manual_seed(9)
        model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        fit(model, lambda batch: model(torch.ones(8, 5)).square().mean(), toy()[2], seed=seed)  # dropout alone differs
        return model[0].weight.detach()

    assert torch.equal(trained(1), trained(1)) and not torch.equal(trained(1), trained(2))


def test_evaluation_does_not_change_the_training():
    def trained(**options):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        fit(model, lambda batch: model(torch.stack([x for x, _ in batch])).square().mean(), toy()[2], **options)
        return model[0].weight.detach()

    class Noise:
        def __call__(self, model):
            return {"noise": torch.rand(1).item()}

    assert torch.equal(trained(), trained(evaluators=[Noise()], evaluate_every=1))


def test_the_best_weights_are_kept(tmp_path):
    evaluator = Rises([0.1, 0.5, 0.3, 0.5, 0.2])
    model, loss, examples = toy()
    fit(
        model,
        loss,
        examples,
        epochs=5,
        evaluators=[evaluator],
        best=tmp_path / "new" / "best",
        checkpoint=tmp_path / "c",
    )
    assert torch.equal(load_file(tmp_path / "new" / "best")["weight"], evaluator.weights[1]) and not torch.equal(
        model.weight, evaluator.weights[1]
    )
    with safe_open(tmp_path / "new" / "best", "pt") as opened:
        assert json.loads(opened.metadata()["best"]) == {"step": 16, "score": 0.5}
    model.load_state_dict(load_file(tmp_path / "new" / "best"))
    assert torch.equal(model.weight, evaluator.weights[1])


def test_the_first_metric_that_an_evaluator_names_decides(tmp_path):
    evaluators = [lambda m: {"plain": 1.0}, Rises(map(np.float32, [0.7, 0.9, math.nan, 0.8]))]
    fit(*toy(), epochs=4, evaluators=evaluators, best=tmp_path / "best")
    assert torch.equal(load_file(tmp_path / "best")["weight"], evaluators[1].weights[1])


def test_the_best_by_another_metric_is_another_training(tmp_path):
    files = dict(checkpoint=tmp_path / "c", best=tmp_path / "best")
    fit(*toy(), evaluators=[Rises([0.1])], **files)
    other = Rises([0.1])
    other.primary_metric = "other"
    for changed in (dict(evaluators=[other], **files), dict(evaluators=[other], checkpoint=tmp_path / "c")):
        with pytest.raises(ValueError, match="was made with other settings .there, here.: {'best': "):
            fit(*toy(), **changed)


def test_a_metric_that_nobody_gave_is_named(tmp_path):
    class Silent:
        primary_metric = "f1"

        def __call__(self, model):
            return {"plain": 1.0}

    with pytest.raises(ValueError, match=r"no evaluator gave 'f1'; there are \['plain'\]"):
        fit(*toy(), evaluators=[Silent()], best=tmp_path / "best")


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
    evaluate = lambda m: {"score": np.float32(0.5)}
    history = fit(model, loss, examples, epochs=3, checkpoint=file, checkpoint_every=5, evaluators=[evaluate])
    assert os.listdir(file.parent) == ["run.safetensors"]
    with safe_open(file, "pt") as opened:
        state = json.loads(opened.metadata()["state"])
        names = set(opened.keys())
    assert state["step"] == 24 and state["history"] == history
    assert names == {"model.weight", "model.bias", "random.cpu"} | {
        f"optimizer.{i}.{n}" for i in (0, 1) for n in ("step", "exp_avg", "exp_avg_sq")
    } | ({"random.cuda"} if torch.cuda.is_available() else set())
    again = toy()[0]
    fails = lambda batch: pytest.fail("trained again")
    assert fit(again, fails, examples, epochs=3, checkpoint=file) == history
    assert torch.equal(again.weight, model.weight) and not again.training


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.2},
        {"epochs": 2},
        {"seed": 1},
        {"batch_size": 4},
        {"weight_decay": 0.0},
        {"warmup": 0.0},
        {"autocast": True},
        {"sampling": "round-robin"},
        {"evaluate_every": 3},
    ],
    ids=str,
)
def test_changed_settings_are_an_error_that_changes_nothing(changes, tmp_path):
    fit(*toy(), checkpoint=tmp_path / "c")
    model, loss, examples = toy()
    before = model.weight.detach().clone()
    name = "bfloat16" if "autocast" in changes else next(iter(changes))
    with pytest.raises(
        ValueError, match=rf"was made with other settings \(there, here\): {{'{name}': .*use them, or another file"
    ):
        fit(model, loss, examples, checkpoint=tmp_path / "c", **changes)
    with pytest.raises(ValueError, match="'examples': "):
        fit(model, loss, examples[:-1], checkpoint=tmp_path / "c")
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("finished", [True, False])
def test_changed_examples_are_an_error_that_changes_nothing(finished, tmp_path):
    """As many, and other ones: also where nothing is left to train, or only the last differs."""
    model, examples = nn.Linear(1, 1), [(f"a {i}", f"b {i}", i / 8) for i in range(8)]
    loss = lambda batch: (model.weight * sum(score for _, _, score in batch)).sum()
    stop = lambda batch: pytest.fail("stop") if met.append(batch) or len(met) > 3 else loss(batch)
    met, options = [], dict(batch_size=2, checkpoint=tmp_path / "c", checkpoint_every=1)
    if finished:
        fit(model, loss, examples, **options)
    else:
        with pytest.raises(pytest.fail.Exception):
            fit(model, stop, examples, **options)
    before = (tmp_path / "c").read_bytes(), model.weight.detach().clone()
    for other in (
        [*examples[:-1], ("a 7", "c", 7 / 8)],
        [*examples[:-1], ("a 7", "b 7", 0.5)],
        [*examples[1:], examples[0]],
    ):
        with pytest.raises(ValueError, match="was made with other examples, as many as these: take those"):
            fit(model, loss, other, **options)
        assert (tmp_path / "c").read_bytes() == before[0] and torch.equal(model.weight, before[1])
    fit(model, loss, [tuple(example) for example in examples], **options)  # equal ones will do


def test_a_checkpoint_that_does_not_say_its_examples_is_taken_with_a_warning(tmp_path, caplog):
    """As older versions wrote it; from the next checkpoint on it says them."""
    model, loss, examples = toy()
    fit(model, loss, examples, epochs=2, checkpoint=tmp_path / "c")
    with safe_open(tmp_path / "c", "pt") as file:
        tensors, state = {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["state"])
    assert len(state["settings"].pop("content")) == 1
    save_file(tensors, tmp_path / "old", {"state": json.dumps(state | {"step": 8})})
    fit(model, loss, examples, epochs=2, checkpoint=tmp_path / "old")
    assert "does not say which examples it was made with" in caplog.text
    caplog.clear()
    fit(model, loss, examples, epochs=2, checkpoint=tmp_path / "old")
    assert not caplog.text


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
        file.write_bytes(
            {"cut": content[:-10], "empty": b"", "text": b"something else entirely, and long enough"}[damage]
        )
    with pytest.raises(ValueError, match="c cannot be read as a checkpoint .*; remove it to start anew"):
        fit(*toy(), checkpoint=file)


CHANGES = {
    "no moments": {"optimizer.0.exp_avg": None},
    "moments of another shape": {"optimizer.0.exp_avg": torch.zeros(3)},
    "moments of a parameter that is not there": {"optimizer.9.step": torch.tensor(1.0)},
    "a name of something else": {"optimizer.x": torch.zeros(3)},
    "no random state": {"random.cpu": None},
    "a random state that is none": {"random.cpu": torch.zeros(5, dtype=torch.uint8)},
}
STATES = {"step": "3", "history": {}, "losses": ["1"], "seconds": None, "settings": [], "highest": "x"}


@pytest.mark.parametrize("what", [*CHANGES, *STATES])
def test_checkpoints_with_parts_damaged_are_an_error_and_change_nothing(what, tmp_path):
    file = tmp_path / "c"
    fit(*toy(), checkpoint=file)
    with safe_open(file, framework="pt") as opened:
        state, tensors = json.loads(opened.metadata()["state"]), load_file(file)
    tensors = {name: t for name, t in (tensors | CHANGES.get(what, {})).items() if t is not None}
    state |= {what: STATES[what]} if what in STATES else {}
    save_file(tensors, file, metadata={"state": json.dumps(state)})
    model, loss, examples = toy()
    before = model.weight.clone()
    with pytest.raises(ValueError, match="c cannot be read as a checkpoint .*; remove it to start anew"):
        fit(model, loss, examples, checkpoint=file)
    assert torch.equal(model.weight, before)


def test_a_folder_in_place_of_a_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="is a folder; name a file for the checkpoint"):
        fit(*toy(), checkpoint=tmp_path)
