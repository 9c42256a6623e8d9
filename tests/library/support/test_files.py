"""course_lib.support.files: a file that is whole at every moment."""

import os
import signal

import pytest
from processes import start, wait

from course_lib.support import files
from course_lib.support.files import atomic_file


def test_old_until_new_and_whole(tmp_path):
    path = tmp_path / "a/b/numbers.csv"
    for text in ("old\n", "new\n"):
        with atomic_file(path) as unfinished:
            unfinished.write_text(text)
            assert unfinished == path.parent / "numbers.csv.unfinished" / "numbers.csv"
            assert not path.exists() or path.read_text() == "old\n"
        assert path.read_text() == text and os.listdir(path.parent) == ["numbers.csv"]


def test_an_error_changes_nothing_and_leaves_no_litter(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk full"), atomic_file(str(path)) as unfinished:
        unfinished.write_text("ne")
        raise RuntimeError("disk full")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path):
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "link").symlink_to("large-disk/file")
    for text in ("old", "new"):
        with atomic_file(tmp_path / "link") as unfinished:
            unfinished.write_text(text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "large-disk/file").read_text() == text
    assert os.listdir(tmp_path / "large-disk") == ["file"]


def test_it_lies_on_the_disk_before_it_takes_the_place(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, original=original: (calls.append(name), original(*a)))
    with atomic_file(tmp_path / "file") as unfinished:
        unfinished.write_bytes(b"x")
    assert calls == ["fsync", "replace"]


def write_and_die(path, moment):
    if moment == "before renaming":
        files.os.replace = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
    with atomic_file(path) as unfinished:
        unfinished.write_text("new")
        (unfinished.parent / ".tmpB5vw2c").write_text("as safetensors names the file that it renames")
        if moment == "writing":
            os.kill(os.getpid(), signal.SIGKILL)


def test_what_an_older_version_left_is_no_obstacle(tmp_path):
    (tmp_path / "file.unfinished").write_text("half of")
    with atomic_file(tmp_path / "file") as unfinished:
        unfinished.write_text("whole")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("moment", ["writing", "before renaming"])
def test_a_killed_process_leaves_the_old_file(moment, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    assert wait(start(write_and_die, path, moment)) == -signal.SIGKILL
    assert path.read_text() == "old"
    with atomic_file(path) as unfinished:  # what is left is no obstacle
        unfinished.write_text("newer")
    assert path.read_text() == "newer" and os.listdir(tmp_path) == ["file"]
