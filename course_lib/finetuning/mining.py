"""Hard negatives: texts that look like the answer to an anchor, and are not.

    mined = mine_hard_negatives(pairs, encoder, corpus, range_max=50, relative_margin=0.05)
    train(encoder, siamese_objective(encoder, ranking_loss), mined.examples)      # (anchor, positive, negative)
    print(mined)                                                                  # what was left out, and why

A random text is told from the positive at a glance, and teaches nothing. The nearest neighbours of the anchor that
nobody called positive are hard, and some of them are positives that nobody labelled: false negatives. A margin below
the positive's score is there to leave those out (Moreira et al. 2024, arXiv 2407.15831). Parameter names and results
are those of sentence_transformers.util.mine_hard_negatives.

Left out on purpose: its other limits (range_min, absolute_margin, max_score, min_score), random choice among the
candidates, its formats "labeled-pair" and "labeled-list", positives among the candidates, caching, faiss.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.retrieval.search import top_k
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.embeddings import embed
from course_lib.support.text_inputs import pair_list, text_list
from course_lib.support.texts import normalized


@dataclass
class Mined:
    """What `mine_hard_negatives` found.

    examples: tuples of texts, (anchor, positive, negative) or (anchor, positive, negative_1, ..., negative_n).
    scores: for each example the scores of its positive and negatives with the anchor.
    queries, positives: distinct anchors, and distinct pairs of anchor and positive.
    candidates: pairs of an anchor and a text of the corpus that were looked at.
    left_out: how many of them each rule took away, in the order of the rules; each is counted once.
    short: anchors for which fewer negatives than asked for were left.
    """

    examples: list[tuple[str, ...]]
    scores: list[tuple[float, ...]]
    queries: int
    positives: int
    candidates: int
    left_out: dict[str, int]
    short: int

    def __str__(self) -> str:
        lines = [
            ("anchors", self.queries),
            ("positives", self.positives),
            ("candidates", self.candidates),
            *((f"  left out: {rule}", count) for rule, count in self.left_out.items()),
            ("anchors with too few negatives", self.short),
            ("examples", len(self.examples)),
        ]
        return "\n".join(f"{what:<32}{count:>12,}" for what, count in lines)


def mine_hard_negatives(
    dataset: Sequence[tuple[str, str]],
    model,
    corpus: Sequence[str] | None = None,
    *,
    cross_encoder=None,
    range_max: int | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    output_format: str = "triplet",
) -> Mined:
    """Negatives for pairs (anchor, positive) among the texts nearest to the anchor by the cosine of `model`'s vectors.

    dataset: pairs; an anchor that comes more than once has several positives. All of them are kept out of its
        negatives, and so are texts that equal the anchor or a positive but for case and punctuation.
    model: anything with `encode`, or with `encode_query` and `encode_document` (see `support.embeddings`).
    corpus: candidates beside the positives of all pairs, which always are. A text that comes twice counts once.
    cross_encoder: anything with `predict(pairs) -> (pairs,)`; its scores replace the cosines of all candidates and
        positives, for the margin and for the order.
    relative_margin: candidates above the positive's score - relative_margin * |the positive's score| are left out; of
        several positives the lowest score counts.
    range_max: so many of the nearest texts are looked at, not counting positives and near-copies; of what is left the
        `num_negatives` with the highest scores are taken. By default num_negatives + positives of an anchor; with a
        margin or a cross_encoder 10 * num_negatives + these.
    output_format: "triplet" gives an example for each positive and negative; "n-tuple" one for each positive, with all
        its negatives, and none where there are fewer than num_negatives.

    Examples are in the order of the anchors' first appearance. Memory: (anchors, range_max) scores, never (anchors,
    corpus). Unlike sentence_transformers, it rescores also where no margin is given, and tells the near-copies above.
    ValueError for no pairs, an empty range, and unknown names; TypeError for what is no pair of strings.
    """
    dataset, corpus = pair_list(dataset, "dataset"), text_list(() if corpus is None else corpus, "corpus")
    _check_options(dataset, num_negatives, output_format)
    positives: dict[str, dict[str, None]] = {}  # anchor -> its positives, without repetition, in order
    for anchor, positive in dataset:
        positives.setdefault(anchor, {})[positive] = None
    most = max(Counter(anchor for anchor, _ in dataset).values())
    if range_max is None:
        range_max = num_negatives * (1 if relative_margin is None and cross_encoder is None else 10) + most
    if num_negatives > range_max:
        raise ValueError(
            f"range_max is {range_max}, fewer than num_negatives, {num_negatives}: raise it, or lower that"
        )

    anchors = list(positives)
    texts = list(dict.fromkeys([*corpus, *(positive for _, positive in dataset)]))
    place = {text: j for j, text in enumerate(texts)}
    own = [{place[text] for text in of_anchor} for of_anchor in positives.values()]  # for each anchor, rows of texts
    copies = _copies(positives, texts, own)
    pairs = [(i, place[text]) for i, of_anchor in enumerate(positives.values()) for text in of_anchor]

    queries, documents = embed(model, anchors, "query"), embed(model, texts, "document")  # (anchors, dim), (texts, dim)
    k = range_max + max(most, *(len(a) + len(b) for a, b in zip(own, copies)))
    scores, rows = (x.numpy() for x in top_k(queries, documents, k))  # (anchors, k) each
    gold = pairwise_cos_sim(queries[[i for i, _ in pairs]], documents[[j for _, j in pairs]]).numpy()  # (pairs,)
    rules = {"positive": _is_in(rows, own), "copy of anchor or positive": _is_in(rows, copies)}  # (anchors, k) each
    if cross_encoder is not None:
        at = np.argwhere(~rules["positive"] & ~rules["copy of anchor or positive"])  # (candidates, 2)
        candidates = [(anchors[i], texts[rows[i, c]]) for i, c in at]
        asked = candidates + [(anchors[i], texts[j]) for i, j in pairs]
        answers = _predicted(cross_encoder, asked)  # (candidates + pairs,)
        scores = scores.astype(answers.dtype)
        scores[at[:, 0], at[:, 1]], gold = answers[: len(at)], answers[len(at) :]
    if relative_margin is not None:
        lowest = np.full((len(anchors), 1), np.inf, dtype=gold.dtype)  # (anchors, 1): score of the lowest positive
        np.minimum.at(lowest[:, 0], [i for i, _ in pairs], gold)
        rules["relative_margin"] = scores > lowest - np.abs(lowest) * relative_margin

    left_out, left = {}, np.ones(rows.shape, dtype=bool)
    for rule, applies in rules.items():
        left_out[rule] = int((applies & left).sum())
        left &= ~applies
    chosen = []  # for each anchor, columns of `rows`, best first
    for i, line in enumerate(left):
        columns = np.flatnonzero(line)
        chosen.append(columns[np.argsort(-scores[i, columns], kind="stable")][:num_negatives])
    left_out["rank"] = int(left.sum()) - sum(map(len, chosen))

    short = sum(len(columns) < num_negatives for columns in chosen)
    mined = Mined([], [], len(anchors), len(pairs), rows.size, left_out, short)
    for (i, j), score in zip(pairs, gold.tolist()):
        if output_format == "triplet":
            groups = [[column] for column in chosen[i]]
        else:
            groups = [chosen[i]] * (len(chosen[i]) == num_negatives)
        for group in groups:
            mined.examples.append((anchors[i], texts[j], *(texts[rows[i, column]] for column in group)))
            mined.scores.append((score, *(float(scores[i, column]) for column in group)))
    return mined


def _copies(positives: dict[str, dict[str, None]], texts: list[str], own: list[set[int]]) -> list[set[int]]:
    """For each anchor the rows of texts that equal it or a positive but for case and punctuation, without `own`."""
    alike: dict[str, set[int]] = {}
    for j, text in enumerate(texts):
        alike.setdefault(normalized(text) or text, set()).add(j)
    return [
        set().union(*(alike.get(normalized(text) or text, ()) for text in (anchor, *of_anchor))) - mine
        for (anchor, of_anchor), mine in zip(positives.items(), own)
    ]


def _is_in(rows: np.ndarray, sets: list[set[int]]) -> np.ndarray:
    """Is a number of line i in set i? (lines, k) -> (lines, k) of True and False."""
    found = [[row in own for row in line] for line, own in zip(rows.tolist(), sets)]
    return np.array(found, dtype=bool).reshape(rows.shape)


def _predicted(cross_encoder, pairs: list[tuple[str, str]]) -> np.ndarray:
    answers = np.asarray(cross_encoder.predict(pairs))
    if answers.shape != (len(pairs),) or not np.isfinite(answers).all():
        shape = answers.shape
        raise ValueError(f"the cross_encoder gave {shape} scores for {len(pairs)} pairs, or some that are not finite")
    return answers


def _check_options(dataset: list, num_negatives: int, output_format: str):
    if not dataset:
        raise ValueError("there are no pairs to mine negatives for")
    if num_negatives < 1:
        raise ValueError(f"num_negatives is {num_negatives}; expected at least 1")
    if output_format not in ("triplet", "n-tuple"):
        raise ValueError(f"output_format is {output_format!r}; expected 'triplet' or 'n-tuple'")
