"""course_lib.scale.parallel: a script in two processes loses what it does in one, and listens on loopback only."""

import runpy
import subprocess
import sys
import time

import numpy as np
import pytest
from repository import ROOT
from sockets import family, listening, on_loopback

SCRIPT = """
import sys
from course_lib.data import load_pairs
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.siamese import siamese_objective
from course_lib.support.distributed import gather, processes
from course_lib.training import train

losses, kept = {}, dict(batch_size=64, learning_rate=1e-4, autocast=False, log_every=1, show_progress_bar=False)
for name, of_all in {"gathered": gather, "own": None}.items():
    encoder = SentenceEncoder.load("course/sbert-mini", dtype="float32")
    objective = siamese_objective(encoder, MultipleNegativesRankingLoss(gather=of_all))
    def loss(batch):
        encoder.eval()  # no dropout
        return objective(batch)
    losses[name] = [entry["loss"] for entry in train(encoder, loss, load_pairs()[:64], epochs=4, **kept)]
print(sys.argv[1:], processes(), losses)
"""


def command(tmp_path, script, *arguments):
    (tmp_path / "training.py").write_text(script)
    return [sys.executable, "-m", "course_lib.scale.parallel", "--processes", "2", tmp_path / "training.py", *arguments]


def test_two_processes_train_as_one(tmp_path):
    """The command, whose sockets are looked at while it runs."""
    running = subprocess.Popen(
        command(tmp_path, SCRIPT, "a", "--b"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    addresses, most = set(), 0
    while running.poll() is None:
        processes = family(running)
        addresses, most = addresses | listening(processes), max(most, len(processes))
        time.sleep(0.02)
    printed, error = running.communicate()
    assert running.returncode == 0, error
    assert most == 3 and (sys.platform == "win32" or addresses) and on_loopback(addresses)
    assert printed.startswith("['a', '--b'] (0, 2) {") and printed.count("\n") == 1
    two = eval(printed[printed.index("{") :])
    one = runpy.run_path(str(tmp_path / "training.py"))["losses"]
    assert len(one["own"]) == 4 and one["own"] == one["gathered"] and one["own"][-1] < 0.8 * one["own"][0]
    assert np.abs(np.subtract(two["gathered"], one["own"])).max() < 2e-3
    assert abs(two["gathered"][0] - one["own"][0]) < 2e-4
    assert two["own"][0] < one["own"][0] - 0.01  # half of the negatives: an easier task


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_fails(tmp_path, rank):
    script = f"import os\nif os.environ['RANK'] == '{rank}':\n    raise ValueError('no such data')"
    done = subprocess.run(command(tmp_path, script), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "ValueError: no such data" in done.stderr
