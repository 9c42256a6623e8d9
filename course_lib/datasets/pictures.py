"""A small world of pictures that can be described: coloured shapes, drawn, and captions from a grammar.

    scenes = sample_scenes(1000, seed=0)
    pictures = draw(scenes, seed=0)        # uint8 (1000, 48, 48, 3)
    captions(scenes[0])[0]                 # 'two small red circles above a large blue square'

A scene says what is there, not where exactly: a picture adds chance (which of the three slots of its half a shape
stands in, by how much it is moved, up to 7% larger or smaller), so that one scene has many pictures, and many captions.
A kind is a count with a colour and a shape: "two red rings". A model trained on scenes of some kinds and tested on the
others meets combinations that it has never seen, of parts that it has.

Left out on purpose: overlaps, rotation, texture, more than two groups, and spelling mistakes: real captions have all of
these.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

SIDE = 48  # pixels
COLOURS = {
    "red": (200, 30, 45),
    "yellow": (240, 220, 60),
    "green": (0, 150, 110),
    "blue": (0, 70, 170),
    "purple": (200, 120, 210),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring")
SIZES = {"small": 3.6, "large": 6.4}  # half the width of a shape, in pixels
COUNTS = {1: "a", 2: "two", 3: "three"}
PLACES = ("top", "bottom", "left", "right")
PARTS = ("count", "size", "colour", "shape", "place")
KINDS = tuple(product(COUNTS, COLOURS, SHAPES))  # 90, of which every fifth is held out
FOLD = {kind: (kind[0] + list(COLOURS).index(kind[1]) + 2 * SHAPES.index(kind[2])) % 5 for kind in KINDS}
UNSEEN = tuple(kind for kind in KINDS if FOLD[kind] == 0)
SEEN = tuple(kind for kind in KINDS if FOLD[kind] > 0)
FAMILIAR = tuple(kind for kind in KINDS if FOLD[kind] == 1)  # seen, and as much alike as the unseen ones


@dataclass(frozen=True)
class Group:
    """Equal shapes side by side: `Group(2, "small", "red", "circle")`."""

    count: int
    size: str
    colour: str
    shape: str

    @property
    def kind(self) -> tuple[int, str, str]:
        return self.count, self.colour, self.shape

    def __str__(self) -> str:
        plural = "" if self.count == 1 else "es" if self.shape == "cross" else "s"
        return f"{COUNTS[self.count]} {self.size} {self.colour} {self.shape}{plural}"


@dataclass(frozen=True)
class Scene:
    """One group in a half of the picture, or two in opposite halves: `groups[i]` is at `places[i]`.

    Of two groups the first is at the top or on the left.
    """

    groups: tuple[Group, ...]
    places: tuple[str, ...]

    def swapped(self) -> "Scene":
        """The two groups exchange their colours: another picture, described by the same words.

        Raises ValueError for one group.
        """
        if len(self.groups) != 2:
            raise ValueError(
                f"colours are exchanged between two groups, and this scene has {len(self.groups)}: "
                f"{captions(self)[0]!r}"
            )
        a, b = self.groups
        return Scene((replace(a, colour=b.colour), replace(b, colour=a.colour)), self.places)

    def near_miss(self, part: str, generator: np.random.Generator) -> "Scene":
        """The scene with one of PARTS changed: of the first group, or the place, to the opposite side.

        Two groups change places, and still differ in colour and in shape.
        """
        if part not in PARTS:
            raise ValueError(f"part is {part!r}; expected one of {', '.join(PARTS)}")
        if part == "place":
            opposite = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
            return Scene(self.groups[::-1], self.places if len(self.groups) == 2 else (opposite[self.places[0]],))
        values = {"count": list(COUNTS), "size": list(SIZES), "colour": list(COLOURS), "shape": list(SHAPES)}[part]
        taken = {getattr(group, part) for group in (self.groups if part in ("colour", "shape") else self.groups[:1])}
        others = [value for value in values if value not in taken]
        return Scene(
            (replace(self.groups[0], **{part: others[generator.integers(len(others))]}), *self.groups[1:]), self.places
        )

    def twin(self, generator: np.random.Generator, kinds: Collection[tuple[int, str, str]] = KINDS) -> "Scene":
        """The scene with another shape for every group, all else equal: for who reads no shapes, the same scene.

        The new groups are of these kinds, and two still differ in shape. ValueError where there is no such scene.
        """
        kinds = set(kinds)
        choices = [
            [
                replace(group, shape=shape)
                for shape in SHAPES
                if shape != group.shape and (*group.kind[:2], shape) in kinds
            ]
            for group in self.groups
        ]
        found = [groups for groups in product(*choices) if len({group.shape for group in groups}) == len(groups)]
        if not found:
            raise ValueError(f"no other shapes of these {len(kinds)} kinds fit {captions(self)[0]!r}; give more kinds")
        return Scene(found[generator.integers(len(found))], self.places)


def sample_scenes(
    n: int,
    seed: int,
    kinds: Collection[tuple[int, str, str]] = KINDS,
    pairs: float = 0.7,
    without: Collection[Scene] = (),
) -> list[Scene]:
    """n different scenes whose groups are all of these kinds, none of them in `without`.

    pairs: how likely a draw is to have two groups; these differ in colour and in shape. Raises ValueError where there
    are not so many scenes.
    """
    generator, kinds, without = np.random.default_rng(seed), list(kinds), set(without)
    found: dict[Scene, None] = {}
    for _ in range(200 * n + 1000):
        if len(found) == n:
            return list(found)
        drawn = [(str(generator.choice(list(SIZES))), kinds[generator.integers(len(kinds))]) for _ in range(2)]
        groups = [Group(count, size, colour, shape) for size, (count, colour, shape) in drawn]
        if generator.random() >= pairs:
            scene = Scene((groups[0],), (PLACES[generator.integers(4)],))
        elif groups[0].colour != groups[1].colour and groups[0].shape != groups[1].shape:
            scene = Scene(tuple(groups), PLACES[:2] if generator.random() < 0.5 else PLACES[2:])
        else:
            continue
        if scene not in without:
            found[scene] = None
    raise ValueError(
        f"found only {len(found)} different scenes of the {len(kinds)} kinds, {n} were wanted: "
        "ask for fewer, or give more kinds"
    )


def captions(scene: Scene) -> list[str]:
    """Every wording of the grammar for a scene. Of two groups either may come first."""
    if len(scene.groups) == 1:
        group, place = (
            scene.groups[0],
            {"top": "at the top", "bottom": "at the bottom", "left": "on the left", "right": "on the right"}[
                scene.places[0]
            ],
        )
        verb = "is" if group.count == 1 else "are"
        return [
            f"{group} {place}",
            f"a picture of {group} {place}",
            f"{place} there {verb} {group}",
            f"{group}, {place}",
        ]
    a, b = scene.groups
    if scene.places[0] == "top":
        return [
            f"{a} above {b}",
            f"{b} below {a}",
            f"{a} at the top and {b} at the bottom",
            f"{b} at the bottom and {a} at the top",
            f"{b} under {a}",
        ]
    return [
        f"{a} to the left of {b}",
        f"{b} to the right of {a}",
        f"{a} on the left and {b} on the right",
        f"{b} on the right and {a} on the left",
        f"{b} right of {a}",
    ]


def draw(scenes: Sequence[Scene], seed: int) -> np.ndarray:
    """One picture a scene: uint8 (scenes, SIDE, SIDE, 3), red, green, blue; white where nothing is."""
    generator = np.random.default_rng(seed)
    pictures = np.empty((len(scenes), SIDE, SIDE, 3), dtype=np.uint8)
    for picture, scene in zip(pictures, scenes):
        canvas = np.full((SIDE, SIDE, 3), 255.0)
        for group, place in zip(scene.groups, scene.places):
            for x, y, radius in _positions(group, place, generator):
                ink = np.clip(0.5 - _distance(group.shape, x, y, radius), 0, 1)[..., None]  # (SIDE, SIDE, 1), 1 inside
                canvas = (1 - ink) * canvas + ink * np.array(COLOURS[group.colour])
        picture[:] = canvas.round()
    return pictures


def _positions(group: Group, place: str, generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """(x, y, radius) of each shape: in some of the three slots of its half of the picture, each moved a little."""
    slot = SIDE / 3
    found = []
    for k in generator.permutation(3)[: group.count]:
        radius = SIZES[group.size] * generator.uniform(0.93, 1.07)
        along = (k + 0.5) * slot + generator.uniform(-1, 1) * (slot / 2 - radius - 0.8)
        across = (
            SIDE / 4
            + generator.uniform(-1, 1) * (SIDE / 4 - radius - 0.8)
            + (SIDE / 2 if place in ("bottom", "right") else 0)
        )
        found.append((along, across, radius) if place in ("top", "bottom") else (across, along, radius))
    return found


def _distance(shape: str, x: float, y: float, radius: float) -> np.ndarray:
    """How far each pixel lies outside the shape, (SIDE, SIDE), about; negative inside."""
    grid = np.arange(SIDE) + 0.5
    dx, dy = np.abs(grid[None, :] - x), grid[:, None] - y  # (1, SIDE), (SIDE, 1)
    if shape == "circle":
        return np.hypot(dx, dy) - radius
    if shape == "ring":
        return np.abs(np.hypot(dx, dy) - 0.72 * radius) - 0.28 * radius
    if shape == "square":
        return np.maximum(dx, np.abs(dy)) - 0.9 * radius
    if shape == "cross":
        return np.minimum(
            np.maximum(dx - 0.3 * radius, np.abs(dy) - radius), np.maximum(dx - radius, np.abs(dy) - 0.3 * radius)
        )
    return np.maximum(dy - 0.8 * radius, 0.87 * dx - 0.5 * dy - 0.5 * radius)  # a triangle that stands on its base
