"""A closer look at two encoders of one space for texts and pictures: twins, probes, searches. Metrics are shares.

"twins": recall where the 50 others are the 50 scenes looked for with other shapes, of seen kinds, so that who reads no
shapes guesses between two; and how often these twins are found themselves. "of seen kinds": new pictures of 144 single
groups of these. "probe, PART": told by a linear classifier on the pictures' vectors, fitted to other pictures of the
single groups of all 90 kinds, so that no kind is new to it and who reads no shapes guesses among all five. "probe,
place of two groups": which of the two colours is at the top or on the left, by a classifier fitted to the pairs trained
on (chance 0.5). "in captions": the same of captions, in all wordings; "of one wording": in the first alone; "frozen":
of the text encoder's vectors, as they were before the training. "probe, place in captions": where a single group of an
unseen kind stands, fitted to the seen kinds. "first five": which share of the first five found by a text like "two
small red rings" show that, among 500 scenes of unseen kinds and their twins. "first five, PART": which share have a
group of the colour asked for, and in that group this part right.
"""

from itertools import product

import numpy as np
from sklearn.linear_model import RidgeClassifier

from course_lib.datasets.pictures import (
    FAMILIAR,
    PLACES,
    SEEN,
    SIZES,
    UNSEEN,
    Group,
    Scene,
    captions,
    draw,
    sample_scenes,
)
from course_lib.encoder import SentenceEncoder
from course_lib.models.images import TextImageEncoder
from recipes.text_and_images_quality import (
    SCENES,
    candidates,
    cosines,
    every_single_group,
    known,
    measure_zero_shot,
    single_groups,
    worded,
)


def measure_closely(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """What measure_towers does not: twins, single groups of seen kinds, probes, searches."""
    found = measure_zero_shot(towers, seed, FAMILIAR, " of seen kinds") | measure_twins(towers, seed)
    found |= measure_probes(towers, seed) | measure_places(towers, seed)
    return found | measure_first_five(towers, seed)


def measure_twins(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """Recall at 1, of both directions, where half of the 100 candidates are the wanted ones with other shapes."""
    found, generator = {}, np.random.default_rng(seed)
    for name, kinds in (("unseen", UNSEEN), ("seen", FAMILIAR)):
        own, of_twins, scenes = [], [], candidates(kinds, seed)
        for k in range(0, 1000, 100):
            wanted = scenes[k : k + 50]
            both = wanted + [scene.twin(generator, SEEN) for scene in wanted]
            scores = cosines(towers, draw(both, 5000 + seed + k), worded(both))  # (100, 100)
            right = [scores.argmax(d) == np.arange(100) for d in (0, 1)]
            own, of_twins = own + [side[:50] for side in right], of_twins + [side[50:] for side in right]
        found[f"both among 100 twins, {name}"] = float(np.mean(own))
        found[f"both among 100 twins, {name}: their twins"] = float(np.mean(of_twins))
    return found


def probe(vectors: np.ndarray, labels: list, others: np.ndarray) -> tuple[np.ndarray, list]:
    """A linear classifier fitted to unit vectors (n, dim) and their labels: scores (others, classes), and classes."""
    fitted = RidgeClassifier(alpha=0.01).fit(vectors, labels)
    return fitted.decision_function(others), fitted.classes_.tolist()


def measure_probes(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """Shares of single groups that a linear classifier reads from pictures' vectors."""
    found, single = {}, every_single_group()
    vectors, tests = look(towers, single, 5000 + seed), {"": UNSEEN, " of seen kinds": FAMILIAR}
    for (of, kinds), part in product(tests.items(), ("colour", "shape", "count", "place")):
        value = lambda scene: scene.places[0] if part == "place" else getattr(scene.groups[0], part)
        one, of_one = single_groups(seed, kinds)
        scores, classes = probe(vectors, [value(s) for s in single], towers.image.encode(of_one, True))
        found[f"probe, {part}{of}"] = float(np.mean([classes[k] == value(s) for k, s in zip(scores.argmax(1), one)]))
    return found


def look(towers: TextImageEncoder, scenes: list[Scene], seed: int) -> np.ndarray:
    """Unit vectors (scenes, dim) of a picture of each."""
    return towers.image.encode(draw(scenes, seed), normalize_embeddings=True)


def measure_places(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """Which of two colours is at the top or on the left? Where is a single group? Told by linear classifiers."""
    read = lambda texts, text=towers.text: text.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    frozen = SentenceEncoder(list(towers.text)[:2], dtype="float32")  # Transformer and Pooling
    first_wording = lambda scenes: read([captions(scene)[0] for scene in scenes])
    trained = [scene for scene in sample_scenes(SCENES, seed, SEEN) if len(scene.groups) == 2]
    two = sample_scenes(500, 1000 + seed, UNSEEN, pairs=1.0)
    sides = {"": (look(towers, trained, 6000 + seed), look(towers, two, 4000 + seed))}
    sides[" in captions"] = read(worded(trained)), read(worded(two))
    sides[" in frozen captions"] = read(worded(trained), frozen), read(worded(two), frozen)
    sides[" in captions of one wording"] = first_wording(trained), first_wording(two)
    found = {}
    for of, (vectors, others) in sides.items():
        scores, classes = probe(vectors, [scene.groups[0].colour for scene in trained], others)  # (500, 6)
        shown = np.array([[classes.index(group.colour) for group in scene.groups] for scene in two])  # (500, 2)
        chosen = np.take_along_axis(scores, shown, 1)  # (500, 2) scores of the two colours shown
        found[f"probe, place of two groups{of}"] = float((chosen[:, 0] > chosen[:, 1]).mean())
    old, (one, _) = [scene for scene in every_single_group() if known(scene)], single_groups(seed)
    texts = [captions(scene)[i // len(PLACES) % 4] for i, scene in enumerate(old)]  # each wording with each place
    scores, classes = probe(read(texts), [scene.places[0] for scene in old], read(worded(one)))
    right = [classes[k] == scene.places[0] for k, scene in zip(scores.argmax(1), one)]
    return found | {"probe, place in captions": float(np.mean(right))}


def measure_first_five(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """The share of the first five of 36 searches that show what was asked for, among unseen kinds and their twins."""
    trained, generator = sample_scenes(SCENES, seed, SEEN), np.random.default_rng(seed)
    wanted = sample_scenes(500, 1000 + seed, UNSEEN, pairs=1.0, without=trained)
    album = wanted + [scene.twin(generator, SEEN) for scene in wanted]
    groups = [Group(count, size, colour, shape) for count, colour, shape in UNSEEN for size in SIZES]
    scores = cosines(towers, draw(album, 5000 + seed), [str(group) for group in groups])  # (1000, 36)
    first = np.argsort(-scores, axis=0)[:5]  # (5, 36)
    shows = np.array([[group in scene.groups for group in groups] for scene in album])  # (1000, 36)
    found = {"first five": float(np.take_along_axis(shows, first, 0).mean())}
    for part in ("colour", "size", "count", "shape"):
        fits = np.array([[fitting(scene, group, part) for group in groups] for scene in album])  # (1000, 36)
        found[f"first five, {part}"] = float(np.take_along_axis(fits, first, 0).mean())
    return found


def fitting(scene: Scene, asked: Group, part: str) -> bool:
    """Has the scene a group of the colour asked for, and has that group this part right?"""
    return any(g.colour == asked.colour and getattr(g, part) == getattr(asked, part) for g in scene.groups)
