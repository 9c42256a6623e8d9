"""What a loss accepts, and what it says of anything else. Each returns what it was given, fit to compute with."""

from collections.abc import Collection

from torch import Tensor

from course_lib.support.vectors import tensor_of


def checked(*columns: Tensor, paired: int | None = None, dim: int | None = None) -> list[Tensor]:
    """Embeddings (rows, dim) in float32 at least. ValueError unless all have one dim, and the first `paired` columns
    (None: all) have equally many rows, at least one; TypeError for what is no tensor: it has no gradient."""
    if other := [type(x).__name__ for x in columns if not isinstance(x, Tensor)]:
        raise TypeError(f"expected embeddings as tensors, which the encoder itself gives, got a {other[0]}")
    shapes = [tuple(x.shape) for x in columns]
    fit = bool(shapes) and all(len(shape) == 2 for shape in shapes)
    fit = fit and {shape[1] for shape in shapes} == {dim or shapes[0][1]} - {0}
    fit = fit and {shape[0] for shape in shapes[:paired]} == {shapes[0][0]} - {0}
    if not fit:
        which = "all columns" if paired is None else f"the first {paired} columns"
        raise ValueError(
            f"expected embeddings (rows, {dim or 'dim'}), of one dim, with equally many rows, at least one, "
            f"in {which}; got {shapes}"
        )
    if other := [x.dtype for x in columns if not x.is_floating_point()]:
        raise ValueError(f"expected embeddings of floating point numbers, got {other[0]}")
    return [at_least_float32(x) for x in columns]


def checked_classes(labels, rows: Tensor, num_labels: int) -> Tensor:
    """Tensor, array or list of one class for each row, int64 (rows,), 0..num_labels - 1, on the device of `rows`.

    ValueError for others: cross_entropy would silently skip a label of -100.
    """
    labels = tensor_of(labels, "labels")
    if labels.is_floating_point() or labels.shape != rows.shape[:1]:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise ValueError(f"expected one integer label for each of the {len(rows)} pairs, got {got}")
    if labels.min() < 0 or labels.max() >= num_labels:
        raise ValueError(f"labels are 0..{num_labels - 1}, got {sorted(set(labels.tolist()))}")
    return labels.long().to(rows.device)


def checked_targets(targets, rows: Tensor, what: str) -> Tensor:
    """Tensor, array or list of one finite number a row, (rows,), on the device of `rows`. ValueError otherwise."""
    targets, count = tensor_of(targets, f"{what}s").to(rows.device), len(rows)
    if targets.shape != (count,):
        raise ValueError(f"expected one {what} for each of the {count} rows, ({count},), got {tuple(targets.shape)}")
    if bad := (~targets.isfinite()).nonzero().flatten().tolist():
        raise ValueError(
            f"expected finite {what}s, got {targets[bad[0]].item()} in row {bad[0]} ({len(bad)} of {count} "
            "rows are not finite): mend the data there"
        )
    return targets


def at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype.itemsize < 4 else x


def positive(value: float, what: str) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{what} must be positive, got {value}")
    return value


def one_of(known: Collection[str], name: str, what: str) -> str:
    if name not in known:
        raise ValueError(f"{what} is one of {list(known)}, got {name!r}")
    return name
