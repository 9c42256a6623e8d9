"""course_lib.support.exchange: a process killed while it saves leaves the old model or the new one, whole.

    COURSE_FORKS=1 COURSE_KILLS=100 python -m pytest -q -s tests/library/support/test_saving_killed.py -k random

kills as many processes while they save, at random moments.
"""

import json
import os
import random
import shutil
import signal
import time
from itertools import count

import numpy as np
import pytest
from processes import start, trains_in_forks, wait
from saved_folders import OTHERS, add, listing, others
from small_models import tiny_bert_folder

from course_lib.encoder import SentenceEncoder
from course_lib.modules import Dense, Normalize, Pooling
from course_lib.support import exchange as exchanging
from course_lib.support import folders
from course_lib.support.exchange import UNDER_WAY
from course_lib.support.folders import atomic_folder, read_json, resolve, write_json
from course_lib.support.model_files import is_model
from course_lib.transformer import Transformer

pytestmark = trains_in_forks


def write_version(folder, version):
    """Fill a folder with a model; two versions differ in some of their files' names."""
    for place in ("", "1_Pooling", f"{2 + version % 2}_Dense"):
        (folder / place).mkdir(exist_ok=True)
        write_json(folder / place / "config.json", {"model_type": "bert", "version": version})
    places = ("1_Pooling", f"{2 + version % 2}_Dense")
    write_json(folder / "modules.json", [{"path": place, "version": version} for place in places])


def version_of(folder):
    """Of a model of which every file is there and of one version, and no file of another."""
    version = read_json(folder / "config.json")["version"]
    names = {"config.json", "modules.json", "1_Pooling/config.json", f"{2 + version % 2}_Dense/config.json"}
    own = {name: json.loads(text) for name, text in listing(folder).items() if name[0] != "." and name not in OTHERS}
    assert set(own) == names
    assert all((content[0] if isinstance(content, list) else content)["version"] == version for content in own.values())
    return version


CHANGES = ("replace", "rename", "mkdir", "rmdir", "unlink")


def save_version(target, version, at=None, changes=CHANGES):
    """Save, and die before the `at`-th of such changes of the disk after the files are written."""
    with atomic_folder(target) as unfinished:
        write_version(unfinished, version)
        calls = count(1)
        for name in changes if at else ():

            def call(*args, original=getattr(os, name), **kwargs):
                if next(calls) == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*args, **kwargs)

            setattr(os, name, call)


def version_1(target):
    save_version(target, 1)
    add(target, OTHERS)
    return others(target)


def killed(target, at, changes=CHANGES):
    """A process saves version 2, and is killed at this moment; None where it comes to its end before."""
    code = wait(start(save_version, target, 2, at, changes))
    assert code in (0, -signal.SIGKILL)
    return code or None


def test_killed_at_each_moment_in_turn(tmp_path, monkeypatch):
    """Other files stay where they are; the model is the old one or the new; other programs find one, or none."""
    monkeypatch.setattr(exchanging.time, "sleep", lambda seconds: None)
    target, seen = tmp_path / "model", []
    for at in count(1):
        before = version_1(target)
        if not killed(target, at):
            break
        assert others(target) == before
        seen.append(version_of(target) if (target / "config.json").exists() else None)
        assert seen[-1] or (target / UNDER_WAY).exists()
        if at % 2:
            assert resolve(target) == target and version_of(target) == (seen[-1] or 2)
        save_version(target, 3)
        assert version_of(target) == 3 and others(target) == before and not (target / UNDER_WAY).exists()
        shutil.rmtree(target)
    assert len(seen) > 15 and seen == sorted(seen, key=[1, None, 2].index) and set(seen) == {1, None, 2}


def test_killed_before_there_was_a_model(tmp_path):
    assert killed(tmp_path / "model", 1)
    assert not (tmp_path / "model").exists()
    with pytest.raises(FileNotFoundError, match="no folder .*model; expected a model folder"):
        resolve(tmp_path / "model")


def moving(target):
    """A process was killed while it moved files."""
    version_1(target)
    assert killed(target, 6, ["replace"]) and (target / UNDER_WAY).exists() and not (target / "config.json").exists()


def test_a_save_that_looks_while_another_exchanges_files_looks_again(tmp_path, monkeypatch):
    """Its `config.json` is away for a moment, so that nothing says that the folder is a model's."""
    target = tmp_path / "model"
    version_1(target)
    looks = []

    def exchanging_for_a_while(folder):
        looks.append(is_model(folder))
        return len(looks) > 2 and looks[-1]

    monkeypatch.setattr(folders, "is_model", exchanging_for_a_while)
    with atomic_folder(target) as unfinished:
        write_version(unfinished, 2)
    assert looks == [True, True, True] and version_of(target) == 2


def test_a_load_waits_for_a_process_that_is_at_it(tmp_path, monkeypatch):
    target = tmp_path / "model"
    moving(target)

    def other_process(seconds):
        monkeypatch.undo()
        exchanging.finish(target / UNDER_WAY)
        monkeypatch.setattr(exchanging, "finish", None)

    monkeypatch.setattr(exchanging.time, "sleep", other_process)
    assert resolve(target) == target and version_of(target) == 2


@pytest.mark.parametrize("course", [True, False])
def test_bundled_names_and_links_are_finished_too(course, tmp_path, monkeypatch):
    monkeypatch.setattr("course_lib.support.folders.COURSE_HOME", tmp_path)
    target = tmp_path / "data/models/one"
    moving(target)
    (tmp_path / "link").symlink_to(target)
    assert version_of(resolve("course/one" if course else tmp_path / "link")) == 2


def test_a_model_that_cannot_be_put_in_its_place(tmp_path, monkeypatch):
    target = tmp_path / "model"
    moving(target)
    monkeypatch.setattr(os, "replace", lambda old, new: (_ for _ in ()).throw(OSError("read-only")))
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(FileNotFoundError, match=r"was killed. The new model lies whole in .*new, .* \(read-only\)"):
        resolve(target)


def test_an_error_at_each_move_in_turn_leaves_the_old_model(tmp_path, monkeypatch):
    """A file is in use, say, which Windows lets no one rename."""
    target, original = tmp_path / "model", os.replace
    before = version_1(target)
    for at in count(1):
        calls = count(1)

        def replace(old, new):
            if next(calls) == at:
                raise PermissionError("in use")
            original(old, new)

        monkeypatch.setattr(os, "replace", replace)
        try:
            save_version(target, 2)
        except PermissionError as error:
            assert str(error) == "in use"
            assert version_of(target) == 1 and others(target) == before and os.listdir(tmp_path) == ["model"]
            assert not [name for name in os.listdir(target) if name.startswith(".") and name != ".git"]
        else:
            break
    assert at == 9 and version_of(target) == 2 and others(target) == before  # four files out, four in


def save_for_a_while(target, version, rounds=40):
    for _ in range(rounds):
        save_version(target, version)


def test_two_processes_at_once(tmp_path):
    target = tmp_path / "model"
    before = version_1(target)
    pids = [start(save_for_a_while, target, version) for version in (2, 3)]
    assert [wait(pid) for pid in pids] == [0, 0]
    assert version_of(target) in (2, 3) and others(target) == before
    assert not [name for name in os.listdir(target) if name.startswith(".") and name != ".git"]


def save_without_end(encoders, target, started):
    for encoder in encoders * 10**6:
        encoder.save(target)
        os.write(started, b"1")


def test_killed_at_random_moments(minilm_folder, tmp_path):
    """SIGKILL to real processes that save one model over the other, again and again, among other files."""
    bert = Transformer.load(tiny_bert_folder(tmp_path / "bert", minilm_folder))
    first = SentenceEncoder([bert, Pooling(32), Dense(32, 8)], dtype="float32")
    second = SentenceEncoder([first[0], Pooling(32, "cls"), Normalize(), Dense(32, 5)], dtype="float32")
    vectors = [encoder.encode("a cat") for encoder in (first, second)]
    target, found, generator = tmp_path / "target", [], random.Random(0)
    first.save(target)
    add(target, OTHERS)
    before = others(target)
    for _ in range(int(os.environ.get("COURSE_KILLS", 5))):
        read, started = os.pipe()
        pid = start(save_without_end, [second, first], target, started)
        os.read(read, 1)  # the first save is done
        time.sleep(generator.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        assert wait(pid) == -signal.SIGKILL
        os.close(read), os.close(started)
        under_way = (target / UNDER_WAY).exists()
        vector = SentenceEncoder.load(target, device="cpu", dtype="float32").encode("a cat")
        found.append(([len(v) for v in vectors].index(len(vector)), under_way))
        np.testing.assert_array_equal(vector, vectors[found[-1][0]])
        assert others(target) == before
    on_the_way = sum(under_way for _, under_way in found)
    print(f"{len(found)} kills, {sum(i for i, _ in found)} left the second model, {on_the_way} files on their way")
