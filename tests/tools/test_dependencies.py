"""The four dependency files name the same packages with compatible bounds, and every package is used."""

import functools
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from colab import COLAB, COLAB_PYTHON
from dependencies import DEV_LOCK, IMPORT_NAMES, LOCK, imported, read
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from repository import ROOT

# The packages the course was designed around.
CARD = {"jupyterlab", "torch", "transformers", "matplotlib", "seaborn", "scikit-learn", "nbval", "papermill"}
CONDA_NAMES = {"pytorch": "torch"}


def read_conda(text):
    lines = re.findall(r"^ +- (.+)$", text.split("dependencies:")[1], flags=re.M)
    lines = [line for line in lines if line not in ("pip", "pip:", "-e .") and not line.startswith("python>")]
    return read(re.sub(r"^[\w-]+", lambda m: CONDA_NAMES.get(m[0], m[0]), line) for line in lines)


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = read((ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines())
EXTRAS = {name: read(lines) for name, lines in PYPROJECT["project"]["optional-dependencies"].items()}
DEV, SCALE = EXTRAS["dev"], EXTRAS["scale"]
CONDA = read_conda((ROOT / "environment.yml").read_text(encoding="utf-8"))
LIBRARY = read(PYPROJECT["project"]["dependencies"])
NAMED = {**REQUIREMENTS, **DEV, **SCALE}
NOTEBOOKS = {**REQUIREMENTS, **SCALE}  # what make installs for notebooks
LOCKED = {**LOCK, **DEV_LOCK}


def bounds(requirements):
    return {name: str(requirement.specifier) for name, requirement in requirements.items()}


def test_no_package_stands_in_two_places():
    assert len(NAMED) == len(REQUIREMENTS) + len(DEV) + len(SCALE)


def test_conda_names_the_same_packages_with_the_same_bounds():
    assert bounds(CONDA) == bounds(NAMED)


def test_python_versions_agree():
    assert PYPROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert "- python>=3.11,<3.14\n" in (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert Version(COLAB_PYTHON) in Requirement(f"python{PYPROJECT['project']['requires-python']}").specifier


def test_only_lower_bounds():
    for name, requirement in NAMED.items():
        assert [part.operator for part in requirement.specifier] == [">="], f"{name}: {requirement.specifier}"


def test_colab_satisfies_the_bounds():
    """Lower bounds must be satisfied by what Google Colab ships."""
    assert set(COLAB) - set(NAMED) == {"ipython"}
    for name in set(COLAB) & set(NAMED):
        assert Version(COLAB[name]) in NAMED[name].specifier, f"{name} {COLAB[name]} is what Colab ships"


def test_lock_is_exact_and_within_the_bounds():
    assert set(NAMED) < set(LOCKED) and not set(LOCK) & set(DEV_LOCK)
    for name, requirement in LOCKED.items():
        pins = list(requirement.specifier)
        assert len(pins) == 1 and pins[0].operator == "==" and "*" not in pins[0].version, requirement
        assert not Version(pins[0].version).local, f"{requirement}: a local version is not to be had everywhere"
        if name in NAMED:
            assert requirement.marker is None
            assert Version(pins[0].version) in NAMED[name].specifier, requirement


SYSTEMS = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}


def environment_of(python, system):
    """What markers are evaluated in, for that Python on that system."""
    return {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": SYSTEMS[system][0],
        "os_name": SYSTEMS[system][1],
    }


@functools.cache
def required(name):
    """What an installed package says it requires; nothing of one that is not installed."""
    try:
        return [Requirement(line) for line in requires(name) or []]
    except PackageNotFoundError:
        return []


def needed(requirements, environment):
    """Names of all packages that these pull in in that environment, by the installed metadata."""
    found, todo = set(), [(name, extra) for name, one in requirements.items() for extra in ("", *one.extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for requirement in required(name):
            if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra}):
                child = canonicalize_name(requirement.name)
                todo += [(child, part) for part in ("", *requirement.extras)]
    return {name for name, _ in found}


CUDA = re.compile(r"(nvidia-.*|cuda-.*|triton)$")  # torch's Linux wheels pin these themselves


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_locks_are_complete(python, system):
    """That of the notebooks alone, and with that of the tests on top."""
    environment = environment_of(python, system)
    for named, lock in ((NOTEBOOKS, LOCK), (NAMED, LOCKED)):
        locked = {
            name
            for name, requirement in lock.items()
            if requirement.marker is None or requirement.marker.evaluate(environment)
        }
        missing = {name for name in needed(named, environment) - locked if not CUDA.match(name)}
        assert not missing, f"run on Python {python} on {system}, the lock lacks {', '.join(sorted(missing))}"


def test_who_runs_notebooks_installs_nothing_that_only_tests_need():
    everywhere = [environment_of(python, system) for python in ("3.11", "3.12", "3.13") for system in SYSTEMS]
    used = set.union(*(needed(NOTEBOOKS, environment) for environment in everywhere))
    assert {"ruff", "hypothesis"} <= set(DEV_LOCK) and not used & set(DEV_LOCK)


def test_lock_is_what_is_installed():
    """Where the tests run in the environment that make builds; elsewhere (conda, Colab) there is nothing to compare."""
    if not (ROOT / ".venv" / ".installed").exists() or not sys.prefix.startswith(str(ROOT)):
        pytest.skip("not the environment of the Makefile")
    for name, requirement in LOCKED.items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert Version(version(name)).public in requirement.specifier, requirement


def run_as_module():
    """Modules that the Makefile and the tools start: `python -m name`."""
    files = [ROOT / "Makefile", *(ROOT / "tools").glob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r'-m(?: |", ")(\w+)', text))


def test_every_package_is_used():
    used = set(imported()) | run_as_module()
    # pip needs setuptools to install the course; ipykernel is what runs the notebooks.
    unused = {name for name in NAMED if IMPORT_NAMES.get(name, name.replace("-", "_")) not in used}
    assert unused <= {"setuptools", "ipykernel"}, f"never imported: {', '.join(sorted(unused))}"


def test_the_cards_packages_are_required_and_used():
    assert CARD <= set(REQUIREMENTS)
    used = set(imported()) | run_as_module()
    for name in sorted(CARD):
        assert IMPORT_NAMES.get(name, name) in used, f"{name} is required but the course does not use it"


def test_an_installed_library_brings_what_it_imports():
    own = {
        canonicalize_name(name)
        for name in imported(("course_lib",))
        if name not in sys.stdlib_module_names and name != "course_lib"
    }
    assert own - set(SCALE) == {canonicalize_name(IMPORT_NAMES.get(name, name)) for name in LIBRARY}
    assert bounds(LIBRARY).items() <= bounds(REQUIREMENTS).items()


def test_only_chapter_17_needs_the_extra_scale():
    """Whoever installs the course without it has every other chapter; pyarrow is a part of datasets."""
    of_scale = {IMPORT_NAMES.get(name, name) for name in SCALE} - {"pyarrow"}
    found = imported(("course_lib", "notebooks/scripts"))
    users = {file for name in of_scale for file in found.get(name, [])}
    assert users and {file for file in users if file.parent.name != "scale" and not file.stem.startswith("17")} == set()


def test_no_registry_is_named():
    """Where packages come from is the user's own setting."""
    hosts = re.compile(
        r"(py"
        r"pi\.org|python"
        r"hosted\.org|download\.py"
        r"torch\.org|ana"
        r"conda\.(com|org)|--(extra-)?index-url|--find-links)"
    )
    for name in (
        "requirements.txt",
        "requirements-lock.txt",
        "requirements-lock-dev.txt",
        "environment.yml",
        "pyproject.toml",
        "Makefile",
        "README.md",
        "CONTRIBUTING.md",
        ".ci/run",
        *[str(f.relative_to(ROOT)) for f in (ROOT / ".github").rglob("*.yml")],
        *[str(f.relative_to(ROOT)) for f in (ROOT / "tools").glob("*.py")],
    ):
        assert not hosts.search((ROOT / name).read_text(encoding="utf-8")), name
