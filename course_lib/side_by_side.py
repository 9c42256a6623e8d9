"""The course's four encoders side by side: one table and one row of heatmaps, the same in notebooks 05 to 08.

    encoders = {name: SentenceEncoder.load(model, dtype="float32") for name, model in FOUR.items()}
    print(table(encoders))
    heatmaps(encoders, "Training sets the pairs apart")

All four are one size of BERT: read as it is, and trained in three ways (the last began from an earlier BERT, which had
read captions and NLI sentences, too). What is measured here needs no download: the order of 328 scored pairs, a search
among 200 sentences, and six sentences that fit into a picture.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib.data import load_pairs, load_sts
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.plotting import heatmap
from course_lib.similarity import cos_sim

FOUR = {
    "BERT, averaged": "course/bert-mini",
    "softmax on NLI": "course/sbert-mini-nli",
    "ranking on NLI": "course/sbert-mini-ranking",
    "with a teacher": "course/sbert-mini",
}
SIX = (  # three topics, two sentences each that mean about the same
    "A man is eating food.",
    "Someone is having a meal.",
    "The striker scored a goal.",
    "A player put the ball in the net.",
    "She saves money every month.",
    "He pays into a savings account.",
)


def found_share(encoder, pairs: str = "course/pairs") -> float:
    """The share, 0..1, of first texts whose own second text is the nearest of all second texts, by cosine."""
    first, second = (encoder.encode(list(side), show_progress_bar=False) for side in zip(*load_pairs(pairs)))
    nearest = cos_sim(first, second).argmax(1)  # two times (pairs, dim) -> (pairs,)
    return (nearest == torch.arange(len(first))).double().mean().item()


def partners(encoder) -> int:
    """How many of SIX have the other sentence of their topic as their nearest."""
    vectors = encoder.encode(list(SIX), show_progress_bar=False)
    cosines = cos_sim(vectors, vectors).fill_diagonal_(-2)  # (6, 6)
    return int((cosines.argmax(1) // 2 == torch.arange(6) // 2).sum())


def table(encoders: Mapping[str, object]) -> pd.DataFrame:
    """A row for each encoder, {name: encoder}.

    STS: Spearman's correlation x 100 of cosines with the scores of the bundled pairs. found: `found_share` in %,
    of which guessing reaches 0.5. partners: of the six sentences; guessing reaches 1.2.
    """
    sts = EmbeddingSimilarityEvaluator(load_sts())
    rows = {
        name: {
            "STS": round(100 * sts(encoder)["spearman_cosine"], 1),
            "found": round(100 * found_share(encoder), 1),
            "partners": partners(encoder),
        }
        for name, encoder in encoders.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def heatmaps(encoders: Mapping[str, object], title: str = "") -> Figure:
    """The cosines of SIX in each encoder, {name: encoder}, in one row with one colour bar."""
    figure, axes = plt.subplots(
        1, len(encoders), figsize=(3.2 + 2.5 * len(encoders), 3.2), layout="constrained", squeeze=False
    )
    for ax, (name, encoder) in zip(axes[0], encoders.items()):
        vectors = encoder.encode(list(SIX), show_progress_bar=False)
        heatmap(cos_sim(vectors, vectors), labels=SIX if ax is axes[0, 0] else None, title=name, ax=ax)
        outline(ax)
        if ax is not axes[0, -1]:
            ax.images[0].colorbar.remove()
    figure.suptitle(title)
    return figure


def outline(ax: Axes):
    """A frame round each topic's block in a heatmap of SIX."""
    for start in range(0, len(SIX), 2):
        ax.add_patch(Rectangle((start - 0.5, start - 0.5), 2, 2, fill=False, edgecolor="black", linewidth=2))
