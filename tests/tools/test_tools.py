"""make run: what is up to date is skipped, failures do not stop the rest, the index tells, the exit code too."""

import os
import shutil
import signal
import subprocess
import sys
import time

import batch
import nbformat
import pytest
from build_notebooks import convert
from execute import execute
from small_course import command, make, ran, set_age, small_course

pytestmark = pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="no make, or no system of its kind")

FIRST = """# %% [markdown]
# # The first <notebook>

# %% tags=["parameters"]
seed = 0
words = "a"

# %%
print(seed, words)

# %% alt="A line that goes up from left to right through three points, drawn in \\"blue\\"."
import matplotlib.pyplot as plt
plt.plot([seed, 1, 2])
plt.show()
"""
SECOND = """# %% [markdown]
# # The second

# %% tags=["parameters"]
seed = 0

# %%
# the cell that may fail
if seed != 1:
    raise ValueError("seed is <not> one")
"""


@pytest.fixture
def course(tmp_path):
    """A repository with two notebooks, the second of which fails unless its seed is 1."""
    return small_course(tmp_path, {"01_first": FIRST, "02_second": SECOND})


@pytest.fixture
def copying(tmp_path_factory):
    """The environment in which papermill only copies: enough to see which notebooks make runs, and in less time."""
    folder = tmp_path_factory.mktemp("copying")
    (folder / "papermill.py").write_text("import shutil, sys\n\nshutil.copy(*sys.argv[-2:])\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}


def test_run(course, copying):
    done = make(course, "-j2", "run")
    assert done.returncode != 0 and ran(done.stdout) == ["01_first", "02_second"], done.stderr
    assert "pass    01_first" in done.stdout
    assert "FAIL    02_second" in done.stdout and "1 of 2 passed" in done.stdout
    assert "cell In [2]: if seed != 1:\n        ValueError: seed is <not> one" in done.stdout
    build = course / "build"
    assert (build / "01_first.ipynb").exists() and not (build / "02_second.ipynb").exists()
    assert not (build / "partial" / "01_first.ipynb").exists()

    page = (build / "index.html").read_text()
    assert '<a href="01_first.html">01_first</a></td><td>The first &lt;notebook&gt;</td><td>' in page
    assert "cell In [2]: if seed != 1:" in page and "ValueError: seed is &lt;not&gt; one" in page
    first, second = ((build / f"{name}.html").read_text() for name in ("01_first", "02_second"))
    assert "through three points, drawn in" in first and first.count("<img") == 1 and "No description" not in first
    assert "ValueError" in second

    # What is up to date is not run again; what failed is.
    assert ran(make(course, "run", **copying).stdout) == ["02_second"]
    # Other parameters: run again, then up to date with these, then run again without.
    chosen = ["run", "NOTEBOOKS=01_first"]
    assert ran(make(course, *chosen, "PARAMS=-p seed 1 -r words 'b c'").stdout) == ["01_first"]
    assert ran(make(course, *chosen, "PARAMS=-p seed 1 -r words 'b c'").stdout) == []
    executed = nbformat.read(build / "01_first.ipynb", as_version=4)
    assert any(output.get("text") == "1 b c\n" for cell in executed.cells for output in cell.get("outputs", []))
    # The second passes with seed 1, and the exit code is that of the chosen ones.
    done = make(course, "run", "NOTEBOOKS=02_second", "PARAMS=-p seed 1", **copying)
    assert done.returncode == 0 and "1 of 1 passed" in done.stdout, done.stdout + done.stderr
    # A change in the library or the data makes all of it out of date, also where the changed file has an old date.
    (course / "course_lib" / "new.py").touch()
    second = ["run", "NOTEBOOKS=02_second", "PARAMS=-p seed 1"]
    assert ran(make(course, *second, **copying).stdout) == ["02_second"]
    (course / "course_lib" / "new.py").write_text("x = 1\n")
    set_age(course / "course_lib" / "new.py", 10_000)
    assert ran(make(course, *second, **copying).stdout) == ["02_second"]
    assert ran(make(course, *second, **copying).stdout) == []


@pytest.mark.parametrize(
    "names, flags, message",
    [
        (["03_third"], [], "unknown notebook: 03_third\nnotebooks: 01_first, 02_second"),
        (["01_first", "3"], [], "unknown notebook: 3"),
        (
            [],
            ["-p", "sed", "1"],
            "01_first: no parameter sed; its parameters: seed, words\n"
            "02_second: no parameter sed; its parameters: seed",
        ),
        ([], ["-p", "words", "b"], "02_second: no parameter words; its parameters: seed"),
        (
            ["01_first"],
            ["-p", "seed", "one", "-r", "words", "b c"],
            "01_first: seed is 'one'; expected a whole number, for example -p seed 0",
        ),
        ([], ["-p", "seed"], "expected `-p NAME VALUE`"),
        ([], ["seed=1"], "expected `-p NAME VALUE`"),
        ([], ["--log-level", "DEBUG", "1"], "expected `-p NAME VALUE`"),
    ],
)
def test_wrong_names(course, names, flags, message):
    with pytest.raises(SystemExit) as caught:
        batch.check(names, flags, course)
    assert message in str(caught.value)
    assert not (course / "build").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xef\xbb\xbf{}", "02_second.ipynb begins with a byte-order mark"),
        (b"{not json", "02_second.ipynb is no notebook: NotJSONError"),
        (b"\xff", "02_second.ipynb is no notebook: UnicodeDecodeError"),
    ],
)
def test_a_file_that_papermill_cannot_read(course, content, message, capsys):
    """It is named before anything runs, and the others can be run."""
    (course / "notebooks" / "02_second.ipynb").write_bytes(content)
    with pytest.raises(SystemExit, match=message):
        batch.check(["01_first", "02_second"], [], course)
    assert batch.check(["01_first"], [], course) == ["01_first"] and batch.index(["01_first"], course) == 1
    assert "not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["NOTEBOOKS=03_third"], "notebooks: 01_first, 02_second"),
        (["NOTEBOOKS=01_first", "PARAMS=-p sed 1"], "its parameters: seed, words"),
    ],
)
def test_wrong_names_end_make(course, arguments, message):
    done = make(course, "run", *arguments)
    assert done.returncode != 0 and message in done.stderr and ran(done.stdout) == []
    assert not list(course.glob("build/*.ipynb"))


def test_sources_make_a_notebook_out_of_date(course):
    batch.check(["01_first"], [], course)
    (course / "build" / "01_first.ipynb").write_text("done")
    up_to_date = ["-q", "build/01_first.ipynb"]
    assert make(course, *up_to_date).returncode == 0
    for file in (
        "course_lib/new.py",
        "data/new.tsv",
        "data/models/m/model.safetensors",
        "notebooks/01_first.ipynb",
        "installed",
    ):
        (course / file).parent.mkdir(parents=True, exist_ok=True)
        (course / file).touch()
        set_age(course / file, -50)
        assert make(course, *up_to_date).returncode == 1, file
        set_age(course / file, 90)
        assert make(course, *up_to_date).returncode == 0, file


def test_a_run_that_is_stopped_leaves_nothing_that_looks_done(course):
    """By Ctrl-C; test_run_killed.py has the signals that nobody can handle."""
    text = SECOND.replace(
        'raise ValueError("seed is <not> one")',
        "import pathlib, time\n    pathlib.Path('started').touch()\n    time.sleep(60)",
    )
    (course / "script.py").write_text(text)
    nbformat.write(convert(course / "script.py"), course / "notebooks" / "02_second.ipynb")
    process = subprocess.Popen(
        command("run", "NOTEBOOKS=02_second"),
        cwd=course,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A shell that starts something in the background lets it ignore Ctrl-C, and its children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.time() + 300  # a kernel starts in seconds, on a busy machine in minutes
    while not (course / "started").exists() and time.time() < deadline:
        time.sleep(0.1)
    assert (course / "started").exists()
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=120)
    assert not (course / "build" / "02_second.ipynb").exists()
    assert batch.index(["02_second"], course) == 1


def test_run_without_make(course):
    """The same by one command of Python, for systems without make."""
    run = [sys.executable, "tools/batch.py", "run", "--notebooks", "01_first 02_second", "--", "-p", "seed", "1"]
    done = subprocess.run(run, cwd=course, capture_output=True, text=True)
    assert done.returncode == 0 and "2 of 2 passed" in done.stdout, done.stdout + done.stderr
    assert (course / "build" / "index.html").exists()


NOT_STARTED = "RuntimeError: Kernel died before replying to kernel_info"


@pytest.mark.parametrize(
    "error, failures, calls, done",
    [(NOT_STARTED, 1, 2, True), (NOT_STARTED, 9, 2, False), ("ValueError: Kernel died", 1, 1, False)],
)
def test_a_kernel_that_did_not_start_is_started_once_more(course, monkeypatch, error, failures, calls, done):
    """Once, and after no other error."""
    (course / "papermill.py").write_text(
        "import shutil, sys\n\nwith open('calls', 'a') as calls:\n    calls.write('x')\n"
        f"    if calls.tell() <= {failures}:\n        sys.exit({error!r})\nshutil.copy(*sys.argv[-2:])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(course))
    monkeypatch.chdir(course)
    assert execute("01_first", course) == done == (course / "build" / "01_first.ipynb").exists()
    assert (course / "calls").read_text() == calls * "x"
    assert (error in (course / "build" / "partial" / "01_first.log").read_text()) != done


def test_an_older_run_is_out_of_date(course, capsys):
    (course / "build").mkdir()
    shutil.copy(course / "notebooks" / "01_first.ipynb", course / "build")
    set_age(course / "build" / "01_first.ipynb", 1000)
    assert batch.index(["01_first"], course) == 1
    assert "out of date" in capsys.readouterr().out


def test_python_version_is_checked(course):
    """The environment's rule refuses a Python that is too old, before it makes anything."""
    fake = course / "python3.8"
    fake.write_text('#!/bin/sh\nexec "$REAL" -c "import sys; sys.version_info = (3, 8, 1); exec(sys.argv[1])" "$2"\n')
    fake.chmod(0o755)
    (course / "requirements-lock.txt").touch()
    done = subprocess.run(
        ["make", f"PYTHON={fake}", ".venv/.installed"],
        cwd=course,
        capture_output=True,
        text=True,
        env={**os.environ, "REAL": sys.executable},
    )
    assert done.returncode != 0 and "needs Python 3.11, 3.12 or 3.13" in done.stderr, done.stderr
    assert not (course / ".venv").exists()
