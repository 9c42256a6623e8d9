"""The same four encoders in several notebooks: table and heatmaps."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib.data import load_pairs
from course_lib.side_by_side import FOUR, SIX, found_share, heatmaps, partners, table


class ByTable:
    """An encoder that knows a vector for each text."""

    def __init__(self, vectors: dict):
        self.vectors = vectors

    def encode(self, texts, show_progress_bar=False):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)


def one_hot(groups) -> dict:
    return {text: np.eye(len(groups))[i] for i, group in enumerate(groups) for text in group}


def test_found_share_counts_who_finds_the_own_partner():
    pairs = load_pairs()
    perfect = one_hot(pairs)
    assert found_share(ByTable(perfect)) == 1
    wrong = perfect | {pairs[0][0]: perfect[pairs[1][0]]}  # the first looks for the second's partner
    assert found_share(ByTable(wrong)) == pytest.approx(1 - 1 / len(pairs))


def test_partners_are_two_and_two():
    assert partners(ByTable(one_hot(list(zip(SIX[::2], SIX[1::2]))))) == 6
    crossed = one_hot([(SIX[0], SIX[2]), (SIX[1], SIX[3]), (SIX[4], SIX[5])])
    assert partners(ByTable(crossed)) == 2


def test_table_and_heatmaps_of_the_shipped_models():
    from course_lib.encoder import SentenceEncoder

    names = [name for name in FOUR if name != "ranking on NLI"]
    encoders = {name: SentenceEncoder.load(FOUR[name], device="cpu", dtype="float32") for name in names}
    numbers = table(encoders)
    assert list(numbers.index) == names and list(numbers.columns) == ["STS", "found", "partners"]
    assert numbers.loc["with a teacher", "found"] == round(100 * found_share(encoders["with a teacher"]), 1)
    assert numbers.loc["with a teacher", "STS"] > numbers.loc["BERT, averaged", "STS"] + 10
    figure = heatmaps(encoders, "Six sentences")
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == names
    assert len([ax for ax in figure.axes if not ax.get_title()]) == 1  # one colour bar
    frames = [(patch.get_xy(), patch.get_width()) for patch in figure.axes[0].patches]
    assert frames == [((start, start), 2) for start in (-0.5, 1.5, 3.5)]  # a topic's two sentences in each
    plt.close(figure)
