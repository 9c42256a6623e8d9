"""For all tests: no network, here and in every child process; the same random numbers each time; where real data lies."""

import importlib.util
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from minilm import minilm, minilm_folder  # noqa: F401

NO_NETWORK = Path(__file__).parent / "no_network"

# Loaded by its path: a sitecustomize of the Python installation may have been imported already.
spec = importlib.util.spec_from_file_location("no_network", NO_NETWORK / "sitecustomize.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))

os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(NO_NETWORK), os.environ.get("PYTHONPATH")]))
os.environ["HF_HUB_OFFLINE"] = "1"
for variable in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ[variable] = os.environ[variable.upper()] = "http://127.0.0.1:9"
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"


@pytest.fixture(autouse=True)
def repeatable():
    """A test that passes passes again, alone or among others: new weights do not depend on what ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def course_data():
    """The folder of real data sets; tests that need it are skipped without it."""
    folder = os.environ.get("COURSE_DATA")
    if not folder:
        pytest.skip("COURSE_DATA does not name a folder with the real data sets")
    return Path(folder)
