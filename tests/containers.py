"""The containers that people keep texts and vectors in, right ones and wrong ones; and whose error it was."""

import linecache
import traceback
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import scipy.sparse
import torch

import course_lib

LIBRARY = Path(course_lib.__file__).parent

# ---- of texts: what is the same as the list, and what is TypeError

SAME = {
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "values": lambda texts: dict(enumerate(texts)).values(),
    "ordered set": lambda texts: dict.fromkeys(texts) if len(set(texts)) == len(texts) else list(texts),
    "array of objects": lambda texts: np.array([*texts, None], dtype=object)[:-1],
    "array, reversed": lambda texts: np.array([*texts[::-1], None], dtype=object)[:-1][::-1],
    "Series": lambda texts: pd.Series(texts, index=range(7, 7 + len(texts)), dtype=object),
    "Series of another order": lambda texts: pd.Series(texts, index=range(len(texts))[::-1], dtype=object),
    "Series of strings": lambda texts: pd.Series(texts, dtype="str"),
    "column": lambda texts: datasets.Dataset.from_dict({"text": list(texts)})["text"],
    "strings of numpy": lambda texts: [np.str_(text) for text in texts],
}
OTHER = {
    "dictionary": lambda texts: {f"id{i}": text for i, text in enumerate(texts)},
    "DataFrame": lambda texts: pd.DataFrame({"number": range(len(texts)), "text": list(texts)}),
    "Dataset": lambda texts: datasets.Dataset.from_dict({"number": list(range(len(texts))), "text": list(texts)}),
    "set": set,
    "rows": lambda texts: [{"text": text} for text in texts],
    "nested": lambda texts: [list(texts)],
    "array (n, 2)": lambda texts: np.array([[text, text] for text in texts], dtype=object),
    "bytes": lambda texts: [text.encode("utf-8", "replace") for text in texts],
    "one of bytes": lambda texts: b"bytes",
    "None": lambda texts: None,
    "number": lambda texts: 3.5,
    "NaN": lambda texts: float("nan"),
    "type": lambda texts: str,
}
MISSING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, b"bytes", 3, ["list"], {"text": "row"}, ("a", "b")]

# ---- of vectors, (n, dim) in float32: what holds the same numbers, and what is TypeError


def _map(x: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "map.npy", x)
    return np.load(folder / "map.npy", mmap_mode="r")


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "in Fortran's order": np.asfortranarray,
    "read-only": _read_only,
    "rows from the end": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "columns from the end": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "tensor": lambda x: torch.from_numpy(x.copy()),
    "transposed tensor": lambda x: torch.from_numpy(x.T.copy()).T,
    "with gradient": lambda x: torch.from_numpy(x.copy()).requires_grad_() if x.dtype.kind == "f" else x,
}
LISTS = {
    "nested lists": lambda x: x.tolist(),
    "list of arrays": list,
    "list of tensors": lambda x: list(torch.from_numpy(x.copy())),
    "tuple of lists": lambda x: tuple(x.tolist()),
    "generator": lambda x: (row for row in x),
}
NO_VECTORS = {
    "dictionary": lambda x: dict(enumerate(x)),
    "DataFrame": pd.DataFrame,
    "sparse": scipy.sparse.csr_array,
    "sparse tensor": lambda x: torch.from_numpy(x.copy()).to_sparse(),
    "complex": lambda x: x.astype(complex),
    "strings": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "a string": lambda x: "vectors",
    "None": lambda x: None,
    "masked": lambda x: np.ma.masked_array(x, np.ones(x.shape, bool)),
}


def ours(error: Exception) -> bool:
    """Was it raised by a `raise` of the course's library, and not by Python, numpy or torch on its behalf?"""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Path(last.filename).is_relative_to(LIBRARY) and "raise" in linecache.getline(last.filename, last.lineno)


def outcome(call, *arguments):
    """What a call returns; or the error that the library raised. Any other error passes."""
    try:
        return call(*arguments)
    except (TypeError, ValueError) as error:
        if not ours(error):
            raise
        return error
