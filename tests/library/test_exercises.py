"""check() says not attempted, right, or what kind of mistake it is, and never the answer."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from course_lib import exercises
from course_lib.exercises import Exercise, check, difference, judge

SOLUTIONS = """
import torch
from course_lib.exercises import Exercise


def secret_solution(x, w):
    return (x * w).sum() / w.sum()


def unweighted(x, w):
    return x.mean()


def forgets_to_divide(x, w):
    return (x * w).sum()


def raises(x, w):
    return x[w]


EXERCISES = {
    "07.1": Exercise(
        title="Weighted mean",
        cases={"two numbers": (torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0])),
               "equal weights": (torch.tensor([2.0, 4.0, 9.0]), torch.ones(3))},
        solution=secret_solution,
        wrong=[(unweighted, "You ignore the weights."), (forgets_to_divide, "Divide by the sum of the weights."),
               (raises, "You use the weights as an index.")],
    ),
}
"""


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    (tmp_path / "notebooks" / "solutions" / "07.py").write_text(SOLUTIONS)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def said(answer, capsys):
    """The kind of result, and what was printed: one line."""
    result = check("07.1", answer)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and printed.startswith("07.1 ") and "secret" not in printed
    return result.kind, printed


def stub(x, w): ...


def not_yet(x, w):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [stub, not_yet, ..., None, lambda x, w: ..., lambda x, w: None])
def test_not_attempted(answer, capsys):
    kind, printed = said(answer, capsys)
    assert kind == "not attempted" and "07.1 not attempted yet" in printed and "Weighted mean" in printed


def test_right(capsys):
    assert said(lambda x, w: torch.dot(x, w) / torch.sum(w), capsys) == ("right", "07.1 right: 2 of 2 cases agree.\n")
    assert check("07.1", lambda x, w: float((x * w).sum() / w.sum()))  # a number in any form


def test_a_gradient_that_a_case_asks_for_must_flow():
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    exercise = Exercise("mean", {"in training": (x,)}, torch.mean, [(lambda x: x.mean().item(), "not .item()")])
    assert judge(exercise, lambda x: x.sum() / 2)
    assert judge(exercise, lambda x: x.mean().detach()).message == "not .item()"
    assert "that no gradient flows through" in judge(exercise, lambda x: x.sum().item()).message
    assert judge(Exercise("mean", {"alone": (x.detach(),)}, torch.mean), lambda x: x.mean().item())


@pytest.mark.parametrize("values", [torch.tensor([1.0, -1.0]), np.array([1.0, -1.0])])
def test_a_mask_is_of_true_and_false(values):
    exercise = Exercise("above 0", {"two": (values,)}, lambda x: x > 0)
    assert judge(exercise, lambda x: ~(x <= 0))
    assert "where True and False are wanted" in judge(exercise, lambda x: (x > 0) * np.float64(1)).message
    assert judge(Exercise("ones", {"two": (values,)}, lambda x: 1.0 * (x > 0)), lambda x: x > 0)  # it counts as well


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda x, w: sum(x) / len(x), "You ignore the weights."),
        (lambda x, w: torch.dot(x, w), "Divide by the sum of the weights."),
        (lambda x, w: [][w], "in the case 'two numbers', your function raises TypeError"),
        (lambda x, w: x[w], "You use the weights as an index."),
    ],
)
def test_known_mistakes(answer, message, capsys):
    assert message in said(answer, capsys)[1]


@pytest.mark.parametrize(
    "answer, message",
    [
        (3.0, "give the function itself"),
        (lambda x, w: "3", "returns a string where a number is wanted"),
        (lambda x, w: [1.0], "returns a list where a number is wanted"),
        (lambda x, w: (1.0, 2.0), "returns a tuple where a number is wanted"),
        (lambda x, w: x * w, "returns a torch tensor where a number is wanted"),
        (lambda x, w: torch.tensor(float("nan")), "returns NaN"),
        (lambda x, w: 1 / 0, "raises ZeroDivisionError: division by zero"),
        (lambda x: x, "raises TypeError"),
        (lambda x, w: (_ for _ in x).throw(ValueError("sizes [2, 8].")), "ValueError: sizes [2, 8].\n"),
        (lambda x, w: 100, "in the case 'two numbers', your function returns a number that is too large"),
        (lambda x, w: -100, "too small"),
        (
            lambda x, w: x.mean() if w[0] == w[1] else 0.0,
            "in the case 'two numbers', your function returns a number that is too small. (1 of 2 cases agree.)",
        ),
        (lambda x, w: 2.5 if len(x) == 2 else None, "in the case 'equal weights', your function returns nothing"),
    ],
)
def test_other_mistakes(answer, message, capsys):
    kind, printed = said(answer, capsys)
    assert kind == "wrong" and "07.1 not right yet" in printed and message in printed


def test_writing_to_the_arguments_does_no_harm():
    def in_place(x, w):
        x *= w
        total = float(x.sum() / w.sum())
        x.zero_(), w.zero_()
        return total

    assert check("07.1", in_place) and check("07.1", in_place)


def test_a_right_answer_that_overwrites_its_arguments():
    def doubled(x):
        return 2 * x

    def doubled_in_place(x):
        return x.mul_(2)

    exercise = Exercise("double", {"two numbers": (torch.tensor([1.0, 3.0]),)}, doubled, keeps_arguments=True)
    assert judge(exercise, doubled)
    result = judge(exercise, doubled_in_place)
    assert not result and "overwrites an argument" in result.message
    exercise.keeps_arguments = False
    assert judge(exercise, doubled_in_place)


def test_nothing_is_displayed_below_the_message():
    assert check("07.1", stub)._ipython_display_() is None


@pytest.mark.parametrize(
    "got, expected, says",
    [
        (torch.ones(2, 3), torch.ones(2, 3), None),
        (torch.ones(2, 3) + 1e-6, torch.ones(2, 3), None),
        (torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 3), None),
        (torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(2, 3), None),
        (torch.ones(3, 2), torch.ones(2, 3), r"the shape \(3, 2\) where \(2, 3\)"),
        (np.ones((2, 3)), torch.ones(2, 3), "returns a numpy array where a torch tensor"),
        (torch.ones(2, 2), torch.eye(2), "2 of 4 numbers are off, by up to 1"),
        (torch.tensor([1.0, float("inf")]), torch.ones(2), "1 of 2 numbers are off"),
        (torch.tensor([1.0, float("nan")]), torch.ones(2), "NaN"),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), None),
        (np.float32(2), 2, None),
        (torch.tensor(2), 2.0, None),
        (True, False, "too large"),
        ([1, 2], (1, 2), None),
        ([1, 2, 3], [1, 2], "returns 3 elements where 2"),
        ([1, [2, 4]], [1, [2, 3]], r"too large \(element 1, place 1\)"),
        ([[0, [1, 5]]], [[0, [1, 4]]], r"too large \(element 0, place 1, place 1\)"),
        ([], [1], "returns 0 elements where 1 is wanted"),
        ("a", "a", None),
        ("b", "a", "another text: 'b'"),
        ({"a": 1}, {"a": 1.0}, None),
        ({"b": 1}, {"a": 1}, "keys"),
        ({1, 2}, {1, 2}, None),
        ({1, 2}, {1, 3}, "something else"),
        (None, 1, "returns nothing"),
        (ValueError("x"), ValueError("y"), None),
        (KeyError("x"), ValueError("y"), "raises KeyError"),
        (1, ValueError("y"), "should raise ValueError"),
    ],
)
def test_difference(got, expected, says):
    import re

    found = difference(got, expected)
    assert found is None if says is None else re.search(says, found), found


def test_tolerance_belongs_to_the_exercise():
    loose = Exercise("t", {"a": (1.0,)}, solution=lambda x: x, atol=0.1)
    strict = Exercise("t", {"a": (1.0,)}, solution=lambda x: x, rtol=0, atol=1e-12)
    assert judge(loose, lambda x: x + 0.05) and not judge(strict, lambda x: x + 1e-9)


@pytest.mark.parametrize(
    "name, error, message",
    [
        ("07.2", ValueError, "there is no exercise '07.2'; 07.py has 07.1"),
        ("08.1", FileNotFoundError, "COURSE_HOME"),
        ("nonsense", FileNotFoundError, "named like '05.1'"),
    ],
)
def test_unknown_exercise(name, error, message):
    with pytest.raises(error, match=message):
        check(name, stub)


def test_solutions_lie_beside_the_package_by_default(monkeypatch):
    monkeypatch.delenv("COURSE_HOME")
    with pytest.raises(FileNotFoundError) as caught:
        check("99.1", stub)
    home = os.path.dirname(os.path.dirname(os.path.abspath(exercises.__file__)))
    assert os.path.join(home, "notebooks", "solutions", "99.py") in str(caught.value)


def test_from_any_working_directory(course, tmp_path):
    code = textwrap.dedent("""
        from course_lib.exercises import check
        check("07.1", lambda x, w: x.mean())
    """)
    root = os.path.dirname(os.path.dirname(os.path.abspath(exercises.__file__)))
    path = os.pathsep.join([root, os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == "07.1 not right yet: You ignore the weights.\n", done.stderr
