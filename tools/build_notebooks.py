"""notebooks/scripts/NN_name.py -> notebooks/NN_name.ipynb: convert, execute, clean, write.

    python tools/build_notebooks.py                    every notebook that is not in step with its script
    python tools/build_notebooks.py 05_mean_pooling    these, in step or not
    python tools/build_notebooks.py --prose            text, glossary links and layout, where code computes the same

A notebook is executed whole, in its folder, and replaced only when it ran to its end: whatever is in the repository
has been executed in one go from the script beside it. What is stored does not depend on machine or moment: cell ids
are hashes of the cells, times and paths are left out. CONTRIBUTING.md says how a script is written.
"""

import argparse
import ast
import base64
import hashlib
import io
import re
import sys
import time
from pathlib import Path

import glossary
import nbformat
from alt_texts import add_alt
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebook_files import read_notebook, read_script
from PIL import Image
from repository import ROOT, SETUP, links

from course_lib.support.files import atomic_file

WIDGETS = "application/vnd.jupyter.widget-"
KEPT_CELL_METADATA = ("tags", "alt")
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def convert(script):
    """The notebook of a jupytext percent script, not executed.

    It has deterministic ids, links to the glossary, and no other metadata.
    """
    notebook = read_script(script)
    seen = {}
    for cell in notebook.cells:
        # What tools/set_repository.py rewrites does not count: a cell keeps its id when the course moves.
        text = "set-up" if cell.source == SETUP else links().sub("", cell.source)
        key = hashlib.sha256(f"{cell.cell_type}\n{text}".encode()).hexdigest()[:10]
        seen[key] = seen.get(key, 0) + 1
        cell["id"] = key if seen[key] == 1 else f"{key}-{seen[key]}"
        cell["metadata"] = {k: cell.metadata[k] for k in KEPT_CELL_METADATA if k in cell.metadata}
    markdown = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    for cell, source in zip(markdown, glossary.linked([cell.source for cell in markdown], glossary.read())):
        cell["source"] = source  # the id above is that of the cell without these links
    return nbformat.from_dict(
        {"cells": notebook.cells, "metadata": NOTEBOOK_METADATA, "nbformat": 4, "nbformat_minor": 5}
    )


def execute(notebook, folder, timeout=600):
    NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def clean(notebook):
    """Strip what must not be stored, join split streams, and copy each cell's alt text to its images, in place."""
    notebook["metadata"] = nbformat.from_dict(NOTEBOOK_METADATA)
    for cell in notebook.cells:
        cell["metadata"] = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in KEPT_CELL_METADATA})
        if cell.cell_type != "code":
            continue
        outputs = []
        for output in cell.outputs:
            if output.output_type == "stream" and outputs and outputs[-1].get("name") == output.name:
                outputs[-1]["text"] += output.text
                continue
            if "data" in output:
                for mime in [m for m in output.data if m.startswith(WIDGETS)]:
                    del output.data[mime]
                if not output.data:
                    continue
                if "image/png" in output.data:
                    output.data["image/png"] = shrink(output.data["image/png"])
            outputs.append(output)
        cell["outputs"] = outputs
    add_alt(notebook)
    return notebook


def shrink(png):
    """A base64 PNG with at most 256 colours: a third of the size, figures have few, a repository keeps each version.

    Chosen so that no colour is far off, be it of few pixels (maximum coverage), then moved to where most pixels are
    (k-means).
    """
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def in_step(script, file):
    """True when the notebook holds exactly the script's cells, tags and alt texts."""
    if not Path(file).exists():
        return False
    wanted, stored = convert(script).cells, read_notebook(Path(file)).cells
    return [as_text(c) for c in wanted] == [as_text(c) for c in stored]


def as_text(cell):
    return cell.cell_type, cell.get("id"), cell.source, dict(cell.metadata)


class WithoutAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return None


def computed(cell):
    """What a code cell prints and how it is shown, whatever its comments and line breaks, in docstrings too.

    An assert prints nothing, so it may change: the tests run it.
    """
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:  # a line of IPython's
        return cell.source, dict(cell.metadata)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
            node.body[0].value.value = " ".join(text.split())
    return ast.dump(WithoutAsserts().visit(tree)), dict(cell.metadata)


def build(script, file):
    """Convert, execute, clean, and replace `file` in one step. Returns the seconds of the execution."""
    notebook = convert(script)
    start = time.perf_counter()
    execute(notebook, Path(file).parent)
    seconds = time.perf_counter() - start
    nbformat.validate(clean(notebook))
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    leaks = sorted(set(re.findall(re.escape(str(ROOT)) + r"[^\s\"']*", text)))
    if leaks:
        raise ValueError(f"an output holds a path of this machine: {', '.join(leaks[:3])}")
    with atomic_file(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return seconds


def refresh(script, file):
    """Take over the script's Markdown, the layout of its code and its asserts, with the outputs there are.

    True when it could be done: when all code cells have the metadata and, asserts aside, the syntax trees they had.
    """
    notebook, wanted = read_notebook(file), convert(script)
    code, new = ([cell for cell in cells if cell.cell_type == "code"] for cells in (notebook.cells, wanted.cells))
    if [computed(cell) for cell in code] != [computed(cell) for cell in new]:
        return False
    for cell, old in zip(new, code):
        cell["outputs"], cell["execution_count"] = old.outputs, old.execution_count
    with atomic_file(file) as unfinished:
        unfinished.write_text(nbformat.writes(wanted, version=4).rstrip("\n") + "\n", encoding="utf-8")
    return True


def main(names, root=ROOT, prose=False):
    scripts = {path.stem: path for path in sorted((root / "notebooks" / "scripts").glob("*.py"))}
    unknown = [name for name in names if name not in scripts]
    if unknown:
        sys.exit(f"no script for {', '.join(unknown)}; there are: {', '.join(scripts) or 'none'}")
    failed = []
    for name in names or scripts:
        file = root / "notebooks" / f"{name}.ipynb"
        if not names and in_step(scripts[name], file):
            print(f"{name}: in step", flush=True)
            continue
        if prose:
            done = file.exists() and refresh(scripts[name], file)
            print(f"{name}: {'taken over' if done else 'code has changed, run without --prose'}", flush=True)
            failed += [] if done else [name]
            continue
        try:
            print(f"{name}: executed in {build(scripts[name], file):.1f} s", flush=True)
        except (CellExecutionError, ValueError) as error:
            print(f"{name}: FAILED, {file.name} is unchanged\n{error}", flush=True)
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of notebooks, such as 05_mean_pooling")
    parser.add_argument(
        "--prose", action="store_true", help="take over text, links, layout and asserts only; execute nothing"
    )
    arguments = parser.parse_args()
    sys.exit(main([Path(name).stem for name in arguments.names], prose=arguments.prose))
