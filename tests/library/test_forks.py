"""Tests that train in forked processes run in a fresh process with one thread.

A child of a process whose pool of threads has worked has the pool's locks and not its threads: it may wait for them
forever.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = [
    file for file in sorted(HERE.rglob("test_*.py")) if "\npytestmark = trains_in_forks\n" in file.read_text("utf-8")
]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone forks reliably")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_in_a_process_of_its_own(file):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    variables = os.environ | {"COURSE_FORKS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
