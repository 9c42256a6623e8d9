"""What tests of losses share: given embeddings for sentence-transformers' losses, and the comparison with ours."""

import torch
from torch import nn

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
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, batch, dim, generator=generator, dtype=torch.float64)
    return [x.clone().requires_grad_() for x in vectors]


def columns(vectors):
    return [{"sentence_embedding": x} for x in vectors]


def assert_equal(ours, theirs, vectors):
    """Value, and gradients with respect to the given tensors, to 1e-9; returns the largest difference."""
    assert ours.shape == theirs.shape == () and ours.dtype == torch.float64
    gradients, expected = torch.autograd.grad(ours, vectors), torch.autograd.grad(theirs, vectors)
    differences = [(a - b).abs().max().item() for a, b in zip((ours, *gradients), (theirs, *expected))]
    assert max(differences) <= 1e-9, differences  # fails for NaN too
    return max(differences)
