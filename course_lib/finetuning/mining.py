"""Hard negatives: texts that look like the answer to an anchor, and are not.

    mined = mine_hard_negatives(pairs, encoder, corpus, range_max=50, relative_margin=0.05)
    train(encoder, ranking_loss, mined.examples)          # (anchor, positive, negative)
    print(mined)                                          # what was left out, and why

A random text is told from the positive at a glance, and teaches nothing. The nearest neighbours of the anchor that nobody
called positive are hard, and some of them are positives that nobody labelled: false negatives. Rank range, score limits and
margins are there to leave those out (Moreira et al. 2024, arXiv 2407.15831). Parameter names and results are those of
sentence_transformers.util.mine_hard_negatives.

Left out on purpose: its output formats "labeled-pair" and "labeled-list", positives among the candidates, caching, faiss.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from course_lib.data import normalized
from course_lib.evaluation import embed
from course_lib.retrieval.search import top_k
from course_lib.similarity import pairwise_cos_sim


@dataclass
class Mined:
    """What `mine_hard_negatives` found.

    examples: tuples of texts, (anchor, positive, negative) or (anchor, positive, negative_1, ..., negative_n).
    scores: for each example the scores of its positive and negatives with the anchor: what margin-MSE distillation learns.
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
    left_out: dict[str, int] = field(default_factory=dict)
    short: int = 0

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
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    sampling_strategy: str = "top",
    output_format: str = "triplet",
    seed: int = 0,
) -> Mined:
    """Negatives for pairs (anchor, positive) among the texts nearest to the anchor by the cosine of `model`'s vectors.

    dataset: pairs; an anchor that comes more than once has several positives. All of them are kept out of its negatives, and
        so are texts that equal the anchor or a positive but for case and punctuation.
    model: anything with `encode`, or with `encode_query` and `encode_document` (see `evaluation.embed`).
    corpus: candidates beside the positives of all pairs, which always are. A text that comes twice counts once.
    cross_encoder: anything with `predict(pairs) -> (pairs,)`; its scores replace the cosines of all candidates and positives,
        for the limits below and for the order.
    max_score, min_score: candidates above or below are left out.
    absolute_margin: so are those above the positive's score - absolute_margin; of several positives the lowest score counts.
    relative_margin: so are those above the positive's score - relative_margin * |the positive's score|.
    range_min, range_max: of what remains, the first range_min are skipped and those after range_max not looked at. By default
        range_max is range_min + num_negatives + positives of an anchor; with anything that may leave candidates out except
        min_score, 10 * num_negatives instead of num_negatives.
    sampling_strategy: "top" takes the `num_negatives` with the highest scores; "random" draws them, from `seed`.
    output_format: "triplet" gives an example for each positive and negative; "n-tuple" one for each positive, with all its
        negatives, and none where there are fewer than num_negatives.

    Examples are in the order of the anchors' first appearance. Memory: (anchors, range_max) scores, never (anchors, corpus).
    Unlike sentence_transformers, it rescores also where no limit is given, and tells the near-copies above.
    Raises ValueError for no pairs, an empty or contradictory range, and unknown names; TypeError for what is no pair of strings.
    """
    _check(dataset, num_negatives, range_min, sampling_strategy, output_format)
    positives: dict[str, dict[str, None]] = {}  # anchor -> its positives, without repetition, in order
    times: dict[str, int] = {}
    for anchor, positive in dataset:
        positives.setdefault(anchor, {})[positive] = None
        times[anchor] = times.get(anchor, 0) + 1
    most = max(times.values())
    if range_max is None:
        may_leave_out = any(limit is not None for limit in (absolute_margin, relative_margin, max_score, cross_encoder))
        range_max = range_min + num_negatives * (10 if may_leave_out else 1) + most
    if num_negatives > range_max - range_min:
        raise ValueError(
            f"ranks {range_min} to {range_max} hold {max(0, range_max - range_min)} candidates, fewer than num_negatives="
            f"{num_negatives}: raise range_max, or lower range_min or num_negatives"
        )

    anchors = list(positives)
    texts = list(dict.fromkeys([*(corpus if corpus is not None else ()), *(positive for _, positive in dataset)]))
    place = {text: j for j, text in enumerate(texts)}
    pairs = [
        (i, place[text]) for i, of_anchor in enumerate(positives.values()) for text in of_anchor
    ]  # rows of anchors and texts
    own = [
        {place[text] for text in of_anchor} for of_anchor in positives.values()
    ]  # for each anchor, rows of its positives
    copies = _copies(positives, texts, own)

    queries, documents = embed(model, anchors, "query"), embed(model, texts, "document")  # (anchors, dim), (texts, dim)
    k = range_max + max(most, *(len(a) + len(b) for a, b in zip(own, copies)))
    scores, rows = (x.numpy() for x in top_k(queries, documents, k))  # (anchors, k) each
    gold = pairwise_cos_sim(queries[[i for i, _ in pairs]], documents[[j for _, j in pairs]]).numpy()  # (pairs,)
    rules = {
        "positive": _is_in(rows, own),
        "copy of anchor or positive": _is_in(rows, copies),
    }  # (anchors, k) each: True is left out
    if cross_encoder is not None:
        at = np.argwhere(~rules["positive"] & ~rules["copy of anchor or positive"])  # (candidates, 2)
        scores, gold = _rescored(
            cross_encoder,
            [(anchors[i], texts[rows[i, c]]) for i, c in at],
            at,
            scores,
            [(anchors[i], texts[j]) for i, j in pairs],
        )

    lowest = np.full((len(anchors), 1), np.inf, dtype=gold.dtype)  # (anchors, 1): score of the lowest positive
    np.minimum.at(lowest[:, 0], [i for i, _ in pairs], gold)
    if absolute_margin is not None:
        rules["absolute_margin"] = scores + absolute_margin > lowest
    if relative_margin is not None:
        rules["relative_margin"] = scores > lowest - np.abs(lowest) * relative_margin
    if max_score is not None:
        rules["max_score"] = scores > max_score
    if min_score is not None:
        rules["min_score"] = scores < min_score
    left_out, left = {}, np.ones(rows.shape, dtype=bool)
    for rule, applies in rules.items():
        left_out[rule] = int((applies & left).sum())
        left &= ~applies

    generator, chosen = random.Random(seed), []  # for each anchor, columns of `rows`
    for i, line in enumerate(left):
        columns = np.flatnonzero(line)
        columns = columns[np.argsort(-scores[i, columns], kind="stable")][range_min:range_max]  # best first
        if sampling_strategy == "random":
            drawn = generator.sample(
                range(max(len(columns), num_negatives)), num_negatives
            )  # as sentence_transformers draws
            columns = columns[sorted(c for c in drawn if c < len(columns))]
        chosen.append(columns[:num_negatives])
    left_out["rank, or not drawn"] = int(left.sum()) - sum(map(len, chosen))

    mined = Mined(
        [], [], len(anchors), len(pairs), rows.size, left_out, sum(len(columns) < num_negatives for columns in chosen)
    )
    for (i, j), score in zip(pairs, gold.tolist()):
        groups = (
            [[column] for column in chosen[i]]
            if output_format == "triplet"
            else [chosen[i]] * (len(chosen[i]) == num_negatives)
        )
        for group in groups:
            mined.examples.append((anchors[i], texts[j], *(texts[rows[i, column]] for column in group)))
            mined.scores.append((score, *(float(scores[i, column]) for column in group)))
    return mined


def _copies(positives: dict[str, dict[str, None]], texts: list[str], own: list[set[int]]) -> list[set[int]]:
    """For each anchor the rows of texts that equal it or a positive of it but for case and punctuation, its positives aside."""
    alike: dict[str, set[int]] = {}
    for j, text in enumerate(texts):
        alike.setdefault(normalized(text) or text, set()).add(j)
    return [
        set().union(*(alike.get(normalized(text) or text, ()) for text in (anchor, *of_anchor))) - mine
        for (anchor, of_anchor), mine in zip(positives.items(), own)
    ]


def _is_in(rows: np.ndarray, sets: list[set[int]]) -> np.ndarray:
    """Is a number of line i in set i? (lines, k) -> (lines, k) of True and False."""
    return np.array([[row in found for row in line] for line, found in zip(rows.tolist(), sets)], dtype=bool).reshape(
        rows.shape
    )


def _rescored(
    cross_encoder, candidates: list[tuple[str, str]], at: np.ndarray, scores: np.ndarray, pairs: list[tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray]:
    """`scores` (anchors, k) with the cross-encoder's for the candidates `at` these places, and its scores of the pairs (pairs,)."""
    answers = np.asarray(cross_encoder.predict(candidates + pairs))
    if answers.shape != (len(candidates) + len(pairs),) or not np.isfinite(answers).all():
        raise ValueError(
            f"the cross_encoder gave {answers.shape} scores for {len(candidates) + len(pairs)} pairs, or some that are not finite"
        )
    scores = scores.astype(answers.dtype)
    scores[at[:, 0], at[:, 1]] = answers[: len(candidates)]
    return scores, answers[len(candidates) :]


def _check(dataset, num_negatives: int, range_min: int, sampling_strategy: str, output_format: str):
    if not len(dataset):
        raise ValueError("there are no pairs to mine negatives for")
    for i, pair in enumerate(dataset):
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise TypeError(f"pair {i} is {pair!r}; expected two strings, anchor and positive")
    if num_negatives < 1 or range_min < 0:
        raise ValueError(
            f"num_negatives is {num_negatives} and range_min {range_min}; expected at least 1 and at least 0"
        )
    if sampling_strategy not in ("top", "random"):
        raise ValueError(f"sampling_strategy is {sampling_strategy!r}; expected 'top' or 'random'")
    if output_format not in ("triplet", "n-tuple"):
        raise ValueError(f"output_format is {output_format!r}; expected 'triplet' or 'n-tuple'")
