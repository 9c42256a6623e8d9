"""Rankings of documents, and which of them are relevant: the containers that say so, as trec_eval and ranx read them.

    a ranking     list, tuple, array, Series or tensor of ids, best first; or {id: score}, which is put in order: the
                  highest score first, equal ones in the order of the dictionary. {id: None, ...} is in order already
    relevant      list, set, array, Series or tensor of ids, each of grade 1; or {id: grade}

Numbers of rows, as `top_k` returns them, are ids like any others. A string is no ranking: TypeError.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from numbers import Real

import numpy as np
from torch import Tensor

from course_lib.support.text_inputs import shown, table_columns


def ranked(ranking, name: str) -> list[Hashable]:
    """The documents, best first. TypeError for what is no ranking, ValueError for NaN and infinite scores."""
    if isinstance(ranking, Mapping):
        if all(score is None for score in ranking.values()):
            return list(ranking)
        scores = checked_scores(ranking, name)
        return sorted(scores, key=lambda document: -scores[document])  # stable
    if isinstance(ranking, (set, frozenset)):
        raise TypeError(f"{name} is a set, which has no order; expected documents, best first, or {{document: score}}")
    return _ids(ranking, name, "documents, best first, or {document: score}")


def graded(relevant, name: str) -> dict[Hashable, float]:
    """{document: grade}. TypeError for what is neither ids nor grades, ValueError for a grade that is not finite."""
    if isinstance(relevant, Mapping):
        return checked_scores(relevant, name)
    return dict.fromkeys(_ids(relevant, name, "a set of ids of documents, or a mapping from them to grades"), 1)


def checked_scores(scores, name: str) -> dict[Hashable, float]:
    """{document: number}. TypeError for what has no numbers, ValueError for NaN and infinite ones."""
    if not isinstance(scores, Mapping):
        raise TypeError(f"{name} is {shown(scores)}; expected {{document: score}}")
    numbers = {document: _plain(score) for document, score in scores.items()}
    if wrong := [document for document, number in numbers.items() if not isinstance(number, Real)]:
        raise TypeError(f"{name} gives {wrong[0]!r} {shown(scores[wrong[0]])}; expected a number")
    if bad := [document for document, number in numbers.items() if not math.isfinite(number)]:
        found = f"{len(bad)} of {len(scores)} documents a score that is NaN or infinite, {bad[0]!r} first"
        raise ValueError(f"{name} gives {found}")
    return numbers


def _ids(documents, name: str, expected: str) -> list[Hashable]:
    """The ids in a container. TypeError where it is none, or holds something else."""
    flat = getattr(documents, "ndim", 1) == 1 and not table_columns(documents)
    if isinstance(documents, (str, bytes)) or not isinstance(documents, Iterable) or not flat:
        raise TypeError(f"{name} is {_short(documents)}; expected {expected}")
    ids = [_plain(document) for document in documents]
    for i, document in enumerate(ids):
        if not isinstance(document, Hashable) or document is None or document != document:
            raise TypeError(f"{name} has {shown(document)} in place {i}; expected the id of a document")
    return ids


def _short(value) -> str:
    return repr(value) if isinstance(value, str) else shown(value)


def _plain(value):
    """A number of its own where it stands in a tensor or an array without axes: such tensors equal only themselves."""
    return value.item() if isinstance(value, (Tensor, np.ndarray)) and value.ndim == 0 else value
