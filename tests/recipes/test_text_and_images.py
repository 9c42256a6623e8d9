"""The further negatives of two trainings are equally many; what is measured where; a hit is right part by part."""

import pytest

from course_lib.datasets.pictures import SEEN, Group, Scene, captions, sample_scenes
from recipes.text_and_images import APART, CLOSELY, NEGATIVES, SETTINGS, epochs_of, hard_negatives
from recipes.text_and_images_closely import fitting
from recipes.text_and_images_quality import worded

SCENES = sample_scenes(300, 0, SEEN)


@pytest.fixture(scope="module")
def negatives():
    return {setting: hard_negatives(setting, SCENES, 0) for setting in SETTINGS}


def test_negatives_belong_to_the_same_scenes(negatives):
    which = [[text is not None for text in negatives[setting]] for setting in NEGATIVES]
    assert which[0] == which[1] and any(which[0])
    of_two = [len(scene.groups) == 2 for scene in SCENES]
    assert [text is not None for text in negatives["place negatives"]] == of_two  # more: kinds stay as they are
    assert sum(which[0]) < sum(of_two) < len(SCENES)
    assert all(text is None for setting in ("whitened", "raw", "longer", "tuned") for text in negatives[setting])


def test_negatives_are_of_another_scene(negatives):
    for i, (scene, own) in enumerate(zip(SCENES, worded(SCENES))):
        colours, places, other = (negatives[f"{kind} negatives"][i] for kind in ("hard", "place", "other"))
        if colours is None:
            continue
        assert sorted(colours.split()) == sorted(own.split()) != colours.split()  # the words of the caption, exchanged
        assert places in captions(Scene(scene.groups[::-1], scene.places)) and places not in captions(scene)
        assert not any(other in captions(each) for each in SCENES)


def test_one_training_takes_longer():
    """That the rows are there which APART promises, test_images.py sees."""
    assert set(APART) <= set(SETTINGS)
    assert [setting for setting in SETTINGS if epochs_of(setting) > epochs_of(CLOSELY)] == ["longer"]


def test_a_hit_is_right_part_by_part():
    asked = Group(2, "small", "red", "ring")
    scene = Scene((Group(2, "large", "red", "cross"), Group(1, "small", "blue", "ring")), ("top", "bottom"))
    assert [fitting(scene, asked, part) for part in ("colour", "count", "size", "shape")] == [True, True, False, False]
    assert not fitting(Scene(scene.groups[1:], ("top",)), asked, "shape")  # a ring, but a blue one
