"""The exercises' checker: `check("05.1", your_function)` says whether it is right, and if not, what is wrong.

The exercises of notebook NN live in `notebooks/solutions/NN.py`, as a dictionary named EXERCISES:

    EXERCISES = {
        "05.1": Exercise(
            title="Average the rows that are not padding",
            cases={"one padded sentence": (embeddings, mask), "no padding": (embeddings, ones)},
            solution=masked_mean,
            wrong=[(plain_mean, "You average over [PAD] too: ..."), ...],
        ),
    }

A case is a description and the arguments. A wrong answer is a function that makes a typical mistake, and what a
learner is told whose answer behaves as it does on every case. The checker never shows the solution. Left out on
purpose: time limits, points, and any protection against someone who wants to read the solutions.
"""

import copy
import importlib.util
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from course_lib.support.folders import COURSE_HOME


@dataclass
class Exercise:
    """One exercise: see the module's docstring. Answers may be numbers, strings, tensors, arrays, or lists,
    tuples and dictionaries of these; numbers agree when they differ by less than atol + rtol * |expected|. Where a
    tensor of a case requires a gradient, what is returned must carry it on; where a mask of True and False is expected,
    one of numbers is wrong."""

    title: str
    cases: dict  # description -> tuple of arguments
    solution: callable
    wrong: list = field(default_factory=list)  # [(function, message), ...]
    rtol: float = 1e-4
    atol: float = 1e-5
    keeps_arguments: bool = False  # true: a right answer that overwrites what it was given is not right yet


@dataclass
class Result:
    """What `check` found: kind is "right", "not attempted", "known mistake" or "wrong"; true when right."""

    kind: str
    message: str

    def __bool__(self):
        return self.kind == "right"

    def _ipython_display_(self):
        """Nothing: the message has been printed."""


def check(name, answer):
    """Compare `answer` (a function) with exercise `name` ("05.1"); print one message and return a Result."""
    exercise = find_exercise(name)
    result = judge(exercise, answer)
    mark = {"right": "right", "not attempted": "not attempted yet"}.get(result.kind, "not right yet")
    print(f"{name} {mark}: {result.message}")
    return result


def find_exercise(name):
    """The Exercise called `name`. Errors: FileNotFoundError without its file, ValueError without the exercise."""
    home, number = Path(os.environ.get("COURSE_HOME") or COURSE_HOME), str(name).split(".")[0]
    file = home / "notebooks" / "solutions" / f"{number}.py"
    if not file.is_file():
        raise FileNotFoundError(
            f"exercise {name!r}: there is no file {file}. Exercises are named like '05.1'; "
            "the environment variable COURSE_HOME may name the folder of the course."
        )
    exercises = load_exercises(file)
    if name not in exercises:
        raise ValueError(f"there is no exercise {name!r}; {file.name} has {', '.join(sorted(exercises))}")
    return exercises[name]


def load_exercises(file):
    """The EXERCISES of a solutions file. It is read anew each time: authors edit it while a kernel runs."""
    spec = importlib.util.spec_from_file_location(f"course_solutions_{Path(file).stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXERCISES


def judge(exercise, answer):
    """The Result of an answer, without printing."""
    if answer is None or answer is Ellipsis:
        return Result("not attempted", f"write the function, then run this cell again ({exercise.title}).")
    if not callable(answer):
        return Result("wrong", f"give the function itself, not what it returns (here a {kind_of(answer)}).")
    return judge_outcomes(exercise, *outcomes(answer, exercise))


def judge_outcomes(exercise, got, arguments_after):
    """The Result of what an answer returned or raised for each case, and of what it left of that case's arguments."""
    if all(value is None or value is Ellipsis or isinstance(value, NotImplementedError) for value in got):
        return Result("not attempted", f"your function does not return anything yet ({exercise.title}).")

    expected, _ = outcomes(exercise.solution, exercise)
    problems = [difference(g, e, exercise.rtol, exercise.atol) for g, e in zip(got, expected)]
    if not any(problems):
        given = [list(arguments) for arguments in exercise.cases.values()]
        if exercise.keeps_arguments and any(map(difference, arguments_after, given)):
            return Result("wrong", "the numbers are right, but your function overwrites an argument: work on a copy.")
        return Result("right", f"{len(problems)} of {len(problems)} cases agree.")
    for function, message in exercise.wrong:
        same, _ = outcomes(function, exercise)
        if not any(difference(g, s, exercise.rtol, exercise.atol) for g, s in zip(got, same)):
            return Result("known mistake", message)
    case, problem = next((c, p) for c, p in zip(exercise.cases, problems) if p)
    agree = problems.count(None)
    also = f" ({agree} of {len(problems)} cases agree.)" if agree else ""
    stop = "" if problem.endswith((".", "?")) else "."
    return Result("wrong", f"in the case '{case}', your function {problem}{stop}{also}")


def outcomes(function, exercise):
    """What the function returns for each case, or the exception it raises; and its arguments as they are afterwards.

    It gets copies: it may write to them.
    """
    results, arguments_after = [], []
    for arguments in exercise.cases.values():
        given = copy.deepcopy(arguments)
        try:
            results.append(function(*given))
        except Exception as error:  # a learner's mistake of any kind is a result, not the end of the notebook
            results.append(error)
        arguments_after.append(list(given))
    return results, arguments_after


def difference(got, expected, rtol=1e-4, atol=1e-5):
    """None where both agree; else what is wrong with `got`, to be read after "your function"."""
    if isinstance(got, Exception) or isinstance(expected, Exception):
        if type(got) is type(expected):
            return None
        if isinstance(got, Exception):
            return f"raises {type(got).__name__}: {got}"
        return f"returns a {kind_of(got)} where it should raise {type(expected).__name__}"
    if got is None:
        return "returns nothing (is there a `return`?)"
    if kind_of(got) != kind_of(expected):
        given = "tuple" if isinstance(got, tuple) else kind_of(got)
        return f"returns a {given} where a {kind_of(expected)} is wanted"
    if isinstance(expected, str):
        return None if got == expected else f"returns another text: {got!r}"
    if isinstance(expected, dict):
        if set(got) != set(expected):
            return f"returns a dictionary with the keys {list(got)}; {len(expected)} other keys are wanted"
        return difference([got[key] for key in expected], list(expected.values()), rtol, atol)
    if isinstance(expected, (list, tuple)):
        if len(got) != len(expected):
            are = "is" if len(expected) == 1 else "are"
            return f"returns {len(got)} element{'s' * (len(got) != 1)} where {len(expected)} {are} wanted"
        for i, (g, e) in enumerate(zip(got, expected)):
            if problem := difference(g, e, rtol, atol):
                what, further_in, places = problem.partition(" (element ")
                return f"{what} (element {i}" + (f", place {places}" if further_in else ")")  # the outer place first
        return None
    if is_numeric(expected):
        if getattr(expected, "requires_grad", False) and not getattr(got, "requires_grad", False):
            return "returns numbers that no gradient flows through (.item(), detach() and no_grad() cut it off)"
        if is_mask(expected) and not is_mask(got):
            return f"returns {str(got.dtype).removeprefix('torch.')} where True and False are wanted (a mask of bool)"
        return number_difference(as_array(got), as_array(expected), rtol, atol)
    return None if got == expected else f"returns something else: {got!r}"


def number_difference(got, expected, rtol, atol):
    if got.shape != expected.shape:
        return f"returns the shape {tuple(got.shape)} where {tuple(expected.shape)} is wanted"
    if np.isnan(got).any() and not np.isnan(expected).any():
        return "returns NaN: is something divided by zero, or has a number overflowed?"
    if np.allclose(got, expected, rtol=rtol, atol=atol, equal_nan=True):
        return None
    if got.ndim == 0:
        return f"returns a number that is too {'large' if got > expected else 'small'}"
    with np.errstate(invalid="ignore"):
        off = ~np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
        largest = max((x for x in np.abs(got - expected)[off] if not math.isnan(x)), default=math.nan)
    return f"returns the right shape but {int(off.sum())} of {off.size} numbers are off, by up to {largest:.2g}"


def is_numeric(value):
    return isinstance(value, (bool, int, float, np.generic, np.ndarray, torch.Tensor))


def is_mask(value):
    """Whether it is a tensor or an array of True and False: 0.0 and 1.0 pick nothing out of another."""
    return (
        isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim > 0 and str(value.dtype) in ("torch.bool", "bool")
    )


def as_array(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().to(torch.float64).numpy()
    return np.asarray(value, dtype=np.float64)


def kind_of(value):
    """The kind of a value in words. A number is a number in every library; a list may be given as a tuple."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim > 0:
        return "torch tensor" if isinstance(value, torch.Tensor) else "numpy array"
    if is_numeric(value):
        return "number"
    return {list: "list", tuple: "list", str: "string", dict: "dictionary"}.get(type(value), type(value).__name__)
