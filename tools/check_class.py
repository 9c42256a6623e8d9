"""Check the exercises of a whole class: each learner's functions, run in a kernel, compared with the solutions here.

    python tools/check_class.py FOLDER                         table in FOLDER/results.csv and FOLDER/results.html
    python tools/check_class.py FOLDER --out build/class       table elsewhere
    python tools/check_class.py FOLDER --timeout 30            seconds for each exercise (60)

FOLDER holds FOLDER/<learner>.ipynb, or FOLDER/<learner>/05_mean_pooling.ipynb, or both kinds. Hidden files, links and
.ipynb_checkpoints are skipped. The notebooks are read and never written. A call of check("05.1", f) says which function
is the answer; the cells it needs are run, the others are not. Run again, the command checks what is new or changed.

This runs the learners' code with your rights: docs/teaching.md says what that means. Use a throwaway machine.
"""

import argparse
import ast
import hashlib
import os
import re
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import answers
import cell_code
import learner_kernel
import notebook_files
from cell_code import bound, checks, code, needed, parsed
from learner_kernel import Died, Kernel
from notebook_files import read_notebook
from repository import ROOT

sys.path.insert(0, str(ROOT))
from class_tables import plain, read_table, write_tables

from course_lib.exercises import load_exercises

ONE_OF_OURS = r"(?:\*|check|Exercise|Result)(?: as \w+)?"
SUSPICIOUS = re.compile(
    r"notebooks.{1,3}solutions|\.solution\b|\b(find_exercise|load_exercises)\b"
    rf"|exercises\.(judge\b|outcomes\b|check = )|course_lib\.exercises import (?!{ONE_OF_OURS}(, {ONE_OF_OURS})*$)",
    re.M,
)
LARGEST = 50_000_000  # bytes of a notebook


def solutions():
    """{"05": (file, its exercises)} of every notebook that has exercises."""
    folder = Path(os.environ.get("COURSE_HOME") or ROOT) / "notebooks" / "solutions"
    return {file.stem: (file, load_exercises(file)) for file in sorted(folder.glob("*.py"))}


def submissions(folder):
    """[(learner, file)] in order of the learners' names."""
    found = []
    for path in sorted(folder.rglob("*.ipynb")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if (
            not hidden
            and path.is_file()
            and not any(p.is_symlink() for p in (path, *path.parents) if folder in p.parents)
        ):
            learner = parts[0] if len(parts) > 1 else path.stem
            found.append((unicodedata.normalize("NFC", learner), path))
    return sorted(found)


def read(file):
    """The code cells of a notebook. Errors: ValueError with the reason why it is none."""
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file.stat().st_size:,} bytes: too large to be a notebook")
    return [str(cell.source) for cell in read_notebook(file).cells if cell.cell_type == "code"]


def number_of(file, trees, known):
    """Which notebook of the course a file is ("05"), by its exercises, or else by its name; None if neither tells."""
    named = [name.split(".")[0] for tree in trees for name in checks(tree)]
    named += re.findall(r"^(\d\d)(?!\d)", file.name)
    return next((number for number in named if number in known), None)


def examine(sources, names, file, exercises, seconds):
    """{exercise: (result, detail, seconds)} of one notebook's code cells."""
    sources, trees = [code(source) for source in sources], [parsed(source) for source in sources]
    where = {name: (index, expression) for index, tree in enumerate(trees) for name, expression in checks(tree).items()}
    found = {
        name: ("missing", f'the notebook does not call check("{name}", ...)', 0.0)
        for name in names
        if name not in where
    }
    todo = sorted((name for name in names if name in where), key=lambda name: where[name][0])
    with tempfile.TemporaryDirectory(prefix="course-answers-") as folder:
        while todo:
            done = set()
            with Kernel() as kernel:
                while todo:
                    name, start = todo.pop(0), time.monotonic()
                    kernel.limit(seconds)
                    try:
                        result, detail = one(
                            kernel, sources, trees, where[name], name, done, file, exercises[name], Path(folder)
                        )
                    except (TimeoutError, Died) as error:
                        state = "timed out" if isinstance(error, TimeoutError) else "crashed"
                        found[name] = (state, str(error), time.monotonic() - start)
                        break  # the rest in a new kernel
                    found[name] = (result, detail, time.monotonic() - start)
    return {name: found[name] for name in names}


def one(kernel, sources, trees, place, name, done, file, exercise, folder):
    """(result, detail) of one exercise; `done` holds the cells that this kernel has run."""
    index, expression = place
    cells, failure, claimed = needed(trees, index), None, False
    for number in cells:
        if number not in done:
            printed, error = kernel.run(sources[number])
            done.add(number)
            failure = error or failure
            claimed |= f"{name} right" in printed
    text, error = kernel.answers(file, name, expression, folder)
    if text is None:
        return "crashed", failure or error
    try:
        result = answers.judged(exercise, text)
    except Exception as error:  # an answer made to break the comparison
        return "crashed", f"the answers cannot be judged: {type(error).__name__}"
    reasons = ["says it is right"] * (claimed and not result)
    reasons += ["defines its own check"] * any(map(overrides, filter(None, trees)))
    reasons += ["reaches into the checker or the solutions"] * any(reaches(sources[n]) for n in cells)
    if reasons:
        return "tampered", f"{', '.join(reasons)}; found: {result.kind}"
    return result.kind, result.message


def overrides(tree):
    """True when a cell binds the name `check` otherwise than by importing it from the course."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = {node.name}
        else:
            names = set() if isinstance(node, ast.ImportFrom) and node.module == "course_lib.exercises" else bound(node)
        if "check" in names:
            return True
    return False


def reaches(source):
    """True when a cell's code, not its comments and docstrings, names what belongs to the checker."""
    tree = parsed(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    return bool(tree and SUSPICIOUS.search(ast.unparse(tree)))


def key_of(file, solution, seconds):
    """Changes when the notebook, its exercises, the checker or the time limit do."""
    parts = [f"{seconds:g}".encode(), file.read_bytes()]
    for path in (
        solution,
        ROOT / "course_lib" / "exercises.py",
        *map(Path, (__file__, *(module.__file__ for module in (answers, cell_code, learner_kernel, notebook_files)))),
    ):
        parts.append(path.read_bytes() if path else b"")
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def check_class(folder, out, seconds):
    """Check what out/results.csv does not have yet, writing after each notebook. Returns the rows."""
    known = solutions()
    newest, rows = {}, {}
    for learner, file in sorted(submissions(folder), key=lambda item: item[1].stat().st_mtime):
        try:
            sources, problem = read(file), ""
        except (ValueError, OSError) as error:
            sources, problem = [], str(error)
        number = number_of(file, [parsed(source) for source in sources], known)
        if (learner, number) in newest:
            print(f"older, not checked: {newest[learner, number][0].relative_to(folder)}")
        newest[learner, number] = file, sources, problem
    before = {}
    for row in read_table(out):
        before.setdefault((row["file"], row["key"]), []).append(row)
    todo = []
    for (learner, number), (file, sources, problem) in sorted(
        newest.items(), key=lambda item: (item[0][0], item[0][1] or "")
    ):
        solution, exercises = known.get(number, (None, {}))
        start = {
            "learner": plain(learner),
            "file": plain(file.relative_to(folder).as_posix()),
            "key": key_of(file, solution, seconds),
        }
        if (start["file"], start["key"]) in before:
            rows[file] = before[start["file"], start["key"]]
        else:
            todo.append((file, start, sources, problem, solution, exercises))
    print(f"{len(newest)} notebooks, {len(rows)} of them checked before")
    for position, (file, start, sources, problem, solution, exercises) in enumerate(todo, 1):
        if problem or not exercises:
            state = ("unreadable", problem, 0.0) if problem else ("missing", "no exercise of the course is in it", 0.0)
            found = dict.fromkeys(exercises or [""], state)  # "": we cannot tell which notebook it is
        else:
            found = examine(sources, list(exercises), solution, exercises, seconds)
        rows[file] = [
            {**start, "exercise": name, "result": state, "detail": plain(detail), "seconds": f"{taken:.1f}"}
            for name, (state, detail, taken) in found.items()
        ]
        write_tables(out, rows)
        print(
            f"{position:>4} of {len(todo)}  {start['file']}: "
            + ", ".join(f"{name} {state}" for name, (state, _, _) in found.items()),
            flush=True,
        )
    return write_tables(out, rows) if newest else []


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="where the tables go (FOLDER)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for each exercise (60)")
    arguments = parser.parse_args(arguments)
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")
    if not arguments.timeout > 0:
        parser.error(f"--timeout is {arguments.timeout:g}; expected seconds, more than 0")
    out = arguments.out or arguments.folder
    if not check_class(arguments.folder.resolve(), out, arguments.timeout):
        sys.exit(f"no notebook in {arguments.folder}: expected <learner>.ipynb or <learner>/NN_name.ipynb")
    print(out / "results.html")


if __name__ == "__main__":
    main()
