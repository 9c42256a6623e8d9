"""Pairs of texts with a score or a label each, as evaluators take them: dataclasses, tuples, or rows of a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Real

from course_lib.support.text_inputs import check_container, checked_text, is_text, shown


def labelled_pairs(examples: Sequence, kind: type, name: str) -> list:
    """The examples, each made an instance of the dataclass `kind`, which has two texts and a number.

    An example is one already; or a tuple, list, or dictionary with the names of its fields; or has attributes of these
    names. TypeError for another container, or naming the example that is none; ValueError for NaN and infinite numbers.
    """
    columns = [field.name for field in fields(kind)]
    expected = f"{kind.__name__}({', '.join(columns)}), or tuples of these"
    if is_text(examples):
        raise TypeError(f"{name} is {shown(examples)}; expected a list of {expected}")
    check_container(examples, name, f"a list of {expected}", columns=3)
    found = []
    for i, example in enumerate(examples):
        row = _row(example, columns)
        if row is None or not isinstance(row[2], Real):
            raise TypeError(f"{name}[{i}] is {shown(example)}; expected {expected}")
        for column, text in zip(columns, row[:2]):
            checked_text(text, what=f"the {column} of {name}[{i}]")
        if not math.isfinite(row[2]):
            raise ValueError(f"the {columns[2]} of {name}[{i}] is {row[2]}; expected a finite number")
        found.append(example if isinstance(example, kind) else kind(*row))
    return found


def _row(example, columns: list[str]) -> list | None:
    """The values of the columns; None where the example has others."""
    if isinstance(example, (tuple, list)):
        return list(example) if len(example) == len(columns) else None
    if isinstance(example, Mapping):
        return [example[column] for column in columns] if set(columns) <= set(example) else None
    return [getattr(example, column) for column in columns] if all(hasattr(example, c) for c in columns) else None
