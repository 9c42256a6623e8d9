"""Batch runs of the notebooks: what `make run` calls before and after papermill, and the whole run without make.

    python tools/batch.py check --notebooks "05_mean_pooling" -- -p seed 1   names and parameters; errors list them
    python tools/batch.py index 05_mean_pooling                              build/index.html; exit code 1 if one failed
    python tools/batch.py run --notebooks "05_mean_pooling" -- -p seed 1     check, papermill, index (without make)

Under build/: NN_name.ipynb ran to its end, partial/NN_name.ipynb did not, parameters/NN_name.yaml holds the parameters
of the last run for papermill, and a fingerprint of what it was made of. It is rewritten only when they change, so that
make executes again exactly then: also where changed files have an old date, as those of an unpacked archive.
"""

import argparse
import hashlib
import html
import sys
from pathlib import Path

from execute import execute
from notebook_files import available, choose, read_notebook
from pages import PAGE, glossary_page, html_of, title_of, write
from parameters import as_yaml, given, read_values
from repository import ROOT

from course_lib.support.files import atomic_file

SOURCES = ("course_lib/**/*.py", "notebooks/solutions/*.py", "data/**/*.*")  # as in the Makefile


def check(names, flags, root=ROOT):
    """Exit with a message on an unknown notebook or parameter, or a value that does not fit.

    Otherwise write each notebook's parameters to its file, on which make depends and which papermill reads.
    """
    names, values, wrong = choose(names, root), {}, []
    try:
        texts = given(flags)
    except ValueError as error:
        sys.exit(str(error))
    for name in names:
        try:
            notebook = read_notebook(available(root)[name], mark=False)
            values[name] = read_values(notebook, texts)
        except ValueError as error:
            wrong += [f"{name}: {line}" for line in str(error).splitlines()]
    if wrong:
        sys.exit("\n".join(wrong))
    sources = [file for pattern in SOURCES for file in root.glob(pattern)]
    library = sha256(sources, root)
    for name in names:
        of = f"# of the library and data {library}, of the notebook {sha256([available(root)[name]], root)}\n"
        file, text = parameter_file(name, root), as_yaml(values[name]) + of
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            with atomic_file(file) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
    return names


def sha256(files, root):
    """Of these files' names and contents."""
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()} {len(content)} ".encode() + content)
    return digest.hexdigest()


def parameter_file(name, root):
    return root / "build" / "parameters" / f"{name}.yaml"


def outcome(name, root):
    """(state, seconds or None, detail, file or None) of the last run; the state is pass, FAIL or not run."""
    built, partial = (root / "build" / folder / f"{name}.ipynb" for folder in ("", "partial"))
    if built.exists():
        seconds = read_notebook(built).metadata.get("papermill", {}).get("duration")
        if built.stat().st_mtime < available(root)[name].stat().st_mtime:
            return "FAIL", seconds, "out of date: the notebook is newer than its run", built
        return "pass", seconds, "", built
    log = partial.with_suffix(".log")
    last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1] if log.exists() else ""
    if not partial.exists():
        return ("FAIL", None, f"did not start: {last}", None) if last else ("not run", None, "", None)
    try:
        notebook = read_notebook(partial)
    except ValueError:  # killed while it wrote
        return "FAIL", None, f"stopped before its end: {last}", None
    seconds = notebook.metadata.get("papermill", {}).get("duration")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
                first = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
                detail = f"cell In [{cell.execution_count}]: {first}\n{output.ename}: {output.evalue}"
                return "FAIL", seconds, detail, partial
    return "FAIL", seconds, f"stopped before its end: {last}", partial


def index(names, root=ROOT):
    """Write build/index.html over all notebooks and print a line for each chosen one. Returns the exit code."""
    names = choose(names, root)
    build = root / "build"
    build.mkdir(exist_ok=True)
    rows, failed = [], []
    for name, file in available(root).items():
        state, seconds, detail, source = outcome(name, root)
        page = build / f"{name}.html"
        if source is None:
            page.unlink(missing_ok=True)
        elif not page.exists() or page.stat().st_mtime <= source.stat().st_mtime:
            write(page, html_of(read_notebook(source), name))
        time = "" if seconds is None else f"{seconds:.1f}"
        link = f'<a href="{name}.html">{name}</a>' if source else name
        result = state + "".join(f"<br><code>{html.escape(line)}</code>" for line in detail.splitlines())
        try:
            title = html.escape(title_of(read_notebook(file)) or name)
        except ValueError:  # one of the others
            title = html.escape(name)
        rows.append(
            f"<tr><td>{link}</td><td>{title}</td><td>{time}</td>"
            f'<td class="{state.split()[0].lower()}">{result}</td></tr>'
        )
        if name in names:
            print(f"{state:8}{name}" + (f"  {time} s" if time else ""), *detail.splitlines(), sep="\n        ")
            failed += [name] if state != "pass" else []
    glossary = '<p><a href="glossary.html">Glossary</a></p>' if glossary_page(root) else ""
    page = build / "index.html"
    write(page, PAGE.format(rows="\n".join(rows), glossary=glossary))
    page = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page  # which may be on another drive
    print(f"{len(names) - len(failed)} of {len(names)} passed: {page}")
    return 1 if failed else 0


def run(names, flags, root=ROOT):
    """The whole batch run, one notebook after the other, skipping nothing. Returns the exit code."""
    names = check(names, flags, root)
    for name in names:
        execute(name, root)
    return index(names, root)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("check", "run"):
        sub = commands.add_parser(command)
        sub.add_argument("--notebooks", default="", help="names, separated by blanks; all if empty")
    commands.add_parser("index").add_argument("names", nargs="*")
    # What follows -- are parameters: argparse must not look at it.
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments, flags = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    if arguments.command == "index":
        sys.exit(index(arguments.names))
    elif arguments.command == "run":
        sys.exit(run(arguments.notebooks.split(), flags))
    check(arguments.notebooks.split(), flags)
