"""recipes/live_negatives.py, and that data/results/12.csv says what notebook 12 says it does."""

import numpy as np

from course_lib.data import LABELS, load_nli
from recipes import live_negatives
from recipes.live_negatives import EXPERIMENT, SEEDS, STARTS, Kept, kinds
from recipes.shared.results import read_rows

ROWS = [r for r in read_rows("12.csv") if r["experiment"] == EXPERIMENT]
EXAMPLES = load_nli()
TEXTS = list(dict.fromkeys(text for e in EXAMPLES for text in (e.premise, e.hypothesis)))
VECTORS = np.random.default_rng(0).normal(size=(len(TEXTS), 8)).astype(np.float32)


def values(start, data, kind):
    return [float(r["value"]) for r in ROWS if (r["model"], r["data"], r["setting"]) == (start, data, kind)]


def test_kinds():
    label_of = {(e.premise, e.hypothesis): e.label for e in EXAMPLES}
    found = kinds(Kept(TEXTS, VECTORS))
    pairs = found["none"]
    assert len(pairs) == 552 and all(label_of[pair] == LABELS["entailment"] for pair in pairs)
    for kind, rows in found.items():
        assert [row[:2] for row in rows] == pairs
        assert all(row[2] != row[1] for row in rows if len(row) > 2), kind
        assert kind in ("none", "filtered") or all(len(row) == 3 for row in rows)  # none may lie below the margin
    assert all(label_of[a, n] == LABELS["contradiction"] for a, _, n in found["own contradiction"])
    assert all(label_of.get((a, n)) is None for a, _, n in found["random contradiction"])
    assert kinds(Kept(TEXTS, VECTORS)) == found


def test_ranks_and_margin():
    place, unit = {t: i for i, t in enumerate(TEXTS)}, VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    hypotheses = np.array(sorted({place[e.hypothesis] for e in EXAMPLES}))
    found = kinds(Kept(TEXTS, VECTORS), relative_margin=0.5)
    for (a, p, mined), filtered, ranked, next_ones in zip(
        *(found[kind][:40] for kind in ("mined", "filtered", "ranks 50 to 100", "ranks 2 and 3"))
    ):
        cosines = unit[hypotheses] @ unit[place[a]]
        own = float(unit[place[p]] @ unit[place[a]])
        others = np.sort(cosines[hypotheses != place[p]])[::-1]
        assert np.isclose(unit[place[mined]] @ unit[place[a]], others[0], atol=1e-5)
        if len(filtered) == 3:
            assert unit[place[filtered[2]]] @ unit[place[a]] <= own - 0.5 * abs(own) + 1e-5
        assert others[2] - 1e-5 <= unit[place[next_ones[2]]] @ unit[place[a]] <= others[1] + 1e-5
        assert others[99] - 1e-5 <= unit[place[ranked[2]]] @ unit[place[a]] <= others[48] + 1e-5


def test_what_another_miner_chose_is_measured_again():
    def rows(miner):
        return [
            {"model": model, "setting": kind, "model_sha256": sha}
            for model, sha in (("course/bert-mini", "a"), ("course/sbert-mini", miner))
            for kind in ("none", "mined", "filtered", "ranks 50 to 100", "ranks 2 and 3")
        ]

    shas = {"course/bert-mini": "a", "course/sbert-mini": "b"}
    assert live_negatives.still_true(rows("b"), shas) == rows("b")
    assert live_negatives.still_true(rows("before"), shas) == rows("b")[:1]
    assert live_negatives.still_true(rows("b"), shas | {"course/bert-mini": "new"}) == rows("b")[5:]


def test_every_run_is_recorded():
    kept = kinds(Kept(TEXTS, VECTORS))
    for start in STARTS:
        for data in ("course/sts", "course/help"):
            assert len(values(start, data, "untrained")) == 1
            assert all(len(values(start, data, kind)) == len(SEEDS) for kind in kept)


def test_single_questions_give_the_results_of_their_runs():
    questions, runs = read_rows(live_negatives.QUESTIONS), [r for r in ROWS if r["data"] == "course/help"]
    assert len(questions) == 150 and len(questions[0]) == 1 + len(runs)
    for r in runs:
        name = live_negatives.column(r["model"], r["setting"], r["seed"])
        assert abs(np.mean([float(question[name]) for question in questions]) - float(r["value"])) < 2e-6


def test_hard_negatives_cost_search_and_help_the_young_model_tell_near_pairs():
    for start in STARTS:
        mined, random = (np.mean(values(start, "course/help", kind)) for kind in ("mined", "random positive"))
        assert mined < random - 0.005, start
    mined, random = (np.mean(values(STARTS[0], "course/sts", kind)) for kind in ("mined", "random positive"))
    assert mined > random + 0.2
    means = [np.mean(values(STARTS[1], "course/sts", kind)) for kind in kinds(Kept(TEXTS, VECTORS))]
    assert max(means) - min(means) < 1


def test_the_search_reads_the_first_tokens_only():
    class Encoder:
        max_seq_length = 128

        def encode(self, texts, **_):
            assert self.max_seq_length == live_negatives.TOKENS
            return np.ones((len(texts), 2), dtype=np.float32)

    encoder = Encoder()
    live_negatives.measures()["course/help"][1](encoder)
    assert encoder.max_seq_length == 128
