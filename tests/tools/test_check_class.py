"""A class's notebooks are judged by what their functions return, whatever they print, patch or break."""

import csv
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import answers
import check_class
import learner_kernel
import nbformat
import numpy as np
import pytest
import torch
from cell_code import checks, needed, parsed
from check_class import examine, overrides, reaches, submissions
from class_tables import plain
from repository import ROOT

from course_lib.exercises import judge, load_exercises

SOLUTIONS = """
from course_lib.exercises import Exercise

EXERCISES = {
    f"90.{i}": Exercise(
        title="Add two numbers",
        cases={"small": (1, 2), "with zero": (0, 5)},
        solution=lambda a, b: a + b,
        wrong=[(lambda a, b: a - b, "You subtract."), (lambda a, b: a * b, "You multiply."), (max, "You compare.")],
    ) for i in range(1, 16)
}
"""
IMPORT, STAR = "from course_lib.exercises import check", "from course_lib.exercises import *"
SECONDS = 5.0


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def answer(number, body, name="add"):
    return f'def {name}(a, b):\n    {body}\n\ncheck("90.{number}", {name})'


@pytest.fixture(scope="module", autouse=True)
def course(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    (root / "notebooks" / "solutions").mkdir(parents=True)
    (root / "notebooks" / "solutions" / "90.py").write_text(SOLUTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(root))
        yield root


def found(course, *cells, seconds=SECONDS):
    """{exercise: (result, detail)} of a notebook, without the exercises that it does not have."""
    file = course / "notebooks" / "solutions" / "90.py"
    exercises = load_exercises(file)
    results = examine(cells, list(exercises), file, exercises, seconds)
    assert list(results) == list(exercises) and all(taken < seconds + 5 for _, _, taken in results.values())
    return {name: (state, detail) for name, (state, detail, _) in results.items() if state != "missing"}


def test_results_of_one_notebook(course):
    """In one kernel: each exercise is judged by its own cells, as they were when its cell ran, whatever magics say."""
    results = found(
        course,
        STAR,
        "1 / 0",  # broken, and nobody's business
        "%matplotlib inline\nimport time\ntime.sleep(1000)",  # not needed, so not run
        "def plus(a, b):\n    return a + b",
        answer(1, "return plus(a, b)"),
        answer(2, "return a - b"),  # the same name, another function
        answer(3, "..."),
        answer(4, "return a + b + 0.5"),
        answer(5, "return undefined + a"),
        answer(6, "return a + b", "broken").replace("def broken", "def "),  # SyntaxError
        'print("x" * 30_000_000)\n' + answer(7, "open('left.txt', 'w').close(); print(a); return a + b"),
        'check("90.8", 3)',
        answer(9, "raise SystemExit"),
        "%%time\n" + answer(10, "return a + b"),
        "%%timeit -n 1 -r 1\n" + answer(11, "return a + b"),
        "%%capture out\n%%time\nimport operator\nprint('captured')",
        "out.show()\n%time third = lambda a, b: operator.add(a, b)\n%time check('90.12', third)",
        "%%nobody_knows --this magic\ndef fourth(a, b):\n    return a + b",
        "!exit 1\ncheck(answer=fourth, name='90.13')",
        "%%writefile mine.py\ndef fifth(a, b):\n    return a + b",
        "from mine import fifth\ncheck('90.14', fifth)",
        "%%bash\ncheck('90.15', no Python at all)",
    )
    assert {name: state for name, (state, _) in results.items()} == {
        "90.1": "right",
        "90.2": "known mistake",
        "90.3": "not attempted",
        "90.4": "wrong",
        "90.5": "wrong",
        "90.7": "right",
        "90.8": "wrong",
        "90.9": "crashed",
        **{f"90.{number}": "right" for number in range(10, 15)},
    }  # 90.6 is no Python: it calls no check
    assert results["90.2"][1] == "You subtract."
    assert "too large" in results["90.4"][1] and "raises NameError: name 'undefined'" in results["90.5"][1]
    assert "give the function itself" in results["90.8"][1] and "SystemExit" in results["90.9"][1]


def test_a_kernel_whose_port_is_taken_starts_once_more(monkeypatch):
    """Its ports are chosen before it opens them: here another program is faster, the first time."""
    start, taken = learner_kernel.KernelManager.start_kernel, []

    def and_take_a_port(manager, **settings):
        start(manager, **settings)
        if not taken:
            taken.append(socket.create_server(("127.0.0.1", manager.shell_port)))

    monkeypatch.setattr(learner_kernel.KernelManager, "start_kernel", and_take_a_port)
    try:
        with learner_kernel.Kernel() as kernel:
            assert kernel.run("print(1 + 1)") == ("2\n", None)
    finally:
        taken[0].close()


def test_a_notebook_that_hangs_or_dies_loses_only_that_exercise(course):
    results = found(
        course,
        IMPORT,
        answer(1, "import time; time.sleep(1000)"),
        answer(2, "while True: print('x' * 1000)"),
        answer(3, "import os; os._exit(3)"),
        answer(4, "return a + b"),
        seconds=2.0,
    )
    assert [state for state, _ in results.values()] == ["timed out", "timed out", "crashed", "right"], results
    assert results["90.1"][1] == "not done after 2 s" and "the kernel ended" in results["90.3"][1]


SAID = "print('{0} right: 2 of 2 cases agree.')"
FAKES = {
    "printed, by the cell or the function; or the solution is called": [
        IMPORT,
        SAID.format("90.1") + "\n" + answer(1, "return 7"),
        answer(2, SAID.format("90.2") + "; return 7"),
        "from course_lib.exercises import find_exercise",
        answer(3, "return find_exercise('90.3').solution(a, b)"),
    ],
    "own check": ["def check(name, answer):\n    print(name, 'right: 2 of 2 cases agree.')", answer(1, "return 7")],
    "patched judge": [
        "import course_lib.exercises as e\ne.judge = lambda *_: e.Result('right', '2 of 2')\ncheck = e.check",
        answer(1, "return 7"),
    ],
}


@pytest.mark.parametrize("fake", FAKES)
def test_a_faked_result_is_not_right(fake, course):
    """And one that cannot come out of the kernel is none."""
    results = found(course, *FAKES[fake], "import os\nos.replace = print\n" + answer(9, "return a + b"))
    state, detail = results.pop("90.9")
    assert (state, detail) == ("crashed", "the answers were not written")
    for state, detail in results.values():
        assert state == "tampered", detail


@pytest.fixture
def folder(tmp_path):
    """A class, as it comes out of a mailbox."""
    right, wrong = notebook(IMPORT, answer(1, "return a + b")), notebook(IMPORT, answer(1, "return a * b"))
    for name, content in {
        "alice.ipynb": right,
        "Zoë 岡 O'Neil/90_example.ipynb": wrong,
        "=SUM(A1).ipynb": wrong,
        "carl/sub folder/my notebook (2).ipynb": right,
        "dora/90_x.ipynb": notebook("print(1)"),
        "emil.ipynb": notebook("print(1)"),
        ".hidden.ipynb": right,
        "alice/.ipynb_checkpoints/90_x.ipynb": right,
        "__MACOSX/._alice.ipynb": right,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(content, tmp_path / name)
    for name, content in {
        "json": b"{not json",
        "empty": b"",
        "bytes": b"\xff\xfe\x00",
        "list": b"[1, 2]",
        "old": b'{"nbformat": 1}',
    }.items():
        (tmp_path / f"broken {name}.ipynb").write_bytes(content)
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "alice.ipynb")
    return tmp_path


def test_submissions(folder):
    assert {(learner, file.name) for learner, file in submissions(folder)} == {
        ("alice", "alice.ipynb"),
        ("Zoë 岡 O'Neil", "90_example.ipynb"),
        ("=SUM(A1)", "=SUM(A1).ipynb"),
        ("carl", "my notebook (2).ipynb"),
        ("dora", "90_x.ipynb"),
        ("emil", "emil.ipynb"),
        *((f"broken {kind}", f"broken {kind}.ipynb") for kind in ("json", "empty", "bytes", "list", "old")),
    }


def digest(folder):
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*.ipynb") if file.is_file()}


def test_a_class(folder, capsys, monkeypatch):
    late = folder / "carl", folder / "=SUM(A1).ipynb"  # who hand in when the others have been checked
    for path in late:
        path.rename(folder.with_name("late " + path.name))
    before = digest(folder)
    command = [sys.executable, str(ROOT / "tools" / "check_class.py"), str(folder), "--timeout", "60"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digest(folder) == before and not (folder / "left.txt").exists()

    with open(folder / "results.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    state = {(row["learner"], row["exercise"]): row["result"] for row in rows}
    assert state["alice", "90.1"] == "right" and state["alice", "90.2"] == "missing"
    assert state["Zoë 岡 O'Neil", "90.1"] == "known mistake"
    assert state["dora", "90.1"] == "missing" and state["emil", ""] == "missing"
    assert all(state[f"broken {kind}", ""] == "unreadable" for kind in ("json", "empty", "bytes", "list", "old"))
    page = (folder / "results.html").read_text(encoding="utf-8")
    assert (
        '<th scope="row">Zoë 岡 O&#x27;Neil</th><td class="known-mistake">- known mistake</td>' in page
        and "You multiply." in page
    )

    # Again: nothing is run, the table is the same. New ones, or a change: only these. A broken table: all.
    table = (folder / "results.csv").read_bytes()
    ran = []
    monkeypatch.setattr(
        check_class, "examine", lambda cells, names, *_: ran.append(cells) or dict.fromkeys(names, ("right", "", 0.0))
    )
    check_class.check_class(folder, folder, 60.0)
    assert ran == [] and (folder / "results.csv").read_bytes() == table
    for path in late:
        folder.with_name("late " + path.name).rename(path)
    rows = check_class.check_class(folder, folder, 60.0)
    assert len(ran) == 2 and {"carl", "'=SUM(A1)", "alice"} < {row["learner"] for row in rows}
    ran.clear()
    nbformat.write(notebook(IMPORT, answer(1, "return b + a")), folder / "alice.ipynb")
    check_class.check_class(folder, folder, 60.0)
    assert len(ran) == 1 and "b + a" in ran[0][1]
    check_class.check_class(folder, folder, 61.0)  # another time limit may change any result
    assert len(ran) == 6
    (folder / "results.csv").write_bytes(b"\x00\xff")
    check_class.check_class(folder, folder, 61.0)
    assert len(ran) == 11


def test_an_interrupted_run_goes_on_where_it_was(folder, monkeypatch, capsys):
    ran = []

    def third_is_interrupted(cells, names, *_):
        ran.append(cells)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return dict.fromkeys(names, ("right", "", 0.0))

    monkeypatch.setattr(check_class, "examine", third_is_interrupted)
    with pytest.raises(KeyboardInterrupt):
        check_class.check_class(folder, folder / "out", SECONDS)
    rows = check_class.check_class(folder, folder / "out", SECONDS)
    assert len(ran) == 6 and len({row["file"] for row in rows}) == 11  # five can be run; one of them twice
    assert not list(folder.rglob("*.partial"))


def test_the_newest_of_two_counts(tmp_path, monkeypatch, capsys):
    for name, age in (("a/90_old.ipynb", 100), ("a/90_new.ipynb", 10)):
        (tmp_path / "a").mkdir(exist_ok=True)
        nbformat.write(notebook(IMPORT, answer(1, "return 1")), tmp_path / name)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(check_class, "examine", lambda cells, names, *_: dict.fromkeys(names, ("right", "", 0.0)))
    rows = check_class.check_class(tmp_path, tmp_path, SECONDS)
    assert {row["file"] for row in rows} == {
        "a/90_new.ipynb"
    } and "older, not checked: a/90_old.ipynb" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [(["none"], "is no folder"), ([".", "--timeout", "0"], "more than 0"), (["."], "no notebook in")],
)
def test_wrong_use(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        check_class.main(arguments)
    assert (
        caught.value.code != 0
        and message in f"{caught.value.code}{capsys.readouterr().err}"
        and not list(tmp_path.iterdir())
    )


def test_needed_cells():
    cells = [
        "import torch",
        "x = 1",
        "def helper(v):\n    return v + x",
        "y = 2",
        "x += 1",
        "z['k'] = y",
        "%%time\nq = 1",
        "broken(",
        "def f(a):\n    return helper(a) + q",
        "1" + " + 1" * 20_000,
    ]
    trees = [parsed(cell) for cell in cells]
    assert needed(trees, 8) == [1, 2, 4, 6, 8] and trees[7] is trees[9] is None
    assert needed([parsed("from lib import *"), parsed("f = g")], 1) == [0, 1]


@pytest.mark.parametrize(
    "cell, expected",
    [
        ('check("90.1", f)', {"90.1": "f"}),
        (
            'e.check("90.1", lambda a, b: a)\nresult = check("90.2", answer=f.g)',
            {"90.1": "lambda a, b: a", "90.2": "f.g"},
        ),
        ('check(name, f)\ncheck("90.1")\nother("90.1", f)', {}),
    ],
)
def test_calls_of_check(cell, expected):
    assert checks(parsed(cell)) == expected


@pytest.mark.parametrize(
    "cell, expected",
    [
        (IMPORT, False),
        (f"{IMPORT}\ndef f():\n    check = 1", False),
        ("def check(n, a): pass", True),
        ("check = print", True),
        ("from mine import check", True),
        ("import mine as check", True),
        ('check("90.1", f)', False),
    ],
)
def test_overrides(cell, expected):
    assert overrides(parsed(cell)) == expected


@pytest.mark.parametrize(
    "cell, expected",
    [
        (IMPORT, False),
        (STAR, False),
        (f"{IMPORT}; x = 1  # not judge", False),
        ("from course_lib.exercises import (\n    check, Exercise as E\n)", False),
        ("from course_lib.exercises import check as verify", False),
        ("# I looked at notebooks/solutions/05.py only afterwards", False),
        ("def f(a):\n    'As in notebooks/solutions/05.py.'", False),
        ("%%time\nimport course_lib.exercises\ncourse_lib.exercises.check('90.1', f)", False),
        ("from course_lib.exercises import check, judge", True),
        ("from course_lib.exercises import (find_exercise)", True),
        ("%%capture\nfrom course_lib.exercises import Exercise, load_exercises", True),
        (f"{STAR}\nf = find_exercise('90.1').solution", True),
        ("exercises.judge = print", True),
        ("exercises . check = print", True),
        ("exec('from course_lib.exercises import judge')", True),
        ("open(home + '/notebooks/solutions/05.py')", True),
        ("%run ../notebooks/solutions/05.py", True),
    ],
)
def test_reaching_into_the_checker(cell, expected):
    assert reaches(cell) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks(encoding, tmp_path):
    (tmp_path / "zoë.ipynb").write_text(nbformat.writes(notebook(IMPORT, "x = 'ë'")), encoding=encoding)
    assert check_class.read(tmp_path / "zoë.ipynb") == [IMPORT, "x = 'ë'"]


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        True,
        float("inf"),
        "text",
        None,
        ...,
        [1, "a"],
        (1, 2),
        {1, 2},
        {"a": torch.ones(2), 3: "b"},
        torch.arange(6.0).reshape(2, 3),
        np.eye(2),
        np.float32(2),
        torch.tensor(3),
        torch.ones(2, dtype=torch.bfloat16),
        torch.zeros(0, 3),
        ValueError("x"),
        KeyError("x"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
    ],
)
def test_answers_survive_the_journey(value):
    import json

    from course_lib.exercises import difference

    back = answers.decode(json.loads(json.dumps(answers.encode(value))))
    assert (
        type(back) is type(value)
        if isinstance(value, Exception)
        else difference(back, value) is None or value in (None, ...)
    )
    assert value not in (None, ...) or back is value if not hasattr(value, "shape") else True


def test_what_cannot_travel_equals_nothing():
    class Mine(Exception):
        pass

    assert (
        answers.decode(answers.encode(Path("x"))) != Path("x")
        and type(answers.decode(answers.encode(Mine()))) is not Mine
    )
    with pytest.raises(MemoryError):
        answers.encode(np.zeros(answers.LARGEST + 1))


@pytest.mark.parametrize("file", sorted((ROOT / "notebooks" / "solutions").glob("*.py")), ids=lambda file: file.stem)
def test_exercises_of_the_course_are_judged_as_check_judges_them(file, tmp_path):
    for name, exercise in load_exercises(file).items():
        for number, (function, message) in enumerate([(exercise.solution, None), *exercise.wrong]):
            answers.collect(str(file), name, lambda: function, str(tmp_path / f"{name}-{number}"))
            result = answers.judged(exercise, (tmp_path / f"{name}-{number}").read_text())
            assert (result.kind, result.message) == (judge(exercise, function).kind, judge(exercise, function).message)
            assert result.kind == ("known mistake" if message else "right")


def test_a_right_answer_that_overwrites_its_arguments_is_refused_here_as_well(tmp_path):
    file = ROOT / "notebooks" / "solutions" / "05.py"
    exercise = load_exercises(file)["05.1"]

    def overwriting(*arguments):
        answer = exercise.solution(*arguments)
        arguments[0].zero_()
        return answer

    answers.collect(str(file), "05.1", lambda: overwriting, str(tmp_path / "answer"))
    result = answers.judged(exercise, (tmp_path / "answer").read_text())
    assert exercise.keeps_arguments and result == judge(exercise, overwriting) and result.kind == "wrong"


def test_plain():
    assert (
        plain("=1+1") == "'=1+1"
        and plain("-x") == "'-x"
        and plain("a\nb\x1b") == "a b "
        and len(plain("x" * 9999)) == 500
    )
