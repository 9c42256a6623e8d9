"""recipes/negatives.py and recipes/students.py, and that data/results/12.csv says what notebook 12 says it does."""

import numpy as np
import pytest

from course_lib.data import load_nli, load_results, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import spearman
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.folders import COURSE_HOME
from recipes import negatives, students
from recipes.live_negatives import Kept, kinds
from recipes.shared.results import data_sha256, read_rows

ROWS = read_rows("12.csv")
OURS = {"negatives", "layers", "dimensions", "bundled", "live negatives"}  # "ingredients" has other rows


MEASURED = (("spearman", "course/sts"), ("ndcg@10", "course/help"))


def values(experiment, metric, **wanted):
    return [
        float(r["value"])
        for r in ROWS
        if r["experiment"] == experiment and r["metric"] == metric and all(r[k] == str(v) for k, v in wanted.items())
    ]


PAIRS = [(f"image {i // 5}", f"anchor {i}", f"positive {i}") for i in range(20)]


def test_random_negatives_are_of_other_images_and_stay_the_same(tmp_path):
    given = negatives.with_negatives("random", PAIRS, tmp_path)
    assert [texts[:2] for texts in given] == [(a, p) for _, a, p in PAIRS]
    image_of = {p: image for image, _, p in PAIRS}
    assert all(image_of[n] != image for (_, _, n), (image, _, _) in zip(given, PAIRS))
    assert negatives.with_negatives("random", PAIRS, tmp_path) == given and (tmp_path / "random.json").exists()
    assert negatives.with_negatives("none", PAIRS, tmp_path) == [(a, p) for _, a, p in PAIRS]


def test_mined_negatives_keep_to_their_pairs(tmp_path, monkeypatch):
    class Encoder:
        """Anchor i and positive i lie at angle i, but for pair 3, whose positive lies a little off."""

        def encode(self, texts):
            angles = [int(t.split()[1]) + (0.4 if t == "positive 3" else 0.0) for t in texts]
            return np.array([[np.cos(a / 9), np.sin(a / 9)] for a in angles], dtype=np.float32)

    monkeypatch.setattr(negatives.SentenceEncoder, "load", lambda folder: Encoder())
    monkeypatch.setattr(negatives, "minilm_folder", lambda: None)
    mined = negatives.with_negatives("mined", PAIRS, tmp_path)
    assert mined[2] == ("anchor 2", "positive 2", "positive 1") and mined[4][2] == "positive 3"
    filtered = negatives.with_negatives("filtered", PAIRS, tmp_path)
    cosine = {f"positive {i}": i + (0.4 if i == 3 else 0) for i in range(20)}
    for i, (_, positive, negative) in enumerate(filtered):
        close, far = (np.cos((cosine[text] - i) / 9) for text in (positive, negative))
        assert far <= 0.95 * close + 1e-6 and negative != positive
    assert filtered != mined


def test_spaced_layers():
    assert [students.spaced(n, 6) for n in (6, 4, 3, 2, 1)] == [
        [0, 1, 2, 3, 4, 5],
        [0, 2, 3, 5],
        [0, 2, 5],
        [0, 5],
        [0],
    ]


def test_every_row_says_how_it_was_made():
    assert OURS <= {r["experiment"] for r in ROWS}
    for r in (r for r in ROWS if r["experiment"] in OURS):
        assert r["command"].startswith("python recipes/") and (COURSE_HOME / r["command"].split()[1]).is_file()
        assert float(r["seconds"]) >= 0 and np.isfinite(float(r["value"])) and len(r["model_sha256"]) == 64
        if r["data"].startswith("course/"):
            assert r["data_sha256"] == data_sha256(r["data"]), f"{r['data']} has changed since it was measured"


def test_mined_negatives_do_harm_here_and_a_margin_undoes_it():
    """To a young model that looks for captions of one image. docs/effects.md rests on it."""
    found = {kind: values("negatives", "ndcg@10", model=kind, data="captions/flickr30k") for kind in negatives.TRAINED}
    assert all(len(runs) >= 3 for runs in found.values())
    assert min(found["filtered"]) > max(found["mined"]) and min(found["none"]) > max(found["mined"])
    assert abs(np.mean(found["filtered"]) - np.mean(found["none"])) < 0.005


def test_a_third_of_the_mined_negatives_are_false():
    counts = {kind: values("negatives", "same_image", model=kind, n=negatives.PAIRS) for kind in negatives.COUNTED}
    assert (
        counts["random"] == [0]
        and counts["mined"][0] > negatives.PAIRS / 3
        and counts["filtered"][0] < counts["mined"][0] / 3
    )


def test_vectors_teach_the_bundled_student_more_than_similarities():
    for metric in ("spearman", "ndcg@10", "cosine_with_teacher"):
        for rate in students.RATES:
            vectors, similarities = (
                values("bundled", metric, setting=f"layers 0; {loss}; {rate}") for loss in ("vectors", "similarities")
            )
            assert len(vectors) == len(similarities) == 3 and min(vectors) > max(similarities), (metric, rate)


def test_what_two_models_are_compared_by_gives_their_results():
    """The cosines and nDCG@10 of single pairs and questions, against the rows of the same runs."""
    scores, gold = load_results("12_scores").set_index("data"), [p.score for p in load_sts("course/sts")]
    for depth in (6, *students.DEPTHS):
        kind = "whole" if depth == 6 else "distilled"
        setting = f"{kind}; layers {' '.join(map(str, students.spaced(depth, 6)))}"
        pairs, questions = (scores[f"layers_{depth}"][data].to_numpy() for data in ("course/sts", "course/help"))
        expected = [values("layers", m, setting=setting, data=d)[0] for m, d in MEASURED]
        assert 100 * spearman(pairs, gold) == pytest.approx(expected[0], abs=0.006)
        assert questions.mean() == pytest.approx(expected[1], abs=1e-5)


def test_all_unlabelled_suspects_and_thirty_others_were_read():
    """Of the negatives that course/sbert-mini mines: notebook 12 rests its rates on them."""
    label_of = {(e.premise, e.hypothesis): e.label for e in load_nli()}
    texts = list(dict.fromkeys(text for pair in label_of for text in pair))
    encoder = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32")
    kept = Kept(texts, encoder.encode(texts, show_progress_bar=False))
    rows = [row for row in kinds(kept)["mined"] if row[::2] not in label_of]
    near = pairwise_cos_sim(*(kept.encode([row[i] for row in rows]) for i in (1, 2))) > 0.8
    read = set(load_results("12_verdicts")[["anchor", "negative"]].itertuples(index=False, name=None))
    suspects, others = ({row[::2] for row, is_near in zip(rows, near) if is_near == wanted} for wanted in (True, False))
    assert suspects <= read and read - suspects <= others and len(read - suspects) == 30


def test_distillation_repairs_what_leaving_out_layers_costs():
    for depth in students.DEPTHS:
        kept = " ".join(map(str, students.spaced(depth, 6)))
        cut, taught = (
            values("layers", "spearman", data="stsbenchmark/dev", setting=f"{kind}; layers {kept}")
            for kind in ("cut", "distilled")
        )
        assert taught[0] > cut[0] + 2
    assert values("layers", "spearman", data="stsbenchmark/dev", n=6) == [
        86.72
    ]  # data/README of the reference data: 86.72


@pytest.mark.parametrize("dim, gain", [(32, 0.5), (16, 3), (8, 4)])
def test_a_matryoshka_loss_keeps_the_first_numbers_useful(dim, gain):
    ranking, matryoshka = (
        values("dimensions", "spearman", model=model, n=dim, setting="first numbers")
        for model in ("ranking", "matryoshka")
    )
    assert len(ranking) >= 3 and min(matryoshka) > max(ranking) + gain
