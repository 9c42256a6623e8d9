"""docs/library.md says what the code says, and every file of the library begins with a sentence about itself."""

import re

import library_map


def test_the_page_is_in_step():
    assert library_map.PAGE.read_text(encoding="utf-8") == library_map.page(), "run: python tools/library_map.py"


def test_the_page_names_every_file_and_its_notebooks():
    text = library_map.page()
    files = [path for path in library_map.LIBRARY.rglob("*.py") if path.name != "__init__.py"]
    assert all(f"](../{path.relative_to(library_map.ROOT).as_posix()})" in text for path in files) and len(files) > 40
    (pooling,) = re.findall(r"^\| \[pooling\.py\].*$", text, flags=re.M)
    assert "[05](../notebooks/05_mean_pooling.ipynb)" in pooling and "[01]" not in pooling
    assert (
        text.index("[encoder.py]") < text.index("[data.py]") < text.index("[plotting.py]") < text.index("## retrieval/")
    )


def test_what_a_script_imports(tmp_path):
    script = tmp_path / "a.py"
    script.write_text(
        "import course_lib.modules as ours\nfrom course_lib import bert\nfrom course_lib.encoder import X\n"
    )
    assert {"course_lib.modules", "course_lib.bert", "course_lib.encoder"} <= library_map.imports(script)
