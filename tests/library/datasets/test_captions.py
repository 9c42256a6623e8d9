"""course_lib.datasets.captions: by image, and in pairs."""

from collections import Counter

import pytest

from course_lib.datasets.captions import caption_pairs, load_captions


def captions(*counts):
    rows = [(f"{i}.jpg", f"{i} {k}") for i, count in enumerate(counts) for k in range(count)]
    return [("image", "caption"), *rows]


def test_captions_by_image_and_split(write):
    path = write("c.tsv", ("image", "split", "caption"), ("1", "train", "a"), ("2", "test", "b"), ("1", "train", "c"))
    assert load_captions(path) == {"1": ["a", "c"], "2": ["b"]}
    assert load_captions(path, "test") == {"2": ["b"]} and load_captions(path, "val") == {}
    with pytest.raises(ValueError, match=r"d\.tsv: no column split; the header has image, caption"):
        load_captions(write("d.tsv", *captions(1)), "test")


def test_caption_pairs_are_of_one_image_and_use_each_caption_once(write):
    pairs = caption_pairs(write("captions.tsv", *captions(5, 4, 1, 2)), seed=1)
    assert [a.split()[0] for a, b in pairs] == ["0", "0", "1", "1", "3"]
    assert all(a.split()[0] == b.split()[0] for a, b in pairs)
    assert set(Counter(text for pair in pairs for text in pair).values()) == {1}


def test_caption_pairs_depend_on_the_seed_alone(write):
    path = write("captions.tsv", *captions(*[5] * 20))
    assert caption_pairs(path, 1) == caption_pairs(path, 1) != caption_pairs(path, 2)


def test_captions_of_one_text_are_no_pair(write):
    path = write("captions.tsv", ("image", "caption"), ("1", "A dog runs ."), ("1", "a dog runs"))
    assert caption_pairs(path, 0) == []


@pytest.mark.usefixtures("course_data")
@pytest.mark.parametrize("name, images", [("captions/flickr30k", 31014), ("captions/flickr8k", 8092)])
def test_real_captions(name, images):
    pairs = caption_pairs(name, seed=0)
    assert 1.98 * images < len(pairs) <= 2 * images
