"""recipes/prompts.py: four-bit weights, which prompt goes where, and that the recorded rows agree with each other."""

import numpy as np
import pytest
import torch

from course_lib.support.folders import COURSE_HOME
from recipes import prompts
from recipes.shared.results import data_sha256, read_rows

ROWS = [r for r in read_rows("13.csv") if r["experiment"] == "prompts"]


def test_four_bits():
    scale = np.array([0.5], "<f2").view("u1")
    numbers = np.arange(32) % 16  # each of the sixteen, twice
    packed = (numbers[:16] | numbers[16:] << 4).astype("u1")
    block = np.concatenate([scale, packed])[None]  # (1, 18)
    assert prompts.four_bits(block).tolist() == (0.5 * (numbers - 8)).tolist()


def test_another_file_is_refused():
    with pytest.raises(ValueError, match="e5-small-q4.bin"):
        prompts.read_model(b"PK\3\4" + bytes(100))


class Letters:
    """Texts as counts of letters: with "passage: " before it a document is the same only as a text with that prompt."""

    def encode(self, texts, prompt, **options):
        return torch.tensor([[(prompt + text).count(letter) for letter in "abcgqu:"] for text in texts]).float()


def test_each_setting_has_its_prompts():
    texts, relevant = (["aab", "bcc"], ["aab", "bcc"]), {"q1": {"d1": 1}, "q2": {"d2": 1}}
    found = prompts.measure(Letters(), texts, relevant, (["q1", "q2"], ["d1", "d2"]))
    assert set(found) == set(prompts.PROMPTS)
    assert all((scores == 1).all() for scores in found.values())  # the same text is the nearest


def test_recorded_rows_agree():
    values = {}
    for r in ROWS:
        values.setdefault((r["setting"], r["metric"]), []).append(float(r["value"]))
        assert (COURSE_HOME / r["command"].split()[1]).is_file() and len(r["model_sha256"]) == 64
        assert r["n"] == "150"
    assert {setting for setting, _ in values} == set(prompts.PROMPTS)
    (plain,) = values["no prompts", "ndcg@10"]
    for setting in set(prompts.PROMPTS) - {"no prompts"}:
        (score,) = values[setting, "ndcg@10"]
        for low, difference, high in zip(*(values[setting, metric] for metric in ("low", "difference", "high"))):
            assert low < difference < high and np.isclose(difference, score - plain, atol=1e-5)
        assert len(values[setting, "low"]) == 3 and np.ptp(values[setting, "low"]) < 0.002  # three seeds of the draws


def test_recorded_data_are_those_that_ship():
    assert {r["data_sha256"] for r in ROWS} == {data_sha256(prompts.DATA)}
