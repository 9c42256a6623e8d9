"""The quiz questions of the notebooks with their answers, which the notebooks fold away.

python tools/quiz_key.py                    all notebooks, as Markdown
python tools/quiz_key.py 05_mean_pooling
python tools/quiz_key.py --questions        without the answers, to hand out
"""

import argparse
import re

from notebook_files import available, choose, read_notebook
from repository import ROOT

ANSWER = re.compile(r"<details>\s*<summary>Answer</summary>(.*?)</details>", re.S)


def quiz(notebook):
    """[(question, answer)] of a notebook: the paragraph of its own before each folded answer, and the answer."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            end = 0
            for match in ANSWER.finditer(cell.source):
                question = cell.source[end : match.start()].strip()
                question = re.split(r"\n\n(?=\*\*\d+\.\*\*)|^#+ .*$", question, flags=re.M)[-1].strip()
                found.append((question, match[1].strip()))
                end = match.end()
    return found


def main(names, answers=True, root=ROOT):
    """The text for these notebooks, or for all. Exits with the valid names where one is unknown."""
    parts = []
    for name in choose(names, root):
        pairs = quiz(read_notebook(available(root)[name]))
        parts += [f"## {name}", *(f"{question}\n\n> {answer}" if answers else question for question, answer in pairs)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--questions", action="store_true", help="without the answers")
    arguments = parser.parse_args()
    print(main(arguments.names, not arguments.questions))
