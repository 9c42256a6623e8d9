"""What a loss accepts, and what it says of anything else. Each returns what it was given, fit to compute with."""

from collections.abc import Collection

from torch import Tensor


def checked(*columns: Tensor, paired: int | None = None, dim: int | None = None) -> list[Tensor]:
    """Embeddings (rows, dim) in float32 at least. ValueError unless all have one dim, and the first `paired` columns
    (None: all) have equally many rows, at least one."""
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


def checked_targets(targets: Tensor, count: int, what: str) -> Tensor:
    """One finite number for each of `count` rows, (count,). ValueError otherwise."""
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
