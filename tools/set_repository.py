"""Name the repository in which the course is published, and with it every link of the course to itself.

    python tools/set_repository.py owner/name                   another repository
    python tools/set_repository.py owner/name --branch v1.0     ... at this branch or tag
    python tools/set_repository.py                              as tools/repository.py says: badges, links, set-up cells

Rewritten are links, badges and set-up cells in scripts, notebooks and documents, and the two constants of
tools/repository.py. Notebooks are not executed again: their cell ids and outputs stay. All new texts are written
before the first takes its place, the constants last: after an interruption the same call finishes the work.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from notebook_files import text_of
from repository import BRANCH, REPOSITORY, ROOT, SETUP, links, pages_url

SUFFIXES = {".cff", ".html", ".ipynb", ".j2", ".md", ".py", ".toml", ".txt", ".yml"}
LEFT_OUT = {
    ".git",
    ".import_linter_cache",
    ".ipynb_checkpoints",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "node_modules",
}
CONSTANTS = "tools/repository.py"
SETUP_IN_SCRIPT = re.compile(r'^(# %% tags=\["setup"\]\n).*?(?=\n*(?:^# %%|\Z))', flags=re.M | re.S)


def checked_repository(name):
    """`name` itself where GitHub allows it as owner/name; ValueError otherwise."""
    owner, _, repository = name.partition("/")
    if (
        not re.fullmatch(r"[A-Za-z\d](?:-?[A-Za-z\d]){0,38}", owner)
        or not re.fullmatch(r"[\w.-]{1,100}", repository, re.A)
        or repository in (".", "..")
        or repository.lower().endswith(".git")
    ):
        raise ValueError(
            f"{name!r} does not name a repository: expected owner/name as GitHub writes it, without host, "
            f"scheme or .git, for example {REPOSITORY}"
        )
    return name


def checked_branch(name):
    """`name` itself where git and a link both take it as a branch or tag; ValueError otherwise."""
    parts = name.split("/")
    if any(
        not re.fullmatch(r"[\w][\w.-]*", part, re.A) or ".." in part or part.endswith((".", ".lock")) for part in parts
    ):
        raise ValueError(
            f"{name!r} does not name a branch or tag: expected letters, digits and . _ - /, for example main or v1.0"
        )
    return name


def text_files():
    """The course's own text files, without what git ignores."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.endswith(".egg-info"))
        yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix in SUFFIXES)


def rewritten(path, repository, branch):
    """The file's text with links and set-up cells for the new place."""
    text = text_of(path)
    place = path.relative_to(ROOT).as_posix()

    def move(text):
        text = text.replace(pages_url(), pages_url(repository))
        return links().sub(lambda m: m[1] + repository + (m[2] + branch if m[2] else ""), text)

    setup = move(SETUP).replace(f'"--branch", "{BRANCH}"', f'"--branch", "{branch}"')
    if place == CONSTANTS:
        for name, value in (("REPOSITORY", repository), ("BRANCH", branch)):
            text, number = re.subn(rf'^{name} = "[^"]*"', f'{name} = "{value}"', text, flags=re.M)
            if number != 1:
                raise ValueError(f"{path} has {number} lines that set {name}; expected one")
        return text
    if path.suffix == ".ipynb":
        notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
        for cell in notebook.cells:
            cell.source = setup if "setup" in cell.metadata.get("tags", []) else move(cell.source)
        return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"
    if place.startswith("notebooks/scripts/"):
        text = SETUP_IN_SCRIPT.sub(lambda m: m[1] + setup, text)
    return move(text)


def write_all(texts):
    """Write {path: text}, all beside their files first; then each takes its file's place, in the order given."""
    partial = {path: path.with_name(f".{path.name}.partial") for path in texts}
    try:
        for path, text in texts.items():
            partial[path].write_text(text, encoding="utf-8", newline="\n")
            shutil.copymode(path, partial[path])
        for path in texts:
            os.replace(partial[path], path)
    finally:
        for file in partial.values():
            file.unlink(missing_ok=True)


def set_repository(repository=REPOSITORY, branch=BRANCH):
    """Rewrite what names the course; returns the changed files. ValueError on a malformed name, nothing changed."""
    checked_repository(repository)
    checked_branch(branch)
    texts = {path: rewritten(path, repository, branch) for path in text_files()}
    changed = {path: text for path, text in texts.items() if text_of(path) != text}
    write_all(dict(sorted(changed.items(), key=lambda item: item[0] == ROOT / CONSTANTS)))
    return list(changed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", nargs="?", default=REPOSITORY, help=f"owner/name; now {REPOSITORY}")
    parser.add_argument(
        "--branch", "--tag", default=BRANCH, help=f"the branch or tag that links and Colab take; now {BRANCH}"
    )
    arguments = parser.parse_args()
    try:
        files = set_repository(arguments.repository, arguments.branch)
    except ValueError as error:
        sys.exit(str(error))
    print(*(f"changed {path.relative_to(ROOT).as_posix()}" for path in files), sep="\n", end="\n" if files else "")
    print(f"{arguments.repository} at {arguments.branch}: {len(files)} files changed")
