"""Where the course is published, in one place, and what in the notebooks depends on it.

    python tools/repository.py 05_mean_pooling     the badge and the set-up cell that a script begins with

tools/set_repository.py changes the two constants, here and wherever the course links to itself.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

REPOSITORY = "sentence-transformers-course/course"
BRANCH = "main"  # or a tag


def colab_url(name):
    return f"https://colab.research.google.com/github/{REPOSITORY}/blob/{BRANCH}/notebooks/{name}.ipynb"


def colab_badge(name):
    """The first line of notebook `name`."""
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab_url(name)})"


def pages_url(repository=REPOSITORY):
    """Where GitHub Pages shows the site of a repository."""
    owner, name = repository.split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def links(repository=REPOSITORY, branch=BRANCH):
    """Pattern of a link to the course: (1) the host, then the name, then perhaps (2) /blob/ or such and the branch."""
    return re.compile(
        rf"(github(?:\.com)?/){re.escape(repository)}(?!(?!\.git\b)\.?[\w-])"
        rf"(?:(/(?:blob|tree|raw)/){re.escape(branch)}(?!\.?[\w-]))?"
    )


def badges_as_links(text):
    """Markdown with each badge, an image that a host sends, replaced by its words: the link stays, and so does code."""
    code = r"(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"
    either = re.compile(rf"{code}|\[!\[(?P<words>[^\]]*)\]\(https?:[^)]*\)\](?=\()", re.S)
    return either.sub(lambda match: match[0] if match["ticks"] else f"[{match['words']}]", text)


# The clone goes on sys.path; pip installs nothing. An editable install would show in new processes only, so that the
# kernel had to be restarted; it would need Colab's setuptools, more seconds than the clone, and change `pip freeze`.
# Every package that the notebooks import is part of Colab's image, or installed by INSTALL: test_colab.py checks it.
# The clone gets its name when it is whole: what an interrupted run leaves is never taken for the course.
SETUP = f'''\
# Locally this only chooses the CPU. In Colab it fetches the course, too, once, and changes no installed package.
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("COURSE_DEVICE", "cpu")              # a GPU is not needed, and its numbers differ a little
if importlib.util.find_spec("course_lib") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"{{sys.executable}} has no course_lib: start Jupyter with `make lab`, "
                                  "or choose the course's .venv as the notebook's kernel (see the README)")
    course, unfinished = Path("/content/course"), Path("/content/course.unfinished")
    if not course.exists():
        shutil.rmtree(unfinished, ignore_errors=True)      # what an interrupted run left
        url = "https://github.com/{REPOSITORY}"
        clone = ["git", "clone", "--depth", "1", "--branch", "{BRANCH}", url, str(unfinished)]
        try:
            subprocess.run(clone, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", None) or error
            raise RuntimeError(f"cannot fetch {{url}}: is Colab online? Then run this cell again. {{reason}}") from None
        unfinished.rename(course)
    sys.path.insert(0, str(course))'''

# The cell after it, tagged install, in notebooks that need what Colab's image lacks. What bm25s needs is there: without
# dependencies pip changes no other package. What chapter 17 needs brings a few more along.
NOT_IN_COLAB = {"bm25s": "bm25s", "faiss-cpu": "faiss", "lancedb": "lancedb", "ray": "ray"}  # package: module
INSTALL = """\
# Locally this does nothing. In Colab it installs the one package of this notebook that Colab does not ship.
if "google.colab" in sys.modules and importlib.util.find_spec("bm25s") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "bm25s"], check=True)"""
INSTALL_SCALE = """\
# Locally this does nothing. In Colab it installs the packages of this notebook that Colab does not ship.
if "google.colab" in sys.modules and importlib.util.find_spec("lancedb") is None:
    packages = ["faiss-cpu>=1.10", "lancedb>=0.40", "ray[data]>=2.60"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)"""


if __name__ == "__main__":
    import sys

    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f'# %% [markdown]\n# {colab_badge(sys.argv[1])}\n\n# %% tags=["setup"]\n{SETUP}')
