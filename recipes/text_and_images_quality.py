"""What two encoders of one space for texts and pictures can do, on scenes that none of them was trained on.

Metrics are shares. No scene that is tested on was trained on. All have two groups, but for the 144 single groups of
unseen kinds: nearly every single group of a seen kind is in the training. Recall@1 from text to picture and back, each
among 100: 50 scenes whose kinds are all unseen (or all of 18 seen kinds, for comparison) and 50 scenes of any kinds,
ten times; and both directions' mean among all 1,000. "near miss, PART": pictures of unseen kinds that are nearer to
their caption than to the same with one part changed (chance 0.5). "binding": pictures of seen kinds nearer to their
caption than to the one with the colours exchanged, where that scene is of seen kinds, and not trained on, too (chance
0.5). "zero-shot, PART": single groups of unseen kinds, told by short prompts, or ("averaged") by the mean of
all captions like "a small red circle at the top" that fit the class.

"binding" also apart for two groups of equal count and size, whose colours only their shapes tell apart, and for others,
where the exchange changes which colour has which count or size as well.
"""

from itertools import product

import numpy as np

from course_lib.datasets.pictures import (
    COLOURS,
    COUNTS,
    FAMILIAR,
    PLACES,
    SEEN,
    SHAPES,
    SIZES,
    UNSEEN,
    Group,
    Scene,
    captions,
    draw,
    sample_scenes,
)
from course_lib.models.images import TextImageEncoder

SCENES = 4000  # trained on, of seen kinds
PROMPTS = {
    "colour": {colour: f"something {colour}" for colour in COLOURS},
    "shape": {shape: f"a {shape}" for shape in SHAPES},
    "count": {1: "one shape", 2: "two shapes", 3: "three shapes"},
}


def known(scene: Scene) -> bool:
    """Are both kinds of this scene among the seen?"""
    return all(group.kind in SEEN for group in scene.groups)


def equal_groups(scene: Scene) -> bool:
    """Do the two groups agree in count and size, so that only shapes say whose colour is whose?"""
    first, second = scene.groups
    return (first.count, first.size) == (second.count, second.size)


def worded(scenes: list[Scene]) -> list[str]:
    """A caption for each, in turn of another wording."""
    return [captions(scene)[i % len(captions(scene))] for i, scene in enumerate(scenes)]


def cosines(towers: TextImageEncoder, pictures: np.ndarray, texts: list[str]) -> np.ndarray:
    """(pictures, texts)."""
    seen = towers.image.encode(pictures, normalize_embeddings=True)
    return seen @ towers.text.encode(texts, normalize_embeddings=True, show_progress_bar=False).T


def candidates(kinds, seed: int) -> list[Scene]:
    """1,000 scenes that were not trained on, in ten sets of candidates.

    Each has 50 of these kinds, which are looked for, then 50 of any.
    """
    trained = sample_scenes(SCENES, seed, SEEN)
    wanted = sample_scenes(500, 1000 + seed, kinds, pairs=1.0, without=trained)
    any_kind = sample_scenes(500, 1500 + seed, pairs=1.0, without=trained + wanted)
    return [scene for k in range(0, 500, 50) for scene in wanted[k : k + 50] + any_kind[k : k + 50]]


def preferred(towers: TextImageEncoder, pictures: np.ndarray, scenes: list[Scene], others: list[Scene]) -> float:
    """The share of pictures, one a scene, nearer to their caption than to that of the other scene."""
    seen = towers.image.encode(pictures, normalize_embeddings=True)  # (n, 128)
    right, wrong = (
        towers.text.encode([captions(scene)[0] for scene in some], normalize_embeddings=True, show_progress_bar=False)
        for some in (scenes, others)
    )
    return float(((seen * right).sum(1) > (seen * wrong).sum(1)).mean())


def measure_towers(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    return measure_search(towers, seed) | measure_near_misses(towers, seed) | measure_zero_shot(towers, seed)


def measure_search(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """Recall at 1, from pictures to captions and back."""
    found = {}
    for name, kinds in (("unseen", UNSEEN), ("seen", FAMILIAR)):
        scenes = candidates(kinds, seed)
        scores = cosines(towers, draw(scenes, 1000 + seed), worded(scenes))  # (1000, 1000)
        sets = [scores[k : k + 100, k : k + 100] for k in range(0, 1000, 100)]
        found[f"image to text, {name}"] = float(np.mean([s.argmax(1)[:50] == np.arange(50) for s in sets]))
        found[f"text to image, {name}"] = float(np.mean([s.argmax(0)[:50] == np.arange(50) for s in sets]))
        wanted = np.arange(1000) % 100 < 50
        right = [(scores.argmax(d) == np.arange(1000))[wanted] for d in (0, 1)]
        found[f"both among 1000, {name}"] = float(np.mean(right))
    return found


def every_single_group() -> list[Scene]:
    """All 720 scenes of one group."""
    return [Scene((Group(*what),), (place,)) for *what, place in product(COUNTS, SIZES, COLOURS, SHAPES, PLACES)]


def single_groups(seed: int, kinds=UNSEEN) -> tuple[list[Scene], np.ndarray]:
    """The single groups of 18 kinds, all there are, and a picture of each."""
    scenes = sample_scenes(144, 3000 + seed, kinds, pairs=0.0)
    return scenes, draw(scenes, 3000 + seed)


def measure_near_misses(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """Shares of pictures nearer to their caption than to one with a part changed, or with colours exchanged."""
    found, generator, trained = {}, np.random.default_rng(seed), set(sample_scenes(SCENES, seed, SEEN))
    two = sample_scenes(500, 1000 + seed, UNSEEN, pairs=1.0)
    (one, of_one), of_two = single_groups(seed), draw(two, 4000 + seed)
    tests = {part: (two, of_two, part) for part in ("count", "size", "colour", "shape")}
    tests |= {"place of one group": (one, of_one, "place"), "place of two groups": (two, of_two, "place")}
    for name, (scenes, pictures, part) in tests.items():
        others = [scene.near_miss(part, generator) for scene in scenes]
        found[f"near miss, {name}"] = preferred(towers, pictures, scenes, others)
    pairs = exchangeable(sample_scenes(800, 2000 + seed, SEEN, pairs=1.0, without=trained), trained)[:300]
    exchanged = [scene.swapped() for scene in pairs]
    return found | {"binding": preferred(towers, draw(pairs, 2000 + seed), pairs, exchanged)}


def exchangeable(pairs: list[Scene], trained: set[Scene]) -> list[Scene]:
    """Those which with their colours exchanged are of seen kinds, and not trained on."""
    return [scene for scene in pairs if known(scene.swapped()) and scene.swapped() not in trained]


def measure_binding(towers: TextImageEncoder, seed: int) -> dict[str, float]:
    """Exchanged colours, apart for two groups that only shapes tell apart, and for others."""
    found, trained = {}, set(sample_scenes(SCENES, seed, SEEN))
    pairs = exchangeable(sample_scenes(4000, 2000 + seed, SEEN, pairs=1.0, without=trained), trained)
    for name, equal in (("equal count and size", True), ("another count or size", False)):
        some = [scene for scene in pairs if equal_groups(scene) == equal][:200]
        others = [scene.swapped() for scene in some]
        found[f"binding, {name}"] = preferred(towers, draw(some, 2000 + seed), some, others)
    return found


def measure_zero_shot(towers: TextImageEncoder, seed: int, kinds=UNSEEN, of: str = "") -> dict[str, float]:
    """Shares of single groups that are told by the nearest prompt, short or averaged over captions."""
    found, (one, of_one) = {}, single_groups(seed, kinds)
    every = every_single_group()
    texts = [captions(scene)[0] for scene in every]
    vectors = towers.text.encode(texts, normalize_embeddings=True, show_progress_bar=False)  # (720, 128)
    for part, prompts in PROMPTS.items():
        truth, classes = [getattr(scene.groups[0], part) for scene in one], list(prompts)
        fitting = ([getattr(scene.groups[0], part) == c for scene in every] for c in classes)
        averaged = np.stack([vectors[which].mean(0) for which in fitting])  # (classes, 128)
        averaged /= np.linalg.norm(averaged, axis=1, keepdims=True)
        short = cosines(towers, of_one, list(prompts.values()))  # (pictures, classes)
        for name, scores in (("zero-shot", short), ("zero-shot averaged", towers.image.encode(of_one) @ averaged.T)):
            found[f"{name}, {part}{of}"] = float(np.mean([classes[k] == t for k, t in zip(scores.argmax(1), truth)]))
    return found
