"""A small notebook in which nothing is wrong, as the text of its script; the tests break it piece by piece."""

from repository import SETUP, colab_badge

NAME = "90_example"
WORDS = "A line of text that says little and is here so that the notebook has words enough to be one. " * 4


def script(name=NAME):
    cells = [
        markdown(f"{colab_badge(name)}\n\n# An example"),
        code(SETUP, tags=["setup"]),
        code("seed = 0\nname = 'three points'", tags=["parameters"]),
        markdown(f"## A question\n\n{WORDS}\n\n```python\n# no heading\n```"),
        code("numbers = [seed, seed + 1, seed + 2]\nprint(numbers)", tags=["nbval-check-output"]),
        code(
            "import matplotlib.pyplot as plt\n\nplt.plot(numbers)\nplt.title(name)\nplt.show()",
            tags=["row-1.1"],
            alt="A line through three points that goes up from left to right, by one at each step.",
        ),
        code("assert numbers == sorted(numbers)", tags=["row-1.2", "row-1.3"]),
        code(
            "from course_lib.exercises import check\n\n\ndef add(a, b):\n    ...\n\n\ncheck('90.1', add)",
            tags=["exercise"],
        ),
    ]
    for i in range(13):
        cells += [
            markdown(f"### Step {i}\n\n{WORDS}"),
            code(f"step = {i}\nprint('step', step)", tags=["nbval-check-output"])
            if i < 10
            else markdown(f"#### More of it\n\nStep {i}."),
        ]
    return "\n\n".join(cells) + "\n"


SOLUTIONS = """
from course_lib.exercises import Exercise

EXERCISES = {
    "90.1": Exercise(
        title="Add two numbers",
        cases={"small": (1, 2), "with zero": (0, 5)},
        solution=lambda a, b: a + b,
        wrong=[(lambda a, b: a - b, "You subtract."), (lambda a, b: a * b, "You multiply."), (max, "You compare.")],
    ),
}
"""


def markdown(text):
    return "# %% [markdown]\n" + "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def code(text, tags=(), alt=""):
    options = (f" tags={list(tags)}".replace("'", '"') if tags else "") + (f' alt="{alt}"' if alt else "")
    return f"# %%{options}\n{text}"


def course(root, name=NAME, text=None):
    """A folder with the parts of a course that the tools work on, holding one script and its solutions."""
    (root / "notebooks" / "scripts").mkdir(parents=True)
    (root / "notebooks" / "solutions").mkdir()
    (root / "notebooks" / "scripts" / f"{name}.py").write_text(text or script(name), encoding="utf-8")
    (root / "notebooks" / "solutions" / f"{name[:2]}.py").write_text(SOLUTIONS, encoding="utf-8")
    return root
