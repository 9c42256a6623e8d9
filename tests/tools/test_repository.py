"""One constant names the repository: everything else follows it, and tools/set_repository.py moves it all at once."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import set_repository
from repository import BRANCH, REPOSITORY, ROOT, SETUP, colab_badge, links, pages_url
from set_repository import CONSTANTS, checked_branch, checked_repository, text_files

NAMES = sorted(file.stem for file in (ROOT / "notebooks").glob("*.ipynb"))
OWNER, NAME = REPOSITORY.split("/")
NEW, TAG = "Some-Body/my.course_2", "v1.0/b"
FILE = Path(__file__).name  # the only one in which the course may have other names


PROPER = re.compile(links().pattern + "(?!/(?:blob|tree|raw)/)")


def strangers(text, place):
    """What in a text names the course otherwise than by a proper link, or links to the course in another place."""
    rest = PROPER.sub("", text)
    found = re.findall(re.escape(REPOSITORY), rest) if place != CONSTANTS else []
    found += re.findall(r"colab\.research\.google\.com/github/\w\S*", rest)
    found += re.findall(r"github\.com/[\w.-]+/[\w.-]+/(?:blob|tree|raw)/\S*(?:course_lib|notebooks/\d\d_)\S*", rest)
    found += re.findall(rf"github(?:\.com)?/{OWNER}/\S*|git clone\b.*github\.com/\w\S*", rest)
    if place in ("README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml"):
        found += re.findall(r"github\.com/\w[\w.-]*/[\w.-]+", rest)
    return found


@pytest.mark.parametrize(
    "text, place",
    [
        ("see github.com/other/course/blob/main/notebooks/05_mean_pooling.ipynb", "data/README.md"),
        ("https://github.com/other/fork", "README.md"),
        (f"https://github.com/{OWNER}/other", "data/README.md"),
        (f"https://github.com/{REPOSITORY}2", "data/README.md"),
        (
            f"https://colab.research.google.com/github/{REPOSITORY}/blob/{BRANCH}x/notebooks/05.ipynb",
            "notebooks/scripts/05.py",
        ),
        (f"the repository {REPOSITORY}", "README.md"),
        ("git clone https://github.com/other/fork", "docs.md"),
    ],
)
def test_a_stranger_is_found(text, place):
    assert strangers(text, place)


def test_the_course_and_other_peoples_work_are_no_strangers():
    text = f"{colab_badge('05_x')} https://github.com/{REPOSITORY}. {links().pattern}"
    text += " github.com/UKPLab/sentence-transformers/issues/80"
    assert strangers(text, "data/README.md") == []


def test_every_mention_of_the_course_is_a_link_to_the_same_place():
    found = {
        path.relative_to(ROOT).as_posix(): strangers(
            path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        )
        for path in text_files()
        if path.name != FILE
    }
    assert len(found) > 50 and {place: texts for place, texts in found.items() if texts} == {}


def test_the_constants_stand_in_one_file():
    assert f'"https://github.com/{REPOSITORY}"' in SETUP and f'"--branch", "{BRANCH}"' in SETUP
    quoted = [path.name for path in text_files() if f'"{REPOSITORY}"' in path.read_text(encoding="utf-8")]
    assert quoted == ["repository.py"]


@pytest.mark.parametrize("name", [REPOSITORY, NEW, "a/b", "0-a/_", "a" * 39 + "/" + "b" * 100, "a/.github"])
def test_repositories_that_github_takes(name):
    assert checked_repository(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a/",
        "/b",
        "a/b/c",
        "-a/b",
        "a-/b",
        "a--b/c",
        "a_b/c",
        "a" * 40 + "/b",
        "a/" + "b" * 101,
        "https://github.com/a/b",
        "a/b.git",
        "a/..",
        "a/.",
        'a/b"',
        "a/b c",
        "a/b\n",
        "å/b",
        "a/b)",
    ],
)
def test_malformed_repositories(name):
    with pytest.raises(ValueError, match="expected owner/name"):
        checked_repository(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        ".x",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a//b",
        "/a",
        "a/",
        "a.lock",
        "a.",
        "a@{1}",
        "a\\b",
        'a"',
        "a)",
        "a\n",
    ],
)
def test_malformed_branches(name):
    with pytest.raises(ValueError, match="branch or tag"):
        checked_branch(name)


@pytest.mark.parametrize("name", ["main", "v1.0", "release/2.x", "1", "a-b_c"])
def test_branches_that_git_takes(name):
    assert checked_branch(name) == name
    if shutil.which("git"):
        assert subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"]).returncode == 0


@pytest.fixture
def copy(tmp_path):
    """The course without its weights."""
    left_out = shutil.ignore_patterns(*set_repository.LEFT_OUT, "*.egg-info", "*.safetensors", "tokenizer.json")
    return shutil.copytree(ROOT, tmp_path / "course", ignore=left_out)


def tool(copy, *arguments):
    return subprocess.run(
        [sys.executable, "tools/set_repository.py", *arguments], cwd=copy, capture_output=True, text=True
    )


def contents(copy):
    return {
        path.relative_to(copy).as_posix(): path.read_bytes()
        for path in copy.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def left_behind(contents):
    """Files that still link to the course where it was."""
    old = re.compile(rf"github(\.com)?/{re.escape(REPOSITORY)}\b|{re.escape(pages_url())}".encode())
    return [place for place, content in contents.items() if old.search(content) and place != f"tests/tools/{FILE}"]


def said_by(copy):
    """The copy's own constants, its set-up cell, and the notebooks that are not in step with their scripts there."""
    code = """
import json
from build_notebooks import in_step
from repository import BRANCH, REPOSITORY, ROOT, SETUP
files = sorted((ROOT / "notebooks").glob("*.ipynb"))
print(json.dumps([REPOSITORY, BRANCH, SETUP, [
    f.stem for f in files if not in_step(ROOT / "notebooks" / "scripts" / f"{f.stem}.py", f)
]]))"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy / "tools"), os.environ["PYTHONPATH"]])}
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_and_back_on_a_copy(copy):
    before = contents(copy)
    done = tool(copy, NEW, "--tag", TAG)
    assert done.returncode == 0 and "changed README.md" in done.stdout, done.stderr
    moved = contents(copy)
    assert set(moved) == set(before)
    assert left_behind(moved) == []
    new = f"https://github.com/{NEW}"
    assert {"README.md", "CITATION.cff", "tools/repository.py"} <= {
        place for place in before if before[place] != moved[place]
    }
    assert new in moved["CITATION.cff"].decode()
    assert pages_url(NEW).removeprefix("https://") == "some-body.github.io/my.course_2/"
    assert pages_url(NEW) in moved["README.md"].decode()
    # Badges, set-up cells and scripts say the same; ids, outputs and all else of a notebook stay.
    repository, branch, setup, out_of_step = said_by(copy)
    assert (repository, branch) == (NEW, TAG) and f'"{new}"' in setup and out_of_step == []
    for name in NAMES:
        old, changed = (
            nbformat.reads(text[f"notebooks/{name}.ipynb"].decode(), as_version=4) for text in (before, moved)
        )
        assert changed.cells[0].source.startswith(
            colab_badge(name).replace(REPOSITORY, NEW).replace(f"/{BRANCH}/", f"/{TAG}/")
        )
        assert [cell.id for cell in changed.cells] == [cell.id for cell in old.cells]
        assert [cell.get("outputs") for cell in changed.cells] == [cell.get("outputs") for cell in old.cells]
        assert changed.metadata == old.metadata
        assert sum(a.source != b.source for a, b in zip(old.cells, changed.cells)) == 2
    # A second call has nothing to do; the way back gives every byte back.
    assert tool(copy, NEW, "--branch", TAG).stdout == f"{NEW} at {TAG}: 0 files changed\n"
    assert tool(copy, REPOSITORY, "--branch", BRANCH).returncode == 0
    assert contents(copy) == before


def test_without_a_name_it_mends_what_is_out_of_step(copy):
    before = contents(copy)
    script, notebook = copy / "notebooks" / "scripts" / f"{NAMES[0]}.py", copy / "notebooks" / f"{NAMES[0]}.ipynb"
    script.write_text(
        script.read_text(encoding="utf-8").replace("import importlib.util\n", "import importlib\n", 1), encoding="utf-8"
    )
    stored = nbformat.read(notebook, as_version=4)
    next(cell for cell in stored.cells if "setup" in cell.metadata.get("tags", [])).source = "pass"
    nbformat.write(stored, notebook)
    assert contents(copy) != before
    assert tool(copy).returncode == 0
    assert contents(copy) == before


@pytest.mark.parametrize("arguments", [["https://github.com/a/b"], ["a/b", "--branch", "two words"]])
def test_a_malformed_name_changes_nothing(copy, arguments):
    before = contents(copy)
    done = tool(copy, *arguments)
    assert done.returncode == 1 and "expected" in done.stderr and "Traceback" not in done.stderr
    assert contents(copy) == before


@pytest.mark.parametrize("moment", [0, 1, 3])
def test_interrupted_and_called_again(copy, monkeypatch, moment):
    """Stopped while files take their places: no file is half-written, and the same call finishes."""
    replaced = []

    def replace(a, b, original=os.replace):
        if len(replaced) == moment:
            raise KeyboardInterrupt
        replaced.append(b)
        original(a, b)

    monkeypatch.setattr(set_repository, "ROOT", copy)
    monkeypatch.setattr(set_repository.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        set_repository.set_repository(NEW, TAG)
    monkeypatch.undo()
    assert not list(copy.rglob("*.partial")) and len(replaced) == moment
    assert f'REPOSITORY = "{REPOSITORY}"' in (copy / CONSTANTS).read_text(encoding="utf-8")
    assert tool(copy, NEW, "--tag", TAG).returncode == 0
    assert left_behind(contents(copy)) == []


def test_a_full_disk_changes_nothing(copy, monkeypatch):
    before = contents(copy)

    def no_space(file, *arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(set_repository, "ROOT", copy)
    monkeypatch.setattr(shutil, "copymode", no_space)
    with pytest.raises(OSError, match="No space left"):
        set_repository.set_repository(NEW, TAG)
    assert contents(copy) == before
