"""The order of course_lib: a core that is read in an evening, rooms beside it, and who may import whom."""

import shutil
import sys
import tomllib

import pytest
from importlinter.cli import lint_imports
from repository import ROOT

PACKAGE = ROOT / "course_lib"
CORE = {
    "attention",
    "bert",
    "data",
    "encoder",
    "evaluation",
    "losses",
    "modules",
    "pooling",
    "siamese",
    "similarity",
    "training",
    "transformer",
}
BESIDE = {
    "__init__",
    "diagrams",
    "drawing",
    "exercises",
    "inference",
    "layer_diagram",
    "plotting",
    "side_by_side",
    "step_diagram",
    "unrolled",
}
PICTURES = {"diagrams", "drawing", "exercises", "layer_diagram", "plotting", "side_by_side", "step_diagram", "unrolled"}
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
}
# One import that each of them forbids: the file that would hold it, and what it would import.
FORBIDDEN = {
    "The core needs no room": ("pooling", "retrieval.search"),
    "Support needs neither core nor room": ("support/loss_inputs", "encoder"),
    "Training knows nothing of sentences": ("training", "encoder"),
    "Chapters 01 to 03, models and datasets need no other room": ("models/sparse", "datasets.town"),
    "Models, datasets and translation do not search": ("datasets/town", "retrieval.search"),
    "Search knows nothing of training methods, translation and data sets": ("retrieval/search", "datasets.town"),
    "Finetuning mines with search, and needs no other room": ("finetuning/mining", "datasets.town"),
    "Chapter 17 needs search, and no other room": ("scale/ivf", "datasets.town"),
    "Only notebooks, recipes and tools draw and check exercises": ("evaluation", "plotting"),
}


def test_the_core_is_twelve_files():
    assert len(CORE) == 12 and {file.stem for file in PACKAGE.glob("*.py")} == CORE | BESIDE


def test_the_core_is_short():
    lines = {name: len((PACKAGE / f"{name}.py").read_text("utf-8").splitlines()) for name in sorted(CORE)}
    assert sum(lines.values()) <= 1500, lines


def test_nothing_is_formatted_by_hand():
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) > 40
    assert [
        file for file in files if "fmt: skip" in file.read_text("utf-8") or "fmt: off" in file.read_text("utf-8")
    ] == []


def test_contracts_name_every_file_of_the_core_and_every_room():
    core = {f"course_lib.{name}" for name in {*CORE, *BESIDE} - {"__init__"} - PICTURES}
    rooms = {f"course_lib.{file.parent.name}" for file in PACKAGE.glob("*/__init__.py")} - {"course_lib.support"}
    contract = CONTRACTS["The core needs no room"]
    assert set(contract["source_modules"]) == core and set(contract["forbidden_modules"]) == rooms
    contract = CONTRACTS["Support needs neither core nor room"]
    assert set(contract["forbidden_modules"]) == core | rooms
    contract = CONTRACTS["Training knows nothing of sentences"]
    assert set(contract["forbidden_modules"]) == core - {"course_lib.training"}
    contract = CONTRACTS["Only notebooks, recipes and tools draw and check exercises"]
    assert set(contract["source_modules"]) == core | rooms | {"course_lib.support"}


def test_imports_keep_to_the_contracts(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_forbidden_import_is_found(contract, tmp_path, monkeypatch, capsys):
    """In a copy, which is looked at and not imported."""
    shutil.copytree(PACKAGE, tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file, module = FORBIDDEN[contract]
    with open(tmp_path / "course_lib" / f"{file}.py", "a", encoding="utf-8") as text:
        text.write(f"\nimport course_lib.{module}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "course_lib", raising=False)
    assert lint_imports(no_cache=True, no_logo=True) == 1
    said = capsys.readouterr().out
    assert f"{contract} BROKEN" in said and f"-> course_lib.{module} (l." in said, said
