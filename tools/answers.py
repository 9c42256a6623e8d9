"""A learner's answers, carried out of the learner's kernel as data: run there, judged here.

`collect` runs inside the kernel. It calls the learner's function on the exercise's cases and writes what came back to
a file. `judged` runs in the teacher's process and compares that file with the solution. Nothing the learner's code
prints, patches or overrides in its own process can make a wrong answer right: the comparison happens elsewhere.

What a file can hold: numbers, strings, tensors, arrays, lists, tuples, sets and dictionaries of these, None, ...,
and exceptions. No pickle. Anything else arrives as an object of its type's name that equals nothing.
"""

import base64
import builtins
import copy
import json
import os

import numpy as np
import torch

LARGEST = 5_000_000  # numbers in one array: no exercise comes near it


def collect(solutions, name, answer, file):
    """In the learner's kernel: write the outcomes of answer() (the learner's function) on the cases of an exercise."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("cases_of_exercises", solutions)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = answer()
    if callable(function):
        outcomes, arguments_after = [], []
        for arguments in module.EXERCISES[name].cases.values():
            given = copy.deepcopy(arguments)
            try:
                outcomes.append(encode(function(*given)))
            except Exception as error:
                outcomes.append(encode(error))
            arguments_after.append(encode(list(given)))
        text = json.dumps({"outcomes": outcomes, "arguments": arguments_after})
    else:
        text = json.dumps({"value": encode(function)})
    with open(file + ".partial", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(file + ".partial", file)


def judged(exercise, text):
    """The Result of `course_lib.exercises.judge` for the text of a file that `collect` wrote."""
    from course_lib.exercises import judge, judge_outcomes

    found = json.loads(text)
    if "value" in found:
        return judge(exercise, decode(found["value"]))
    outcomes, arguments_after = ([decode(pair) for pair in found[key]] for key in ("outcomes", "arguments"))
    if not len(outcomes) == len(arguments_after) == len(exercise.cases):
        raise ValueError(f"{len(outcomes)} outcomes for {len(exercise.cases)} cases")
    return judge_outcomes(exercise, outcomes, arguments_after)


def encode(value):
    """A value as JSON: [kind, content]."""
    if isinstance(value, Exception):
        return ["error", [type(value).__name__, str(value)[:500]]]
    if value is None or value is Ellipsis:
        return ["nothing", value is Ellipsis]
    if isinstance(value, torch.Tensor):
        mask, array = value.dtype == torch.bool, value.detach().cpu().to(torch.float64).numpy()
        return ["tensor", [*numbers(array), mask, value.requires_grad]]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return ["array", [*numbers(np.asarray(value, dtype=np.float64)), value.dtype.kind == "b"]]
    if isinstance(value, str):
        return ["text", value[:1_000_000]]
    if isinstance(value, (bool, int, float)):
        return [
            "number",
            bool(value) if isinstance(value, bool) else float(value) if isinstance(value, float) else int(value),
        ]
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return [kind.__name__, [encode(element) for element in value]]
    if isinstance(value, dict):
        return ["dict", [[encode(key), encode(element)] for key, element in value.items()]]
    return ["object", type(value).__name__]


def numbers(array):
    if array.size > LARGEST:
        raise MemoryError(f"the answer has {array.size:,} numbers")
    return [list(array.shape), base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()]


def decode(pair):
    """The value of what `encode` wrote."""
    kind, content = pair
    if kind == "error":
        name, message = content
        known = getattr(builtins, name, None)
        if not (isinstance(known, type) and issubclass(known, Exception)):
            known = type(name, (Exception,), {})
        error = known.__new__(known)  # some want other arguments than a message
        error.args = (message,)
        return error
    if kind == "nothing":
        return ... if content else None
    if kind in ("tensor", "array"):
        array = np.frombuffer(base64.b64decode(content[1]), dtype=np.float64).reshape(content[0])
        array = array.astype(bool) if content[2] else array  # a mask is another answer than numbers
        return torch.from_numpy(array.copy()).requires_grad_(content[3]) if kind == "tensor" else array
    if kind in ("text", "number"):
        return content
    if kind == "dict":
        return {decode(key): decode(element) for key, element in content}
    if kind == "object":
        return type(content, (), {})()
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](
        decode(element) for element in content
    )
