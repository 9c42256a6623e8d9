"""docs/library.md: each file of course_lib, what it is, and the notebooks that use it. Made from the code.

python tools/library_map.py      writes docs/library.md
"""

import ast

from notebook_files import text_of
from repository import ROOT

LIBRARY, SCRIPTS, PAGE = ROOT / "course_lib", ROOT / "notebooks" / "scripts", ROOT / "docs" / "library.md"
CORE = (  # in the order in which to read them
    *("similarity", "pooling", "attention", "bert", "transformer", "modules"),
    *("encoder", "losses", "siamese", "training", "data", "evaluation"),
)
HEAD = """\
# The library, file by file

`course_lib` has a core of twelve files: an evening's reading, {lines} lines with their docstrings. What single chapters
need lies in rooms below it, and what no chapter explains in `support`. The core imports only itself and `support`;
`pyproject.toml` has the rules, and `make check` checks them. A learner reads the core from top to bottom, and of the
rooms those of the chapter at hand.

Each file begins with what it does and what it leaves out on purpose. This page is made from these first sentences by
`tools/library_map.py`.
"""


def summary(path):
    """The first sentence of a file's docstring, in one line."""
    paragraph = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def imports(script):
    """The modules of course_lib that a script imports, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(text_of(script))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "course_lib":
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def table(paths, users):
    lines = ["", "| file | what it is | notebooks |", "|---|---|---|"]
    for path in paths:
        place = path.relative_to(ROOT).as_posix()
        used = [f"[{stem[:2]}](../notebooks/{stem}.ipynb)" for stem in users if place in users[stem]]
        lines.append(f"| [{path.relative_to(LIBRARY).as_posix()}](../{place}) | {summary(path)} | {' '.join(used)} |")
    return lines


def page():
    """The text of docs/library.md."""
    users = {
        script.stem: {f"{name.replace('.', '/')}.py" for name in imports(script)}
        for script in sorted(SCRIPTS.glob("*.py"))
    }
    core = [LIBRARY / f"{name}.py" for name in CORE]
    beside = [path for path in sorted(LIBRARY.glob("*.py")) if path not in core and path.stem != "__init__"]
    lines = [HEAD.format(lines=f"{sum(len(path.read_text(encoding='utf-8').splitlines()) for path in core):,}")]
    lines += ["## The core", *table(core, users), "", "## Beside it", *table(beside, users)]
    for room in sorted(LIBRARY.glob("*/__init__.py")):
        files = [path for path in sorted(room.parent.glob("*.py")) if path != room]
        lines += ["", f"## {room.parent.name}/", "", summary(room), *table(files, users)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
