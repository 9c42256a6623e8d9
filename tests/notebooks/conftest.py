"""The course's notebooks, and one example notebook built once for all tests."""

import build_notebooks
import example_notebook
import pytest
from repository import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def pytest_generate_tests(metafunc):
    """Tests with the argument `notebook` run for each notebook of the course: none, one or many."""
    if "notebook" in metafunc.fixturenames:
        metafunc.parametrize("notebook", NOTEBOOKS, ids=[file.stem for file in NOTEBOOKS])


@pytest.fixture(scope="session")
def built_course(tmp_path_factory):
    """A folder with the example notebook, built from its script."""
    root = example_notebook.course(tmp_path_factory.mktemp("course"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(root))
        assert build_notebooks.main([], root) == 0
    return root


@pytest.fixture
def built(built_course):
    return built_course / "notebooks" / f"{example_notebook.NAME}.ipynb"
