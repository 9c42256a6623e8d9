"""Notebook and script are in step; building is deterministic and leaves nothing half-done."""

import base64
import io

import build_notebooks
import example_notebook
import nbformat
import numpy as np
import pytest
from build_notebooks import clean, convert, in_step, shrink
from PIL import Image
from repository import ROOT


def test_notebook_is_in_step_with_its_script(notebook):
    script = ROOT / "notebooks" / "scripts" / f"{notebook.stem}.py"
    assert script.exists(), f"{notebook.name} has no script"
    assert in_step(script, notebook), f"{notebook.name} is not what {script.name} says: run make notebooks"


def test_every_script_has_its_notebook():
    scripts = {file.stem for file in (ROOT / "notebooks" / "scripts").glob("*.py")}
    assert scripts == {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}


@pytest.mark.parametrize(
    "old, new",
    [
        ("numbers = [seed,", "numbers = [ seed,"),  # code
        ("says little", "says a little"),  # markdown
        ('"row-1.1"', '"row-1.4"'),  # a tag
        ("goes up from", "goes upward from"),  # an alt text
        (
            "# %%\n",
            "# %%\n",
        ),  # nothing
    ],
)
def test_a_change_of_the_script_is_seen(old, new, built, tmp_path):
    script = tmp_path / f"{example_notebook.NAME}.py"
    script.write_text(example_notebook.script().replace(old, new, 1))
    assert in_step(script, built) == (old == new)


@pytest.mark.parametrize("encoding, end", [("utf-8-sig", "\n"), ("utf-16", "\n"), ("utf-8-sig", "\r\n")])
def test_a_script_may_have_a_byte_order_mark(encoding, end, built, tmp_path):
    script = tmp_path / f"{example_notebook.NAME}.py"
    script.write_text(example_notebook.script(), encoding=encoding, newline=end)
    assert in_step(script, built)


def test_building_again_skips_or_gives_the_same_file(built_course, built, capsys, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(built_course))
    before = built.read_bytes()
    assert build_notebooks.main([], built_course) == 0
    assert capsys.readouterr().out == f"{example_notebook.NAME}: in step\n"
    assert build_notebooks.main([example_notebook.NAME], built_course) == 0  # named: executed again
    assert "executed in" in capsys.readouterr().out
    assert built.read_bytes() == before


def test_ids_depend_on_the_cells_alone(built_course):
    script = built_course / "notebooks" / "scripts" / f"{example_notebook.NAME}.py"
    ids = [cell.id for cell in convert(script).cells]
    assert len(set(ids)) == len(ids)
    assert ids == [cell.id for cell in convert(script).cells]


def test_a_failing_notebook_stays_as_it_was(tmp_path, capsys):
    root = example_notebook.course(tmp_path, text="# %%\nprint(1)\n")
    file = root / "notebooks" / f"{example_notebook.NAME}.ipynb"
    assert build_notebooks.main([], root) == 0
    before = file.read_bytes()
    script = root / "notebooks" / "scripts" / f"{example_notebook.NAME}.py"
    script.write_text("# %%\nprint(1)\n\n# %%\n1 / 0\n")
    assert build_notebooks.main([], root) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    script.write_text(f"# %%\nprint({str(ROOT / 'data')!r})\n")
    assert build_notebooks.main([], root) == 1
    assert "a path of this machine" in capsys.readouterr().out
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]


def test_an_unknown_script_is_an_error(built_course):
    with pytest.raises(SystemExit, match="no script for 91_none; there are: 90_example"):
        build_notebooks.main(["91_none"], built_course)


def test_clean_drops_widgets_and_times_and_joins_streams():
    cell = nbformat.v4.new_code_cell(
        "x",
        metadata={"tags": ["a"], "execution": {"t": "12:00"}},
        outputs=[
            nbformat.v4.new_output("stream", name="stdout", text="a\n"),
            nbformat.v4.new_output("stream", name="stdout", text="b\n"),
            nbformat.v4.new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}}),
        ],
    )
    notebook = clean(
        nbformat.v4.new_notebook(
            cells=[cell], metadata={"widgets": {}, "language_info": {"name": "python", "version": "3"}}
        )
    )
    assert notebook.metadata == build_notebooks.NOTEBOOK_METADATA
    assert notebook.cells[0].metadata == {"tags": ["a"]}
    assert [output.text for output in notebook.cells[0].outputs] == ["a\nb\n"]


def shrunk(pixels):
    """An array (height, width, 3) as it comes back from a PNG that `shrink` made."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    png = base64.b64decode(shrink(base64.b64encode(file.getvalue())))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_shrinking_keeps_the_colours_of_small_things():
    """A heatmap of a thousand shades of many pixels each, beside small squares of other colours, as of thumbnails."""
    ramp = np.linspace(0, 1, 2500)[:, None]
    shades = np.concatenate(
        [(1 - ramp[::2]) * [5, 48, 97] + ramp[::2] * 247, (1 - ramp[::2]) * 247 + ramp[::2] * [103, 0, 31]]
    )
    pixels = np.full((320, 320, 3), 255, np.uint8)
    pixels[:250, :250] = shades.reshape(50, 50, 3).repeat(5, axis=0).repeat(5, axis=1).round()
    for k, colour in enumerate([(200, 120, 210), (0, 150, 110), (240, 220, 60)]):
        pixels[290:296, 40 * k : 40 * k + 6] = colour
    back = shrunk(pixels)
    before, after = (len(np.unique(some.reshape(-1, 3), axis=0)) for some in (pixels, back))
    assert before > 1000 and after <= 256
    assert np.abs(back.astype(int) - pixels).max() <= 5 and (back[300:] == 255).all()


def test_shrinking_a_figure_of_few_colours_changes_none():
    pixels = np.arange(256, dtype=np.uint8).repeat(64 * 3).reshape(128, 128, 3)
    assert (shrunk(pixels) == pixels).all()
