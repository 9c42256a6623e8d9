"""course_lib.support.folders: names, damaged folders, and folders that are never half written."""

import json
import os
import pathlib
import random
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from processes import start, wait
from safetensors.torch import load_file, save_file
from small_models import tiny_bert_folder

from course_lib.encoder import SentenceEncoder
from course_lib.modules import Dense, Pooling
from course_lib.support import folders as checkpoints
from course_lib.support.folders import (
    atomic_folder,
    read_json,
    read_weights,
    resolve,
    save_tensors,
    write_json,
)
from course_lib.transformer import Transformer


@pytest.fixture(scope="module")
def saved(tmp_path_factory, minilm_folder):
    """A whole folder: a tiny BERT, mean pooling, a Dense."""
    folder = tmp_path_factory.mktemp("saved")
    first = Transformer.load(tiny_bert_folder(folder / "bert", minilm_folder, vocab_size=30522))
    SentenceEncoder([first, Pooling(32), Dense(32, 8)]).save(folder / "model")
    return folder / "model"


@pytest.fixture
def model(saved, tmp_path):
    """A copy of it, to be damaged."""
    return pathlib.Path(shutil.copytree(saved, tmp_path / "model"))


def load(folder):
    return SentenceEncoder.load(folder, device="cpu", dtype="float32")


def listing(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


# ---- names


def test_bundled_names(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "COURSE_HOME", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no model 'course/one'; bundled in .*models: none"):
        resolve("course/one")
    for name in ("two", "one"):
        (tmp_path / "data/models" / name).mkdir(parents=True)
    assert resolve("course/one") == tmp_path / "data/models/one"
    with pytest.raises(FileNotFoundError, match="no model 'course/three'; bundled in .*: course/one, course/two$"):
        resolve("course/three")


def test_local_folders(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    assert resolve(tmp_path / "mine") == resolve(str(tmp_path / "mine")) == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    assert resolve("mine") == pathlib.Path("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/mine") == tmp_path / "mine"


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "../nowhere", "a/b/c"])
def test_missing_local_folders(name):
    with pytest.raises(
        FileNotFoundError, match="no folder .*; expected a model folder, a bundled name such as 'course/sbert-mini'"
    ):
        resolve(name)


@pytest.mark.parametrize(
    "name, repository",
    [("all-nothing", "sentence-transformers/all-nothing"), ("someone/something", "someone/something")],
)
def test_unreachable_hub(name, repository):
    with pytest.raises(FileNotFoundError) as caught:
        resolve(name)
    message = str(caught.value)
    assert f"{name!r} could not be had: no folder" in message and f"{repository!r} neither in the cache" in message
    assert (
        "Check name and connection, or give a folder. 'course/sbert-mini' needs no download" in message
        and "\n" not in message
    )


def test_hub_errors_without_words(monkeypatch):
    import huggingface_hub

    def fail(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(FileNotFoundError, match="ConnectionError"):
        resolve("someone/something")


# ---- damaged folders


def test_the_copy_is_whole(model):
    assert load(model).encode("a cat").shape == (8,)


def test_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json is missing: .* is not a whole model folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    "file",
    ["config.json", "model.safetensors", "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"],
)
def test_missing_files_are_named(file, model):
    (model / file).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load(model)
    assert f"{model / file} is missing" in str(caught.value)


@pytest.mark.parametrize("folder", ["", "2_Dense"])
@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_are_refused_and_never_read(file, folder, model):
    (model / folder / "model.safetensors").unlink()
    (model / folder / file).write_bytes(b"cos\nsystem\n(S'touch unpickled'\ntR.")
    with pytest.raises(ValueError, match=rf"has pickled weights only \({file}\).*safe_serialization=True"):
        load(model)
    assert not os.path.exists("unpickled")


def test_pickled_weights_beside_safetensors_do_no_harm(model):
    (model / "pytorch_model.bin").write_bytes(b"anything")
    load(model)


@pytest.mark.parametrize("keep", [0, 4, 100, 5000, -1])
@pytest.mark.parametrize("file", ["model.safetensors", "2_Dense/model.safetensors"])
def test_truncated_safetensors(file, keep, model):
    content = (model / file).read_bytes()
    (model / file).write_bytes(content[:keep][: len(content) - 1])
    with pytest.raises(
        ValueError, match=r"model.safetensors is damaged or cut short \(.*\); copy or download it again"
    ):
        load(model)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "file, name",
    [("model.safetensors", "encoder.layer.1.output.dense.weight"), ("2_Dense/model.safetensors", "linear.bias")],
)
def test_numbers_that_are_not_finite(file, name, bad, model):
    weights = load_file(model / file)
    weights[name].view(-1)[3] = bad
    save_file(weights, model / file)
    with pytest.raises(ValueError, match=f"{name} in .* holds NaN or infinite numbers"):
        load(model)


def test_missing_tensors_and_wrong_shapes(model):
    weights = load_file(model / "model.safetensors")
    name = "encoder.layer.1.attention.self.key.weight"
    save_file({n: t for n, t in weights.items() if n != name}, model / "model.safetensors")
    with pytest.raises(ValueError, match=rf"do not fit its config.json: missing \['{name}'\]"):
        load(model)
    save_file(weights | {name: torch.zeros(32, 31)}, model / "model.safetensors")
    with pytest.raises(ValueError, match=rf"{name} \(32, 31\), expected \(32, 32\)"):
        load(model)
    save_file(weights, model / "model.safetensors")
    save_file({"linear.weight": torch.zeros(8, 31)}, model / "2_Dense/model.safetensors")
    with pytest.raises(ValueError, match=r"2_Dense do not fit its config.json: found .*\(8, 31\)"):
        load(model)


@pytest.mark.parametrize("content", ["", "{", '{"a": 1,}', "\x00", "nul", "[1, 2", '"text"', "3", "{}}"])
@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    ],
)
def test_json_that_cannot_be_read(file, content, model):
    (model / file).write_text(content)
    with pytest.raises(ValueError) as caught:
        load(model)
    assert str(model / file) in str(caught.value) and "copy or download it again" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'{"a": "\xe9"}'])
def test_json_that_is_not_utf8(content, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match="x.json cannot be read as JSON"):
        read_json(tmp_path / "x.json")


def test_json_of_another_kind(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    assert read_json(tmp_path / "x.json", kind=list) == []
    with pytest.raises(ValueError, match="x.json holds a list, expected a dict"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "none.json", default={"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    "file, key", [("2_Dense/config.json", "in_features"), ("modules.json", "type"), ("modules.json", "path")]
)
def test_settings_that_lack_an_entry(file, key, model):
    (model / file).write_text((model / file).read_text().replace(f'"{key}"', '"other"'))
    with pytest.raises(ValueError, match=rf"incomplete or wrong \(KeyError\('{key}'\)\)"):
        load(model)


@pytest.mark.parametrize("content", ["", "{", "{}", '{"version": "1.0"}'])
def test_tokenizers_that_cannot_be_read(content, model):
    (model / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match="tokenizer.json cannot be read .*; copy or download it again"):
        load(model)


def test_folders_without_a_tokenizer(model):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError, match=r"tokenizer.json is missing, and so is a vocabulary \(vocab.txt"):
        load(model)


def test_weights_in_several_files(model):
    weights = load_file(model / "model.safetensors")
    names = sorted(weights)
    expected = load(model).encode("a cat")
    parts = {"a.safetensors": names[:7], "b.safetensors": names[7:]}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, model / file)
    (model / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(load(model).encode("a cat"), expected)
    (model / "b.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="b.safetensors is missing"):
        load(model)


def test_half_precision_is_widened(tmp_path):
    tensors = {"a": torch.tensor([1.0, 65000.0]), "b": torch.arange(3)}
    save_tensors(tensors, tmp_path / "model.safetensors", half=True)
    assert load_file(tmp_path / "model.safetensors")["a"].dtype == torch.float16
    weights = read_weights(tmp_path)
    assert weights["a"].dtype == torch.float32 and weights["b"].dtype == torch.int64
    assert torch.equal(weights["b"], tensors["b"]) and torch.equal(weights["a"], tensors["a"].half().float())
    save_file({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    assert read_weights(tmp_path)["a"].dtype == torch.float32


# ---- writing: old or new, whole


def test_a_new_folder_and_its_parents(tmp_path):
    with atomic_folder(tmp_path / "a/b/new") as unfinished:
        (unfinished / "config.json").write_text("{}")
        assert not (tmp_path / "a/b/new").exists()
    assert listing(tmp_path) == {"a/b/new/config.json": b"{}"}


def test_an_existing_model_is_replaced_whole(saved, model, tmp_path):
    (model / "old.txt").write_text("of the old model")
    load(saved).save(model)
    assert listing(model) == listing(saved)
    assert [f.name for f in tmp_path.iterdir()] == ["model"]


def test_saving_twice_gives_equal_files(saved, tmp_path):
    load(saved).save(tmp_path / "a")
    load(tmp_path / "a").save(tmp_path / "b")
    assert listing(tmp_path / "a") == listing(tmp_path / "b") == listing(saved)


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


def test_the_folder_may_be_the_one_loaded_from_or_a_link(model, tmp_path, monkeypatch):
    expected = load(model).encode("a cat")
    load(model).save(model)
    (tmp_path / "link").symlink_to(model)
    load(tmp_path / "link").save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and sorted(f.name for f in tmp_path.iterdir()) == ["link", "model"]
    monkeypatch.chdir(tmp_path)
    load("model").save("model")
    np.testing.assert_array_equal(load("model").encode("a cat"), expected)


def test_files_and_folders_of_other_things_are_not_replaced(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.tex").write_text("mine")
    (tmp_path / "empty").mkdir()
    before = listing(tmp_path)
    for name in ("file", "home"):
        with pytest.raises(
            FileExistsError, match=f"{name} is a file, or a folder with other things than a model; choose a free name"
        ):
            load(model).save(tmp_path / name)
    assert listing(tmp_path) == before
    load(model).save(tmp_path / "empty")
    assert listing(tmp_path / "empty") == listing(model)


def test_what_killed_processes_left_is_cleared_up(model, tmp_path):
    old, new = tmp_path / ".model.unfinished-99999998", tmp_path / ".model.unfinished-99999999"
    for folder in (old, new):
        folder.mkdir()
        (folder / "x").write_text("x")
    os.utime(old, (time.time() - 7200,) * 2)
    load(model).save(model)
    assert not old.exists() and new.exists()  # the new one may be another process at work


def save_without_end(target, started):
    for version in range(10**9):
        with atomic_folder(target) as unfinished:
            for i in range(20):
                write_json(unfinished / f"{i}.json", {"version": version, "filling": "x" * random.randrange(20_000)})
            write_json(unfinished / "config.json", {"version": version})
        os.write(started, b"1")


def test_killed_while_saving_leaves_the_old_or_the_new_folder_whole(tmp_path):
    """SIGKILL to real processes that save over and over, at times that fall anywhere."""
    target = tmp_path / "model"
    versions = set()
    for k in range(25):
        read, started = os.pipe()
        pid = start(save_without_end, target, started)
        os.read(read, 1)  # the first save is done
        time.sleep(0.001 * k)
        os.kill(pid, signal.SIGKILL)
        assert wait(pid) == -signal.SIGKILL
        os.close(read), os.close(started)
        folder = resolve(target)
        found = [read_json(folder / name)["version"] for name in [*(f"{i}.json" for i in range(20)), "config.json"]]
        assert len(set(found)) == 1 and len(list(folder.iterdir())) == 21
        versions.add(found[0])
    assert len(versions) > 1


def save_and_die(target, owner, function, count):
    """SIGKILL at the count-th call of a function."""
    original, calls = getattr(owner, function), iter(range(1, 10**9))

    def kill(*args, **kwargs):
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    with atomic_folder(target) as unfinished:
        setattr(owner, function, kill)
        checkpoints.write_json(unfinished / "config.json", {"version": 2})


MOMENTS = {
    "while it writes": (checkpoints, "write_json", 1),
    "before the first rename": (os, "replace", 1),
    "between the renames": (os, "replace", 2),
    "before the old files are removed": (shutil, "rmtree", 1),
}


def killed(target, moment, version=1):
    """A model that a process was killed while replacing."""
    target.mkdir()
    (target / "config.json").write_text(json.dumps({"version": version}))
    assert wait(start(save_and_die, target, *MOMENTS[moment])) == -signal.SIGKILL


@pytest.mark.parametrize("then", ["load", "save"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_chosen_moment(moment, then, tmp_path):
    target = tmp_path / "model"
    killed(target, moment)
    assert target.exists() == (moment != "between the renames")
    if then == "load":
        assert resolve(target) == target
        assert read_json(target / "config.json")["version"] == (2 if "removed" in moment else 1)
    with atomic_folder(target) as unfinished:  # and saving goes on
        (unfinished / "config.json").write_text('{"version": 3}')
    assert read_json(target / "config.json")["version"] == 3
    assert not [other.name for other in tmp_path.iterdir() if "replaced" in other.name]


def test_killed_before_there_was_a_model(tmp_path):
    assert wait(start(save_and_die, tmp_path / "model", os, "replace", 1)) == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    with pytest.raises(FileNotFoundError, match="no folder .*model; expected a model folder"):
        resolve(tmp_path / "model")


def test_a_load_waits_for_a_process_that_is_at_it(tmp_path, monkeypatch):
    """The folder is there again when it has waited."""
    target = tmp_path / "model"
    killed(target, "between the renames")
    (old,) = tmp_path.glob(".model.replaced-*")
    (new,) = tmp_path.glob(".model.unfinished-*")
    monkeypatch.setattr(checkpoints.time, "sleep", lambda seconds: os.rename(new, target))
    assert read_json(resolve(target) / "config.json")["version"] == 2 and old.exists()


@pytest.mark.parametrize("course", [True, False])
def test_bundled_names_and_links_are_found_again(course, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "COURSE_HOME", tmp_path)
    target = tmp_path / "data/models/one"
    target.parent.mkdir(parents=True)
    killed(target, "between the renames")
    (tmp_path / "link").symlink_to(target)
    assert read_json(resolve("course/one" if course else tmp_path / "link") / "config.json")["version"] == 1


def test_a_model_that_cannot_be_given_its_name_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    killed(target, "between the renames")
    monkeypatch.setattr(os, "replace", lambda old, new: (_ for _ in ()).throw(OSError("read-only")))
    with pytest.raises(FileNotFoundError, match=r"model lies whole in .*\.model\.replaced-\d+, .* \(read-only\)"):
        resolve(target)


def test_a_new_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    target, original = tmp_path / "model", os.replace
    target.mkdir()
    (target / "config.json").write_text('{"version": 1}')

    def refuse(old, new):
        if "unfinished" in str(old):
            raise OSError("in use")
        original(old, new)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="in use"), atomic_folder(target) as unfinished:
        (unfinished / "config.json").write_text('{"version": 2}')
    assert read_json(target / "config.json")["version"] == 1 and [f.name for f in tmp_path.iterdir()] == ["model"]
