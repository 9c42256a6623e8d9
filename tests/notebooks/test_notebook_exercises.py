"""Exercises: the solution passes, each wrong answer gets its own message, notebook and solutions name the same."""

import check_notebooks
import example_notebook
import nbformat
import pytest
from repository import ROOT

from course_lib.exercises import Exercise, judge, load_exercises

SOLUTIONS = ROOT / "notebooks" / "solutions"


def exercise_problems(name, exercise):
    """Everything wrong with an exercise, one line each."""
    found = []
    if not isinstance(exercise, Exercise):
        return [f"{name} is not an Exercise"]
    if not judge(exercise, exercise.solution):
        found.append(f"{name}: the solution does not pass: {judge(exercise, exercise.solution).message}")
    if len(exercise.wrong) < 3:
        found.append(f"{name}: {len(exercise.wrong)} wrong answers, fewer than three")
    messages = [message for _, message in exercise.wrong]
    if len(set(messages)) < len(messages):
        found.append(f"{name}: two wrong answers have the same message")
    for function, message in exercise.wrong:
        result = judge(exercise, function)
        if (result.kind, result.message) != ("known mistake", message):
            found.append(f"{name}: the wrong answer for {message!r} gets {result.kind}: {result.message!r}")
    return found


def test_exercises(notebook):
    file = SOLUTIONS / f"{notebook.stem[:2]}.py"
    named = check_notebooks.exercises(nbformat.read(notebook, as_version=4))
    exercises = load_exercises(file) if file.exists() else {}
    assert sorted(named) == sorted(exercises), "notebook and solutions name other exercises"
    least, most = check_notebooks.limits(notebook.stem)["exercises"]
    assert least <= len(exercises) <= most
    assert all(name.startswith(f"{notebook.stem[:2]}.") for name in exercises)
    assert [problem for name, exercise in exercises.items() for problem in exercise_problems(name, exercise)] == []


def test_every_solutions_file_has_its_notebook():
    numbers = {file.stem[:2] for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert {file.stem for file in SOLUTIONS.glob("*.py")} <= numbers


def test_example_is_fine(built_course, built):
    exercises = load_exercises(built_course / "notebooks" / "solutions" / "90.py")
    assert check_notebooks.exercises(nbformat.read(built, as_version=4)) == list(exercises) == ["90.1"]
    assert exercise_problems("90.1", exercises["90.1"]) == []


MISTAKES = [(lambda a: -a, "sign"), (lambda a: 0, "zero"), (lambda a: a, "unchanged")]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"solution": lambda a: None}, "the solution does not pass"),
        ({"wrong": MISTAKES[:2]}, "2 wrong answers, fewer than three"),
        ({"wrong": MISTAKES[:2] + [(lambda a: 7, "zero")]}, "the same message"),
        ({"wrong": MISTAKES[:2] + [(lambda a: 2 * a, "twice")]}, "'twice' gets right"),
        ({"wrong": MISTAKES[:2] + [(lambda a: 1 - 1, "one less")]}, "'one less' gets known mistake: 'zero'"),
        ({"wrong": MISTAKES[:2] + [(lambda a: None, "nothing")]}, "'nothing' gets not attempted"),
        ({}, None),
    ],
)
def test_defect_of_an_exercise_is_found(change, message):
    exercise = Exercise(
        **{
            "title": "double",
            "cases": {"one": (1,), "two": (2,)},
            "solution": lambda a: 2 * a,
            "wrong": MISTAKES,
            **change,
        }
    )
    found = exercise_problems("90.1", exercise)
    assert any(message in line for line in found) if message else not found


def test_exercises_are_read_from_the_code(tmp_path):
    (tmp_path / "x.py").write_text(example_notebook.code("check('90.1', f)\nother('90.2', f)\nprint(check('90.3', g))"))
    from build_notebooks import convert

    assert check_notebooks.exercises(convert(tmp_path / "x.py")) == ["90.1", "90.3"]
