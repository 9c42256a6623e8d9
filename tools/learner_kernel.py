"""One learner's notebook in a kernel of its own, stopped at a deadline. Of what it prints the beginning is kept.

The kernel works in a scratch folder that is deleted afterwards. It is no jail: the code may do all that its user may.
"""

import ast
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from queue import Empty

import psutil
from IPython.core.inputtransformer2 import TransformerManager
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
        self.manager = KernelManager(kernel_name="python3")
        try:
            self.manager.start_kernel(
                cwd=str(self.scratch), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.client = self.manager.client()
            self.client.start_channels()
            self.client.wait_for_ready(timeout=120)
            self.limit(120)
            self.run("__import__('course_lib.exercises')")  # torch takes seconds, which are not the learner's
        except BaseException:
            self.__exit__()
            raise
        return self

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


def parsed(source):
    """The syntax tree of a cell, IPython's magics translated; None where it is not Python."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError):
        return None


def checks(tree):
    """{exercise: expression} of the calls check("05.1", expression) in a cell."""
    found = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and "check" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            arguments = node.args + [keyword.value for keyword in node.keywords]
            if len(arguments) == 2 and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
                found[arguments[0].value] = ast.unparse(arguments[1])
    return found


def bound(tree):
    """Names that a cell binds, at its top level or below, or whose parts it assigns to (a.b = ..., a[0] = ...)."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            while isinstance(node, (ast.Attribute, ast.Subscript)):
                node = node.value
            names.add(getattr(node, "id", ""))
    return names


def used(tree):
    """Names that a cell reads and does not itself define or import."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.discard(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names -= bound(node)
    return names


def needed(trees, number):
    """Indices of the cells that cell `number` needs, in order, itself the last.

    They are the earlier ones that bind what it uses, and what those need in turn.
    """
    chosen, wanted = {number}, used(trees[number]) if trees[number] else set()
    while True:
        more = {i for i in range(number) if i not in chosen and trees[i] and bound(trees[i]) & (wanted | {"*"})}
        if not more:
            return sorted(chosen)
        chosen |= more
        wanted = wanted.union(*(used(trees[i]) for i in more))
