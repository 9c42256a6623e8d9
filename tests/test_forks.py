"""The tests of test_training_killed.py fork, and run in a fresh process with one thread.

A child of a process whose pool of threads has worked has the pool's locks and not its threads: it may wait for them forever.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone forks reliably")
def test_killed_trainings():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_training_killed.py"))]
    variables = os.environ | {"COURSE_FORKS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
