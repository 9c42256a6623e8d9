"""One encoder, several sentences: from a batch of examples to the loss that siamese and triplet networks minimise.

    head = SoftmaxLoss(encoder.get_embedding_dimension())
    network = nn.ModuleDict({"encoder": encoder, "head": head})
    train(network, siamese_objective(encoder, head), load_nli(), batch_size=32, learning_rate=2e-4)

A siamese network is one network, called for each of the sentences, which shares its weights with itself. The objectives
of Reimers & Gurevych 2019 (arXiv 1908.10084), section 3, and the ranking loss differ in the loss alone, and in what it
wants of an example:

    classification    SoftmaxLoss                     two texts and a label (`NLIExample`)
    regression        CosineSimilarityLoss            two texts and a score (`ScoredPair`)
    triplet           TripletLoss                     anchor, positive, negative
    ranking           MultipleNegativesRankingLoss    anchor, positive, and hard negatives, any number of them

Left out on purpose: two encoders, one for each side (models/two_towers.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_lib.support.training_examples import columns


def siamese_objective(encoder: nn.Module, loss: nn.Module) -> Callable[[list], Tensor]:
    """What `training.train` minimises: a function from a list of examples to their scalar loss.

    encoder: a list of n texts -> (n, dim). loss: one of losses.py, called with the embeddings of each column of texts
    and then with each column of numbers, (batch,). Examples: tuples, lists, dictionaries or dataclasses.
    """

    def objective(batch: list) -> Tensor:
        texts, numbers = text_and_number_columns(batch)
        vectors = encoder([text for column in texts for text in column])  # (all texts, dim): one network reads them all
        targets = [torch.tensor(column, device=vectors.device) for column in numbers]  # (batch,) each
        return loss(*vectors.split([len(column) for column in texts]), *targets)

    return objective


def text_and_number_columns(batch: list) -> tuple[list[list[str]], list[list[float]]]:
    """[("a", "b", 1), ("c", "d", 0)] -> [["a", "c"], ["b", "d"]], [[1, 0]]. ValueError for less than two texts.

    Without numbers there are three columns of texts; the third has all hard negatives, also where some examples have
    several and others none: it may be empty.
    """
    rows = [list(columns(example).values()) for example in batch]
    texts = [[value for value in row if isinstance(value, str)] for row in rows]
    numbers = [[value for value in row if not isinstance(value, str)] for row in rows]
    if few := [example for example, own in zip(batch, texts) if len(own) < 2]:
        raise ValueError(f"a siamese network compares texts: expected two or more in each example, got {few[0]!r:.200}")
    if any(numbers):
        return [list(column) for column in zip(*texts)], [list(column) for column in zip(*numbers)]
    negatives = [row[i] for i in range(2, max(map(len, texts))) for row in texts if len(row) > i]
    return [[row[0] for row in texts], [row[1] for row in texts], negatives], []
