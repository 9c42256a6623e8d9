"""What does an encoder's space look like? Two numbers: do like texts lie together, and do all texts use the room there is?

    alignment(first, second)      # two batches of embeddings, row i of one means what row i of the other means
    uniformity(vectors)           # embeddings of texts that have nothing to do with one another

Both are taken after L2 normalisation, so on the unit sphere, and for both smaller is better. Either alone is easily
won: put all texts on one point and alignment is 0; scatter them at random and uniformity is as low as it can be.

Wang and Isola 2020 (arXiv 2005.10242), section 4.1, with their alpha = 2 and t = 2; the same numbers as their code.
Left out on purpose: other powers, and gradients for training on the two directly (they have some: both are differentiable).
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def alignment(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared distance on the sphere of texts that mean the same: (pairs, dim), (pairs, dim) -> scalar, 0 to 4.

    It is 2 - 2 * the mean cosine of the pairs. ValueError unless both have one shape (pairs, dim), with a pair at least.
    """
    if x.ndim != 2 or x.shape != y.shape or not len(x):
        raise ValueError(
            f"expected two batches of embeddings of one shape (pairs, dim), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    return (normalize(x, dim=1) - normalize(y, dim=1)).square().sum(1).mean()  # (pairs, dim) -> (pairs,) -> scalar


def uniformity(x: Tensor) -> Tensor:
    """log of the mean of exp(-2 * squared distance) over all pairs of different rows: (texts, dim) -> scalar, -8 to 0.

    0: all on one point. In many dimensions random directions have squared distances near 2, and uniformity is near -4.
    ValueError for fewer than two texts.
    """
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"expected the embeddings of two texts at least, (texts, dim), got {tuple(x.shape)}")
    squared = torch.pdist(normalize(x, dim=1)).square()  # (texts * (texts - 1) / 2,)
    return squared.mul(-2).logsumexp(0) - torch.log(torch.tensor(float(len(squared)), dtype=x.dtype, device=x.device))
