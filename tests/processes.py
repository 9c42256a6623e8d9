"""Real processes to be killed. They are forked: a new Python would take seconds to import torch."""

import os
import sys
import traceback

import pytest

trains_in_forks = pytest.mark.skipif(
    "COURSE_FORKS" not in os.environ, reason="test_forks.py runs these in a process of their own"
)


def start(function, *arguments) -> int:
    """Run the function in a child process; its id."""
    if sys.platform != "linux":  # Windows cannot fork, and macOS's frameworks end a forked process that uses them
        pytest.skip("the test kills forked processes, which Linux alone does reliably")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(pid: int) -> int:
    """The exit code of a child; minus the signal's number where one killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
