"""Linux, macOS, Windows: what can be checked of it on one of them, by reading the code."""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
import torch
from check_notebooks import code_cells, tags
from repository import ROOT
from safetensors.torch import save_file
from set_repository import LEFT_OUT

from course_lib.support.folders import read_weights
from course_lib.support.training_checkpoint import load_checkpoint, save_checkpoint

CODE = [
    file
    for folder in ("course_lib", "tools", "recipes", "benchmarks", "notebooks")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if file.name != "damage.py"  # a campaign of the developers, on Linux: it limits the memory of forked processes
]
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os.fork",
    "os.forkpty",
    "os.getuid",
    "os.geteuid",
    "os.getpgid",
    "os.kill",
    "os.killpg",
    "os.setsid",
    "os.sched_getaffinity",
    "os.sched_setaffinity",
    "os.uname",
    "os.mkfifo",
    "signal.SIGKILL",
    "signal.SIGALRM",
    "signal.SIGHUP",
    "signal.SIGUSR1",
    "signal.alarm",
    "signal.setitimer",
    "signal.pause",
    "ctypes.windll",
}
NO_TEXT = {"Image", "os", "tarfile", "webbrowser", "zipfile"}  # whose open() is another


def text_without_encoding(tree):
    """Lines that open, read or write text in whatever encoding the system prefers: on Windows it is not UTF-8."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = (
            node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
        )
        given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
        modes = [
            a.value
            for a in given
            if isinstance(a, ast.Constant) and isinstance(a.value, str) and re.fullmatch(r"[rwaxbt+]{1,4}", a.value)
        ]
        binary = (
            any("b" in mode for mode in modes)
            or owner in ("gzip", "bz2", "lzma")
            and not any("t" in mode for mode in modes)
        )
        if name in ("read_text", "write_text") or name in ("open", "fdopen") and owner not in NO_TEXT and not binary:
            yield node.lineno, ast.unparse(node)


def posix_only(tree):
    """Lines that need a Unix, outside a try and outside an if that asks first."""
    guarded = set()
    for node in ast.walk(tree):
        asks = isinstance(node, (ast.If, ast.IfExp)) and re.search(
            r"hasattr|os\.name|sys\.platform", ast.unparse(node.test)
        )
        if asks or isinstance(node, ast.Try):
            guarded.update(ast.walk(node))
    for node in ast.walk(tree):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        used = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if node not in guarded and (POSIX_MODULES & set(names) or used in POSIX_NAMES):
            yield node.lineno, used or ", ".join(names)


def shell_isms(tree):
    """Lines that start programs other than this Python, or name a place by a path that only one system has."""
    for node in ast.walk(tree):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        python = isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]).startswith("[sys.executable, ")
        if not python and re.match(
            r"(subprocess\.|os\.(system|popen|exec|spawn|startfile)|get_ipython|commands\.|pty\.)", called
        ):
            yield node.lineno, called
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.match(r"(/|~|\.\.?/|[A-Za-z]:[\\/])[\w.~-]*[\w./\\-]+$", node.value)
        ):
            yield node.lineno, node.value


@pytest.mark.parametrize(
    "find, text, found",
    [
        (text_without_encoding, "open('a')", 1),
        (text_without_encoding, "path.open('w')", 1),
        (text_without_encoding, "path.read_text()", 1),
        (text_without_encoding, "path.write_text(x, newline='')", 1),
        (text_without_encoding, "gzip.open(p, 'rt')", 1),
        (text_without_encoding, "open(f, mode='a')", 1),
        (text_without_encoding, "open('a', 'rb'); path.open('wb'); gzip.open(p); Image.open(p)", 0),
        (text_without_encoding, "open(a, encoding='utf-8'); path.read_text(encoding='utf-8'); path.read_bytes()", 0),
        (posix_only, "import fcntl", 1),
        (posix_only, "from resource import getrusage", 1),
        (posix_only, "os.fork()", 1),
        (posix_only, "x = signal.SIGKILL", 1),
        (posix_only, "if x:\n    os.fork()", 1),
        (posix_only, "try:\n    import fcntl\nexcept ImportError:\n    pass", 0),
        (posix_only, "x = os.fork() if hasattr(os, 'fork') else 0", 0),
        (posix_only, "if sys.platform == 'win32':\n    ctypes.windll.x()", 0),
        (shell_isms, "os.system('ls')", 1),
        (shell_isms, "subprocess.run(['ls'])", 1),
        (shell_isms, "subprocess.Popen(['python', '-c', code])", 1),
        (shell_isms, "subprocess.Popen([sys.executable, '-c', code])", 0),
        (shell_isms, "open('/tmp/x')", 1),
        (shell_isms, "x = '~/data'", 1),
        (shell_isms, "p = 'C:\\\\data'", 1),
        (shell_isms, "read('../data/a.csv')", 1),
        (shell_isms, "'course/sts', 'a / b', '/', 'https://a.org/b'", 0),
    ],
)
def test_what_the_searches_find(find, text, found):
    assert len(list(find(ast.parse(text)))) == found


@pytest.mark.parametrize("find", [text_without_encoding, posix_only])
def test_library_tools_and_recipes(find):
    assert len(CODE) > 40
    assert {
        file.relative_to(ROOT).as_posix(): list(find(ast.parse(file.read_text(encoding="utf-8"))))
        for file in CODE
        if any(find(ast.parse(file.read_text(encoding="utf-8"))))
    } == {}


@pytest.mark.parametrize("file", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda file: file.stem)
def test_notebooks(file):
    """No shell, no magics, no path of one system: the set-up cell (and INSTALL) starts a program, only in Colab."""
    cells = [
        cell.source
        for cell in code_cells(nbformat.read(file, as_version=4))
        if not {"setup", "install"} & set(tags(cell))
    ]
    trees = [ast.parse(cell) for cell in cells]  # a magic or a ! is no Python
    assert [
        line for tree in trees for find in (shell_isms, text_without_encoding, posix_only) for line in find(tree)
    ] == []


def files():
    """Every file of the course that git would take."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.endswith(".egg-info")]
        yield from (
            Path(folder, name)
            for name in names
            if name not in (".DS_Store", ".coverage") and not name.endswith((".pyc", ".partial"))
        )


def test_names_of_files_are_valid_everywhere():
    places = [file.relative_to(ROOT).as_posix() for file in files()]
    assert len(places) > 100
    assert [
        place for place in places if not re.fullmatch(r"[A-Za-z0-9._/-]{1,150}", place) or place.endswith(".")
    ] == []
    reserved = re.compile(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", flags=re.I)
    assert [place for place in places if reserved.search(place)] == []
    assert len({place.lower() for place in places}) == len(places)


def test_line_ends():
    """git stores and checks out LF on every system, and leaves alone what is no text."""
    attributes = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert attributes[0] == "* text=auto eol=lf"
    binary = {line.split()[0].removeprefix("*") for line in attributes if line.endswith(" binary")}
    contents = {file: file.read_bytes() for file in files()}
    assert {file.suffix for file, content in contents.items() if b"\0" in content} <= binary
    assert [str(file) for file, content in contents.items() if b"\r\n" in content and file.suffix not in binary] == []


def test_the_workflow_runs_three_systems_as_the_page_says():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8").split("## Without make")[1].split("\n## ")[0]
    assert re.search(r"os: \[ubuntu, macos, windows\]", workflow) and 'python: ["3.11", "3.12", "3.13"]' in workflow
    commands = re.findall(r"^ +\.venv/Scripts/python (.+)$", workflow, flags=re.M)
    assert len(commands) == 4 and all(f".venv/bin/python {command}" in page for command in commands)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="the system does not tell what is mapped")
def test_no_file_stays_mapped(tmp_path):
    """Windows replaces no file that a process has mapped into memory: what was read is a copy."""

    def mapped():
        return str(tmp_path) in Path("/proc/self/maps").read_text(encoding="utf-8")

    save_file(
        {"a": torch.ones(100_000), "b": torch.arange(100_000), "c": torch.ones(9, dtype=torch.float16)},
        tmp_path / "model.safetensors",
    )
    weights = read_weights(tmp_path)
    assert weights["c"].dtype == torch.float32 and weights["b"].dtype == torch.int64 and not mapped()
    model = torch.nn.Linear(300, 300)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(300)).sum().backward()
    optimizer.step()
    save_checkpoint(
        tmp_path / "checkpoint", model, optimizer, {"step": 1, "settings": {}, "history": [], "seconds": 0.0}
    )
    load_checkpoint(tmp_path / "checkpoint", model, optimizer, {})
    assert len(optimizer.state_dict()["state"]) == 2 and not mapped()


def test_what_tools_print_is_ascii():
    """A terminal of Windows may know no more, and a pipe there: help texts and messages."""
    for file in (ROOT / "tools").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert (ast.get_docstring(tree) or "").isascii(), file.name
        for node in ast.walk(tree):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("print", "sys.exit", "parser.error") or called.endswith((".add_argument", "Error")):
                assert ast.unparse(node).isascii(), (file.name, node.lineno)
