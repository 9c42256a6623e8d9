"""What training may look at in an example: its texts and numbers, and whether they are what they should be.

An example is a text; a tuple, list or dict with texts and numbers in it; or a dataclass with such fields, of which those with
a default value are left aside. Examples of other kinds (tensors, token ids, positions in some table) have no columns.
"""

import math
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral, Real


def columns(example) -> dict:
    """Names and values of an example's columns; tuples and lists number theirs from 0. Empty where none is a text."""
    if isinstance(example, str):
        return {0: example}
    if isinstance(example, dict):
        found = example
    elif isinstance(example, (tuple, list)):
        found = dict(enumerate(example))
    else:
        found = {name: getattr(example, name) for name in _required(type(example))}
    return found if any(isinstance(value, str) for value in found.values()) else {}


@cache
def _required(kind: type) -> tuple[str, ...]:
    return (
        tuple(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
        if is_dataclass(kind)
        else ()
    )


def texts_of(example) -> tuple[str, ...]:
    """The texts of an example, each once, in the order of its columns."""
    return tuple(dict.fromkeys(value for value in columns(example).values() if isinstance(value, str)))


def check_examples(examples: Sequence, num_labels: int | None = None, name: str = "examples"):
    """Raise ValueError, naming the first example that is wrong, unless all can be trained on together.

    All have the type and the columns of the first; a column holds texts in all of them, or numbers in all of them. What
    may differ is how many texts follow the second column: hard negatives, which some pairs have and others have not.
    Texts are not blank. Numbers are finite; with `num_labels` they are whole and lie in 0..num_labels - 1.
    Examples without columns pass.
    """
    if num_labels is not None and not any(isinstance(value, Real) for value in columns(examples[0]).values()):
        raise ValueError(f"labels are to lie in 0..{num_labels - 1}, but {name}[0] has no number: {examples[0]!r:.200}")
    first = _kinds(columns(examples[0]))
    good = {first}
    for i, example in enumerate(examples):
        found = columns(example)
        kinds = _kinds(found)
        if type(example) is not type(examples[0]) or kinds not in good:
            if type(example) is not type(examples[0]) or not _only_negatives_differ(first, kinds):
                raise ValueError(
                    f"{name}[{i}] is {example!r:.200}, {name}[0] is {examples[0]!r:.200}: all need one type and the same columns, "
                    "each with texts in all of them or numbers in all of them"
                )
            good.add(kinds)
        for column, value in found.items():
            if isinstance(value, str):
                if not value or value.isspace():
                    raise ValueError(f"{name}[{i}] has a blank text in column {column!r}: {example!r:.200}")
            elif isinstance(value, Real):
                if not math.isfinite(value):
                    raise ValueError(f"{name}[{i}] has {value} in column {column!r}: {example!r:.200}")
                if num_labels is not None and not (isinstance(value, Integral) and 0 <= value < num_labels):
                    raise ValueError(
                        f"{name}[{i}] has the label {value!r} in column {column!r}, expected 0..{num_labels - 1}: {example!r:.200}"
                    )


def _kinds(found: dict) -> tuple:
    """(column, kind of its values) of an example."""
    return tuple(
        (column, str if isinstance(value, str) else Real if isinstance(value, Real) else type(value))
        for column, value in found.items()
    )


def _only_negatives_differ(a: tuple, b: tuple) -> bool:
    shared = min(len(a), len(b))
    return shared >= 2 and a[:shared] == b[:shared] and all(kind is str for _, kind in a + b)
