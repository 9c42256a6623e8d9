"""A value on the command line becomes what the notebook's own value is, on its way through YAML too; or an error."""

import nbformat
import papermill.iorw
import pytest
from parameters import as_yaml, defaults, given, read_values

CELL = """\
seed = 0
rate: float = 2e-4
full = False
word = "bank"
layers = [0]
margins = [0.5, 1.0]
liked = ["Claw hammer", "Level, 120 cm"]
pair = (1, 2)
empty = []
nothing = None
later = seed + 1
"""


def notebook(source=CELL):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("other = 1"), cell])


def test_defaults():
    found = defaults(notebook("%matplotlib inline\n" + CELL))
    assert list(found) == "seed rate full word layers margins liked pair empty nothing later".split()
    assert (found["rate"], found["liked"], found["pair"]) == (2e-4, ["Claw hammer", "Level, 120 cm"], (1, 2))
    assert found["nothing"] is found["later"] is None
    assert defaults(notebook("seed = (")) == {}


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("seed", "-3", -3),
        ("seed", "20_000", 20_000),
        ("seed", "007", 7),
        ("rate", "1", 1.0),
        ("rate", "1e-05", 1e-05),
        ("full", "true", True),
        ("full", "False", False),
        ("full", "0", False),
        ("word", "robot", "robot"),
        ("word", "1", "1"),
        ("word", "true", "true"),
        ("word", "None", "None"),
        ("word", "", ""),
        ("word", " two  words ", " two  words "),
        ("word", 'it\'s "so": {a}, [b] #c\\n', 'it\'s "so": {a}, [b] #c\\n'),
        ("word", "niño\n2020-01-01", "niño\n2020-01-01"),
        ("word", "2020-01-01", "2020-01-01"),
        ("layers", "[0, 3]", [0, 3]),
        ("layers", "(0, 3)", [0, 3]),
        ("layers", "[]", []),
        ("margins", "[1, 1e-05]", [1.0, 1e-05]),
        ("liked", "['a b', \"it's\"]", ["a b", "it's"]),
        ("pair", "[3, 4]", [3, 4]),
        ("empty", "['a', 1]", ["a", 1]),
        ("nothing", "1.5", 1.5),
        ("nothing", "robot", "robot"),
        ("nothing", "None", "None"),
        ("nothing", "1j", "1j"),
        ("later", "[1, [2, 3]]", [1, [2, 3]]),
    ],
)
def test_a_value_that_fits(name, text, value, tmp_path):
    values = read_values(notebook(), given(["-p", name, text]))
    (tmp_path / "90.yaml").write_text(as_yaml(values), encoding="utf-8")
    for found in (values, papermill.iorw.read_yaml_file(str(tmp_path / "90.yaml"))):
        assert found == {name: value} and type(found[name]) is type(value)


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("seed", "one", "a whole number, for example -p seed 0"),
        ("seed", "1.0", "a whole number"),
        ("seed", "True", "a whole number"),
        ("seed", "", "a whole number"),
        ("seed", "[1]", "a whole number"),
        ("seed", "9" * 5000, "a whole number"),
        ("rate", "fast", "a number, for example -p rate 0.0002"),
        ("rate", "nan", "a number"),
        ("rate", "inf", "a number"),
        ("full", "yes please", "true or false, for example -p full false"),
        ("full", "2", "true or false"),
        ("layers", "0", "a list of whole numbers, for example -p layers '[0]'"),
        ("layers", "0, x", "a list of whole numbers"),
        ("layers", "[0.5]", "a list of whole numbers"),
        ("layers", "[True]", "a list of whole numbers"),
        ("layers", "['0']", "a list of whole numbers"),
        ("layers", "{0: 1}", "a list of whole numbers"),
        ("margins", "[1, 1e999]", "a list of numbers"),
        ("liked", "[Claw hammer]", "a list of texts in quotation marks"),
        ("pair", "(1, 2.5)", "a list of whole numbers"),
        ("empty", "a", "a list, for example -p empty '[]'"),
    ],
)
def test_a_value_that_does_not_fit(name, text, expected):
    with pytest.raises(ValueError) as caught:
        read_values(notebook(), {name: text, "word": "robot"})
    assert str(caught.value).startswith(f"{name} is {text!r}; expected {expected}")


def test_all_that_is_wrong_is_said():
    with pytest.raises(ValueError) as caught:
        read_values(notebook(), {"sed": "1", "seed": "x", "Full": "true", "rate": "1"})
    first, second = str(caught.value).splitlines()
    assert first.startswith("no parameter sed, Full; its parameters: seed, rate, full") and "seed is 'x'" in second


def test_the_last_of_several_counts():
    assert given(["-p", "seed", "1", "--parameters_raw", "seed", "2"]) == {"seed": "2"} and given([]) == {}
    assert as_yaml({}) == "{}\n"


@pytest.mark.parametrize("flags", [["-p", "seed"], ["seed=1"], ["-y", "seed: 1", "x"], ["--log-level", "DEBUG", "1"]])
def test_other_flags(flags):
    with pytest.raises(ValueError, match="expected `-p NAME VALUE`"):
        given(flags)
