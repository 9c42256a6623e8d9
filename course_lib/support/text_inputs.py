"""Which containers hold texts, and what is said of anything else: the one check of whatever takes texts.

    a string                           one text, where an entry takes one as well as many; else TypeError: write [text]
    array without axes                 the string that it holds
    list, tuple, generator             their elements, in order; so any other iterable, a file's lines too
    array (n,), Series, Dataset column their elements, in order; the index of a Series does not matter
    dictionary                         TypeError that names .values(): its keys are names of texts; but the keys, in
                                       order, where all values are None, as dict.fromkeys(texts) has them
    DataFrame, Dataset                 TypeError that names a column
    set                                TypeError, because nobody can tell which result is whose; its elements where the
                                       result does not depend on the order
    array (n, m), bytes, None          TypeError

An element is a string. What is none raises TypeError, which names its position and what to do: with bytes, with missing
values (None, NaN), with rows of a table (dictionaries), with nested lists.

A pair is a tuple, a list or an array of two strings. Pairs come in the same containers, in arrays (n, 2), and as the
keys of a dictionary, {pair: label}; to tables, TypeError names two columns.

Texts by id are a dictionary {id: text}, or a Series of which the index are the ids. Not {id: {"title": ...}}.
"""

import reprlib
from collections.abc import Hashable, Iterable, Mapping
from numbers import Real

import numpy as np

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def is_text(value) -> bool:
    """What can be encoded: here alone it is said."""
    return isinstance(value, str)


def checked_text(value, position: Hashable = None, what: str = "text") -> str:
    """The text itself. TypeError naming the position of what is none."""
    if not is_text(value):
        raise TypeError(f"{_which(what, position)} is {shown(value)}; expected a string{_mend(value)}")
    return value


def text_source(texts, name: str = "texts", ordered: bool = True) -> tuple[Iterable, bool]:
    """The container, its elements not looked at; and whether it was one text alone, which now stands in a list."""
    texts = texts.item() if isinstance(texts, np.ndarray) and not texts.ndim else texts
    if is_text(texts):
        return [texts], True
    if ordered or not isinstance(texts, (set, frozenset)):
        check_container(texts, name, "a string, or a list or generator of strings")
    if isinstance(texts, np.ndarray) and texts.ndim > 1:
        raise TypeError(f"{name} is an array of shape {texts.shape}; expected strings, (n,): take {name}.ravel()")
    return texts, False


def text_list(texts, name: str = "texts", what: str = "text", alone: bool = False, ordered: bool = True) -> list[str]:
    """The texts, all of them strings. alone: a single string is a list of one; else TypeError. ordered: no sets."""
    source, one = text_source(texts, name, ordered)
    if one and not alone:
        raise TypeError(f"{name} is the string {shown(texts)}; expected a list of strings: write [{what}]")
    return [checked_text(text, position, what) for position, text in enumerate(source)]


def is_pair(value) -> bool:
    flat = isinstance(value, (tuple, list)) or isinstance(value, np.ndarray) and value.ndim == 1
    return flat and len(value) == 2 and all(map(is_text, value))


def checked_pair(value, position: Hashable = None, what: str = "pair") -> tuple[str, str]:
    """The pair itself, as a tuple. TypeError naming the position of what is none."""
    if not is_pair(value):
        raise TypeError(f"{_which(what, position)} is {shown(value)}; expected two strings{_mend(value, 2)}")
    return tuple(value)


def pair_list(pairs, name: str = "pairs", what: str = "pair") -> list[tuple[str, str]]:
    """The pairs, each a tuple of two strings."""
    if not (isinstance(pairs, Mapping) and all(map(is_pair, pairs)) or is_text(pairs)):
        check_container(pairs, name, "a list or generator of pairs of strings", 2)
    return [checked_pair(pair, position, what) for position, pair in enumerate(pairs)]


def text_mapping(texts, name: str) -> dict[Hashable, str]:
    """{id: text} as a dictionary, in order. TypeError naming the id of what is no text."""
    texts = check_mapping(texts, name)
    return {k: t if is_text(t) else checked_text(t, what=f"{name}[{k!r}]") for k, t in texts.items()}


def check_mapping(value, name: str, expected: str = "{id: text}") -> Mapping:
    """The mapping itself, or that of a Series' index to its values. TypeError for anything else."""
    if isinstance(value, Mapping):
        return value
    found = shown(value)
    if columns := table_columns(value):
        a, b = (*columns, *columns)[:2]
        found = _table(value, columns)
        advice = f"such as dict(zip({name}[{a!r}], {name}[{b!r}]))"
    elif hasattr(value, "index") and hasattr(value, "to_dict"):  # a Series
        if value.index.is_unique:
            return value.to_dict()
        raise ValueError(f"{name} is a Series in which an id comes twice; expected {expected}, each id once")
    else:
        advice = f"such as dict(enumerate({name})), if the ids are positions"
    raise TypeError(f"{name} is {found}; expected {expected}, {advice}")


def check_container(value, name: str, expected: str, columns: int = 1):
    """TypeError unless the elements of `value`, in its order, may be what is expected. See the top of this file.

    columns: how many of a table's columns make what is expected.
    """
    if table := table_columns(value):
        best_first = dict.fromkeys((*text_columns(value, table), *table))
        picked = [f"{name}[{column!r}]" for column in best_first][:columns]
        advice = picked[0] if columns == 1 else f"list(zip({', '.join(picked)}))"
        raise TypeError(f"{name} is {_table(value, table)}; expected {expected}: take {advice}")
    if isinstance(value, Mapping) and any(item is not None for item in value.values()):
        found = f"a {type(value).__name__} with the keys {shown(list(value)[:3])}"
        raise TypeError(f"{name} is {found}; expected {expected}: take list({name}.values()), or list({name}) for keys")
    if isinstance(value, (set, frozenset)):
        raise TypeError(f"{name} is a set, which has no order; expected {expected}: take sorted({name})")
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} is {shown(value)}; expected {expected}{_mend(value)}")
    alone = isinstance(value, type) or not (hasattr(value, "__iter__") or hasattr(value, "__getitem__"))
    if alone or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{name} is {_SHORT.repr(value)}; expected {expected}")


def table_columns(value) -> list:
    """The names of the columns of a DataFrame, a Dataset or a structured array; empty for what is no table."""
    if isinstance(value, np.ndarray):
        return list(value.dtype.names or ())
    if isinstance(value, (Mapping, list, tuple)) or not hasattr(value, "__len__"):
        return []
    names = getattr(value, "column_names", None) or getattr(value, "columns", None)
    return [] if names is None or is_text(names) or not hasattr(names, "__iter__") else list(names)


def text_columns(table, columns: list) -> list:
    """Those of the columns that begin with a string."""
    return [column for column in columns if len(table) and is_text(next(iter(table[column]), None))]


def _table(value, columns: list) -> str:
    return f"a {type(value).__name__} with the columns {', '.join(map(str, columns))}"


def shown(value) -> str:
    """A value in a message: one short line."""
    return f"{' '.join(_SHORT.repr(value).split())} ({type(value).__name__})"


def _which(what: str, position: Hashable) -> str:
    return what if position is None else f"{what} {position}"


def _mend(value, wanted: int = 1) -> str:
    """What to do where a text, or a pair, is something else."""
    if isinstance(value, Mapping):
        keys = [key for key, cell in value.items() if is_text(cell)][:wanted] or list(value)[:wanted]
        row = ", ".join(f"row[{key!r}]" for key in keys)
        return f": of rows take [{row if wanted == 1 else f'({row})'} for row in ...]" if keys else ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ": decode it, bytes.decode(value, 'utf-8')"
    missing = value is None or type(value).__name__ in ("NAType", "NaTType")
    if missing or isinstance(value, Real) and value != value:
        return ": a missing value; leave it out, or put an empty string in its place"
    if isinstance(value, (list, tuple, np.ndarray)) and wanted == 1:
        return ": lists within the list; flatten it, or give pairs to what takes pairs"
    return ""
