"""course_lib.support.distributed: two real processes, connected by gloo on this machine, train as one process would.

The launchers themselves, `accelerate launch` and torchrun, are started once each.
"""

import json
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import distributed_training
import pytest
import torch
from distributed_training import Encoder, full_training, ranking_loss, triplets, write
from processes import start, trains_in_forks, wait
from safetensors.torch import load_file
from torch import nn

from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.siamese import siamese_objective
from course_lib.support import distributed
from course_lib.support.distributed import gather, processes, said_by_first, shared, total
from course_lib.training import train

pytestmark = trains_in_forks
torch.optim.AdamW(
    [nn.Parameter(torch.ones(1))]
)  # imports what optimisers need, seconds long, once for all the children
LOOPBACK = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def variables(rank: int, count: int, port: int) -> dict[str, str]:
    """What torchrun tells a process."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        "OMP_NUM_THREADS": "1",
    }


def member(rank: int, count: int, port: int, function, *arguments):
    torch.set_num_threads(1)
    if count > 1:
        os.environ.update(variables(rank, count, port))
        assert processes() == (rank, count) and torch.distributed.get_backend() == "gloo"
    function(*arguments)


def together(count: int, function, *arguments) -> list[int]:
    """Run the function in that many processes that know of each other; their exit codes."""
    port = free_port()
    return [wait(pid) for pid in [start(member, rank, count, port, function, *arguments) for rank in range(count)]]


def read(folder: Path, rank: int = 0) -> dict:
    return load_file(folder / f"{rank}.safetensors")


# ---- parts


def test_one_process_needs_nothing(monkeypatch):
    monkeypatch.setenv(
        "WORLD_SIZE", "4"
    )  # some clusters set it for every job; without LOCAL_RANK no launcher started this
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    rows = torch.ones(2, 3)
    assert (
        processes() == (0, 1)
        and distributed.own_device() is None
        and said_by_first({"a": 1}) == {"a": 1}
        and total(torch.tensor(2.0)) == 2
    )
    with shared([1, 2, 3]) as (mine, weight):
        assert (mine, weight) == ([1, 2, 3], 1) and gather(rows) == (rows, 0)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert processes() == (0, 1)


def shares(folder: Path):
    found = {}
    for n in (1, 2, 5, 8):
        with shared(list(range(n))) as (mine, weight):
            found[str(n)] = [mine, weight, len(gather(torch.ones(len(mine), 1))[0])]
    said = said_by_first({"score": 0.25, "ü": [1, None]} if processes()[0] == 0 else None)
    (folder / f"{processes()[0]}.json").write_text(
        json.dumps([found, said, total(torch.tensor(processes()[0] + 1.0)).item()]), encoding="utf-8"
    )


def test_shares_make_up_the_batch(tmp_path):
    assert together(3, shares, tmp_path) == [0, 0, 0]
    (a, said_a, sum_a), (b, said_b, sum_b), (c, _, _) = (
        json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(3)
    )
    assert said_a == said_b == {"score": 0.25, "ü": [1, None]} and sum_a == sum_b == 6
    for n in ("5", "8"):
        assert a[n][0] + b[n][0] + c[n][0] == list(range(int(n))) and math.isclose(a[n][1] + b[n][1] + c[n][1], 1)
        assert a[n][2] == b[n][2] == c[n][2] == int(n)
    for n in ("1", "2"):  # fewer than processes: everybody computes all, alone
        assert (
            a[n] == b[n] == c[n]
            and a[n][0] == list(range(int(n)))
            and math.isclose(3 * a[n][1], 1)
            and a[n][2] == int(n)
        )


# ---- the gradients of the joint batch


def gradients(folder: Path, n: int, options: dict):
    torch.manual_seed(0)
    model = Encoder()
    with shared(triplets(n)) as (mine, weight):
        value = ranking_loss(model, mine, **options) * weight
    value.backward()
    distributed.add_gradients(model.parameters())
    assert model.unused.weight.grad is None
    write(folder, loss=total(value), **{name: p.grad for name, p in model.named_parameters() if p.grad is not None})


@pytest.mark.parametrize("n, options", [(8, {}), (7, {}), (1, {}), (8, {"symmetric": True}), (9, {})], ids=str)
def test_two_processes_have_the_gradients_of_one_on_the_joint_batch(n, options, tmp_path):
    for count, folder in [(1, tmp_path / "one"), (2, tmp_path / "two")]:
        folder.mkdir()
        assert together(count, gradients, folder, n, options) == [0] * count
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert set(one) == set(two) == {"loss"} | {f"layers.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    for name, expected in one.items():
        torch.testing.assert_close(two[name], expected, rtol=1e-9, atol=1e-12)
        assert torch.equal(two[name], read(tmp_path / "two", 1)[name])
    assert n == 1 or one["layers.0.weight"].abs().max() > 0.01


def loss_of_uneven_examples(folder: Path):
    """Of two processes the second has no hard negative: it must gather all the same."""
    encoder = lambda texts: torch.tensor([[ord(c) % 7 - 3.0 for c in text] for text in texts], dtype=torch.float64)
    with shared([("aeo", "abc", "xyz"), ("qwe", "asd", "yxc"), ("rtz", "fgh"), ("uio", "jkl")]) as (mine, weight):
        value = siamese_objective(encoder, MultipleNegativesRankingLoss(gather=gather))(mine) * weight
    write(folder, loss=total(value))


def test_hard_negatives_that_only_one_process_has(tmp_path):
    for count, folder in [(1, tmp_path / "one"), (2, tmp_path / "two")]:
        folder.mkdir()
        assert together(count, loss_of_uneven_examples, folder) == [0] * count
    torch.testing.assert_close(read(tmp_path / "two")["loss"], read(tmp_path / "one")["loss"], rtol=1e-9, atol=1e-12)


def gradients_without_gathering(folder: Path):
    torch.manual_seed(0)
    model = Encoder()
    with shared(triplets(8)) as (mine, weight):
        vectors = model(torch.cat([torch.stack(mine)[:, k] for k in range(3)]))
        value = MultipleNegativesRankingLoss()(*vectors.chunk(3)) * weight
    value.backward()
    distributed.add_gradients(model.parameters())
    write(folder, loss=total(value))


def test_without_gathering_an_anchor_sees_fewer_negatives(tmp_path):
    """The comparison above could fail."""
    assert together(2, gradients_without_gathering, tmp_path) == [0, 0]
    (tmp_path / "one").mkdir()
    assert together(1, gradients, tmp_path / "one", 8, {}) == [0]
    assert read(tmp_path / "one")["loss"] - read(tmp_path)["loss"] > 0.1


# ---- train


def test_two_processes_train_like_one(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for count, folder in [(1, one), (2, two)]:
        folder.mkdir()
        assert together(count, full_training, folder) == [0] * count
    assert sorted(os.listdir(two)) == ["0.json", "0.safetensors", "1.json", "1.safetensors", "best", "checkpoint"]
    for name, expected in read(one).items():
        torch.testing.assert_close(read(two)[name], expected, rtol=1e-6, atol=1e-8)
        assert torch.equal(read(two, 0)[name], read(two, 1)[name])
    histories = [
        json.loads((folder / file).read_text(encoding="utf-8"))
        for folder, file in ((one, "0.json"), (two, "0.json"), (two, "1.json"))
    ]
    assert histories[1] == histories[2] and [e["step"] for e in histories[0]] == [e["step"] for e in histories[1]]
    for a, b in zip(*histories[:2]):
        assert a.keys() == b.keys() and all(math.isclose(a[key], b[key], rel_tol=1e-6) for key in a)
    torch.testing.assert_close(load_file(one / "best"), load_file(two / "best"), rtol=1e-6, atol=1e-8)


def test_two_processes_killed_and_resumed_end_as_if_never_stopped(tmp_path):
    """With dropout, of which each process draws its own."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    assert together(2, full_training, whole, 0.2) == [0, 0]
    assert together(2, full_training, broken, 0.2, 12) == [-signal.SIGKILL] * 2
    assert sorted(os.listdir(broken)) == ["best", "checkpoint"]
    assert together(2, full_training, broken, 0.2) == [0, 0]
    for rank in (0, 1):
        assert (broken / f"{rank}.json").read_text(encoding="utf-8") == (whole / f"{rank}.json").read_text(
            encoding="utf-8"
        )
    assert (
        (broken / "0.safetensors").read_bytes()
        == (whole / "0.safetensors").read_bytes()
        == (whole / "1.safetensors").read_bytes()
    )
    random = {name: t for name, t in load_file(whole / "checkpoint").items() if name.startswith("random.cpu")}
    assert set(random) == {"random.cpu", "random.cpu.1"} and not torch.equal(*random.values())


def other_count(folder: Path):
    with pytest.raises(ValueError, match=r"other settings \(there, here\): {'processes': \(2, 1\)}"):
        full_training(folder)


def test_a_checkpoint_of_two_processes_is_not_for_one(tmp_path):
    assert together(2, full_training, tmp_path) == [0, 0]
    assert together(1, other_count, tmp_path) == [0]


def broken_loss(folder: Path):
    """One of the processes meets an example that makes its loss NaN: both stop."""
    model = Encoder()
    examples = triplets(12)
    examples[7] = examples[7] * math.nan
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step \d, on the examples \[.*\b7\b"):
        train(
            model,
            lambda batch: model(torch.stack(batch)).square().mean(),
            examples,
            batch_size=4,
            learning_rate=0.1,
            autocast=False,
            checkpoint=folder / "run.safetensors",
            show_progress_bar=False,
        )
    (folder / f"{processes()[0]} stopped").touch()


def test_all_processes_stop_at_a_loss_that_is_no_number(tmp_path):
    assert together(2, broken_loss, tmp_path) == [0, 0]
    assert sorted(os.listdir(tmp_path)) == ["0 stopped", "1 stopped", "run.failed_batch.json"]
    failed = json.loads((tmp_path / "run.failed_batch.json").read_text(encoding="utf-8"))
    assert len(failed["examples"]) == 4 and 7 in [example["index"] for example in failed["examples"]]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from distributed_training import full_training
full_training(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("launcher", ["accelerate", "torchrun"])
def test_under_its_launcher(launcher, tmp_path):
    if sys.platform != "linux":
        pytest.skip("gloo needs the name of the loopback device")
    script = tmp_path / "my_training.py"
    script.write_text(SCRIPT.format(tests=str(Path(distributed_training.__file__).parent)), encoding="utf-8")
    commands = {
        "accelerate": [
            "accelerate.commands.launch",
            "--multi_gpu",
            "--num_processes=2",
            "--num_machines=1",
            "--mixed_precision=no",
            "--dynamo_backend=no",
            f"--main_process_port={free_port()}",
        ],
        "torchrun": [
            "torch.distributed.run",
            "--nproc-per-node=2",
            "--master-addr=127.0.0.1",
            f"--master-port={free_port()}",
        ],
    }
    folder = tmp_path / "out"
    folder.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "RANK", "WORLD_SIZE")
    }
    environment |= {
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", *commands[launcher], script, folder],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(os.listdir(folder)) == ["0.json", "0.safetensors", "1.json", "1.safetensors", "best", "checkpoint"]
    (tmp_path / "forked").mkdir()
    assert together(2, full_training, tmp_path / "forked") == [0, 0]
    assert (folder / "0.safetensors").read_bytes() == (tmp_path / "forked" / "0.safetensors").read_bytes()
