"""The course as a learner meets it: JupyterLab in a real browser, a notebook run whole through its menu.

    make browser                              # needs Chromium; screenshots in build/browser/
    make browser NOTEBOOKS=06_sbert

Not part of `make test`. The server listens on 127.0.0.1, on a free port, with a random token, and works on copies.
Server, kernels and browser are gone at the end, whatever the end was.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from build_notebooks import convert
from chromium import NAMES, Browser, find, wait_until
from repository import ROOT

NOTEBOOKS = [Path(name).stem for name in os.environ.get("NOTEBOOKS", "").split()] or ["05_mean_pooling"]
SCREENSHOTS = ROOT / "build" / "browser"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells in the page, not only the visible ones
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # it would ask whether it may
}
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'


@pytest.fixture(scope="session", autouse=True)
def stop_in_order():
    """SIGTERM ends the tests as Ctrl-C does: with the fixtures' clean-up."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def page():
    with Browser() as browser:
        yield browser


@pytest.fixture(autouse=True)
def last_look(request):
    """A screenshot of how each test ended, whether it passed or failed."""
    yield
    if page := (request.node.funcargs or {}).get("page"):  # None when interrupted
        name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_")
        page.screenshot(SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Copies of the notebooks, in the course's layout."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    for name in NOTEBOOKS:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder / "notebooks")
    if (ROOT / "docs").is_dir():
        shutil.copytree(ROOT / "docs", folder / "docs")
    return folder


@pytest.fixture(scope="session")
def lab(folder, tmp_path_factory):
    """The address of a JupyterLab server on `folder`, as a function of the path to open."""
    home = tmp_path_factory.mktemp("jupyter")
    for setting, value in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{setting}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(value))
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--port=0",
        "--allow-root",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.extra_labextensions_path={ROOT / 'tools' / 'lab'}",
    ]
    log = home / "server.log"
    with open(log, "wb") as file:
        server = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        note = home / "runtime" / f"jpserver-{server.pid}.json"

        def started():
            assert server.poll() is None, f"JupyterLab did not start:\n{log.read_text()}"
            return note.exists() and note.stat().st_size and json.loads(note.read_text())

        url = wait_until(started, 120, "JupyterLab's start")["url"]
        assert url.startswith("http://127.0.0.1:")
        yield lambda path: f"{url}lab/tree/{path}?reset&token={token}"  # reset: other tabs are closed
    finally:
        children = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
        server.terminate()  # the server ends its kernels first
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
        for left in psutil.wait_procs(children, timeout=20)[1]:
            left.kill()


def run_all(page, url, seconds=600):
    """Open a notebook, clear it, run all its cells by the menu, and wait. Returns its prompts and error messages."""
    page.open(url)
    # Cells that are run before the kernel is connected are dropped. The status bar of the clicked notebook tells.
    page.click(".jp-Notebook .jp-Cell")
    idle = "(document.querySelector('#jp-main-statusbar')?.textContent ?? '').includes('| Idle')"
    page.wait(idle, 180)
    prompts = (
        "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim())"
    )
    for menu, command in (("Edit", "Clear Outputs of All Cells"), ("Run", "Run All Cells")):
        page.click(".lm-MenuBar-itemLabel", menu)
        page.click(".lm-Menu-itemLabel", command)
        if menu == "Edit":
            page.wait(f"{prompts}.every(p => p === '[ ]:') && !document.querySelector('.jp-OutputArea-output')", 30)
    page.wait(f"{idle} && {prompts}.some(p => /\\d/.test(p)) && !{prompts}.some(p => p.includes('*'))", seconds)
    return page.evaluate(prompts), page.evaluate(
        f"[...document.querySelectorAll({json.dumps(ERRORS)})].map(e => e.textContent)"
    )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_in_jupyterlab(name, page, lab, folder):
    file = folder / "notebooks" / f"{name}.ipynb"
    committed = (ROOT / "notebooks" / file.name).read_bytes()
    cells = nbformat.read(file, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    alts = [cell.metadata["alt"] for cell in code if "alt" in cell.metadata]
    assert any("heatmap" in alt.lower() for alt in alts), f"{name} shows no heatmap: choose another notebook"

    prompts, errors = run_all(page, lab(f"notebooks/{name}.ipynb"))
    assert errors == []
    assert prompts == [f"[{i}]:" for i in range(1, len(code) + 1)]

    images = "[...document.querySelectorAll('.jp-OutputArea-output img')]"
    page.wait(f"{images}.length >= {len(alts)} && {images}.every(i => i.complete && i.alt)", 30)
    shown = page.evaluate(f"{images}.map(i => [i.alt, i.naturalWidth, i.naturalHeight])")
    assert [alt for alt, _, _ in shown] == alts  # in order; figures drawn in this run, described by their cell
    assert all(width > 200 and height > 100 for _, width, height in shown)

    page.evaluate(f"{images}.find(i => i.alt.toLowerCase().includes('heatmap')).scrollIntoView({{block: 'center'}})")
    assert not page.evaluate("document.querySelector('.jp-Dialog') !== null"), "a dialog is in the learner's way"
    assert (ROOT / "notebooks" / f"{name}.ipynb").read_bytes() == committed


def test_an_error_is_seen(page, lab, folder):
    """The test above would see a cell that fails."""
    (folder / "script.py").write_text("# %%\nprint(1)\n\n# %%\n1 / 0\n\n# %%\nprint(2)\n")
    nbformat.write(convert(folder / "script.py"), folder / "failing.ipynb")
    prompts, errors = run_all(page, lab("failing.ipynb"))
    assert prompts == ["[1]:", "[2]:", "[ ]:"]
    assert len(errors) == 1 and "ZeroDivisionError" in errors[0]


def test_index_of_a_batch_run(page):
    index = ROOT / "build" / "index.html"
    assert index.exists(), "run `make run` first: there is no build/index.html"
    page.open(index.as_uri())
    page.screenshot(SCREENSHOTS / "index.png")
    assert page.evaluate("document.querySelector('main h1').textContent") == "Notebooks of the course, executed"
    for name in NOTEBOOKS:
        page.open(index.as_uri())
        page.click("main table a", name)
        page.wait(f"location.pathname.endsWith('/{name}.html') && document.readyState === 'complete'", 60)
        images = page.evaluate("[...document.querySelectorAll('main img')].map(i => [i.alt, i.naturalWidth])")
        heatmaps = [alt for alt, width in images if "heatmap" in alt.lower() and width > 200]
        assert heatmaps and all(len(alt) >= 40 for alt, width in images if width > 200)
        page.evaluate(
            "[...document.images].find(i => i.alt.toLowerCase().includes('heatmap')).scrollIntoView({block: 'center'})"
        )


def test_without_a_browser_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="apt-get install chromium") as caught:
        find()
    assert all(name in str(caught.value) for name in NAMES[:3])
