"""How good are mined negatives where it is known which texts are right answers? In words, for exercise 12.2.

Any way of choosing is right that reaches three marks: most anchors get a negative, hardly any is a right answer, and
they are nearly as near to their anchors as the nearest wrong answers are. What misses a mark is told by its number.
"""

from collections.abc import Callable

import numpy as np

from course_lib.similarity import cos_sim

ANCHORS, FALSE, HARD = 0.9, 0.05, 0.9  # share with a negative, of these false, and of the nearest wrong ones' cosine


def measured(mine: Callable) -> Callable:
    """`mine`, which chooses negatives by vectors alone, as a function that also gets the truth, and gives the marks.

    That is a list of lines. None is passed on. ValueError where there is not one position, or None, for each anchor.
    """

    def marks(anchors, texts, own, right):
        """anchors (n, dim), texts (m, dim); own (n,): the position of each positive; right (n, m): right answers."""
        chosen = mine(anchors.copy(), texts.copy(), own.copy())
        if chosen is None or chosen is Ellipsis:
            return None
        chosen = [None if place is None else int(place) for place in chosen]
        outside = [place for place in chosen if place is not None and not 0 <= place < len(texts)]
        if len(chosen) != len(anchors) or outside:
            raise ValueError(
                f"expected for each of {len(anchors)} anchors a position below {len(texts)}, or None; got {len(chosen)}"
                + (f", among them {outside[0]}" if outside else "")
            )
        found = [i for i, place in enumerate(chosen) if place is not None]
        places = [chosen[i] for i in found]
        cosines = cos_sim(anchors, texts).numpy()  # (n, m)
        false, positives = right[found, places].sum(), sum(places == own[found])
        hardest = np.where(right, -1, cosines).max(axis=1)[found].mean() if found else 0
        hard = cosines[found, places].mean() if found else 0
        return [
            "most anchors have a negative" if len(found) >= ANCHORS * len(chosen) else f"{len(found)} negatives only",
            f"{positives} of them the anchor's own positive",
            "hardly any is false" if false <= FALSE * len(found) else f"{false} of {len(found)} are right answers",
            "they are hard" if hard >= HARD * hardest else f"mean cosine {hard:.2f}, of the nearest true {hardest:.2f}",
        ]

    return marks


def questions_in_groups(seed: int, groups: int = 60, dim: int = 24):
    """Invented vectors of questions that come in groups, of which several lie near each other: what `marks` gets.

    Their lengths differ. Of each group the first is an anchor and the second its positive; it has up to four more.
    """
    chance = np.random.default_rng(seed)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    noise = lambda n: unit(chance.normal(size=(n, dim)))
    centres = unit(np.repeat(noise(groups // 4), 4, axis=0) + 0.9 * noise(groups))  # (groups, dim), four on one subject
    sizes = chance.integers(2, 7, size=groups)
    group = np.repeat(np.arange(groups), sizes)
    vectors = unit(centres[group] + 0.5 * noise(len(group))) * chance.uniform(0.5, 2, size=(len(group), 1))
    first = np.concatenate([[0], sizes.cumsum()[:-1]])  # (groups,)
    others = chance.permutation(np.setdiff1d(np.arange(len(group)), first))
    place = {int(text): i for i, text in enumerate(others)}
    return vectors[first], vectors[others], np.array([place[i + 1] for i in first]), group[others] == group[first, None]
