"""Training runs that are killed and go on as if nothing had happened; full disks. Real processes, real files.

COURSE_FORKS=1 COURSE_KILLS=100 python -m pytest tests/library/test_training_killed.py -k any_time -s    a hundred kills
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from processes import start, trains_in_forks, wait
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib.bert import BertConfig
from course_lib.models.masked_lm import BertForMaskedLM, mask_tokens
from course_lib.support import training_checkpoint
from course_lib.support.files import atomic_file
from course_lib.training import train

pytestmark = trains_in_forks
torch.optim.AdamW(
    [nn.Parameter(torch.ones(1))]
)  # imports what optimisers need, seconds long, once for all the children


class Words:
    """An evaluator with random numbers of its own: how well the model guesses some masked words."""

    primary_metric = "words"

    def __init__(self, loss, examples):
        self.loss, self.examples = loss, examples

    def __call__(self, model):
        with torch.no_grad():
            return {"words": -self.loss(self.examples).item(), "mode": float(model.training)}


def masked_language_model():
    """A tiny BERT with dropout that guesses masked words: random numbers at every step, from two sources."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    model = BertForMaskedLM(config)
    examples = [torch.randint(5, 40, (3 + i % 12,)) for i in range(90)]

    def loss(batch):
        ids, lengths = torch.cat(batch), [len(example) for example in batch]
        ids, positions, labels = mask_tokens(ids, torch.arange(len(ids)), max(1, len(ids) // 5), 1, 40)
        return nn.functional.cross_entropy(model(ids, lengths, positions), labels)

    return model, loss, examples


def run(folder: Path, checkpoints: bool = True, before_step=lambda step: None, **options):
    """Two tasks: 24 steps with a checkpoint every 3 and an evaluation every 5, and write the weights when done."""
    model, loss, examples = masked_language_model()
    steps = iter(range(10**9))

    def watched(batch):
        before_step(next(steps))
        return loss(batch)

    settings = dict(
        batch_size=8,
        learning_rate=3e-3,
        epochs=2,
        length=len,
        log_every=4,
        autocast=False,
        evaluate_every=5,
        evaluators=[Words(loss, examples[:20])],
        best=folder / "best",
        show_progress_bar=False,
    )
    paths = dict(checkpoint=folder / "checkpoint", checkpoint_every=3) if checkpoints else {}
    history = train(model, [watched, watched], [examples[:60], examples[60:]], **settings | paths | options)
    result = {"history": [[e["step"], e["loss"], e.get("words")] for e in history], "best": sha256(folder / "best")}
    with atomic_file(folder / "weights") as unfinished:
        save_file(dict(model.state_dict()), unfinished)
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_batch(folder: Path, number: int):
    """Killed before this batch of this process."""
    run(folder, before_step=lambda k: k == number and die())


def wait_while_writing(folder: Path, file: str, count: int, moment: str):
    """Stands still while it writes this file for the count-th time, and says so: at the beginning, half-way, or before
    it is renamed."""
    seen = iter(range(1, 10**9))

    def stand_still():
        (folder.parent / f"{folder.name} is writing").touch()
        time.sleep(60)

    def save(tensors, path, metadata):
        now = path.parent.name == f"{file}.unfinished" and next(seen) == count
        if now and moment == "beginning":
            path.touch()
            stand_still()
        save_file(tensors, path, metadata=metadata)
        if now and moment == "half":
            os.truncate(path, path.stat().st_size // 2)
        if now:
            stand_still()

    training_checkpoint.save_file = save
    run(folder)


def killed_from_outside(pid: int) -> bool:
    os.kill(pid, signal.SIGKILL)
    return wait(pid) == -signal.SIGKILL


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a run that is never stopped and writes no checkpoints."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert wait(start(run, folder, False)) == 0
    history = json.loads((folder / "result.json").read_text(encoding="utf-8"))["history"]
    assert [e[0] for e in history if e[2] is not None] == [5, 10, 12, 15, 20, 24]
    return folder


def assert_ends_like(unbroken: Path, folder: Path):
    """Started again, what lies in the folder goes on to the end of the run that was never stopped."""
    assert wait(start(run, folder)) == 0
    assert sha256(folder / "weights") == sha256(unbroken / "weights")
    assert (folder / "result.json").read_text(encoding="utf-8") == (unbroken / "result.json").read_text(
        encoding="utf-8"
    )
    assert sorted(os.listdir(folder)) == ["best", "checkpoint", "result.json", "weights"]


def test_a_run_with_checkpoints_is_the_run_without(unbroken, tmp_path):
    assert_ends_like(unbroken, tmp_path)
    (tmp_path / "checkpoint.unfinished").mkdir()  # killed right after it put the last one in its place
    assert_ends_like(unbroken, tmp_path)


# Fifteen processes are killed below: 6 at a batch, 5 while they write a checkpoint, 1 while it writes the best weights,
# 3 at any time.


def test_killed_at_a_batch(unbroken, tmp_path):
    """Six, the last three of them in one run."""
    batches = random.Random(time.time_ns()).sample(range(1, 24), 3)
    for k, batch in enumerate(batches):
        (tmp_path / str(k)).mkdir()
        assert wait(start(die_at_batch, tmp_path / str(k), batch)) == -signal.SIGKILL, batches
        assert_ends_like(unbroken, tmp_path / str(k))
    (tmp_path / "again").mkdir()
    for batch in (7, 8, 9):
        assert wait(start(die_at_batch, tmp_path / "again", batch)) == -signal.SIGKILL
    assert_ends_like(unbroken, tmp_path / "again")


@pytest.mark.parametrize(
    "file, count, moment",
    [
        ("checkpoint", 1, "half"),
        ("checkpoint", 2, "beginning"),
        ("checkpoint", 4, "half"),
        ("checkpoint", 5, "before renaming"),
        ("checkpoint", 7, "half"),
        ("best", 2, "half"),
    ],
)
def test_killed_while_writing(unbroken, tmp_path, file, count, moment):
    folder, sign = tmp_path / "run", tmp_path / "run is writing"
    folder.mkdir()
    pid = start(wait_while_writing, folder, file, count, moment)
    until = time.monotonic() + 50
    while not sign.exists() and time.monotonic() < until:
        time.sleep(0.005)
    assert killed_from_outside(pid) and sign.exists()
    assert (folder / f"{file}.unfinished").exists() and (folder / file).exists() == (count > 1)
    if count > 1:
        assert load_file(folder / file)  # old, and whole
    assert_ends_like(unbroken, folder)


def test_killed_at_any_time(unbroken, tmp_path):
    """Whatever the process is doing: from outside, with no help from it. Some runs are killed several times."""
    (tmp_path / "whole").mkdir()
    begun = time.monotonic()
    assert_ends_like(unbroken, tmp_path / "whole")
    taken, killed, with_checkpoint, wanted = time.monotonic() - begun, 0, 0, int(os.environ.get("COURSE_KILLS", 3))
    for k in range(10 * wanted):
        folder = tmp_path / str(k)
        folder.mkdir()
        for _ in range(random.choice((1, 1, 3))):
            pid = start(run, folder)
            time.sleep(random.uniform(0, taken))
            if killed_from_outside(pid) and not (folder / "weights").exists():
                killed += 1
                with_checkpoint += (folder / "checkpoint").exists()
                taken *= 1.05
            else:
                taken *= 0.9  # the machine is less busy than it was
        assert_ends_like(unbroken, folder)
        if killed >= wanted:
            print(f"\n{killed} processes killed before their end, {with_checkpoint} of them after a checkpoint")
            return
    pytest.fail(f"{killed} of {10 * wanted} processes were killed before they ended")


def test_another_seed_ends_with_other_weights(unbroken, tmp_path):
    """The hashes above could differ."""
    assert wait(start(run_with_seed_1, tmp_path)) == 0
    assert sha256(tmp_path / "weights") != sha256(unbroken / "weights")


def run_with_seed_1(folder: Path):
    run(folder, False, seed=1)


# ---- no room on the disk


def large_run(folder: Path, say: Path):
    """Four steps of a model of 1.2 MB, whose checkpoints take 3.6 MB; `say` gets the error."""
    torch.manual_seed(0)
    model = nn.Linear(600, 500)
    loss = lambda batch: model(torch.ones(len(batch), 600)).square().mean()
    try:
        train(
            model,
            loss,
            list(range(16)),
            batch_size=4,
            learning_rate=0.01,
            checkpoint=folder / "checkpoint",
            checkpoint_every=1,
            autocast=False,
            show_progress_bar=False,
        )
        save_file(dict(model.state_dict()), folder / "weights")
    except OSError as error:
        say.write_text(str(error), encoding="utf-8")


def limited_run(folder: Path, say: Path):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    large_run(folder, say)


def two_steps_then(fill, folder: Path, say: Path):
    """Like large_run, but after the second checkpoint `fill` takes away the room."""
    original, written = os.replace, iter(range(1, 10**9))

    def replace(a, b):
        original(a, b)
        if next(written) == 2:
            fill()

    os.replace = replace
    large_run(folder, say)


def assert_goes_on(folder: Path, say: Path):
    """The error says what to do, the checkpoint of step 2 is whole, nothing half-done takes room, and with room the run
    ends as it should."""
    assert "checkpoint could not be written" in say.read_text(
        encoding="utf-8"
    ) and "the one before it is still there, whole" in say.read_text(encoding="utf-8")
    assert "Make room on the disk, then start again" in say.read_text(encoding="utf-8")
    assert (
        "checkpoint.unfinished" not in os.listdir(folder) and load_file(folder / "checkpoint")["optimizer.0.step"] == 2
    )
    say.unlink()
    (folder / "filler").unlink(missing_ok=True)
    assert wait(start(large_run, folder, say)) == 0 and not say.exists()
    assert load_file(folder / "checkpoint")["optimizer.0.step"] == 4
    (folder / "checkpoint").unlink()
    weights = sha256(folder / "weights")
    assert wait(start(large_run, folder, say)) == 0 and sha256(folder / "weights") == weights


def test_a_full_disk_leaves_the_last_whole_checkpoint(tmp_path):
    """A real file system of 8 MB: room for a checkpoint of 3.6 MB and the next beside it, until a file takes it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], capture_output=True).returncode
    ):
        pytest.skip("may not mount a file system here")
    try:

        def fill():
            (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 1_000_000))

        assert wait(start(two_steps_then, fill, disk, tmp_path / "said")) == 0
        assert "o space" in (tmp_path / "said").read_text(encoding="utf-8")
        assert_goes_on(disk, tmp_path / "said")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_may_not_grow_leaves_the_last_whole_checkpoint(tmp_path):
    def fill():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    folder = tmp_path / "run"
    folder.mkdir()
    assert wait(start(two_steps_then, fill, folder, tmp_path / "said")) == 0
    assert_goes_on(folder, tmp_path / "said")


def test_no_room_from_the_beginning_is_an_error_too(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    assert wait(start(limited_run, folder, tmp_path / "said")) == 0
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert "checkpoint could not be written" in said and "still there" not in said and os.listdir(folder) == []
