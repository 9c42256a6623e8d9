"""recipes/scale.py and its kin: how vectors are drawn and measured, and what data/results/17.csv says."""

import numpy as np
import pytest

from recipes.shared.results import read_rows

pytest.importorskip("ray")
from recipes.scale import COMMAND, approximate, exact, rescored, true_neighbours
from recipes.shared import scale_vectors as scale
from recipes.shared.scale_vectors import Work, coded, draw

ROWS = read_rows("17.csv")


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "BUILD", tmp_path)
    monkeypatch.setattr(scale, "text_sha256", lambda short: "of the text")
    return Work(COMMAND)


@pytest.fixture
def drawn():
    base = np.random.default_rng(0).standard_normal((300, scale.DIM), dtype=np.float32) * np.linspace(0.1, 2, scale.DIM)
    return draw(base.astype(np.float32), 4100, np.random.default_rng(1))


def test_drawn_vectors_scatter_as_the_real_ones(drawn):
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-6)
    assert drawn[:, -20:].std() > 5 * drawn[:, :20].std()


def test_rescoring_puts_candidates_in_order(drawn):
    queries, candidates = drawn[:5], np.array([range(i, i + 200) for i in range(5)])[:, ::-1]
    expected = [c[np.argsort(-(drawn[c] @ q))] for q, c in zip(queries, candidates)]
    assert np.array_equal(rescored(drawn, queries, candidates), expected)


def test_what_was_measured_is_not_measured_again(work, drawn, monkeypatch):
    """Exact search in three widths, and an index; a second Work finds all of it."""
    of = coded(drawn.astype(np.float16), drawn[:20])
    (work.folder / "4100").mkdir()
    truth = true_neighbours(work, of, 4100)
    exact(work, "exact", of, truth)
    assert np.array_equal(truth[:, 0], range(20))
    approximate(work, "faiss", (of["float16"], of["queries"], truth), "IVF64,Flat", (1, 64))
    again = Work(COMMAND)
    found = {key[2]: values["recall"] for key, (_, values) in again.measured.items() if "recall" in values}
    assert found["float16"] == 1 and found["int8, x2 rescored"] > 0.98
    assert found["bits, x1 rescored"] < found["bits, x40 rescored"] == found["bits by course_lib, x40 rescored"]
    assert found["IVF64,Flat, 1 probes"] < 0.9 < found["IVF64,Flat, 64 probes"]
    monkeypatch.setattr("recipes.scale.timed", None)  # would be called
    exact(again, "exact", of, truth)
    approximate(again, "faiss", (of["float16"], of["queries"], truth), "IVF64,Flat", (1, 64))


@pytest.mark.skipif(not ROWS, reason="nothing recorded yet")
def test_what_was_recorded():
    experiments = {"exact", "faiss", "real", "drawn", "live", "graph", "lancedb", "appends", "encode", "killed"}
    assert {r["experiment"] for r in ROWS} == experiments
    assert all(r["command"].startswith("python recipes/scale") and len(r["model_sha256"]) == 64 for r in ROWS)
    values = {(r["experiment"], r["setting"], r["metric"]): float(r["value"]) for r in ROWS}
    assert values["exact", "int8, x2 rescored", "recall"] > 0.99
    assert values["exact", "int8, x2 rescored", "ms_alone"] < values["exact", "float16", "ms_alone"]
    for setting in ("jobs of Ray", "an actor of Ray"):
        assert values["killed", setting, "rows"] == values["killed", setting, "distinct"] == 20_000
    assert values["appends", "killed", "lost"] == values["appends", "killed", "repeated"] == 0
