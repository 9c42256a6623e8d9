"""Ours equals theirs: the one measure by which tests compare with torch, transformers and sentence-transformers."""

import numpy as np
import torch
from torch import nn


def assert_close(ours, theirs, share):
    """The same shape and type, and no number off by more than this share of the largest."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert (ours - theirs).abs().max() <= share * theirs.abs().max()


def assert_equal(ours, theirs, inputs=None):
    """Vectors (texts, dim) in float32: raw to 1e-5 of the largest component, normalised to 1e-6.

    A loss in float64, with the tensors it was computed from: the value and its gradients with respect to them to 1e-9.
    """
    if inputs is not None:
        assert ours.shape == theirs.shape == () and ours.dtype == torch.float64
        gradients, expected = torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs)
        differences = [(a - b).abs().max().item() for a, b in zip((ours, *gradients), (theirs, *expected))]
        assert all(difference <= 1e-9 for difference in differences), differences  # fails for NaN too
        return
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == np.float32
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    assert np.abs(unit(ours) - unit(theirs)).max() <= 1e-6


def close(ours, theirs, atol=1e-9):
    """Fails where a number is off by more than `atol`."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def unit(x):
    """The vectors (..., dim) at length one; zeros stay zeros."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


# ---- encoders

TEXTS = [
    "A cat sits on the mat.",
    "",
    "Where is the laptop?",
    "naïve café 🙂",
    "long " * 100,
    "مرحبا بالعالم",
    "A cat sits on the mat.",
]


def load(folder):
    """Ours, in float32."""
    from course_lib.encoder import SentenceEncoder

    return SentenceEncoder.load(folder, device="cpu", dtype="float32")


def theirs(folder, **options):
    """sentence-transformers' own, which takes seconds to import: not every test needs it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", **options)


def saved(modules, folder, **options):
    """The folder that sentence-transformers writes of its modules, without the model card, which takes longest."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=modules, device="cpu", **options).save(str(folder), create_model_card=False)
    return folder


# ---- losses: both libraries' get the same embeddings

DIM = 6


class Given(nn.Module):
    """A model whose embeddings are given: the reference losses call it with each column of a batch."""

    device = torch.device("cpu")

    def __init__(self, column="sentence_embedding"):
        super().__init__()
        self.column = column

    def forward(self, features):
        return {"sentence_embedding": features[self.column]}

    def get_embedding_dimension(self):
        return DIM


def embeddings(count, batch=5, seed=0, dim=DIM):
    """That many columns of random vectors (batch, dim) in float64."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, batch, dim, generator=generator, dtype=torch.float64)
    return [x.clone().requires_grad_() for x in vectors]


def columns(vectors):
    """The same as sentence-transformers' losses take them."""
    return [{"sentence_embedding": x} for x in vectors]


def pairs():
    """40 pairs at all distances: v is u plus noise that grows with the row."""
    u, noise = (x.detach() for x in embeddings(2, 40))
    return u.clone().requires_grad_(), (u + torch.arange(40)[:, None] / 13 * noise).requires_grad_()


def degenerate_pairs():
    """The same, but one has a vector of zeros, whose direction is undefined, and another two equal vectors."""
    u, v = (x.detach().clone() for x in pairs())
    u[1], v[2] = 0, u[2]
    return [u.requires_grad_(), v.requires_grad_()]


def random_labels(high=2):
    return torch.randint(high, (40,), generator=torch.Generator().manual_seed(0))
