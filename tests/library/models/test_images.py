"""Pictures show what their captions say; the split keeps kinds apart; the image encoder, its loss, what is saved."""

import copy
import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from colours import DISTINCT, lab
from colours import SEEN as VISIONS
from matplotlib.colors import to_rgb
from PIL import Image
from torch import nn

from course_lib.datasets.pictures import (
    COLOURS,
    COUNTS,
    FAMILIAR,
    KINDS,
    PARTS,
    PLACES,
    SEEN,
    SHAPES,
    SIDE,
    SIZES,
    UNSEEN,
    Group,
    Scene,
    captions,
    draw,
    sample_scenes,
)
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.models.images import ImageEncoder, TextImageEncoder, whitening
from course_lib.modules import Dense
from course_lib.support.folders import COURSE_HOME
from recipes.shared.cards import weights_sha256
from recipes.shared.results import read_rows
from recipes.text_and_images import APART, CLOSELY, SCENES, SEEDS, SETTINGS, candidates, scenes_sha256, seeds_of

HALVES = {
    "top": np.s_[: SIDE // 2],
    "bottom": np.s_[SIDE // 2 :],
    "left": np.s_[:, : SIDE // 2],
    "right": np.s_[:, SIDE // 2 :],
}


def blobs(ink):
    """Connected groups of true pixels, (SIDE, SIDE) -> a list of sets of positions."""
    left, found = set(zip(*np.nonzero(ink))), []
    while left:
        waiting, blob = [left.pop()], set()
        while waiting:
            y, x = waiting.pop()
            blob.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            waiting += near
        found.append(blob)
    return found


def coloured(picture, colour):
    return (np.abs(picture.astype(int) - COLOURS[colour]).sum(-1)) < 60


# ---- pictures and captions


@pytest.mark.parametrize("seed", [0, 1])
def test_pictures_show_what_the_captions_say(seed):
    scenes = sample_scenes(300, seed)
    for scene, picture in zip(scenes, draw(scenes, seed)):
        assert picture.dtype == np.uint8 and picture.shape == (SIDE, SIDE, 3)
        ink = (picture.astype(int) < 200).any(-1)
        for group, place in zip(scene.groups, scene.places):
            own = coloured(picture, group.colour)
            assert len(blobs(own)) == group.count, scene
            assert own[HALVES[place]].sum() == own.sum() > 0, scene  # all of it in its half
            heights = [max(y for y, _ in blob) - min(y for y, _ in blob) + 1 for blob in blobs(own)]
            assert all((h > 8.5) == (group.size == "large") for h in heights), scene
        assert len(blobs(ink)) == sum(group.count for group in scene.groups), scene  # nothing else, nothing merged


def filled(shape):
    """What of a shape's bounding box is ink, in nine parts: (3, 3)."""
    picture = draw([Scene((Group(1, "large", "black", shape),), ("top",))], 0)[0]
    ys, xs = np.nonzero(picture[..., 0] < 100)
    box = picture[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1, 0] < 128
    return np.array([[part.mean() for part in np.array_split(row, 3, axis=1)] for row in np.array_split(box, 3)])


def test_shapes_look_like_their_names():
    assert filled("square").min() == 1
    assert filled("circle")[1, 1] == 1 and 0.2 < filled("circle")[0, 0] < 0.8
    assert filled("ring")[1, 1] < 0.3 < filled("ring")[0, 1]
    assert filled("cross")[1, 1] > 0.8 and filled("cross")[0, 0] < 0.2
    assert filled("triangle")[0, 0] < 0.1 and filled("triangle")[2].min() > 0.6


def test_captions_name_all_there_is_and_no_two_scenes_share_one():
    scenes = sample_scenes(500, 3)
    owner = {}
    for scene in scenes:
        assert len(set(captions(scene))) == len(captions(scene)) >= 4
        for caption in captions(scene):
            assert owner.setdefault(caption, scene) == scene
            for group in scene.groups:
                plural = (group.shape + ("es" if group.shape == "cross" else "s")) if group.count > 1 else group.shape
                assert f"{COUNTS[group.count]} {group.size} {group.colour} {plural}" in caption


def test_captions_put_the_groups_where_they_are():
    a, b = Group(2, "small", "red", "cross"), Group(1, "large", "blue", "ring")
    assert captions(Scene((a, b), ("top", "bottom")))[:3] == [
        "two small red crosses above a large blue ring",
        "a large blue ring below two small red crosses",
        "two small red crosses at the top and a large blue ring at the bottom",
    ]
    assert captions(Scene((a, b), ("left", "right")))[0] == "two small red crosses to the left of a large blue ring"
    assert captions(Scene((b,), ("right",)))[0] == "a large blue ring on the right"


def test_drawing_and_sampling_are_functions_of_the_seed():
    scenes = sample_scenes(50, 7)
    assert scenes == sample_scenes(50, 7) != sample_scenes(50, 8)
    assert scenes[:20] == sample_scenes(20, 7)
    assert np.array_equal(draw(scenes, 1), draw(scenes, 1))
    assert (draw(scenes, 1) != draw(scenes, 2)).any(axis=(1, 2, 3)).all()  # each scene has another picture


def test_sampling_without_some_scenes():
    trained, more = sample_scenes(600, 0, SEEN), sample_scenes(300, 1, FAMILIAR)
    found = sample_scenes(200, 1, FAMILIAR, without=trained)
    assert set(more[:200]) & set(trained) and not set(found) & set(trained)
    assert found == [scene for scene in more if scene not in set(trained)][:200]
    with pytest.raises(ValueError, match="found only 0 different scenes of the 1 kinds, 1 were wanted"):
        sample_scenes(1, 0, KINDS[:1], 0.0, without=sample_scenes(8, 0, KINDS[:1], 0.0))


def test_sampling_gives_different_scenes_in_the_shares_asked_for():
    scenes = sample_scenes(1000, 0, pairs=0.6)
    assert len(set(scenes)) == 1000 and 0.55 < np.mean([len(scene.groups) == 2 for scene in scenes]) < 0.65
    assert {place for scene in scenes for place in scene.places} == set(PLACES)
    assert len(sample_scenes(144, 0, UNSEEN, pairs=0.0)) == len(UNSEEN) * len(SIZES) * len(PLACES)  # all there are
    with pytest.raises(ValueError, match="found only 144 different scenes of the 18 kinds, 145 were wanted"):
        sample_scenes(145, 0, UNSEEN, pairs=0.0)


def test_held_out_kinds_share_no_kind_but_every_part_with_the_others():
    assert (
        not set(SEEN) & set(UNSEEN)
        and set(SEEN) | set(UNSEEN) == set(KINDS)
        and len(KINDS) == len(COUNTS) * len(COLOURS) * len(SHAPES)
    )
    assert set(FAMILIAR) <= set(SEEN) and len(FAMILIAR) == len(UNSEEN) == len(KINDS) // 5
    parts = [set(COUNTS), set(COLOURS), set(SHAPES)]
    for kinds in (SEEN, UNSEEN, FAMILIAR):
        found = {group.kind for scene in sample_scenes(1500, 0, kinds) for group in scene.groups}
        assert found == set(kinds) and [set(part) for part in zip(*found)] == parts
    for i, j in combinations(range(3), 2):  # every two parts of an unseen kind have been seen together
        assert {(kind[i], kind[j]) for kind in UNSEEN} <= {(kind[i], kind[j]) for kind in SEEN}
    for kinds in (UNSEEN, FAMILIAR):  # no part gives another away: a colour has several shapes and counts, and so on
        for i, j in [(i, j) for i in range(3) for j in range(3) if i != j]:
            assert all(len({kind[j] for kind in kinds if kind[i] == value}) >= 2 for value in parts[i])


@pytest.mark.parametrize("part", PARTS)
def test_a_near_miss_differs_in_one_part(part):
    generator = np.random.default_rng(0)
    for scene in sample_scenes(100, 0):
        other = scene.near_miss(part, generator)
        if part == "place":
            assert (other.groups, other.places) != (scene.groups, scene.places) and other.near_miss(
                "place", generator
            ) == scene
            assert sorted(map(str, other.groups)) == sorted(map(str, scene.groups))
        else:
            assert [
                name
                for name in ("count", "size", "colour", "shape")
                if getattr(other.groups[0], name) != getattr(scene.groups[0], name)
            ] == [part]
            assert other.groups[1:] == scene.groups[1:] and other.places == scene.places
        if len(other.groups) == 2:  # as in every scene that is sampled
            assert other.groups[0].colour != other.groups[1].colour and other.groups[0].shape != other.groups[1].shape
    with pytest.raises(ValueError, match="part is 'colours'; expected one of count, size, colour, shape, place"):
        scene.near_miss("colours", generator)


def test_a_twin_has_other_shapes_of_the_kinds_given_and_nothing_else():
    generator = np.random.default_rng(0)
    for scene in sample_scenes(50, 0, UNSEEN):
        twin = scene.twin(generator, SEEN)
        assert twin.places == scene.places and len(twin.groups) == len(scene.groups)
        for own, other in zip(scene.groups, twin.groups):
            assert other.kind in SEEN and other.shape != own.shape and replace(other, shape=own.shape) == own
        assert len({group.shape for group in twin.groups}) == len(twin.groups)
    with pytest.raises(ValueError, match="no other shapes of these 18 kinds fit"):
        scene.twin(generator, UNSEEN)


def test_swapping_exchanges_the_colours_and_nothing_else():
    for scene in sample_scenes(50, 0, pairs=1.0):
        for a, b in zip(captions(scene), captions(scene.swapped())):
            assert a != b and sorted(a.split()) == sorted(b.split())
        assert scene.swapped().swapped() == scene
    with pytest.raises(ValueError, match="this scene has 1"):
        Scene((Group(1, "small", "red", "ring"),), ("top",)).swapped()


@pytest.mark.parametrize("vision", list(VISIONS))
def test_colours_differ_for_every_reader(vision):
    points = lab([[c / 255 for c in rgb] for rgb in COLOURS.values()] + [to_rgb("white")], vision)
    for (i, a), (j, b) in combinations(enumerate(points), 2):
        assert np.linalg.norm(a - b) > DISTINCT, (vision, i, j)


# ---- the image encoder


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ImageEncoder(dim=24, width=32, layers=2)


@pytest.fixture(scope="module")
def pictures():
    return torch.from_numpy(draw(sample_scenes(10, 0), 0))


def test_shapes_and_gradients(encoder, pictures):
    assert encoder.patch_embeddings(pictures).shape == (10, 36, 32)
    vectors = encoder(pictures)
    assert vectors.shape == (10, 24) and vectors.dtype == torch.float32
    encoder.zero_grad()
    vectors.square().sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0
        for n, p in encoder.named_parameters()
        if not n.endswith("key.bias")
    )


def test_a_picture_does_not_depend_on_its_neighbours(encoder, pictures):
    together = encoder.encode(pictures)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.concatenate([encoder.encode(p[None]) for p in pictures]), together, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(pictures.numpy(), batch_size=3), together, atol=1e-5)
    assert encoder.encode(pictures[:0]).shape == (0, 24)


def test_positions_count(encoder, pictures):
    """The same patches in other places make another vector."""
    assert np.abs(encoder.encode(pictures.flip(1)) - encoder.encode(pictures)).max(axis=1).min() > 1e-3


def test_normalised_vectors_have_length_one(encoder, pictures):
    plain, unit = encoder.encode(pictures), encoder.encode(pictures, normalize_embeddings=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)


def test_encode_leaves_the_mode_as_it_was(encoder, pictures):
    for mode in (True, False):
        encoder.train(mode).encode(pictures)
        assert encoder.training is mode and encoder.layer[0].training is mode


def test_vectors_that_are_not_finite_name_the_picture(encoder, pictures):
    broken = copy.deepcopy(encoder)
    broken.projection.bias.data[0] = torch.inf
    with pytest.raises(ValueError, match="NaN or infinite numbers for picture 0: its weights are damaged"):
        broken.encode(pictures)


def test_layers_are_transformers_encoder_layers(encoder, pictures):
    """Between stem and projection it is transformers' BertEncoder on the same weights."""
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertEncoder

    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, attn_implementation="eager"
    )
    theirs = BertEncoder(config).eval()
    theirs.load_state_dict({name: t for name, t in encoder.state_dict().items() if name.startswith("layer.")})
    with torch.no_grad():
        x = encoder.norm(encoder.patch_embeddings(pictures) + encoder.positions)
        expected = encoder.projection(theirs(x).last_hidden_state.mean(1))
        torch.testing.assert_close(encoder(pictures), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(2, 48, 48, 3),
        torch.zeros(2, 3, 48, 48, dtype=torch.uint8),
        torch.zeros(48, 48, 3, dtype=torch.uint8),
        torch.zeros(2, 40, 48, 3, dtype=torch.uint8),
    ],
    ids=["floats", "channels first", "one picture", "another size"],
)
def test_other_pictures_are_refused(encoder, bad):
    with pytest.raises(ValueError, match=r"expected pictures, uint8 \(n, 48, 48, 3\), got"):
        encoder(bad)


def test_pictures_of_pil_and_one_alone(encoder):
    arrays = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    pictures, expected = [Image.fromarray(array) for array in arrays], encoder.encode(arrays)
    np.testing.assert_allclose(encoder.encode(pictures), expected, atol=1e-6)
    for one in (pictures[1], arrays[1], torch.from_numpy(arrays[1])):
        np.testing.assert_allclose(encoder.encode(one), expected[1], atol=1e-6)
    assert encoder.encode([]).shape == (0, 24)
    for bad in (pictures[0].convert("L"), pictures[0].convert("RGBA"), pictures[0].resize((24, 24))):
        with pytest.raises(ValueError, match=r'of a PIL image, image.convert\("RGB"\).resize\(\(48, 48\)\)'):
            encoder.encode(bad)
    for bad in ("picture.png", {"a": pictures[0]}, None):
        with pytest.raises(TypeError, match="pictures is"):
            encoder.encode(bad)


def test_side_must_be_a_multiple_of_the_patch():
    assert ImageEncoder(dim=4, width=8, side=16).patches == 4
    with pytest.raises(ValueError, match="side is 50 pixels"):
        ImageEncoder(side=50)


# ---- whitening


def test_whitening():
    generator = torch.Generator().manual_seed(0)
    mixed = (
        torch.randn(500, 6, generator=generator)
        @ torch.diag(torch.tensor([10.0, 3, 1, 1, 0.3, 0.1]))
        @ torch.randn(6, 6, generator=generator)
        + 5
    )
    dense = whitening(mixed, floor=0.0)
    white = dense(mixed)
    torch.testing.assert_close(white.mean(0), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(white.T), torch.eye(6), atol=1e-2, rtol=0)
    assert isinstance(dense, Dense) and not any(p.requires_grad for p in dense.parameters())
    variances, before = (
        torch.linalg.eigvalsh(torch.cov(whitening(mixed, floor=0.03)(mixed).T)),
        torch.linalg.eigvalsh(torch.cov(mixed.T)),
    )
    torch.testing.assert_close(variances, before / (before + 0.03 * before[-1]), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "bad, message",
    [
        (torch.ones(4), "two vectors at least"),
        (torch.ones(1, 4), "two vectors at least"),
        (torch.ones(5, 4), "all equal"),
    ],
)
def test_whitening_refuses(bad, message):
    with pytest.raises(ValueError, match=message):
        whitening(bad)


# ---- the loss, and learning


def test_symmetric_loss_is_two_cross_entropies():
    torch.manual_seed(0)
    u, v = torch.randn(7, 5, dtype=torch.float64), torch.randn(7, 5, dtype=torch.float64)
    scores = [[30 * F.cosine_similarity(a, b, dim=0).item() for b in v] for a in u]
    one_way = lambda rows: sum(np.log(sum(np.exp(row))) - row[i] for i, row in enumerate(rows)) / len(rows)
    expected = (one_way(np.array(scores)) + one_way(np.array(scores).T)) / 2
    assert MultipleNegativesRankingLoss(scale=30, symmetric=True)(u, v).item() == pytest.approx(expected, abs=1e-9)
    assert one_way(np.array(scores)) != pytest.approx(one_way(np.array(scores).T), abs=1e-3)  # the two differ


def test_training_brings_pictures_and_their_vectors_together():
    torch.manual_seed(0)
    pictures, targets = torch.from_numpy(draw(sample_scenes(8, 0), 0)), torch.randn(8, 16)
    image, loss = ImageEncoder(dim=16, width=64), MultipleNegativesRankingLoss(symmetric=True)
    optimizer, values = torch.optim.AdamW(image.parameters(), lr=2e-3), []
    for _ in range(30):
        optimizer.zero_grad()
        values.append(loss(image(pictures), targets))
        values[-1].backward()
        optimizer.step()
    assert values[-1] < values[0] / 2


# ---- both, saved


@pytest.fixture(scope="module")
def towers():
    torch.manual_seed(0)
    text = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32")
    return TextImageEncoder(
        SentenceEncoder([*text, Dense(256, 24, activation_function=None)], dtype="float32"),
        ImageEncoder(dim=24, width=32),
    ).eval()


@pytest.mark.parametrize("half, close", [(False, 1e-6), (True, 5e-3)])
def test_save_and_load(towers, pictures, tmp_path, half, close):
    texts = ["a small red circle at the top", "two large black squares on the left"]
    for _ in range(2):  # the second time over the first
        towers.save(tmp_path / "towers", half)
    again = TextImageEncoder.load(tmp_path / "towers")
    assert not again.image.training and [p.name for p in tmp_path.iterdir()] == ["towers"]
    np.testing.assert_allclose(again.image.encode(pictures), towers.image.encode(pictures), atol=close)
    again.text.dtype = "float32"
    np.testing.assert_allclose(
        again.text.encode(texts, show_progress_bar=False),
        towers.text.encode(texts, show_progress_bar=False),
        atol=close,
    )


def test_the_text_half_is_a_folder_of_sentence_transformers(towers, tmp_path):
    from sentence_transformers import SentenceTransformer

    towers.save(tmp_path / "towers")
    theirs = SentenceTransformer(str(tmp_path / "towers" / "text"), device="cpu").encode(
        ["three red rings"], show_progress_bar=False
    )
    np.testing.assert_allclose(towers.text.encode(["three red rings"], show_progress_bar=False), theirs, atol=1e-5)


def test_damaged_folders_are_refused(towers, tmp_path):
    towers.save(tmp_path / "towers")
    config = tmp_path / "towers" / "image" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"width": 64}))
    with pytest.raises(ValueError, match="towers/image do not fit its config.json: missing"):
        TextImageEncoder.load(tmp_path / "towers")
    (tmp_path / "towers" / "config.json").write_text('{"text": 3, "image": "image"}')
    with pytest.raises(ValueError, match="text in .*config.json is 3; expected str"):
        TextImageEncoder.load(tmp_path / "towers")
    (tmp_path / "towers" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="expected text and image"):
        TextImageEncoder.load(tmp_path / "towers")
    with pytest.raises(FileNotFoundError):
        TextImageEncoder.load(tmp_path / "nowhere")


def test_towers_of_different_dimensions_are_refused():
    class Text(nn.Module):
        def get_embedding_dimension(self):
            return 256

    with pytest.raises(ValueError, match=r"put a Dense\(256, 24\) behind the text encoder"):
        TextImageEncoder(Text(), ImageEncoder(dim=24, width=32))


# ---- what the recipe recorded


@pytest.mark.parametrize("seed", SEEDS)
def test_the_recipe_searches_for_scenes_that_it_did_not_train_on(seed):
    trained = sample_scenes(SCENES, seed, SEEN)
    for kinds in (UNSEEN, FAMILIAR):
        scenes = candidates(kinds, seed)
        assert (
            len(set(scenes)) == 1000
            and not set(scenes) & set(trained)
            and all(len(scene.groups) == 2 for scene in scenes)
        )
        wanted = [scene for k in range(0, 1000, 100) for scene in scenes[k : k + 50]]
        assert {group.kind for scene in wanted for group in scene.groups} == set(kinds)


def test_recorded_results_are_of_these_scenes_and_this_model():
    rows = read_rows("16.csv")
    assert {(r["experiment"], r["seed"]) for r in rows} == {
        (setting, str(seed)) for setting in SETTINGS for seed in seeds_of(setting)
    }
    assert {r["model_sha256"] for r in rows} == {weights_sha256(COURSE_HOME / "data" / "models" / "sbert-mini")}
    for seed in SEEDS:
        own = [r for r in rows if r["seed"] == str(seed)]
        assert {r["data_sha256"] for r in own} == {scenes_sha256(seed)}
        metrics = {setting: {r["metric"] for r in own if r["experiment"] == setting} for setting in SETTINGS}
        assert len(own) == sum(map(len, metrics.values())) and all(0 <= float(r["value"]) <= 1 for r in own)
        apart = metrics["raw"] | {f"binding, {which}" for which in ("equal count and size", "another count or size")}
        there = [setting for setting in SETTINGS if seed in seeds_of(setting)]
        assert all(metrics[setting] == metrics["raw"] < apart for setting in there if setting not in APART)
        assert all(
            metrics[setting] == apart < metrics[CLOSELY] for setting in there if setting in APART and setting != CLOSELY
        )
