"""Values for the parameters of a notebook, read from a command line: of the types that the notebook's own values have.

`-p full false` is False where the notebook says `full = True`, and `-p student_layers "[0, 3]"` is a list where it says
`student_layers = [0]`. What does not fit is an error that says what does.
"""

import ast
import json
import math
import shlex

import yaml
from cell_code import parsed

FLAGS = ("-p", "--parameters", "-r", "--parameters_raw")  # papermill's names, to us alike
TRUTH = {"true": True, "1": True, "false": False, "0": False}
KINDS = {  # of one value, and of the elements of a list
    bool: ("true or false", "truth values (True, False)"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts in quotation marks"),
}


def defaults(notebook):
    """{name: value} of the assignments in the cells tagged `parameters`; None for a value that is computed."""
    trees = [parsed(cell.source) for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    found = {}
    for node in (node for tree in trees if tree for node in tree.body):
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]  # name = value, name: type = value
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if names and node.value is not None:
            found |= dict.fromkeys(names, literal(ast.unparse(node.value)))
    return found


def given(flags):
    """{name: text} of `-p NAME VALUE -p NAME VALUE`; the last of several for one name. Errors: ValueError."""
    if len(flags) % 3 or any(flag not in FLAGS for flag in flags[::3]):
        raise ValueError(f"PARAMS: expected `-p NAME VALUE`, once or several times, not {shlex.join(flags)!r}")
    return dict(zip(flags[1::3], flags[2::3]))


def read_values(notebook, texts):
    """{name: value} for {name: text}. Errors: ValueError with a line for each that is unknown or does not fit."""
    own, values, wrong = defaults(notebook), {}, []
    if unknown := [name for name in texts if name not in own]:
        wrong.append(f"no parameter {', '.join(unknown)}; its parameters: {', '.join(own) or 'none'}")
    for name, text in texts.items():
        try:
            values[name] = read_value(text, own.get(name))
        except ValueError as error:
            wrong.append(f"{name} is {text!r}; expected {error}, for example {example(name, own[name])}")
    if wrong:
        raise ValueError("\n".join(wrong))
    return values


def read_value(text, default):
    """The text as a value of the default's type. Errors: ValueError that says what kind of value is expected."""
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        value = TRUTH.get(text.strip().lower())
    elif isinstance(default, (int, float)):
        value = number(text, type(default))
    elif isinstance(default, (list, tuple)):
        value = elements(literal(text), default)
    else:  # the notebook's own value is None, or computed: anything goes
        return text if literal(text) is None else literal(text)
    if value is None:
        raise ValueError(kind(default))
    return value


def literal(text):
    """The value of a number, a text in quotation marks, a list, True, False or None; None where the text is no such."""
    try:
        value = ast.literal_eval(text.strip())
        json.dumps(value, allow_nan=False)  # no complex numbers, bytes, sets and infinities: a file could not hold them
        return value
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def number(text, kind):
    try:
        value = kind(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def elements(values, default):
    """The values as a list, where each has the type of an element of the default; otherwise None."""
    kinds = {type(element) for element in default}
    if float in kinds and isinstance(values, (list, tuple)):
        values = [float(value) if type(value) is int else value for value in values]
    fit = isinstance(values, (list, tuple)) and (not kinds or all(type(value) in kinds for value in values))
    return list(values) if fit else None


def kind(default):
    """The type of a value in words."""
    if isinstance(default, (list, tuple)):
        inner = sorted({KINDS[type(element)][1] for element in default if type(element) in KINDS})
        return f"a list of {' or '.join(inner)}" if inner else "a list"
    return KINDS[type(default)][0]


def example(name, default):
    """How to give the notebook's own value."""
    text = {True: "true", False: "false"}[default] if isinstance(default, bool) else str(default)
    return shlex.join(["-p", name, text])


def as_yaml(values):
    """The text of a file with these values that papermill reads as they are."""
    return yaml.safe_dump(values, default_flow_style=False, allow_unicode=True, width=10**6)
