"""What `pip install` makes of the repository: the library with its default model, which encodes outside any clone."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from repository import ROOT

from course_lib.encoder import SentenceEncoder

TEXTS = ["A man is eating food.", "Someone is having a meal."]
CODE = """
import json, sys
from pathlib import Path
from course_lib.data import load_sts
from course_lib.encoder import SentenceEncoder

def refused(load, name):
    try:
        load(name)
    except FileNotFoundError as error:
        return str(error)

vectors = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32").encode(json.loads(sys.argv[1]))
advice = [refused(SentenceEncoder.load, "course/bert-mini"), refused(load_sts, "course/sts")]
print(json.dumps([sys.modules["course_lib"].__file__, vectors.tolist(), advice]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what the wheel holds, made from a copy of what a build reads."""
    copy, wheels = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheels")
    for name in ("setup.py", "pyproject.toml", "README.md", "MANIFEST.in", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("course_lib", "recipes", "data/models/sbert-mini"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "wheel", "--quiet"]
    offline = ["--no-index", "--no-build-isolation", "--no-deps"]
    done = subprocess.run([*pip, *offline, "-w", wheels, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheels / "site")
    return wheels / "site"


def test_it_holds_the_library_and_one_model(installed):
    assert {path.name for path in installed.iterdir() if "dist-info" not in path.name} == {"course_lib"}
    model = ROOT / "data" / "models" / "sbert-mini"
    bundled = installed / "course_lib" / "bundled" / "data" / "models" / "sbert-mini"
    files = {path.relative_to(model) for path in model.rglob("*") if path.is_file()}
    assert {path.relative_to(bundled) for path in bundled.rglob("*") if path.is_file()} == files
    assert [path.name for path in bundled.parent.iterdir()] == ["sbert-mini"]
    of_library = {path.relative_to(ROOT) for path in (ROOT / "course_lib").rglob("*.py")}
    assert {path.relative_to(installed) for path in installed.rglob("*.py")} == of_library


def test_it_encodes_outside_the_clone(installed, tmp_path):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    variables["PYTHONPATH"] = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])  # before the clone
    command = [sys.executable, "-c", CODE, json.dumps(TEXTS)]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    file, vectors, advice = json.loads(done.stdout)
    assert file == str(installed / "course_lib" / "__init__.py")
    here = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32").encode(TEXTS)
    assert np.allclose(vectors, here, atol=1e-6)
    assert all("a clone of the course has all: name its folder" in message for message in advice)
