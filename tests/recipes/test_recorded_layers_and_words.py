"""recipes/loss_layers.py and new_words.py: what they train, and that the recorded rows are of what ships."""

import pytest
import torch

from course_lib.encoder import SentenceEncoder
from course_lib.losses import CosineSimilarityLoss
from course_lib.models.surgery import word_embeddings
from course_lib.support.folders import resolve
from recipes import loss_layers, new_words
from recipes.loss_layers import Frozen, half_rows, order, train_layer
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, read_rows


@pytest.mark.parametrize("recipe", [loss_layers, new_words])
def test_every_unit_is_recorded_of_what_ships(recipe):
    rows = read_rows(recipe.FILE)
    units = recipe.layers() if recipe is loss_layers else recipe.units()
    assert {(r["experiment"], r["setting"], int(r["seed"])) for r in rows} == {
        (unit.experiment, unit.setting, unit.seed) for unit in units
    }
    of = data_sha256(*(("course/nli", "course/sts") if recipe is loss_layers else ("course/sts",)))
    shas = {(r["command"], r["model_sha256"], r["data_sha256"]) for r in rows}
    assert shas == {(recipe.COMMAND, weights_sha256(resolve(units[0].model)), of)}


def test_a_layer_learns_the_order_that_its_scores_have():
    torch.manual_seed(0)
    texts = [f"t{i}" for i in range(60)]
    frozen = Frozen({text: i for i, text in enumerate(texts)}, torch.randn(60, 16))
    pairs = [(texts[i], texts[i + 1], (i % 7) / 7) for i in range(59)]
    layer = train_layer(frozen, lambda dim: CosineSimilarityLoss(), pairs, 0.02, seed=0)
    assert order(frozen, pairs, layer) > order(frozen, pairs) + 0.2
    assert order(frozen, pairs, torch.eye(16)) == pytest.approx(order(frozen, pairs))


def test_the_half_that_measures_is_not_trained_on():
    texts = [f"t{i}" for i in range(40)]
    frozen = Frozen({text: i for i, text in enumerate([*texts, "p", "e", "n", "c"])}, torch.randn(44, 8))
    graded = [(texts[i], texts[i + 1], i / 40) for i in range(39)]
    rows, rest = half_rows(frozen, [("p", "e", "n", "c")], graded, seed=0)
    for name in ("real scores", "real, rescaled", "real, shuffled"):
        assert not {row[:2] for row in rows[name]} & {row[:2] for row in rest}
    assert {row[:2] for row in rows["real scores"]} | {row[:2] for row in rest} == {row[:2] for row in graded}
    scores, rescaled = ([row[2] for row in rows[name]] for name in ("real scores", "real, rescaled"))
    by_score, by_rescaled = (sorted(range(len(x)), key=x.__getitem__) for x in (scores, rescaled))
    assert by_score == by_rescaled  # the order is kept


def learnt(arm):
    """The rows of the table of word embeddings and the other parameters that one short training changed."""
    encoder = SentenceEncoder.load("course/sbert-mini", dtype="float32", device="cpu")
    one, start = (new_words.taught(encoder, (*arm[:2], rate), "feline", "cat", 0) for rate in (arm[2], 0.0))
    rows = (word_embeddings(one).weight - word_embeddings(start).weight).abs().amax(dim=1)  # (vocabulary,)
    others = {n for n, p in start.named_parameters() if n in dict(one.named_parameters()) and "word_emb" not in n}
    return rows.detach(), any(not torch.equal(dict(one.named_parameters())[n], start.get_parameter(n)) for n in others)


def test_the_row_alone_learns_alone():
    rows, others = learnt(("mean of pieces", "row", new_words.FAST))
    assert rows[-1] > 0.01 and rows[:-1].max() == 0 and not others
