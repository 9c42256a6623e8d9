"""course_lib.support.hub: mirrors, and downloads from a hub faked on this machine, each in a process of its own."""

import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fake_hub import COMMIT, FakeHub
from small_models import WEIGHTS_SHA256

from course_lib.encoder import SentenceEncoder
from course_lib.support import hub
from course_lib.support.folders import resolve

NAME = "owner/name"
WEIGHTS = bytes(range(256)) * 60_000  # 15 MB: huggingface_hub writes what it receives in blocks of 10 MiB
FILES = {
    "config.json": b"{}",
    "modules.json": b"[]",
    "vocab.txt": b"a\nb\n",
    "1_Pooling/config.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
    "2_Dense/model.safetensors": b"dense",
}
UNWANTED = {
    "pytorch_model.bin": b"pickled",
    "2_Dense/pytorch_model.bin": b"pickled",
    "tf_model.h5": b"h5",
    "README.md": b"# a card",
    "onnx/model.onnx": b"onnx",
    "rust_model.ot": b"rust",
    "modeling.py": b"raise SystemExit",
    "openvino/openvino_model.bin": b"ov",
}


def fetch(environment, name=NAME, mirror=None):
    """`fetch` in a new process: its folder, or the message of its error, which is one line."""
    (said,) = fetch_each(environment | ({"COURSE_MODELS": str(mirror)} if mirror else {}), [name])
    return said


def fetch_each(environment, names):
    """The same of several names, in one process."""
    program = f"""
from course_lib.support.hub import fetch
for name in {list(names)}:
    try: print(fetch(name))
    except (FileNotFoundError, ValueError) as e: print(type(e).__name__, e)
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == len(names)
    return done.stdout.splitlines()


def listing(folder):
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def path_of(text, tmp_path):
    folder = tmp_path / "hub/models--owner--name/snapshots" / COMMIT
    assert text == str(folder)
    return folder


def test_first_download_fetches_safetensors_and_nothing_that_could_run(tmp_path):
    with FakeHub({NAME: FILES | UNWANTED}) as server:
        folder = path_of(fetch(server.environment(tmp_path)), tmp_path)
    assert listing(folder) == FILES
    assert server.files_asked() == sorted(FILES)


def test_second_run_asks_for_no_file_and_needs_no_server(tmp_path):
    with FakeHub({NAME: FILES}) as server:
        first = fetch(server.environment(tmp_path))
        server.asked.clear()
        assert fetch(server.environment(tmp_path)) == first
        assert server.asked == []
    assert fetch(server.environment(tmp_path)) == first  # stopped
    assert fetch(server.environment(tmp_path) | {"HF_HUB_OFFLINE": "1"}) == first
    assert listing(path_of(first, tmp_path)) == FILES


def test_broken_connection_is_taken_up_where_it_broke(tmp_path):
    with FakeHub({NAME: FILES}, cut={"model.safetensors": 12_000_000}) as server:
        folder = path_of(fetch(server.environment(tmp_path)), tmp_path)
    ranges = [asked for method, path, asked in server.asked if (method, path) == ("GET", "model.safetensors")]
    assert ranges == [None, f"bytes={10 * 2**20}-"]
    assert listing(folder) == FILES


def test_a_later_run_fetches_what_the_first_did_not_finish(tmp_path):
    with FakeHub(
        {NAME: FILES}, cut={"model.safetensors": 12_000_000}, dies_after=("config.json", "vocab.txt")
    ) as server:
        message = fetch(server.environment(tmp_path))
        assert message.startswith(f"FileNotFoundError '{NAME}' could not be had") and "503" in message
        finished = listing(tmp_path / "hub/models--owner--name/snapshots" / COMMIT)
        assert {"config.json", "vocab.txt"} <= set(finished) < set(FILES) and all(
            FILES[path] == content for path, content in finished.items()
        )
        assert "IncompleteSnapshotError" in fetch(server.environment(tmp_path))  # still down
        server.dead = False
        server.asked.clear()
        folder = path_of(fetch(server.environment(tmp_path)), tmp_path)
    assert listing(folder) == FILES
    assert server.files_asked() == sorted(set(FILES) - set(finished))


ERRORS = {
    "nobody/nothing": ["'nobody/nothing'", "401", "There is no such model, or it is private: check the name"],
    "nothing": ["'nothing' could not be had", "'sentence-transformers/nothing' neither in the cache", "check the name"],
    "gone/model": ["404", "There is no such model, or it is private"],
    "gated/model": [
        "403",
        "Accept its conditions at http://127.0.0.1",
        "/gated/model, then log in with `hf auth login`",
    ],
    "broken/model": ["500", "Check name and connection, or give a folder"],
    "two words/model": ["HFValidationError", "Check name and connection"],
}


def test_errors_say_what_was_tried_and_what_to_do(tmp_path):
    with FakeHub({"gone/model": 404, "gated/model": FILES, "broken/model": 500}, gated=("gated/model",)) as server:
        messages = fetch_each(server.environment(tmp_path), ERRORS)
    for (name, words), message in zip(ERRORS.items(), messages, strict=True):
        for part in [
            "FileNotFoundError",
            *words,
            f"no folder {os.path.abspath(name)}",
            "no mirror (COURSE_MODELS is not set)",
            f"in the cache {tmp_path / 'hub'}",
            f"nor at {server.url}",
            "'course/sbert-mini' needs no download",
        ]:
            assert part in message
    assert server.files_asked() == []


@pytest.mark.parametrize("offline", ["0", "1"])
def test_offline(offline, tmp_path):
    with FakeHub({}) as server:
        pass
    message = fetch(server.environment(tmp_path / "home") | {"HF_HUB_OFFLINE": offline}, mirror=tmp_path / "mirror")
    reason = {"0": "ConnectError", "1": "outgoing traffic has been disabled"}[offline]
    for part in (
        f"no folder {os.path.abspath(NAME)}",
        f"no mirror {tmp_path / 'mirror' / NAME}",
        f"cache {tmp_path / 'home/hub'}",
        server.url,
        reason,
    ):
        assert part in message


def test_pickled_weights_on_the_hub_are_refused_and_not_fetched(tmp_path):
    with FakeHub(
        {NAME: {"config.json": b"{}", "pytorch_model.bin": b"cos\nsystem\n(S'touch unpickled'\ntR."}}
    ) as server:
        message = fetch(server.environment(tmp_path))
    assert message.startswith(
        f"ValueError '{NAME}' of the Hugging Face hub has pickled weights only (pytorch_model.bin)"
    )
    assert "safetensors.torch.save_file" in message
    assert server.files_asked() == ["config.json"]


# ---- hashes


@pytest.fixture
def known(monkeypatch):
    """The course knows the weights of owner/name."""
    monkeypatch.setitem(hub.SHA256, NAME, hashlib.sha256(WEIGHTS).hexdigest())


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_hash_of_the_real_weights(minilm_folder):
    assert hub.SHA256["sentence-transformers/all-MiniLM-L6-v2"] == WEIGHTS_SHA256  # which the fixture has compared
    hub.verify_weights("sentence-transformers/all-MiniLM-L6-v2", minilm_folder / "model.safetensors", minilm_folder)


def test_hashes_are_of_models_that_the_course_names():
    assert all(len(sha) == 64 and set(sha) <= set("0123456789abcdef") for sha in hub.SHA256.values())
    assert len(set(hub.SHA256.values())) == len(hub.SHA256)


def test_altered_weights_of_a_mirror(known, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path))
    folder = write(tmp_path / NAME, FILES)
    assert resolve(NAME) == folder
    altered = bytearray(WEIGHTS)
    altered[1234] ^= 1
    (folder / "model.safetensors").write_bytes(altered)
    with pytest.raises(ValueError) as caught:
        resolve(NAME)
    for part in (
        hashlib.sha256(altered).hexdigest(),
        hashlib.sha256(WEIGHTS).hexdigest(),
        f"delete {folder} and load it again",
        f"give the folder {folder}",
    ):
        assert part in str(caught.value)
    assert resolve(folder) == folder  # as it says
    monkeypatch.delitem(hub.SHA256, NAME)
    assert resolve(NAME) == folder  # of other models nothing is known


def test_altered_weights_of_the_hub(tmp_path):
    """By the name of a known model; deleting what the message says to delete brings new ones."""
    name = "sentence-transformers/all-MiniLM-L6-v2"
    with FakeHub({name: FILES}) as server:
        message = fetch(server.environment(tmp_path), "all-MiniLM-L6-v2")
        cached = tmp_path / "hub/models--sentence-transformers--all-MiniLM-L6-v2"
        assert f"delete {cached} and load it again" in message
        assert f"its sha256 is {hashlib.sha256(WEIGHTS).hexdigest()}, expected {WEIGHTS_SHA256}" in message
        shutil.rmtree(cached)
        server.asked.clear()
        fetch(server.environment(tmp_path), name)
        assert "model.safetensors" in server.files_asked()


# ---- mirror


def test_mirror_comes_before_the_hub(tmp_path, monkeypatch):
    with FakeHub({NAME: FILES}) as server:
        mirrored = write(tmp_path / "mirror" / NAME, FILES)
        assert fetch(server.environment(tmp_path), mirror=tmp_path / "mirror") == str(mirrored)
        assert server.asked == []
        path_of(fetch(server.environment(tmp_path), mirror=tmp_path / "elsewhere"), tmp_path)  # not in it: from the hub
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_MODELS", "~/mirror")
    assert resolve(NAME) == mirrored
    with pytest.raises(FileNotFoundError, match=f"no mirror {tmp_path}/mirror/sentence-transformers/name"):
        resolve("name")
    write(tmp_path / "mirror/sentence-transformers/name", FILES)
    assert resolve("name") == tmp_path / "mirror/sentence-transformers/name"


def test_mirror_with_half_a_model_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path))
    (tmp_path / NAME).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="config.json is missing"):
        SentenceEncoder.load(NAME)


# ---- the real model


def test_the_real_model_by_name(minilm_folder, minilm, tmp_path):
    """all-MiniLM-L6-v2 through the hub: the vectors are those of its folder."""
    name = "sentence-transformers/all-MiniLM-L6-v2"
    program = """
import sys, numpy
from course_lib.encoder import SentenceEncoder
encoder = SentenceEncoder.load("all-MiniLM-L6-v2", device="cpu", dtype="float32")
numpy.save(sys.argv[1], encoder.encode(["A cat sits on a mat", "A feline is on a carpet"]))
"""
    with FakeHub({name: listing(minilm_folder)}) as server:
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / "vectors.npy"],
            env=server.environment(tmp_path),
            check=True,
            timeout=120,
        )
    assert "model.safetensors" in server.files_asked() and "README.md" not in server.files_asked()
    np.testing.assert_array_equal(
        np.load(tmp_path / "vectors.npy"), minilm.encode(["A cat sits on a mat", "A feline is on a carpet"])
    )
