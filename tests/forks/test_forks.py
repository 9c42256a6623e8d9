"""The library's tests that work in forked processes, kill them or launch them: each file in a fresh process.

A child of a process whose pool of threads has worked has the pool's locks and not its threads: it may wait for them
forever. `make check` leaves these tests to `make test`: they take half a minute.
"""

import os
import subprocess
import sys

import pytest
from repository import ROOT

TESTS = sorted((ROOT / "tests" / "library").rglob("test_*.py"))
FILES = [file for file in TESTS if "\npytestmark = trains_in_forks\n" in file.read_text("utf-8")]


def test_the_files_are_found():
    assert [file.name for file in FILES] == [
        "test_damage.py",
        "test_distributed.py",
        "test_saving_killed.py",
        "test_training_killed.py",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone forks reliably")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_in_a_process_of_its_own(file):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    variables = os.environ | {"COURSE_FORKS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
