"""recipes/loss_comparison.py: its formats; and that data/results/09.csv says what notebook 09 says it does."""

from statistics import mean

import pytest
import torch
from torch import nn

from course_lib.siamese import siamese_objective
from course_lib.support.folders import COURSE_HOME
from recipes import loss_comparison as recipe
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, read_rows

GROUPS = [("p0", "e0", "n0", "c0"), ("p1", "e1", "n1", "c1")]
ROWS = read_rows("09.csv")


def values(experiment, setting, data="stsbenchmark/dev", metric="spearman"):
    return [
        float(r["value"])
        for r in ROWS
        if (r["experiment"], r["setting"], r["data"], r["metric"]) == (experiment, setting, data, metric)
    ]


def test_every_format_reads_as_many_sentences():
    for kind in {kind for kind, _ in recipe.LOSSES.values()}:
        rows = recipe.examples(kind, GROUPS)
        texts = sum(isinstance(value, str) for value in rows[0])
        assert 6 * len(GROUPS) % (texts * len(rows)) == 0 and recipe.SENTENCES % texts == 0
        assert (
            recipe.PREMISES * len(rows) // len(GROUPS) % (recipe.SENTENCES // texts) == 0
        )  # no smaller last batch: as many steps


def test_formats():
    assert recipe.examples("labelled pairs", GROUPS[:1]) == [
        ("p0", "e0", 1),
        ("p0", "n0", 2),
        ("p0", "c0", 0),
    ]  # LABELS of data.py
    assert recipe.examples("scored pairs", GROUPS[:1]) == [("p0", "e0", 1.0), ("p0", "n0", 0.5), ("p0", "c0", 0.0)]
    assert recipe.examples("pairs of 0 and 1", GROUPS)[3:] == [("p1", "e1", 1), ("p1", "n1", 0), ("p1", "c1", 0)]
    assert recipe.examples("triplets", GROUPS) == [("p0", "e0", "c0"), ("p1", "e1", "c1")]
    assert recipe.examples("positives", GROUPS) == [("p0", "e0"), ("p1", "e1")]


def test_shuffled_rows_keep_their_texts_and_deal_out_the_rest():
    rows = [(f"p{i}", f"h{i}", i) for i in range(20)]
    dealt = recipe.shuffled(rows, seed=0)
    assert [row[:2] for row in dealt] == [row[:2] for row in rows] and sorted(row[2] for row in dealt) == list(
        range(20)
    )
    assert dealt != rows and dealt != recipe.shuffled(rows, seed=1) and dealt == recipe.shuffled(rows, seed=0)


def test_groups_are_premises_with_all_three_labels(tmp_path):
    rows = [
        ("neutral", "a", "a n"),
        ("entailment", "a", "a e"),
        ("contradiction", "a", "a c"),
        ("entailment", "a", "second"),
        ("entailment", "b", "b e"),
        ("neutral", "b", "b n"),
    ]
    (tmp_path / "x.tsv").write_text("label\tpremise\thypothesis\n" + "".join("\t".join(r) + "\n" for r in rows))
    assert recipe.groups(tmp_path / "x.tsv") == [("a", "a e", "a n", "a c")]


@pytest.mark.parametrize("name", recipe.LOSSES)
def test_every_loss_gets_the_columns_of_its_format(name):
    kind, make = recipe.LOSSES[name]

    class Lengths(nn.Module):
        def forward(self, texts):
            return torch.tensor([[float(len(t)), ord(t[0]) / 50, int(t[1])] for t in texts])

    loss = make(3)
    batch = recipe.examples(kind, GROUPS)
    columns = list(zip(*batch))
    vectors = [Lengths()(c) for c in columns if isinstance(c[0], str)]
    expected = loss(*vectors, *[torch.tensor(c) for c in columns if not isinstance(c[0], str)])
    assert torch.equal(siamese_objective(Lengths(), loss)(batch), expected)


def test_every_row_says_how_it_was_made():
    assert {r["experiment"] for r in ROWS} == {"untrained", "snli", "bundled", "false negatives"}
    start = weights_sha256(COURSE_HOME / "data" / "models" / "bert-mini")
    for r in ROWS:
        assert r["command"] == recipe.COMMAND and float(r["seconds"]) > 0 and len(r["data_sha256"]) == 64
        assert r["model_sha256"] == start if r["model"] == "course/bert-mini" else r["experiment"] == "false negatives"
    bundled = {r["data_sha256"] for r in ROWS if r["experiment"] == "bundled"}
    assert bundled == {data_sha256("course/nli", "course/sts")}, (
        "the bundled data have changed since they were trained on"
    )
    recorded = {(r["experiment"], r["setting"], int(r["seed"])) for r in ROWS if r["seed"]}
    assert recorded == {(run[0], recipe.setting_of(*run[1:3]), run[3]) for run in recipe.RUNS}


def test_ranking_beats_softmax_at_equal_data_by_more_than_the_spread():
    softmax = values("snli", "softmax")
    for name in ("ranking", "ranking, hard negatives"):
        ranking = values("snli", name)
        assert len(softmax) >= 3 and len(ranking) >= 3
        spread = max(max(runs) - min(runs) for runs in (softmax, ranking))
        assert mean(ranking) - mean(softmax) > spread and min(ranking) > max(softmax)
