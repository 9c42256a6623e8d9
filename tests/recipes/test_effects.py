"""The table of effects: a verdict says what the values say, and the committed page is what the recipe makes."""

import pytest

from course_lib.support.folders import COURSE_HOME
from recipes import effects
from recipes.shared import effect_tables
from recipes.shared.places import RESULTS
from recipes.shared.results import write_rows


@pytest.mark.parametrize(
    "higher, lower, expected",
    [
        ([3.0, 2.1], [1.0, 2.0], "seen here"),
        ([3.0, 1.9], [1.0, 2.0], "not seen here"),
        ([2.0], [2.0], "not seen here"),
        ([0.5, 0.9], [1.0, 2.0], "the other way"),
        ([2.0], [1.0], "seen here"),
    ],
)
def test_verdict(higher, lower, expected):
    assert effect_tables.verdict(higher, lower) == expected


def test_values_are_those_of_the_rows_asked_for_by_seed(monkeypatch, tmp_path):
    (tmp_path / "99.csv").write_text("model,seed,metric,value\na,10,x,3\na,2,x,1\nb,0,x,7\na,0,y,5\n", encoding="utf-8")
    monkeypatch.setattr("recipes.shared.results.RESULTS", tmp_path)
    assert effects.rows("99", 100, model="a", metric="x").values() == [100, 300]
    with pytest.raises(ValueError, match="has no row with .*'c'"):
        effects.rows("99", model="c").values()


def test_a_mean_and_the_range_of_several():
    assert effect_tables.shown([74.25]) == "74.2" and effect_tables.shown([1.0, 3.0, 2.0]) == "2.0 (1.0-3.0)"


def test_the_page_and_the_table_are_what_the_recipe_makes(monkeypatch, tmp_path):
    table = effect_tables.measured(effects.EFFECTS)
    assert len(table) >= 15 and all(row["source"] for row in table)
    assert effects.PAGE.read_text(encoding="utf-8") == effect_tables.page(table)
    monkeypatch.setattr("recipes.shared.results.RESULTS", tmp_path)
    write_rows(effects.FILE, table)
    assert (RESULTS / effects.FILE).read_bytes() == (tmp_path / effects.FILE).read_bytes()
    readme = effects.README.read_text(encoding="utf-8")
    assert (
        readme == effect_tables.in_readme(readme, table)
        and readme.count(effect_tables.BEGIN) == readme.count(effect_tables.END) == 1
    )


def test_every_effect_names_a_notebook_that_exists():
    for effect in effects.EFFECTS:
        assert list((COURSE_HOME / "notebooks").glob(f"{effect.notebook}_*.ipynb")), effect.name
