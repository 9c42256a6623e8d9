"""course_lib.support.folders: names, and damaged folders. test_saving.py has how they are written."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import tiny_bert_folder

from course_lib.encoder import SentenceEncoder
from course_lib.modules import Dense, Pooling
from course_lib.support import folders as checkpoints
from course_lib.support.folders import read_json, read_weights, resolve, save_tensors
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


def change(file, **settings):
    file.write_text(json.dumps(read_json(file, default={}) | settings))


def load(folder):
    return SentenceEncoder.load(folder, device="cpu", dtype="float32")


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
    with pytest.raises(
        ValueError, match=rf"has pickled weights only \({file}\).*write there: safetensors.torch.save_file"
    ):
        load(model)
    assert not os.path.exists("unpickled")


def test_pickled_weights_beside_safetensors_do_no_harm(model):
    (model / "pytorch_model.bin").write_bytes(b"anything")
    load(model)


def test_the_advice_on_pickled_weights_converts_every_module(model, monkeypatch):
    expected = load(model).encode("a cat")
    for folder in (model, model / "2_Dense"):
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(ValueError) as caught:
            load(model)
        monkeypatch.chdir(folder)
        exec("import safetensors.torch, torch\n" + str(caught.value).split("write there: ")[1])
    np.testing.assert_array_equal(load(model).encode("a cat"), expected)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90000000\n"


@pytest.mark.parametrize(
    "file", ["model.safetensors", "2_Dense/model.safetensors", "config.json", "modules.json", "tokenizer.json"]
)
def test_pointers_of_git_lfs(file, model):
    (model / file).write_text(POINTER)
    with pytest.raises(ValueError, match=rf"{file} is a pointer of Git LFS, not the file itself; run `git lfs pull`"):
        load(model)


@pytest.mark.parametrize("keep", [0, 4, 100, 5000, -1])
@pytest.mark.parametrize("file", ["model.safetensors", "2_Dense/model.safetensors"])
def test_truncated_safetensors(file, keep, model):
    content = (model / file).read_bytes()
    (model / file).write_bytes(content[:keep][: len(content) - 1])
    with pytest.raises(
        ValueError, match=r"model.safetensors cannot be read as safetensors \(.*\); copy or download it again"
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
    with pytest.raises(ValueError, match=r"2_Dense do not fit its config.json: .*\(8, 31\), expected \(8, 32\)"):
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


def test_weights_in_one_file_go_before_an_index_that_was_left_behind(model):
    """transformers prefers it, and leaves the index where it was."""
    expected = load(model).encode("a cat")
    stale = {"weight_map": {"encoder.layer.0.output.dense.bias": "model-00001-of-00002.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(stale))
    save_file({"encoder.layer.0.output.dense.bias": torch.zeros(32)}, model / "model-00001-of-00002.safetensors")
    np.testing.assert_array_equal(load(model).encode("a cat"), expected)


@pytest.mark.parametrize("content", [{}, {"weight_map": {}}, {"weight_map": {"a": 3}}, {"weight_map": None}])
def test_an_index_that_names_no_files(content, model):
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="index.json names no files of weights"):
        load(model)


# ---- settings of another kind than they must be

WRONG = {
    "config.json": {"hidden_size": "32", "vocab_size": -1, "layer_norm_eps": float("nan"), "num_attention_heads": -4},
    "1_Pooling/config.json": {"word_embedding_dimension": "32", "pooling_mode": [3], "include_prompt": "no"},
    "2_Dense/config.json": {"in_features": [32], "activation_function": 3, "bias": "yes"},
    "sentence_bert_config.json": {"max_seq_length": "128", "do_lower_case": "no"},
    "tokenizer_config.json": {"model_max_length": "512"},
    "config_sentence_transformers.json": {"prompts": ["query"], "similarity_fn_name": 3, "truncate_dim": "8"},
}


@pytest.mark.parametrize("file, name", [(file, name) for file, names in WRONG.items() for name in names])
def test_values_of_another_kind_are_named(file, name, model):
    for other in ("max_seq_length",) if name == "model_max_length" else ():
        change(model / "sentence_bert_config.json", **{other: None})
    change(model / file, **{name: WRONG[file][name]})
    with pytest.raises(ValueError) as caught:
        load(model)
    assert str(model) in str(caught.value) and f"{name} " in str(caught.value)


@pytest.mark.parametrize("file", WRONG)
def test_null_counts_as_not_said(file, model):
    expected = load(model).encode("a cat")
    change(model / file, **dict.fromkeys([n for n in WRONG[file] if n not in read_json(model / file, default={})]))
    np.testing.assert_array_equal(load(model).encode("a cat"), expected)


@pytest.mark.parametrize(
    "file, changes",
    [
        ("config.json", {"hidden_size": 4 * 10**8}),
        ("config.json", {"vocab_size": 10**12}),
        ("config.json", {"num_hidden_layers": 10**9}),
        ("2_Dense/config.json", {"in_features": 10**11}),
    ],
)
def test_sizes_beyond_all_memory_are_compared_with_the_weights_first(file, changes, model):
    change(model / file, **changes)
    with pytest.raises(
        ValueError, match=r"do not fit its config.json: .*expected \(|has 1000000000 layers, and there are"
    ):
        load(model)


@pytest.mark.parametrize(
    "kinds, message",
    [
        ([], "names no modules"),
        (["Pooling"], "has the modules Pooling; expected Transformer and Pooling, or StaticEmbedding"),
        (["Transformer", "Normalize"], "has the modules Transformer, Normalize; expected"),
        (["Transformer", "Pooling", "Pooling"], "has the modules Transformer, Pooling, Pooling; expected"),
    ],
)
def test_modules_that_make_no_encoder(kinds, message, model):
    places = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "3_Normalize"}
    listed = [{"path": places[kind], "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (model / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ValueError, match=message):
        load(model)


def test_errors_of_other_libraries_name_the_folder(model, monkeypatch):
    monkeypatch.setattr(Pooling, "load", lambda folder: (_ for _ in ()).throw(RuntimeError("deep inside")))
    with pytest.raises(ValueError, match=rf"the model in {model} cannot be read \(RuntimeError: deep inside\); a file"):
        load(model)


def test_vectors_that_are_not_finite_name_the_text(model):
    weights = load_file(model / "2_Dense/model.safetensors")
    save_file(weights | {"linear.weight": weights["linear.weight"].sign() * 3e38}, model / "2_Dense/model.safetensors")
    encoder = load(model)
    encoder[2].activation_function = torch.nn.Identity()
    with pytest.raises(ValueError, match="NaN or infinite numbers for text 0: its weights are damaged"):
        encoder.encode(["a cat", "a dog"])


def test_half_precision_is_widened(tmp_path):
    tensors = {"a": torch.tensor([1.0, 65000.0]), "b": torch.arange(3)}
    save_tensors(tensors, tmp_path / "model.safetensors", half=True)
    assert load_file(tmp_path / "model.safetensors")["a"].dtype == torch.float16
    weights = read_weights(tmp_path)
    assert weights["a"].dtype == torch.float32 and weights["b"].dtype == torch.int64
    assert torch.equal(weights["b"], tensors["b"]) and torch.equal(weights["a"], tensors["a"].half().float())
    save_file({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    assert read_weights(tmp_path)["a"].dtype == torch.float32
