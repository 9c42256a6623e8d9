"""What training may look at in an example: its texts and numbers, and whether they are what they should be.

An example is a text; a tuple, list or dict with texts and numbers in it; or a dataclass with such fields, of which
those with a default value are left aside. Examples of other kinds (tensors, token ids, positions in some table) have
no columns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Real

from course_lib.support.text_inputs import check_container, is_text, shown, table_columns


def columns(example) -> dict:
    """Names and values of an example's columns; tuples and lists number theirs from 0. Empty where none is a text."""
    if isinstance(example, str):
        return {0: example}
    if isinstance(example, Mapping):
        found = example
    elif isinstance(example, (tuple, list)):
        found = dict(enumerate(example))
    else:
        found = {name: getattr(example, name) for name in _required(type(example))}
    return found if any(isinstance(value, str) for value in found.values()) else {}


@cache
def _required(kind: type) -> tuple[str, ...]:
    if not is_dataclass(kind):
        return ()
    return tuple(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)


def distinct_texts(examples: Sequence, name: str) -> list[tuple[str, ...]]:
    """The texts of each example, each once, in the order of its columns. ValueError where examples hold none."""
    if not columns(examples[0]):
        raise ValueError(f"no_duplicates compares texts, but {name} hold none")
    return [tuple(dict.fromkeys(v for v in columns(example).values() if isinstance(v, str))) for example in examples]


def checked_tasks(loss, examples: Sequence) -> tuple[list, list, list[str]]:
    """Losses, the examples of each, and what to call these: of one loss and its examples, or of a list of each.

    ValueError where the lists do not fit each other, or examples cannot be trained on together; TypeError where they
    are not numbered from 0 on, as in a list.
    """
    several = isinstance(loss, (list, tuple))
    losses, data = (list(loss), list(counted(examples, "examples"))) if several else ([loss], [examples])
    names = [f"examples[{task}]" for task in range(len(data))] if several else ["examples"]
    data = [counted(own, name) for own, name in zip(data, names)]
    if len(losses) != len(data) or not losses:
        raise ValueError(f"expected a list of examples for each loss, got {len(losses)} losses and {len(data)} lists")
    for own, name in zip(data, names):
        check_examples(own, name)
    return losses, data, names


def counted(examples, name: str) -> Sequence:
    """The examples, numbered from 0 on: a Series' as a list, whatever its index. A Dataset's are its rows.

    TypeError for a dictionary, a DataFrame, a set, a string, a generator.
    """
    if is_text(examples):
        raise TypeError(f"{name} is the string {shown(examples)}; expected a list of examples")
    if hasattr(examples, "iloc"):  # of pandas
        if columns_there := table_columns(examples):
            found = f"a DataFrame with the columns {', '.join(map(str, columns_there))}"
            raise TypeError(f'{name} is {found}; expected a list of examples: take {name}.to_dict("records")')
        return list(examples)
    if not table_columns(examples):
        check_container(examples, name, "a list of examples")
    if not (hasattr(examples, "__len__") and hasattr(examples, "__getitem__")) or isinstance(examples, Mapping):
        raise TypeError(f"{name} is a {type(examples).__name__}; expected a list of examples: take list({name})")
    return examples


def check_examples(examples: Sequence, name: str = "examples"):
    """Raise ValueError, naming the first example that is wrong, unless all can be trained on together.

    There is at least one. All have the type and the columns of the first; a column holds texts in all of them, or
    numbers in all of them. What may differ is how many texts follow the second column: hard negatives, which some
    pairs have and others have not. Texts are not blank, numbers are finite. Examples without columns pass.
    """
    if not len(examples):
        raise ValueError(f"there are no examples to train on: {name} is empty")
    first = _kinds(columns(examples[0]))
    good = {first}
    for i, example in enumerate(examples):
        found = columns(example)
        kinds = _kinds(found)
        if type(example) is not type(examples[0]) or kinds not in good:
            if type(example) is not type(examples[0]) or not _only_negatives_differ(first, kinds):
                raise ValueError(
                    f"{name}[{i}] is {example!r:.200}, {name}[0] is {examples[0]!r:.200}: all need one type and the "
                    "same columns, each with texts in all of them or numbers in all of them"
                )
            good.add(kinds)
        for column, value in found.items():
            if isinstance(value, str) and (not value or value.isspace()):
                raise ValueError(f"{name}[{i}] has a blank text in column {column!r}: {example!r:.200}")
            if isinstance(value, Real) and not math.isfinite(value):
                raise ValueError(f"{name}[{i}] has {value} in column {column!r}: {example!r:.200}")


def _kinds(found: dict) -> tuple:
    """(column, kind of its values) of an example."""
    return tuple(
        (column, str if isinstance(value, str) else Real if isinstance(value, Real) else type(value))
        for column, value in found.items()
    )


def _only_negatives_differ(a: tuple, b: tuple) -> bool:
    shared = min(len(a), len(b))
    return shared >= 2 and a[:shared] == b[:shared] and all(kind is str for _, kind in a + b)
