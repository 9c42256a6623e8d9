"""How good is an encoder? Evaluators: called with a model, they return a dict of numbers.

A model is anything with `encode(list of n texts) -> (n, dim)` array or tensor: this course's SentenceEncoder,
a SentenceTransformer, or a class of three lines. Each evaluator names the number to compare models by in
`primary_metric`. Names and results are those of sentence_transformers' evaluators.

Left out on purpose: writing CSV files, p-values, and the maximum over similarity functions.
"""
from collections.abc import Sequence
from inspect import signature

import numpy as np
import torch
from torch import Tensor

from course_lib.data import NLIExample, ScoredPair
from course_lib.losses import SoftmaxLoss
from course_lib.similarity import PAIRWISE_SIMILARITY_FUNCTIONS


def pearson(x, y) -> float:
    """Pearson's correlation of n numbers with n others, -1..1: the cosine of the two after centring.

    Computed in float64. Raises ValueError unless both have one length of at least 2, finite values, and are
    not constant: the correlation would be 0 / 0, and a model that scores all pairs alike is broken, not bad.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(f"expected two sequences of one length, at least 2, got {x.shape} and {y.shape}")
    for which, values in (("first", x), ("second", y)):
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise ValueError(f"no correlation: {bad} of {len(values)} values of the {which} sequence are NaN "
                             "or infinite")
        if np.all(values == values[0]):
            raise ValueError(f"no correlation: all {len(values)} values of the {which} sequence are equal")
    return float(np.clip(_direction(x) @ _direction(y), -1, 1))


def _direction(values: np.ndarray) -> np.ndarray:
    """Centred and of length 1, (n,)."""
    centred = values - values.mean()
    centred /= np.abs(centred).max()  # so that the squares of tiny values are not 0
    return centred / np.linalg.norm(centred)


def spearman(x, y) -> float:
    """Spearman's rank correlation, -1..1: Pearson's of the ranks, tied values sharing the average of theirs.

    What the STS tasks are scored by: it asks only that better pairs get higher scores (Reimers et al. 2016,
    COLING). ValueError as in `pearson`.
    """
    return pearson(_ranks(x), _ranks(y))


def _ranks(values) -> np.ndarray:
    """1 for the smallest of n values to n for the largest, (n,) float64. NaN stays, for `pearson` to find."""
    values = np.asarray(values, dtype=np.float64)
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # k equal values up to rank r share r - (k - 1) / 2
    return np.where(np.isfinite(values), ranks, np.nan)


class EmbeddingSimilarityEvaluator:
    """Do the similarities of embeddings rank pairs of sentences as people do? The protocol of the STS tasks.

    Called with a model, returns Pearson's and Spearman's correlation, -1..1, of people's scores with each of
    four similarities: pearson_cosine, spearman_cosine, and so on for dot, euclidean, manhattan. With a
    `name`, keys begin with it: sts_spearman_cosine. ValueError where a correlation is not defined (see
    `pearson`).
    """

    def __init__(self, pairs: Sequence[ScoredPair], name: str = ""):
        self.pairs = list(pairs)
        self.name = name
        self.primary_metric = _key(name, "spearman_cosine")

    def __call__(self, model) -> dict[str, float]:
        u = _encode(model, [pair.sentence1 for pair in self.pairs])  # (pairs, dim)
        v = _encode(model, [pair.sentence2 for pair in self.pairs])
        gold = [pair.score for pair in self.pairs]
        metrics = {}
        for kind, function in PAIRWISE_SIMILARITY_FUNCTIONS.items():
            scores = function(u, v).numpy()  # (pairs,)
            metrics[_key(self.name, f"pearson_{kind}")] = pearson(gold, scores)
            metrics[_key(self.name, f"spearman_{kind}")] = spearman(gold, scores)
        return metrics


class LabelAccuracyEvaluator:
    """How often does the classifier of a SoftmaxLoss, on top of the encoder, give a pair its right label?

    Called with a model, returns {"accuracy": 0..1} (with a `name`, {"nli_accuracy": ...}). `loss` is the
    SoftmaxLoss that was trained together with the model. ValueError without examples.
    """

    def __init__(self, examples: Sequence[NLIExample], loss: SoftmaxLoss, name: str = ""):
        if not len(examples):
            raise ValueError("accuracy needs at least one example")
        self.examples = list(examples)
        self.loss = loss
        self.name = name
        self.primary_metric = _key(name, "accuracy")

    @torch.no_grad()
    def __call__(self, model) -> dict[str, float]:
        device = self.loss.classifier.weight.device
        u = _encode(model, [example.premise for example in self.examples]).to(device)  # (examples, dim)
        v = _encode(model, [example.hypothesis for example in self.examples]).to(device)
        labels = torch.tensor([example.label for example in self.examples], device=device)
        right = self.loss.logits(u, v).argmax(dim=1) == labels  # (examples,)
        return {self.primary_metric: right.double().mean().item()}


def _encode(model, sentences: list[str]) -> Tensor:
    """The model's embeddings, (sentences, dim), on the CPU. ValueError unless finite, one a sentence."""
    quiet = {"show_progress_bar": False} if "show_progress_bar" in signature(model.encode).parameters else {}
    embeddings = torch.as_tensor(model.encode(sentences, **quiet)).detach().cpu()
    if embeddings.ndim != 2 or len(embeddings) != len(sentences):
        raise ValueError(f"encode gave the shape {tuple(embeddings.shape)} for {len(sentences)} sentences, "
                         f"expected ({len(sentences)}, dim)")
    if bad := int((~embeddings.isfinite().all(dim=1)).sum()):
        raise ValueError(f"encode gave NaN or infinite values for {bad} of {len(sentences)} sentences")
    return embeddings


def _key(name: str, metric: str) -> str:
    return f"{name}_{metric}" if name else metric
