"""course_lib.support.folders.atomic_folder: what a save replaces, and what it never touches.

test_saving_killed.py has what a killed process leaves.
"""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from saved_folders import OTHERS, add, listing, others
from small_models import tiny_bert_folder

from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.models.images import ImageEncoder, TextImageEncoder
from course_lib.models.sparse import SparseEncoder
from course_lib.models.static import StaticEmbedding
from course_lib.modules import Dense, Normalize, Pooling
from course_lib.support.folders import COURSE_HOME, atomic_folder, read_json, write_json
from course_lib.transformer import Transformer

MODELS = COURSE_HOME / "data" / "models"


def load(folder):
    return SentenceEncoder.load(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def saved(tmp_path_factory, minilm_folder):
    """A whole folder: a tiny BERT, mean pooling, a Dense."""
    folder = tmp_path_factory.mktemp("saved")
    first = Transformer.load(tiny_bert_folder(folder / "bert", minilm_folder))
    SentenceEncoder([first, Pooling(32), Dense(32, 8)]).save(folder / "model")
    return folder / "model"


@pytest.fixture
def model(saved, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


# ---- what stays, and what goes


def test_a_new_folder_and_its_parents(tmp_path):
    with atomic_folder(tmp_path / "a/b/new") as unfinished:
        (unfinished / "config.json").write_text("{}")
        assert not (tmp_path / "a/b/new").exists()
    assert listing(tmp_path) == {"a/b/new/config.json": b"{}"}


def test_saving_twice_gives_equal_files(saved, tmp_path):
    load(saved).save(tmp_path / "a")
    load(tmp_path / "a").save(tmp_path / "b")
    assert listing(tmp_path / "a") == listing(tmp_path / "b") == listing(saved)


def test_other_files_are_never_touched(saved, model, tmp_path):
    add(model, OTHERS)
    before, itself = others(model), model.stat().st_ino
    assert len(before) == len(OTHERS)
    load(saved).save(model)
    assert others(model) == before and model.stat().st_ino == itself
    assert {name: content for name, content in listing(model).items() if name not in OTHERS} == listing(saved)
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("kind", ["cross-encoder-mini", "splade-mini", "glove-mini", "images"])
def test_other_files_stay_whatever_is_saved(kind, tmp_path):
    if kind == "images":
        static = StaticEmbedding.load(MODELS / "glove-mini" / "0_StaticEmbedding")
        made = TextImageEncoder(SentenceEncoder([static, Normalize()]), ImageEncoder(dim=static.dims[1], side=8))
    else:
        kinds = {"cross-encoder-mini": CrossEncoder, "splade-mini": SparseEncoder}
        made = kinds.get(kind, SentenceEncoder).load(f"course/{kind}", device="cpu")
    made.save(tmp_path / "model")
    add(tmp_path / "model", {"thesis.tex": "years of work", "eval/results.csv": "a,1"})
    before = listing(tmp_path)
    made.save(tmp_path / "model")
    assert listing(tmp_path) == before


STALE = {
    "model.safetensors.index.json": "{}",
    "model-00001-of-00002.safetensors": "",
    "sentence_distilbert_config.json": '{"max_seq_length": 3}',
    "added_tokens.json": '{"[NEW]": 10001}',
    "vocab.txt": "other words",
    "3_Dense/config.json": "{}",
    "3_Dense/model.safetensors": "",
    "2_Dense/model.safetensors.index.json": "{}",
}


def test_what_the_old_model_had_and_the_new_one_has_not_goes(saved, model):
    add(model, STALE)
    modules = read_json(model / "modules.json", kind=list)
    dense = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    write_json(model / "modules.json", [*modules, dense])
    load(saved).save(model)
    assert listing(model) == listing(saved) and not (model / "3_Dense").exists()


@pytest.mark.parametrize("path", ["../other", "/", "", ".", "{outside}", "1_Pooling/../../other", 3])
def test_modules_outside_of_the_folder_stay(path, saved, model, tmp_path):
    add(tmp_path / "other", {"config.json": "{}", "model.safetensors": "x"})
    before = listing(tmp_path / "other")
    path = str(tmp_path / "other") if path == "{outside}" else path
    write_json(model / "modules.json", [{"path": path, "type": "Dense"}, {"path": "1_Pooling"}, None])
    load(saved).save(model)
    assert listing(model) == listing(saved) and listing(tmp_path / "other") == before


def test_another_kind_of_model_takes_its_place(model, tmp_path):
    add(model, OTHERS)
    before = others(model)
    static = SentenceEncoder.load("course/glove-mini", device="cpu")
    static.save(model)
    static.save(tmp_path / "alone")
    assert others(model) == before
    assert {n: c for n, c in listing(model).items() if n not in OTHERS} == listing(tmp_path / "alone")
    np.testing.assert_array_equal(load(model).encode("a cat"), static.encode("a cat"))


# ---- folders of every kind


def test_the_folder_may_be_the_one_loaded_from_or_a_link_or_where_we_are(model, tmp_path, monkeypatch):
    expected = load(model).encode("a cat")
    load(model).save(model)
    (tmp_path / "link").symlink_to(model)
    load(tmp_path / "link").save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and sorted(f.name for f in tmp_path.iterdir()) == ["link", "model"]
    monkeypatch.chdir(model)
    load(".").save(".")
    assert Path.cwd() == model
    np.testing.assert_array_equal(load(".").encode("a cat"), expected)


def test_links_in_it_are_replaced_and_what_they_point_to_stays(saved, model, tmp_path):
    """As in the hub's cache, whose files are links."""
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for name in ("config.json", "model.safetensors", "1_Pooling/config.json"):
        blob = blobs / name.replace("/", "-")
        (model / name).rename(blob)
        (model / name).symlink_to(os.path.relpath(blob, (model / name).parent))
    (model / "model.safetensors.index.json").symlink_to("nowhere")
    encoder = load(model)
    before = listing(blobs)
    encoder[2].linear.bias.data += 1
    encoder.save(model)
    assert listing(blobs) == before and not any(file.is_symlink() for file in model.rglob("*"))
    assert torch.equal(load(model)[2].linear.bias, encoder[2].linear.bias)


def test_read_only_files_are_replaced(saved, model):
    for file in model.rglob("*"):
        if file.is_file():
            file.chmod(0o444)
    load(saved).save(model)
    assert listing(model) == listing(saved)


@pytest.mark.parametrize("exists", [True, False])
def test_an_exception_leaves_the_old_folder_and_no_litter(exists, model, tmp_path, monkeypatch):
    before = listing(tmp_path)
    encoder = load(model)

    def fail(self, folder, half):
        (folder / "something").write_text("half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(Dense, "save", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        encoder.save(model if exists else tmp_path / "new")
    assert listing(tmp_path) == before and [f.name for f in tmp_path.iterdir()] == ["model"]


# ---- refused, before anything is written

REFUSED = {
    "other things": {"home/thesis.tex": "mine"},
    "a config.json of something else": {"home/config.json": '{"compilerOptions": {}}', "home/thesis.tex": "mine"},
    "an empty config.json": {"home/config.json": "{}", "home/thesis.tex": "mine"},
    "a file": {"home": "mine"},
    "an adapter": {"home/config.json": '{"model_type": "bert"}', "home/adapter_config.json": "{}"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_files_and_folders_of_other_things_are_not_replaced(what, saved, tmp_path):
    add(tmp_path, REFUSED[what])
    before = listing(tmp_path)
    with pytest.raises(FileExistsError, match="home .*choose a free name"):
        load(saved).save(tmp_path / "home")
    assert listing(tmp_path) == before


def test_empty_folders_and_damaged_models_are_taken(saved, model, tmp_path):
    (tmp_path / "empty").mkdir()
    load(saved).save(tmp_path / "empty")
    (model / "config.json").write_text('{"model_ty')
    (model / "modules.json").unlink()
    load(saved).save(model)
    assert listing(tmp_path / "empty") == listing(model) == listing(saved)


@pytest.mark.parametrize("name", ["config.json", "1_Pooling"])
def test_a_folder_in_the_place_of_a_file_or_the_reverse(name, saved, model, tmp_path):
    if name == "config.json":
        (model / name).unlink()
        add(model, {"config.json/mine.txt": "mine"})
    else:
        shutil.rmtree(model / name)
        add(model, {name: "mine"})
    before = listing(tmp_path)
    with pytest.raises(FileExistsError, match=f"{name} is in the way: a folder where the model has a file, or the rev"):
        load(saved).save(model)
    assert listing(tmp_path) == before


def test_what_killed_processes_left_is_cleared_up(model, saved, tmp_path):
    folders = [place / f".model.unfinished-{age}" for place in (tmp_path, model) for age in ("old", "new")]
    for folder in folders:
        folder.mkdir()
        (folder / "x").write_text("x")
        if folder.name.endswith("old"):
            os.utime(folder, (time.time() - 7200,) * 2)
    load(saved).save(model)
    assert [folder.exists() for folder in folders] == [True, True, False, True]  # the new may be another's at work
    shutil.rmtree(model)
    load(saved).save(model)
    assert [folder.exists() for folder in folders] == [False, True, False, False]
