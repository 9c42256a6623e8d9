"""Tests that train in forked processes run in a fresh process with one thread.

A child of a process whose pool of threads has worked has the pool's locks and not its threads: it may wait for them forever.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone forks reliably")
@pytest.mark.parametrize("file", ["test_training_killed.py", "test_distributed.py"])
def test_in_a_process_of_its_own(file):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name(file))]
    variables = os.environ | {"COURSE_FORKS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
