"""Small tables, written by a test."""

import gzip

import pytest


@pytest.fixture
def write(tmp_path):
    """write(name, *rows) -> path of a file with these rows of columns."""

    def write(name, *rows):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = "".join("\t".join(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder as COURSE_DATA."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path
