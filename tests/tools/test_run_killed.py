"""Batch runs that are killed at any moment: what was done stays, the next run goes on, the end is that of a whole run.

    COURSE_KILLS=100 python -m pytest tests/tools/test_run_killed.py -s       a hundred kills, with the example notebook

Without COURSE_KILLS two kills, of smaller notebooks. Each kills the process group of make, papermill and tools at
once; the kernels, which are in groups of their own, have to end by themselves.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import example_notebook
import psutil
import pytest
from notebook_files import read_notebook
from small_course import command, make, ran, small_course, variables

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not shutil.which("make"), reason="no make, or not Linux")

KILLS = int(os.environ.get("COURSE_KILLS", 2))
SCRIPTS = {
    name: f'# %% [markdown]\n# # {name}\n\n# %% tags=["parameters"]\nseed = 0\n\n# %%\nprint(seed)\n'
    for name in ("01_first", "02_second")
}
if KILLS > 10:
    SCRIPTS[example_notebook.NAME] = example_notebook.script()


def built(course):
    """{path below build/: what stays the same from run to run} of all that is there."""
    files = [path for path in sorted((course / "build").rglob("*")) if path.is_file()]
    return {path.relative_to(course / "build").as_posix(): lasting(path) for path in files}


def lasting(path):
    """A notebook's cells and outputs, a page without its notebook's seconds; whole, or an error."""
    if path.suffix == ".log":
        return None
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return [(cell.source, shown(cell), cell.get("execution_count")) for cell in read_notebook(path).cells]
    if path.suffix == ".html":
        assert text.rstrip().endswith("</html>"), f"{path.name} is half a page"
        return re.sub(r"<td>\d+\.\d</td>|<[^>]*>|\s", "", text)
    return text


def shown(cell):
    """What a cell printed, in one piece, and the other outputs: a kernel may send "step" and " 6" on their own."""
    outputs = cell.get("outputs", [])
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    return printed, [output for output in outputs if output.output_type != "stream"]


def done_of(course):
    """Names of the notebooks that are up to date, with the time at which each was written."""
    changed = (course / "course_lib" / "changed.py").stat().st_mtime
    files = (course / "build").glob("*.ipynb")
    return {path.stem: time for path in files if (time := path.stat().st_mtime) > changed}


def killed_run(course, seconds, mark, jobs):
    """(was it killed before its end, what it printed) of a run that is killed after so many seconds."""
    with open(course / "log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command(f"-j{jobs}", "run"),
            cwd=course,
            stdout=log,
            stderr=log,
            env=variables(COURSE_KILLED_RUN=mark),
            start_new_session=True,
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.seek(0)
        return process.returncode < 0, log.read()


def left_over(mark):
    """Processes that a run has started and that are there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("COURSE_KILLED_RUN") == mark:
                found.append(process)
        except psutil.Error:
            pass
    return found


def wait_for_kernels(mark):
    """Seconds until nothing of a killed run is there."""
    begun = time.monotonic()
    while processes := left_over(mark):
        assert time.monotonic() - begun < 60, f"still there: {[process.cmdline() for process in processes]}"
        time.sleep(0.05)
    return time.monotonic() - begun


def test_killed_at_any_moment(tmp_path, monkeypatch):
    course = small_course(tmp_path, SCRIPTS)
    (course / "notebooks" / "solutions").mkdir()
    (course / "notebooks" / "solutions" / "90.py").write_text(example_notebook.SOLUTIONS, encoding="utf-8")
    (course / "course_lib" / "changed.py").touch()
    monkeypatch.setenv("COURSE_HOME", str(course))
    begun = time.monotonic()
    whole = make(course, "run")
    taken = time.monotonic() - begun
    assert whole.returncode == 0 and ran(whole.stdout) == sorted(SCRIPTS), whole.stdout + whole.stderr
    expected = built(course)
    assert {f"{name}.{kind}" for name in SCRIPTS for kind in ("ipynb", "html")} | {"index.html"} <= set(expected)

    generator, kills, ends, slowest, killed = random.Random(KILLS), 0, 0, 0.0, False
    while kills < KILLS or killed:
        if not killed:
            (course / "course_lib" / "changed.py").touch()  # all is out of date
            before = {}
        mark = f"{tmp_path}, run {kills + ends}"
        seconds = generator.uniform(0, taken if KILLS > 10 else 0.7 * taken) if kills < KILLS else 600
        killed, printed = killed_run(course, seconds, mark, jobs=1 + kills % 2)
        assert not set(before) & set(ran(printed)), f"run again: {printed}"
        assert before.items() <= (now := done_of(course)).items(), "what was done is gone"
        before = now
        if killed:
            kills, taken = kills + 1, taken * 1.05
            slowest = max(slowest, wait_for_kernels(mark))
            for name, content in built(course).items():
                unfinished = name.startswith("partial/") or ".unfinished/" in name
                assert unfinished or content == expected[name], name
        else:
            ends, taken = ends + 1, taken * 0.9  # the machine is less busy than it was
            assert built(course) == expected, printed
    print(f"\n{kills} kills, {ends} runs to their end; a kernel outlived its run by at most {slowest:.1f} s")
