"""The set-up cell: nothing locally; in Colab one shallow clone, whatever came before. And a whole notebook there."""

import ast
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import types

import nbformat
import pytest
from check_notebooks import code_cells, output_text, tags
from colab import ALSO_IN_COLAB, COLAB, in_folder, publish, run
from dependencies import IMPORT_NAMES, LOCK, imported
from environments import TORCH, python_of
from repository import INSTALL, INSTALL_SCALE, NOT_IN_COLAB, REPOSITORY, ROOT, SETUP

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

NOTEBOOK = ROOT / "notebooks" / "05_mean_pooling.ipynb"
STUB = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"
WHERE = "\nimport course_lib; print(course_lib.__file__)"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The variables with which git takes the files as they lie here for the repository on GitHub."""
    return publish(tmp_path_factory.mktemp("git") / "course.git")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The same in a second commit without the weights, which most of these tests do not need."""
    folder = tmp_path_factory.mktemp("git") / "course.git"
    variables = publish(folder)
    git = [
        "git",
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        f"--git-dir={folder}",
        f"--work-tree={ROOT}",
    ]
    subprocess.run([*git, "rm", "--quiet", "--cached", "*.safetensors"], check=True, cwd=ROOT)
    subprocess.run([*git, "commit", "--quiet", "--message=Without weights"], check=True, cwd=ROOT)
    return variables


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python with every package that is installed here but the course, which pip installed by a .pth file: those of
    a folder that is itself named in a .pth file are not read."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    paths = subprocess.run(
        [python_of(folder), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    with open(os.path.join(paths, "packages.pth"), "w", encoding="utf-8") as file:
        file.write("\n".join(here))
    return python_of(folder)


@pytest.fixture
def content(tmp_path):
    (tmp_path / "content").mkdir()
    return tmp_path / "content"


def cell(python, content, variables, code=SETUP, colab=True):
    """Run the set-up cell in a new process, its working directory `content`; the finished process."""
    text = (STUB if colab else "") + in_folder(code, content) + WHERE
    return subprocess.run([python, "-c", text], cwd=content, capture_output=True, text=True, env=variables, timeout=120)


def test_the_course_cannot_be_imported_there(python, content, published):
    done = subprocess.run(
        [python, "-c", "import torch, course_lib"], cwd=content, capture_output=True, text=True, env=published
    )
    assert done.returncode == 1 and "No module named 'course_lib'" in done.stderr


def test_a_notebook_runs_as_in_colab(python, whole, tmp_path):
    """Its first half, which loads models and data, and its exercises, the set-up cell twice: see tools/colab.py, which
    adds what it checks before and after. That a whole notebook runs from another folder, test_execution.py shows."""
    half = nbformat.read(NOTEBOOK, as_version=4)
    middle = len(half.cells) // 2
    half.cells = [c for i, c in enumerate(half.cells) if i < middle or "exercise" in tags(c)]
    assert len([c for c in code_cells(half) if "nbval-check-output" in tags(c)]) >= 5
    nbformat.write(half, tmp_path / NOTEBOOK.name)
    notebook, wrong = run(tmp_path / NOTEBOOK.name, python, tmp_path / "vm", whole)
    assert wrong == []
    assert [c.execution_count for c in code_cells(notebook)] == [2, *range(5, 4 + len(code_cells(notebook)))]
    assert [path.name for path in (tmp_path / "vm" / "content").iterdir()] == ["course"]


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda cells: cells[1].update(source="raise KeyError('spoilt')"), "KeyError: 'spoilt'"),
        (
            lambda cells: cells[1].update(source="print('otherwise')"),
            "In [2] prints otherwise than stored: print('otherwise')",
        ),
        (
            lambda cells: cells[0].update(
                source=re.sub(r"if (importlib.*None|not course.*\(\)):", "if True:", cells[0].source)
            ),
            "course.unfinished",
        ),
        (
            lambda cells: cells[0].update(source=cells[0].source.replace("sys.path.insert", "print")),
            "No module named 'course_lib'",
        ),
    ],
)
def test_the_rehearsal_sees_what_is_wrong(spoil, message, python, published, tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first = next(c for c in code_cells(notebook) if "nbval-check-output" in tags(c))
    notebook.cells = [code_cells(notebook)[0], first]
    spoil(notebook.cells)
    nbformat.write(notebook, tmp_path / "05.ipynb")
    _, wrong = run(tmp_path / "05.ipynb", python, tmp_path / "vm", published)
    assert len(wrong) == 1 and message in wrong[0], wrong


def test_a_restarted_kernel_needs_no_git(python, content, published, tmp_path):
    """The first run clones one commit of two; a second, in a new process, finds the clone."""
    assert cell(python, content, published).stdout.strip() == str(content / "course" / "course_lib" / "__init__.py")
    log = subprocess.run(
        ["git", "log", "--oneline"], cwd=content / "course", capture_output=True, text=True, check=True
    ).stdout
    assert log.split(" ", 1)[1] == "Without weights\n"
    (tmp_path / "empty").mkdir()
    again = cell(python, content, {**published, "PATH": str(tmp_path / "empty")})
    assert again.returncode == 0 and again.stdout.strip() == str(content / "course" / "course_lib" / "__init__.py"), (
        again.stderr
    )


def test_models_and_data_are_found_from_any_folder(python, content, published, tmp_path):
    """And it is the clone's files that are read, not those here."""
    check = SETUP + (
        "\nimport os; os.chdir(os.path.dirname(os.getcwd()))\n"
        "from course_lib.support.folders import resolve\nfrom course_lib.support.tables import find\n"
        "print(resolve('course/sbert-mini'), find('course/sts'))"
    )
    done = cell(python, content, published, check)
    assert str(content / "course" / "data" / "models" / "sbert-mini") in done.stdout, done.stderr
    assert str(content / "course" / "data" / "sts.tsv") in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="a program named git that is a shell script; signals")
def test_killed_while_it_clones(python, content, published, tmp_path):
    """The machine goes away in the middle: what was there of the clone is not taken for the course."""
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        'mkdir -p "$last/course_lib"\ntouch "$last/course_lib/__init__.py"\nexec sleep 60\n'
    )
    fake.chmod(0o755)
    text = STUB + in_folder(SETUP, content)
    slow = subprocess.Popen(
        [python, "-c", text],
        cwd=content,
        start_new_session=True,
        env={**published, "PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    unfinished, deadline = content / "course.unfinished" / "course_lib" / "__init__.py", time.time() + 60
    while not unfinished.exists() and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(slow.pid, signal.SIGKILL)
    slow.wait()
    assert unfinished.exists() and not (content / "course").exists()
    done = cell(python, content, published)
    assert done.returncode == 0 and (content / "course" / "data" / "sts.tsv").exists(), done.stderr
    assert [path.name for path in content.iterdir()] == ["course"]


def failed(done, content):
    assert (
        done.returncode == 1
        and f"RuntimeError: cannot fetch https://github.com/{REPOSITORY}: is Colab online?" in done.stderr
    ), done.stderr
    assert "During handling" not in done.stderr and not (content / "course").exists()
    return done.stderr


def test_offline(python, content, published):
    """The message says so, with git's own words; the tests' proxy answers nobody. Online again, the cell runs."""
    offline = {name: value for name, value in published.items() if not name.startswith("GIT_CONFIG")}
    start = time.time()
    assert "unable to access" in failed(cell(python, content, offline), content)
    assert time.time() - start < 30
    assert cell(python, content, published).returncode == 0


def test_no_git(python, content, published, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "No such file" in failed(cell(python, content, {**published, "PATH": str(tmp_path / "empty")}), content)


def test_a_branch_that_is_gone(python, content, published):
    assert "Remote branch gone not found" in failed(
        cell(python, content, published, SETUP.replace('"--branch", "', '"--branch", "gone" or "')), content
    )


def test_outside_colab_and_not_installed(python, content, published):
    done = cell(python, content, published, colab=False)
    assert f"ModuleNotFoundError: {python} has no course_lib: start Jupyter with `make lab`" in done.stderr
    assert list(content.iterdir()) == []


def test_it_does_nothing_here(monkeypatch):
    def fail(*arguments, **named):
        raise AssertionError("the set-up cell ran something")

    for colab in (False, True):  # with the course installed, even in Colab
        monkeypatch.setattr(subprocess, "run", fail)
        monkeypatch.setattr(shutil, "rmtree", fail)
        if colab:
            monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        before = set(sys.modules), list(sys.path)
        exec(SETUP, {})
        assert (set(sys.modules), list(sys.path)) == before


def test_the_cell_is_short_and_calls_no_shell():
    assert len(SETUP.splitlines()) <= 25
    assert not [node for node in ast.walk(ast.parse(SETUP)) if isinstance(node, ast.keyword) and node.arg == "shell"]


def test_every_notebook_needs_only_what_colab_ships():
    """Or what INSTALL or INSTALL_SCALE adds."""
    shipped = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in {*COLAB, *ALSO_IN_COLAB}}
    modules = {
        name
        for name in imported(("course_lib", "notebooks/scripts", "notebooks/solutions"))
        if name not in sys.stdlib_module_names and name not in ("course_lib", "recipes")
    }
    added = set(NOT_IN_COLAB.values())
    assert "torch" in modules and not shipped & added
    assert modules - shipped == added, f"Colab does not ship {', '.join(sorted(modules - shipped))}"


def test_recipes_that_notebooks_import_need_only_what_colab_ships():
    """On being imported; what a recipe imports inside a function, it may need for a measurement alone."""
    shipped = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in {*COLAB, *ALSO_IN_COLAB}}
    scripts = set((ROOT / "notebooks" / "scripts").glob("*.py"))
    found, todo = set(), list(scripts)
    while todo:
        tree = ast.parse((path := todo.pop()).read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree)) if path in scripts else tree.body
        names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
        for node in (n for n in nodes if isinstance(n, ast.ImportFrom)):
            names |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        recipes = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names - found if "recipes." in name]
        todo += [path for path in recipes if path.exists()]
        found |= names
    modules = {name.split(".")[0] for name in found} - {"course_lib", "recipes", *sys.stdlib_module_names}
    lacking = modules - shipped - set(NOT_IN_COLAB.values())
    assert "recipes.shared.leaks" in found and "pandas" in modules
    assert not lacking, f"Colab does not ship {', '.join(sorted(lacking))}"


def needs(file):
    """Names of all modules that a file imports, and that course_lib's modules import which it imports."""
    found, todo = set(), [file]
    while todo:
        tree = ast.parse(todo.pop().read_text(encoding="utf-8"))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module):
            names |= {f"course_lib.{a.name}" for a in node.names} if node.module == "course_lib" else {node.module}
        own = [
            ROOT.joinpath(*name.split(".")).with_suffix(".py")
            for name in names - found
            if name.startswith("course_lib.")
        ]
        todo += [path for path in own if path.exists()]
        found |= names
    return {name.split(".")[0] for name in found} | found


@pytest.mark.parametrize("script", sorted((ROOT / "notebooks" / "scripts").glob("*.py")), ids=lambda p: p.stem)
def test_what_colab_lacks_is_installed_right_after_the_set_up(script):
    notebook = code_cells(nbformat.read(ROOT / "notebooks" / f"{script.stem}.ipynb", as_version=4))
    install = [i for i, c in enumerate(notebook) if "install" in tags(c)]
    missing = [package for package, module in NOT_IN_COLAB.items() if module in needs(script)]
    assert install == ([1] if missing else [])
    for i in install:
        assert notebook[i].source in (INSTALL, INSTALL_SCALE)
        assert all(package in notebook[i].source for package in missing), missing


def test_what_chapter_17_installs_are_the_bounds_of_the_extra():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["scale"]
    named = re.findall(r'"([^"]+>=[^"]+)"', INSTALL_SCALE)
    assert [line for line in extra if not line.startswith("pyarrow")] == named  # Colab ships pyarrow


def test_installing_runs_pip_once_and_only_in_colab(monkeypatch):
    calls, names = (
        [],
        {
            "sys": sys,
            "importlib": importlib,
            "subprocess": types.SimpleNamespace(run=lambda command, check: calls.append(command)),
        },
    )
    exec(INSTALL, dict(names))
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(INSTALL, dict(names))
    assert calls == []  # bm25s is there
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(INSTALL, dict(names))
    assert calls == [[sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "bm25s"]]


def test_the_rehearsals_torch_is_the_locked_one():
    assert TORCH == f"torch{LOCK['torch'].specifier}"


def test_checked_outputs_are_compared():
    """The notebook of these tests has outputs to compare: the rehearsal cannot pass for want of them."""
    stored = [
        output_text(c) for c in code_cells(nbformat.read(NOTEBOOK, as_version=4)) if "nbval-check-output" in tags(c)
    ]
    assert len(stored) >= 5 and all(text.strip() for text in stored)
