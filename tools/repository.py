"""Where the course is published, in one place, and what in the notebooks depends on it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

REPOSITORY = "sentence-transformers-course/course"
BRANCH = "main"


def colab_url(name):
    return f"https://colab.research.google.com/github/{REPOSITORY}/blob/{BRANCH}/notebooks/{name}.ipynb"


def colab_badge(name):
    """The first line of notebook `name`."""
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab_url(name)})"


SETUP = f'''\
# Locally this does nothing. In Colab it fetches the course once, and changes no installed version.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("course_lib") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError("course_lib is not installed: start Jupyter with `make lab` (see the README)")
    if not os.path.isdir("/content/course"):
        url = "https://github.com/{REPOSITORY}"
        subprocess.run(["git", "clone", "--depth", "1", "--branch", "{BRANCH}", url, "/content/course"], check=True)
    sys.path.insert(0, "/content/course")'''


if __name__ == "__main__":
    import sys

    print(f"# %% [markdown]\n# {colab_badge(sys.argv[1])}\n\n# %% tags=[\"setup\"]\n{SETUP}")
