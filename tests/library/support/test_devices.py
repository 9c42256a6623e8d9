"""Which device "auto" is, and who has the last word."""

import pytest
import torch

from course_lib.support.devices import pick_device


@pytest.mark.parametrize("there, best", [((False, False), "cpu"), ((False, True), "mps"), ((True, True), "cuda")])
def test_auto_is_what_there_is_unless_the_environment_says_otherwise(there, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there[0])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there[1])
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    assert pick_device().type == best and pick_device("cpu").type == "cpu"
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert pick_device().type == "cpu" and pick_device("cuda").type == "cuda"
    monkeypatch.setenv("COURSE_DEVICE", "auto")
    assert pick_device().type == best


def test_notebooks_choose_the_cpu_where_nobody_has_chosen(monkeypatch):
    from repository import SETUP

    monkeypatch.setenv("COURSE_DEVICE", "cuda")  # what is there before is put back afterwards
    exec(SETUP, {})
    assert pick_device().type == "cuda"
    monkeypatch.delenv("COURSE_DEVICE")
    exec(SETUP, {})
    assert pick_device().type == "cpu"
