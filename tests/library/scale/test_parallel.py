"""course_lib.scale.parallel: two processes lose what one does on the joint batch, and listen on loopback only."""

import subprocess
import sys
import time

import numpy as np
import pytest
from repository import ROOT
from sockets import family, listening, on_loopback

from course_lib.scale import parallel


def test_two_processes_train_as_one():
    """The command, whose sockets are looked at while it runs."""
    command = [sys.executable, "-m", "course_lib.scale.parallel", "--steps", "4"]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    addresses, most = set(), 0
    while running.poll() is None:
        processes = family(running)
        addresses, most = addresses | listening(processes), max(most, len(processes))
        time.sleep(0.02)
    printed, error = running.communicate()
    assert running.returncode == 0, error
    values = {line[:13].strip(): np.array(line[13:].split(), float) for line in printed.splitlines()}
    one, gathered, own = (values[name] for name in ("one process", "gathered", "own negatives"))
    assert most == 3 and (sys.platform == "win32" or addresses) and on_loopback(addresses)
    assert len(one) == 4 and one[-1] < 0.8 * one[0]
    assert np.abs(gathered - one).max() < 2e-3 and abs(gathered[0] - one[0]) < 2e-4
    assert own[0] < one[0] - 0.01  # half of the negatives: an easier task


def test_a_process_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(parallel, "losses", lambda *_, **__: [])
    with pytest.raises(RuntimeError, match="a process ended with code 1: (.|\n)*no-such-model"):
        parallel.compare("course/no-such-model", processes=1, steps=1)
