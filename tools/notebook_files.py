"""The files of notebooks and scripts: which there are, and what is in them, be it with a byte-order mark.

Editors, browsers and mail programs write such a mark, Jupyter and papermill refuse a notebook that begins with one.
Whatever reads notebooks or scripts for the course reads them here.
"""

import codecs
import sys
from pathlib import Path

import nbformat
from repository import ROOT

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def available(root: Path = ROOT) -> dict[str, Path]:
    """{name: file} of the course's notebooks."""
    return {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}


def choose(names: list[str], root: Path = ROOT) -> list[str]:
    """The named notebooks, or all; exits with the list of valid names otherwise."""
    notebooks = available(root)
    names = [Path(name).stem for name in names] or list(notebooks)
    unknown = [name for name in names if name not in notebooks]
    if unknown or not names:
        sys.exit(f"unknown notebook: {', '.join(unknown)}\nnotebooks: {', '.join(notebooks) or 'none'}")
    return names


def mark_of(content: bytes) -> bytes | None:
    """The byte-order mark that a file's content begins with, if any."""
    return next((mark for mark in MARKS if content.startswith(mark)), None)


def text_of(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark; without the mark, and with \\n for each end of a line.

    Errors: UnicodeDecodeError.
    """
    content = file.read_bytes()
    text = content.decode(MARKS.get(mark_of(content), "utf-8"))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_notebook(file: Path, mark: bool = True) -> nbformat.NotebookNode:
    """A notebook, in format 4. With mark=False the file must be one that Jupyter and papermill can open.

    Errors: OSError; ValueError that names the file and says why it is no notebook, or that it has a byte-order mark.
    """
    if not mark and mark_of(file.read_bytes()):
        raise ValueError(f"{file.name} begins with a byte-order mark: Jupyter cannot open it; save it as UTF-8 without")
    try:
        return nbformat.reads(text_of(file), as_version=4)
    except OSError:
        raise
    except Exception as error:  # not JSON, not a notebook, not text: there are many ways
        raise ValueError(f"{file.name} is no notebook: {type(error).__name__}: {str(error)[:200]}") from None


def read_script(file: Path) -> nbformat.NotebookNode:
    """The notebook that a script in jupytext's percent format holds."""
    import jupytext  # which takes as long to import as all else here

    return jupytext.reads(text_of(file), fmt="py:percent")
