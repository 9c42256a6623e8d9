"""How alike are two embeddings? Cosine, dot product and two distances, as scores: higher is more alike.

Each function comes twice. `cos_sim(a, b)` compares every row of `a` with every row of `b`; `pairwise_cos_sim(a, b)`
compares row i of `a` with row i of `b` only. Names, signs and results are those of sentence_transformers.util.

Every function takes tensors, numpy arrays, or lists of either or of numbers; one vector (dim,) counts as (1, dim). Half
precision is computed in float32 (a score rounded to bfloat16 ties with its neighbours) and integers in torch's default
dtype. All raise ValueError for shapes that do not fit, naming both, TypeError for other kinds (support/vectors.py).

Left out on purpose: sparse tensors, and the top k of a large matrix.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from course_lib.support.vectors import floats_of


def cos_sim(a, b) -> Tensor:
    """Cosine of the angle, -1..1: (n, dim), (m, dim) -> (n, m). 0 where a vector is all zeros."""
    a, b = _matrices(a, b)
    return normalize(a, dim=1) @ normalize(b, dim=1).T  # (n, dim) @ (dim, m) -> (n, m)


def dot_score(a, b) -> Tensor:
    """Dot product, unbounded: (n, dim), (m, dim) -> (n, m). The cosine, if all rows have length 1."""
    a, b = _matrices(a, b)
    return a @ b.T  # (n, dim) @ (dim, m) -> (n, m)


def euclidean_sim(a, b) -> Tensor:
    """Minus the Euclidean distance, at most 0: (n, dim), (m, dim) -> (n, m).

    Computed from differences, not from dot products: slower, but exactly 0 from a vector to itself.
    """
    a, b = _matrices(a, b)
    return -torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")  # (n, m)


def manhattan_sim(a, b) -> Tensor:
    """Minus the Manhattan (L1) distance, at most 0: (n, dim), (m, dim) -> (n, m)."""
    a, b = _matrices(a, b)
    return -torch.cdist(a, b, p=1.0)  # (n, m)


def pairwise_cos_sim(a, b) -> Tensor:
    """Cosine of row i of `a` and row i of `b`: (n, dim), (n, dim) -> (n,)."""
    a, b = _matrices(a, b, pairwise=True)
    return (normalize(a, dim=1) * normalize(b, dim=1)).sum(dim=1)  # (n, dim) -> (n,)


def pairwise_dot_score(a, b) -> Tensor:
    """Dot product of row i of `a` and row i of `b`: (n, dim), (n, dim) -> (n,)."""
    a, b = _matrices(a, b, pairwise=True)
    return (a * b).sum(dim=1)  # (n, dim) -> (n,)


def pairwise_euclidean_sim(a, b) -> Tensor:
    """Minus the Euclidean distance of row i of `a` and row i of `b`: (n, dim), (n, dim) -> (n,)."""
    a, b = _matrices(a, b, pairwise=True)
    return -torch.linalg.vector_norm(a - b, dim=1)  # (n, dim) -> (n,)


def pairwise_manhattan_sim(a, b) -> Tensor:
    """Minus the Manhattan (L1) distance of row i of `a` and row i of `b`: (n, dim), (n, dim) -> (n,)."""
    a, b = _matrices(a, b, pairwise=True)
    return -(a - b).abs().sum(dim=1)  # (n, dim) -> (n,)


SIMILARITY_FUNCTIONS = {"cosine": cos_sim, "dot": dot_score, "euclidean": euclidean_sim, "manhattan": manhattan_sim}
PAIRWISE_SIMILARITY_FUNCTIONS = {
    "cosine": pairwise_cos_sim,
    "dot": pairwise_dot_score,
    "euclidean": pairwise_euclidean_sim,
    "manhattan": pairwise_manhattan_sim,
}


def _matrices(a, b, pairwise=False) -> tuple[Tensor, Tensor]:
    """Both arguments as matrices of one floating dtype, checked to fit each other."""
    a, b = _matrix(a, "a"), _matrix(b, "b")
    shapes = f"a has the shape {tuple(a.shape)} and b {tuple(b.shape)}"
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{shapes}: both need vectors of one dimension. Were they made by two different models?")
    if pairwise and len(a) != len(b):
        raise ValueError(f"{shapes}: row by row needs as many rows in both. Without pairwise_ all meet all.")
    dtype = torch.promote_types(a.dtype, b.dtype)
    return a.to(dtype), b.to(dtype)


def _matrix(x, name: str) -> Tensor:
    """A tensor, array or list as a (rows, dim) tensor of at least float32; float arrays are not copied."""
    x = floats_of(x, name)
    if x.ndim not in (1, 2) or x.shape == (0,):
        shape = tuple(x.shape)
        raise ValueError(f"{name}: expected a vector (dim,) or a matrix (rows, dim), got the shape {shape}")
    return torch.atleast_2d(x)  # (dim,) -> (1, dim)
