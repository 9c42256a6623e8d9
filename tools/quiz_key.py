"""The quiz questions of the notebooks with their answers, which the notebooks fold away.

python tools/quiz_key.py                    all notebooks, as Markdown
python tools/quiz_key.py 05_mean_pooling
python tools/quiz_key.py --questions        without the answers, to hand out
"""

import argparse
import re
import sys
from pathlib import Path

from notebook_files import read_notebook
from repository import ROOT

ANSWER = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.S)


def quiz(notebook):
    """[(question, answer)] of a notebook: the paragraph of its own before each folded answer, and the answer."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            end = 0
            for match in ANSWER.finditer(cell.source):
                question = cell.source[end : match.start()].strip()
                question = re.split(r"\n\n(?=\*\*\d+\.\*\*)|^#+ .*$", question, flags=re.M)[-1].strip()
                found.append((question, match[2].strip()))
                end = match.end()
    return found


def main(names, answers=True, root=ROOT):
    """The text for these notebooks, or for all. Exits with the valid names where one is unknown."""
    files = {file.stem: file for file in sorted((root / "notebooks").glob("*.ipynb"))}
    names = [Path(name).stem for name in names] or list(files)
    if unknown := [name for name in names if name not in files]:
        sys.exit(f"unknown notebook: {', '.join(unknown)}\nnotebooks: {', '.join(files) or 'none'}")
    parts = []
    for name in names:
        pairs = quiz(read_notebook(files[name]))
        parts += [f"## {name}", *(f"{question}\n\n> {answer}" if answers else question for question, answer in pairs)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--questions", action="store_true", help="without the answers")
    arguments = parser.parse_args()
    print(main(arguments.names, not arguments.questions))
