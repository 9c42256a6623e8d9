"""How good is an encoder? Evaluators: called with a model, they return a dict of numbers.

A model is anything with `encode(list of n texts) -> (n, dim)` array or tensor: this course's SentenceEncoder,
a SentenceTransformer, or a class of three lines. Each evaluator names the number to compare models by in
`primary_metric`; higher is better. Names and results are those of sentence_transformers' evaluators. Those of
duplicates and search are in retrieval/evaluators.py.

Left out on purpose: the maximum over similarity functions, which chooses one on the very data it is measured on.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from course_lib.data import NLIExample, ScoredPair
from course_lib.losses import SoftmaxLoss
from course_lib.similarity import PAIRWISE_SIMILARITY_FUNCTIONS
from course_lib.support.correlation import pearson, spearman
from course_lib.support.embeddings import embed
from course_lib.support.labelled_pairs import labelled_pairs
from course_lib.support.vectors import floats_of


class EmbeddingSimilarityEvaluator:
    """Do the similarities of embeddings rank pairs of sentences as people do? The protocol of the STS tasks.

    Called with a model, returns Pearson's and Spearman's correlation, -1..1, of the pairs' scores with each of
    four similarities: pearson_cosine, spearman_cosine, and so on for dot, euclidean, manhattan. With a
    `name`, keys begin with it: sts_spearman_cosine. ValueError where a correlation is not defined (see `spearman`).
    pairs: `ScoredPair`s, or tuples (sentence1, sentence2, score); what else raises TypeError (labelled_pairs.py).
    """

    def __init__(self, pairs: Sequence[ScoredPair], name: str = ""):
        self.pairs, self.prefix = labelled_pairs(pairs, ScoredPair, "pairs"), f"{name}_" if name else ""
        self.primary_metric = f"{self.prefix}spearman_cosine"

    def __call__(self, model) -> dict[str, float]:
        u = embed(model, [pair.sentence1 for pair in self.pairs])  # (pairs, dim)
        v = embed(model, [pair.sentence2 for pair in self.pairs])
        gold, metrics = [pair.score for pair in self.pairs], {}
        for kind, function in PAIRWISE_SIMILARITY_FUNCTIONS.items():
            scores = function(u, v)  # (pairs,)
            metrics[f"{self.prefix}pearson_{kind}"] = pearson(gold, scores)
            metrics[f"{self.prefix}spearman_{kind}"] = spearman(gold, scores)
        return metrics


class LabelAccuracyEvaluator:
    """How often does the classifier of a SoftmaxLoss, on top of the encoder, give a pair its right label?

    Called with a model, returns {"accuracy": 0..1} (with a `name`, {"nli_accuracy": ...}). `loss` is the
    SoftmaxLoss that was trained together with the model. ValueError without examples.
    """

    def __init__(self, examples: Sequence[NLIExample], loss: SoftmaxLoss, name: str = ""):
        self.examples, self.loss = labelled_pairs(examples, NLIExample, "examples"), loss
        if not self.examples:
            raise ValueError("accuracy needs at least one example")
        self.primary_metric = f"{name}_accuracy" if name else "accuracy"

    @torch.no_grad()
    def __call__(self, model) -> dict[str, float]:
        device = next(self.loss.parameters()).device
        u = embed(model, [example.premise for example in self.examples]).to(device)  # (examples, dim)
        v = embed(model, [example.hypothesis for example in self.examples]).to(device)
        labels = torch.tensor([example.label for example in self.examples], device=device)
        right = self.loss.logits(u, v).argmax(dim=1) == labels  # (examples,)
        return {self.primary_metric: right.double().mean().item()}


def alignment(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared distance on the unit sphere of texts that mean the same: (pairs, dim) twice -> scalar, 0 to 4.

    Smaller is better, as for `uniformity`; either alone is easily won, by all texts on one point, or strewn at random.
    Wang & Isola 2020 (arXiv 2005.10242), section 4.1. ValueError unless both have one shape, with a pair at least.
    """
    x, y = floats_of(x, "x"), floats_of(y, "y")
    if x.ndim != 2 or x.shape != y.shape or not len(x):
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"expected two batches of embeddings of one shape (pairs, dim), got {shapes}")
    return (normalize(x, dim=1) - normalize(y, dim=1)).square().sum(1).mean()  # (pairs, dim) -> (pairs,) -> scalar


def uniformity(x: Tensor) -> Tensor:
    """log of the mean of exp(-2 * squared distance) over all pairs of rows on the sphere: (texts, dim) -> -8 to 0.

    0: all on one point. In many dimensions random directions have squared distances near 2, and uniformity is near -4.
    Wang & Isola 2020, with their t = 2. ValueError for fewer than two texts.
    """
    x = floats_of(x, "x")
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"expected the embeddings of two texts at least, (texts, dim), got {tuple(x.shape)}")
    squared = torch.pdist(normalize(x, dim=1)).square()  # (texts * (texts - 1) / 2,)
    return squared.mul(-2).logsumexp(0) - torch.log(torch.tensor(float(len(squared)), dtype=x.dtype, device=x.device))
