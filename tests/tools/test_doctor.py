"""make doctor: finds what is broken, says what to do, needs nothing, never hangs, fails only for what is needed."""

import ast
import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, HTTPServer

import doctor
import doctor_files
import doctor_machine
import doctor_outside
import doctor_packages
import machine
import pytest
import torch
from doctor import BROKEN, NOTE, OK, Finding
from environments import python_of
from repository import ROOT
from safetensors.torch import save_file

DOCTOR = ROOT / "tools" / "doctor.py"
MODEL = ROOT / "data" / "models" / "sbert-mini"


def states(findings):
    return [finding[0] if len(finding) == 3 else finding.state for finding in findings]


def only(findings):
    (finding,) = findings
    return finding


def named(finding):
    return Finding("", *finding) if len(finding) == 3 else finding


def test_here_nothing_is_broken():
    done = subprocess.run([sys.executable, DOCTOR, "--json"], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"], report
    assert {finding["part"] for finding in report["findings"]} == {
        "python",
        "packages",
        "course_lib",
        "machine",
        "models",
        "data",
        "jupyter",
        "hub",
        "folders",
        "disk",
    }
    assert {finding["state"] for finding in report["findings"]} <= {OK, NOTE}
    what = {finding["what"] for finding in report["findings"]}
    whole = next(text for text in what if text.startswith("whole: "))
    assert all(folder.name in whole for folder in (ROOT / "data" / "models").glob("[!.]*") if folder.is_dir())
    assert any(text.startswith('"auto" chooses device ') for text in what)
    assert f"the kernel python3 runs {sys.executable}" in what


def test_without_any_package(tmp_path):
    """A Python with nothing installed: the doctor still works, from any folder, and says what to install."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PYTHONIOENCODING": "ascii"
    }
    done = subprocess.run(
        [python_of(tmp_path / "bare"), DOCTOR], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 1 and done.stderr == ""
    assert "packages   BROKEN for the notebooks: " in done.stdout and "torch is missing" in done.stdout
    assert "-> python -m pip install -r requirements-lock.txt" in done.stdout
    assert "course_lib BROKEN not installed" in done.stdout and "jupyter    BROKEN no kernel" in done.stdout
    assert "models     ok     whole by size and hash, not opened: bert-mini" in done.stdout
    assert done.stdout.endswith("broken: do what the arrows say, then run this again\n")


def test_it_is_written_for_any_python():
    """No import outside the standard library but inside functions, no syntax newer than 3.8."""
    own = {path.stem for path in (ROOT / "tools").glob("*.py")}
    for file in (*(ROOT / "tools").glob("doctor*.py"), ROOT / "tools" / "machine.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))
        imported = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        imported += [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert {module.split(".")[0] for module in imported} <= {*sys.stdlib_module_names, *own}


Version = namedtuple("Version", "major minor micro")


@pytest.mark.parametrize(
    "version, state",
    [((3, 8, 1), BROKEN), ((3, 10, 9), BROKEN), ((3, 11, 0), OK), ((3, 13, 5), OK), ((3, 14, 0), BROKEN)],
)
def test_python_versions(version, state, monkeypatch):
    monkeypatch.setattr(sys, "version_info", version)
    assert only(doctor.python()).state == state


def test_a_python_of_32_bits(monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert only(doctor.python()).advice.startswith("torch exists for 64-bit")


@pytest.mark.parametrize(
    "version, numbers",
    [
        ("2.13.0+cpu", (2, 13)),
        ("0.1.0", (0, 1)),
        ("2.10", (2, 10)),
        ("5.16.0rc1", (5, 16)),
        ("2026.10.18", (2026, 10, 18)),
        ("unknown", ()),
    ],
)
def test_version_numbers(version, numbers):
    assert doctor_packages.numbers(version) == numbers


@pytest.mark.parametrize(
    "package, version, state, what",
    [
        ("torch", "2.9.1", BROKEN, "for the notebooks: torch 2.9.1 is older than 2.11"),
        ("torch", None, BROKEN, "for the notebooks: torch is missing"),
        ("jupytext", "1.2", NOTE, "for tests and tools: jupytext 1.2 is older than 1.16"),
        ("torch", "2.12.0", NOTE, "1 differ from the lock: torch 2.12.0 (2.13.0)"),
    ],
)
def test_packages(package, version, state, what, monkeypatch):
    lock = dict(
        line.split(" ")[0].strip().split("==")
        for which in ("", "-dev")
        for line in doctor_packages.read(f"requirements-lock{which}.txt").splitlines()
        if "==" in line
    )
    monkeypatch.setattr(doctor_packages, "installed", lambda name: version if name == package else lock[name])
    found = [
        finding
        for finding in doctor_packages.packages()
        if finding[0] != OK and ("lock" in finding[1]) == ("lock" in what)
    ]
    assert [finding[:2] for finding in found] == [(state, what)] and ("-lock-dev" in found[0][2]) == ("tests" in what)


def test_modules_that_cannot_be_imported(tmp_path, monkeypatch):
    """One raises, one ends the process, one hangs: each is named, and those after it are tried all the same."""
    for name, text in {
        "fine_a": "print('noise')",
        "raises": "raise ImportError('DLL load\\nfailed')",
        "dies": "import os; os._exit(7)",
        "fine_b": "",
        "hangs": "import time; time.sleep(60)",
        "also_raises": "1 / 0",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    wrong = doctor_packages.imports(
        ["fine_a", "raises", "dies", "fine_b", "hangs", "also_raises", "is_not_there"], seconds=5
    )
    assert wrong == {
        "raises": "ImportError: DLL load failed",
        "dies": "ends the process with code 7",
        "hangs": "takes more than 5 s",
        "also_raises": "ZeroDivisionError: division by zero",
        "is_not_there": "ModuleNotFoundError: No module named 'is_not_there'",
    }
    assert states(doctor_packages.importing(["fine_a"], {})) == [OK]
    assert states(doctor_packages.importing(["raises"], wrong)) == [BROKEN] * 5


@pytest.fixture
def home(tmp_path):
    """A course with one model, its recorded hash, and the data files."""
    shutil.copytree(MODEL, tmp_path / "data" / "models" / "sbert-mini")
    (tmp_path / "data" / "results").mkdir()
    rows = (ROOT / "data" / "results" / "05.csv").read_text(encoding="utf-8").splitlines()
    kept = [rows[0], *(row for row in rows if "course/sbert-mini," in row)]
    (tmp_path / "data" / "results" / "05.csv").write_text("\n".join(kept), encoding="utf-8")
    for file in (ROOT / "data").iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path / "data")
    shutil.copytree(ROOT / "data" / "help", tmp_path / "data" / "help")
    return tmp_path


def cut(file):
    file.write_bytes(file.read_bytes()[:-1000])


def flip(file):
    """One bit of the last tensor."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


MODEL_DEFECTS = {
    "cut short": (
        lambda folder: cut(folder / "model.safetensors"),
        "model.safetensors: 12,864,552 bytes long, its header says 12,865,552",
        False,
    ),
    "no safetensors": (
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs"),
        "model.safetensors: no safetensors file",
        False,
    ),
    "a bit": (lambda folder: flip(folder / "model.safetensors"), "its SHA-256 is not the recorded one", False),
    "header": (
        lambda folder: (folder / "model.safetensors").write_bytes((10).to_bytes(8, "little") + b"x" * 100),
        "its header is damaged",
        False,
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing", False),
    "JSON": (lambda folder: cut(folder / "tokenizer.json"), "tokenizer.json: ", False),
    "tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "ValueError", True),
    "pooling": (lambda folder: shutil.rmtree(folder / "1_Pooling"), "Error: ", True),
}


@pytest.mark.parametrize("defect", MODEL_DEFECTS)
def test_a_broken_model(defect, home):
    spoil, message, usable = MODEL_DEFECTS[defect]
    assert states(doctor_files.models(home, True)) == [OK]
    spoil(home / "data" / "models" / "sbert-mini")
    state, what, advice = only(doctor_files.models(home, usable))
    assert state == BROKEN and what.startswith("sbert-mini: ") and message in what
    assert advice.startswith("get the file again: git checkout -- data/models/sbert-mini")


def test_weights_that_are_no_numbers(home):
    """With no hash recorded, opening the file finds what its length does not show."""
    folder = home / "data" / "models" / "new"
    folder.mkdir()
    save_file({"a": torch.tensor([1.0, float("nan")])}, folder / "model.safetensors")
    assert states(doctor_files.models(home, False)) == [OK]
    found = list(doctor_files.models(home, True))
    assert states(found) == [BROKEN, OK] and "new: ValueError: a in" in found[0][1]


def test_missing_models(home):
    shutil.rmtree(home / "data" / "models" / "sbert-mini")
    state, what, _ = only(doctor_files.models(home, True))
    assert state == BROKEN and what == f"missing in {home / 'data' / 'models'}: sbert-mini"
    shutil.rmtree(home / "data")
    assert "all" in only(doctor_files.models(home, True))[1]
    assert "README.md lists no files" in only(doctor_files.data(home, True))[1]


def without_last_line(file):
    file.write_text("\n".join(file.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")


DATA_DEFECTS = {
    "a row less": ("sts.tsv", without_last_line, "327 rows, not 328"),
    "a cell less": (
        "pairs.tsv",
        lambda file: file.write_text(file.read_text(encoding="utf-8").replace("\t", " ", 1), encoding="utf-8"),
        "ValueError",
    ),
    "another encoding": (
        "senses.tsv",
        lambda file: file.write_bytes("word\tsense\tsentence\né\ta\tb\n".encode("latin-1")),
        "Error",
    ),
    "missing": ("nli.tsv", lambda file: file.unlink(), "FileNotFoundError"),
}


@pytest.mark.parametrize("defect", DATA_DEFECTS)
def test_broken_data(defect, home):
    name, spoil, message = DATA_DEFECTS[defect]
    assert states(doctor_files.data(home, True)) == [OK]
    spoil(home / "data" / name)
    broken, fine = doctor_files.data(home, True)
    assert broken[0] == BROKEN and broken[1].startswith(f"{name}: ") and message in broken[1] and fine[0] == OK
    assert states(doctor_files.data(home, False)) == [NOTE]


def test_broken_help_pages(home):
    without_last_line(home / "data" / "help" / "queries.jsonl")
    (state, what, advice), fine = doctor_files.data(home, True)
    assert (
        state == BROKEN
        and what.startswith("help/: ValueError: ")
        and "no query" in what
        and advice.startswith("get the file again")
        and fine[0] == OK
    )


def test_compressed_data(home):
    (home / "data" / "README.md").write_text("| `x.tsv.gz` | 1,000 | `a` `b` | tests |\n", encoding="utf-8")
    file = home / "data" / "x.tsv.gz"
    file.write_bytes(gzip.compress(b"a\tb\n" + b"".join(f"{i}\t{i * i}\n".encode() for i in range(1000))))
    assert states(doctor_files.data(home, True)) == [OK]
    file.write_bytes(file.read_bytes()[:-20])
    assert states(doctor_files.data(home, True)) == [BROKEN]


def kernel(folder, python):
    (folder / "kernels" / "python3").mkdir(parents=True)
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "x",
        "language": "python",
    }
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))


def test_the_kernel(tmp_path, monkeypatch):
    assert only(doctor.jupyter()).state == OK
    monkeypatch.delenv("PYTHONPATH")  # which may name the course
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    for name, python, message in (
        ("other", python_of(tmp_path / "bare"), "No module named 'course_lib'"),
        ("gone", "/no/python", "No such file"),
    ):
        kernel(tmp_path / name, python)
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / name))
        finding = only(doctor.jupyter())
        assert finding.state == BROKEN and str(python) in finding.what and "ipykernel install" in finding.advice
        assert message in finding.what or os.name == "nt"


def test_no_kernel(monkeypatch):
    def fail(self, name):
        raise KeyError(name)

    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.get_kernel_spec", fail)
    assert only(doctor.jupyter()).what == "no kernel python3: KeyError: 'python3'"


class Answer(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200 if self.path == "/there" else 503)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def online(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    return lambda port, path="": monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}/{path}")


@pytest.mark.parametrize("path", ["there", "busy"])
def test_a_hub_that_answers(path, online):
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        online(server.server_port, path)
        assert only(map(named, doctor_outside.hub())).state == OK


def test_a_hub_that_does_not(online, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        online(silent.getsockname()[1])
        start = time.time()
        finding = only(map(named, doctor_outside.hub(seconds=0.5)))
        assert finding.state == NOTE and "timed out" in finding.what and time.time() - start < 5
    online(9)
    assert "refused" in only(map(named, doctor_outside.hub())).what or os.name == "nt"
    monkeypatch.setattr(doctor_outside.urllib.request, "urlopen", lambda *arguments, **named: time.sleep(60))
    start = time.time()
    assert "no answer in 1.0 s" in only(map(named, doctor_outside.hub(seconds=0.5))).what and time.time() - start < 5
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert only(map(named, doctor_outside.hub())).what.startswith("not tried")


def test_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.delenv("COURSE_MODELS", raising=False)
    assert states(doctor_outside.folders()) == [OK, OK]
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "none"))
    assert states(doctor_outside.folders()) == [NOTE, OK]
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert states(doctor_outside.folders()) == [NOTE, OK]
    for name in ("snli/train.tsv.gz", "sick/trial.tsv", "other/readme.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert next(doctor_outside.folders())[1] == f"COURSE_DATA: sick, snli in {tmp_path}"


@pytest.mark.parametrize("free, state", [(10e9, OK), (1.5e9, NOTE), (0, BROKEN)])
def test_disk_space(free, state, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda place: namedtuple("Usage", "total used free")(20e9, 20e9 - free, free)
    )
    found = list(map(named, doctor_machine.disk()))
    assert (
        found
        and set(states(found)) == {state}
        and all(finding.advice.startswith("make room") == (state != OK) for finding in found)
    )


def test_disk_that_cannot_be_written(monkeypatch):
    def fail(*arguments, **named):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor_machine.tempfile, "TemporaryFile", fail)
    assert set(states(doctor_machine.disk())) == {BROKEN}
    monkeypatch.undo()
    monkeypatch.setattr(doctor_machine.tempfile, "gettempdir", fail)
    assert states(doctor_machine.disk())[0] == BROKEN and "TMPDIR" in next(doctor_machine.disk())[2]


def test_processors(monkeypatch, tmp_path):
    """What /proc/cpuinfo says on x86 and ARM; what is unknown elsewhere is no 'no'."""
    real = machine.read
    cpuinfo = "processor : 0\nmodel name : A CPU\nflags\t\t: fpu avx2 avx512f amx_bf16\n\nprocessor : 1\nflags : fpu\n"
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "read", lambda path: cpuinfo if path == "/proc/cpuinfo" else real(path))
    assert machine.cpu_name() == "A CPU"
    assert machine.cpu_features() == {"AVX2": True, "AVX512": True, "AVX512-BF16": False, "AMX": True}
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    cpuinfo = "processor : 0\nFeatures : fp asimd bf16\n"
    assert machine.cpu_features() == {"NEON": True, "SVE": False, "ARM-BF16": True}
    monkeypatch.setattr(machine, "read", lambda path: "")
    monkeypatch.setattr(machine.sys, "platform", "freebsd")
    assert machine.cpu_features() == {} and machine.cores() >= 1
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    monkeypatch.setattr(
        machine, "sysctl", lambda name: {"hw.optional.arm.FEAT_BF16": "1", "hw.optional.neon": "1"}.get(name, "")
    )
    assert machine.cpu_features() == {"NEON": True, "ARM-BF16": True}


def test_one_thread_and_little_memory_are_notes(monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: (8e9, 1e9))
    monkeypatch.setattr(machine, "cores", lambda: 4)
    monkeypatch.setattr(machine, "cpu_features", lambda: {"AVX2": False})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    found = [finding for finding in map(named, doctor_machine.hardware(torch)) if finding.state != OK]
    assert states(found) == [NOTE] * 3 and "1.0 GB of 8.0 GB" in found[1].what and "OMP_NUM_THREADS" in found[2].advice
    monkeypatch.setattr(machine, "memory", lambda: (None, None))
    assert any(what == "memory available: not known" for _, what, _ in doctor_machine.hardware(None))


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_doctor_builds_nothing():
    """It takes the course's Python where there is one, another otherwise, and never makes an environment first."""
    for python, taken in ((sys.executable, sys.executable), ("/no/python", "other-python")):
        done = subprocess.run(
            ["make", "--no-print-directory", "-n", "doctor", f"PY={python}", "PYTHON=other-python", "INSTALLED=none"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"{taken} tools/doctor.py\n", done.stderr


@pytest.mark.parametrize("state, code", [(OK, 0), (NOTE, 0), (BROKEN, 1)])
def test_exit_code(state, code, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("disk", state, "it is full", "make room")])
    assert doctor.main([]) == code
    text = capsys.readouterr().out
    assert f"disk       {state:7}it is full\n" in text and ("-> make room" in text) == (state != OK)
    assert doctor.main(["--json"]) == code
    assert json.loads(capsys.readouterr().out) == {
        "ok": not code,
        "findings": [{"part": "disk", "state": state, "what": "it is full", "advice": "make room"}],
    }
