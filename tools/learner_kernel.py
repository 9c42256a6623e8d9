"""One learner's notebook in a kernel of its own, stopped at a deadline. Of what it prints the beginning is kept.

The kernel works in a scratch folder that is deleted afterwards. It is no jail: the code may do all that its user may.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from queue import Empty

import psutil
from execute import NOT_STARTED
from jupyter_client import KernelManager
from repository import ROOT

KEPT = 20_000  # characters of printed text


class Died(Exception):
    """The kernel ended while it ran a cell."""


class Kernel:
    """`with Kernel() as kernel: kernel.limit(60); kernel.run(code)`: seconds are for all that runs after limit()."""

    def limit(self, seconds):
        self.seconds, self.end = seconds, time.monotonic() + seconds

    def __enter__(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="course-learner-"))
        environment = {
            "COURSE_HOME": str(ROOT),
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "IPYTHONDIR": str(self.scratch / ".ipython"),
        }
        try:
            try:
                self.start(environment)
            except RuntimeError as error:
                if NOT_STARTED not in str(error):
                    raise
                self.client.stop_channels()
                self.start(environment)
            self.limit(120)
            self.run("__import__('course_lib.exercises')")  # torch takes seconds, which are not the learner's
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, environment):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(
            cwd=str(self.scratch), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def __exit__(self, *_):
        process = getattr(self.manager.provisioner, "process", None)
        children = psutil.Process(process.pid).children(recursive=True) if process and process.poll() is None else []
        if hasattr(self, "client"):
            self.client.stop_channels()
        if process:
            self.manager.shutdown_kernel(now=True)
        for child in children:  # what the learner's code started
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
        shutil.rmtree(self.scratch, ignore_errors=True)

    def run(self, code):
        """(printed text, error or None) of a cell. Errors: TimeoutError at the deadline, Died."""
        request = self.client.execute(code, store_history=False, allow_stdin=False, stop_on_error=False)
        printed, error = "", None
        while True:
            if time.monotonic() > self.end:
                raise TimeoutError(f"not done after {self.seconds:g} s")
            try:
                message = self.client.get_iopub_msg(timeout=min(1.0, max(0.01, self.end - time.monotonic())))
            except Empty:
                if not self.manager.is_alive():
                    raise Died("the kernel ended while it ran the cell") from None
                if self.replied(request):  # a flood of output can lose the message that says "idle"
                    return printed, error
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                printed = (printed + content["text"])[:KEPT]
            elif message["msg_type"] == "error":
                error = f"{content['ename']}: {content['evalue'][:300]}"
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return printed, error

    def replied(self, request):
        try:
            return self.client.get_shell_msg(timeout=0)["parent_header"].get("msg_id") == request
        except Empty:
            return False

    def answers(self, solutions, name, expression, folder):
        """The text that tools/answers.py collects for an exercise, or None and the error that prevented it."""
        file = folder / secrets.token_hex(8)
        _, error = self.run(
            f"__import__('runpy').run_path({str(ROOT / 'tools' / 'answers.py')!r})['collect']"
            f"({str(solutions)!r}, {name!r}, lambda: ({expression}), {str(file)!r})"
        )
        return (
            (file.read_text(encoding="utf-8"), None)
            if file.exists()
            else (None, error or "the answers were not written")
        )
