"""Tests that train in forked processes: see processes.in_a_process_of_its_own."""

from pathlib import Path

import pytest
from processes import forks, in_a_process_of_its_own

TESTS = sorted(Path(__file__).parent.rglob("test_*.py"))
FILES = [file for file in TESTS if "\npytestmark = trains_in_forks\n" in file.read_text("utf-8")]


@forks
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_in_a_process_of_its_own(file):
    in_a_process_of_its_own(file, "-k", "not launcher")  # which tools/test_launchers.py runs
