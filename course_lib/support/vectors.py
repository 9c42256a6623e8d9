"""Numbers as tensors: what whatever takes vectors, scores or labels accepts, and what it says of anything else.

    tensor                      itself: of any floating point numbers, integers or truth values
    array, Series, PIL image    a tensor that shares its memory, be it read-only, a memory map, in Fortran order; a copy
                                where torch cannot: negative strides, another byte order, unsigned integers of 2 bytes
                                or more
    list, tuple, generator      of numbers, or of any of these, all of one shape

TypeError for dictionaries, sets, DataFrames, sparse vectors, arrays of strings or objects, and masked values.
"""

import sys
import warnings
from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from course_lib.support.text_inputs import shown, table_columns

NUMBERS = "floating point numbers, integers or truth values"


def tensor_of(values, name: str) -> Tensor:
    """The numbers as a tensor of the same shape. TypeError for what holds none, ValueError for rows of other shapes."""
    if isinstance(values, Tensor):
        if values.layout != torch.strided:
            raise TypeError(f"{name} is a sparse tensor; expected a dense one: call .to_dense()")
        if values.is_complex() or values.is_quantized:
            raise TypeError(f"{name} is a tensor of {values.dtype}; expected {NUMBERS}")
        return values
    sparse = sys.modules.get("scipy.sparse")  # whoever has such a matrix has imported it
    if sparse and sparse.issparse(values):
        raise TypeError(
            f"{name} is a sparse matrix; expected a dense one: its products are a @ b.T, or call .toarray()"
        )
    if table_columns(values):
        raise TypeError(f"{name} is a {type(values).__name__}; expected {NUMBERS}: take {name}.to_numpy(), if all are")
    if any(hasattr(values, name) for name in ("__array__", "__array_interface__")) and not isinstance(values, Mapping):
        return _of_array(np.asanyarray(values), name)
    if isinstance(values, (Mapping, set, frozenset, str, bytes)) or not isinstance(values, Iterable):
        advice = f": take list({name}.values())" if isinstance(values, Mapping) else ""
        raise TypeError(f"{name} is {shown(values)}; expected {NUMBERS}{advice}")
    values = list(values)
    if all(isinstance(value, Real) for value in values):
        try:
            return torch.tensor(values)
        except (TypeError, ValueError, RuntimeError) as error:  # fractions, integers of more than 64 bits
            raise TypeError(f"{name} holds numbers that torch has no dtype for ({error}); take floats") from error
    rows = [tensor_of(row, f"{name}[{i}]") for i, row in enumerate(values)]
    if len(shapes := sorted({tuple(row.shape) for row in rows})) > 1:
        raise ValueError(f"{name}: expected a list of vectors of one dimension, got the shapes {shapes}")
    dtype = rows[0].dtype
    for row in rows:
        dtype = torch.promote_types(dtype, row.dtype)
    return torch.stack([row.to(dtype) for row in rows])


def _of_array(array: np.ndarray, name: str) -> Tensor:
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise TypeError(f"{name} is an array with masked values; expected {NUMBERS}: fill or drop them")
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} is an array of {array.dtype}; expected {NUMBERS}")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:  # for these torch lacks most operators
        array = array.astype(np.float64 if array.dtype.itemsize == 8 else np.int64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if any(step < 0 or step % array.itemsize for step in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nothing writes to it
        return torch.from_numpy(np.asarray(array))


def floats_of(values, name: str) -> Tensor:
    """The numbers to compute with: half precision in float32, integers in torch's default dtype, others as they are."""
    values = tensor_of(values, name)
    at_least = torch.float32 if values.is_floating_point() else torch.get_default_dtype()
    return values.to(torch.promote_types(values.dtype, at_least))


def matrix_of(values, name: str = "embeddings") -> Tensor:
    """The vectors as (n, dim); without any, (0, 0). ValueError for another number of axes, TypeError as `tensor_of`."""
    values = tensor_of(values, name)
    if values.ndim != 2 and (not values.ndim or len(values)):
        raise ValueError(f"the {name} have the shape {tuple(values.shape)}; expected (n, dim)")
    return values if values.ndim == 2 else values.new_empty(0, 0)


def array_of(values, name: str) -> np.ndarray:
    """The numbers as an array, Python's own in float64. Errors of `tensor_of`."""
    if not hasattr(values, "__len__") and isinstance(values, Iterable):
        values = list(values)
    if isinstance(values, (list, tuple)) and all(type(value) in (bool, int, float) for value in values):
        return np.asarray(values)
    numbers = tensor_of(values, name).detach().cpu()
    return (numbers.float() if numbers.dtype == torch.bfloat16 else numbers).numpy()


def tensor_or_array(values, name: str) -> Tensor | np.ndarray:
    """A tensor for a tensor, an array for an array, of the same memory, and for lists. Errors of `tensor_of`."""
    return tensor_of(values, name) if isinstance(values, Tensor) else array_of(values, name)


def check_finite(vectors: Tensor, block: int = 16_384, of: str = "vectors"):
    """ValueError where one of the vectors, (n, dim), holds NaN or infinite values. So many rows are read at a time."""
    bad = [row for i, rows in enumerate(vectors.split(block)) for row in i * block + not_finite(rows)]
    if bad:
        raise ValueError(f"{len(bad)} of {len(vectors)} {of} hold NaN or infinite values, row {bad[0]} first")


def not_finite(rows: Tensor) -> np.ndarray:
    """Which of the rows, (n, dim), hold NaN or infinite values."""
    return (~rows.isfinite().all(dim=1)).nonzero().flatten().cpu().numpy()
