"""Is everything here that the course needs, and if not, what to do?

    python tools/doctor.py            a table; lines marked BROKEN say what to do, and make the exit code 1
    python tools/doctor.py --json     the same for programs

It needs Python alone, of any version since 3.8: whatever else is missing or broken is what it reports. BROKEN is what
the course needs offline; what it can do without (the hub, real data sets, the exact versions of the lock) is a note.
"""

import argparse
import importlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections import namedtuple
from pathlib import Path

import doctor_files
import machine
from doctor_packages import importing, imports, modules, packages, read

ROOT = Path(__file__).resolve().parents[1]
Finding = namedtuple("Finding", "part state what advice", defaults=["", ""])
OK, NOTE, BROKEN = "ok", "note", "BROKEN"
GB = 1e9


def python():
    low, high = map(int, re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', read("pyproject.toml")).groups())
    what = f"{platform.python_version()}, {platform.architecture()[0]}, {sys.executable}"
    if not (3, low) <= sys.version_info[:2] < (3, high):
        yield Finding(
            "python",
            BROKEN,
            what,
            f"the course needs Python 3.{low} to 3.{high - 1}: make PYTHON=python3.{high - 2}, "
            "or the README's way without make",
        )
    elif sys.maxsize < 2**32:
        yield Finding("python", BROKEN, what, "torch exists for 64-bit Python only: install that")
    else:
        yield Finding("python", OK, what)


def library():
    spec = importlib.util.find_spec("course_lib")
    home = Path(spec.origin).resolve().parents[1] if spec and spec.origin else None
    if home is None:
        yield Finding(
            "course_lib",
            BROKEN,
            f"not installed for {sys.executable}",
            "python -m pip install --no-deps --no-build-isolation -e .",
        )
    elif home != ROOT:
        yield Finding(
            "course_lib",
            NOTE,
            f"is that of {home}",
            "for this copy: python -m pip install --no-deps --no-build-isolation -e .",
        )
    else:
        yield Finding("course_lib", OK, f"installed from {ROOT}")
    if os.environ.get("COURSE_HOME"):
        yield Finding("course_lib", NOTE, f"COURSE_HOME says that models and data lie in {os.environ['COURSE_HOME']}")


def hardware(torch):
    yield Finding("machine", OK, f"{platform.platform()}, {machine.cpu_name()}")
    features = machine.cpu_features()
    yield Finding(
        "machine",
        OK,
        ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in features.items())
        or "instruction sets not known",
    )
    if features.get("AVX2") is False:
        yield Finding("machine", NOTE, "no AVX2", "nothing: it works, several times slower than the README says")
    total, available = machine.memory()
    sizes = " of ".join(f"{size / GB:.1f} GB" for size in (available, total) if size)
    few = available is not None and available < 2 * GB
    yield Finding(
        "machine",
        NOTE if few else OK,
        f"memory available: {sizes or 'not known'}",
        "close other programs; run one notebook at a time" if few else "",
    )
    if torch is None:
        yield Finding(
            "machine",
            NOTE,
            f"{machine.cores()} cores; torch cannot be asked for threads and devices",
            "see the lines on packages",
        )
        return
    threads, cores = torch.get_num_threads(), machine.cores()
    one = threads == 1 < cores
    yield Finding(
        "machine",
        NOTE if one else OK,
        f"{cores} cores, torch uses {threads} threads, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}",
        "for more speed unset OMP_NUM_THREADS" if one else "",
    )
    found = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    found += ["MPS"] if torch.backends.mps.is_available() else []
    yield Finding("machine", OK, f"GPU: {', '.join(found) or 'none, and none is needed'}")


def auto():
    from course_lib.support.devices import pick_device, pick_dtype

    device = pick_device("auto")
    yield Finding(
        "machine", OK, f'"auto" chooses device {device}, dtype {str(pick_dtype("auto", device)).replace("torch.", "")}'
    )


def jupyter():
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:
        yield Finding(
            "jupyter",
            BROKEN,
            f"no kernel python3: {type(error).__name__}: {error}",
            "python -m ipykernel install --sys-prefix",
        )
        return
    if re.fullmatch(r"python(3(\.\d+)?)?(\.exe)?", command):  # jupyter_client then takes its own Python
        command = sys.executable
    try:
        done = subprocess.run(
            [command, "-c", "import course_lib, ipykernel"],
            cwd=str(ROOT / "notebooks"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        problem = done.stdout.decode("utf-8", "replace").strip().split("\n")[-1] if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        problem = str(error)
    if problem:
        yield Finding(
            "jupyter",
            BROKEN,
            f"the kernel python3 runs {command}: {problem}",
            "with the course's Python: python -m ipykernel install --sys-prefix",
        )
    else:
        yield Finding("jupyter", OK, f"the kernel python3 runs {command}")


def hub(seconds=5):
    url = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        yield Finding(
            "hub",
            NOTE,
            "not tried: HF_HUB_OFFLINE is set",
            "for full-size models that you have not downloaded, unset it",
        )
        return
    answer = []

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answer.append("")
        except urllib.error.HTTPError:  # it answers, whatever it says
            answer.append("")
        except Exception as error:
            answer.append(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no time limit of its own
    thread.start()
    thread.join(2 * seconds)
    problem = answer[0] if answer else f"no answer in {2 * seconds} s"
    if problem:
        yield Finding(
            "hub",
            NOTE,
            f"{url} cannot be reached: {problem}",
            "nothing, for what comes with the course; full-size models: COURSE_MODELS, see the README",
        )
    else:
        yield Finding("hub", OK, f"{url} answers")


def folders():
    for name, use in (("COURSE_DATA", "recipes"), ("COURSE_MODELS", "full-size models without the hub")):
        value = os.environ.get(name)
        if not value:
            yield Finding("folders", OK, f"{name} is not set: only {use} would need it")
        elif not Path(value).expanduser().is_dir():
            yield Finding("folders", NOTE, f"{name} names {value}, which is no folder", "correct it, or unset it")
        else:
            pattern = "*.tsv*" if name == "COURSE_DATA" else "*/config.json"
            found = sorted(
                path.name for path in Path(value).expanduser().iterdir() if path.is_dir() and any(path.glob(pattern))
            )
            yield Finding(
                "folders",
                OK if found else NOTE,
                f"{name}: {', '.join(found) or 'nothing that the course reads'} in {value}",
            )


def disk():
    places = [ROOT, ROOT / "build"]
    try:
        places.append(Path(tempfile.gettempdir()))
    except OSError as error:
        yield Finding(
            "disk",
            BROKEN,
            f"no folder for temporary files: {error}",
            "name one that can be written to in the environment variable TMPDIR",
        )
    for place in (place for place in places if place.exists()):
        try:
            free = shutil.disk_usage(place).free
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"x" * 4096)
        except OSError as error:
            yield Finding(
                "disk",
                BROKEN,
                f"cannot write to {place}: {error}",
                "change its permissions, make room, or copy the course to a folder of yours",
            )
            continue
        state = BROKEN if free < 0.1 * GB else NOTE if free < 2 * GB else OK
        yield Finding(
            "disk",
            state,
            f"{free / GB:.1f} GB free in {place}",
            "" if state == OK else "make room: a run writes 0.1 GB, a new environment 1.9 GB",
        )


def examine():
    """All findings, in order."""
    yield from python()
    yield from (Finding("packages", *found) for found in packages())
    required = modules()
    wrong = imports([*required, "course_lib.encoder", "course_lib.data"])
    yield from (
        Finding("packages", *found)
        for found in importing(required, {name: wrong[name] for name in required if name in wrong})
    )
    yield from library()
    own = sorted(name for name in wrong if name.startswith("course_lib"))
    if own and not set(required) & set(wrong) and importlib.util.find_spec("course_lib"):
        yield Finding(
            "course_lib",
            BROKEN,
            f"{own[0]} cannot be imported: {wrong[own[0]]}",
            "undo your changes in course_lib/, or get it again: git checkout -- course_lib",
        )
    torch = importlib.import_module("torch") if "torch" in required and "torch" not in wrong else None
    home = Path(os.environ.get("COURSE_HOME") or ROOT)
    yield from hardware(torch)
    yield from auto() if not own else ()
    yield from (Finding("models", *found) for found in doctor_files.models(home, not own))
    yield from (Finding("data", *found) for found in doctor_files.data(home, not own))
    for found in (jupyter(), hub(), folders(), disk()):
        yield from found


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args(arguments).json
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            print(f"{finding.part:11}{finding.state:7}{finding.what}", flush=True)
            if finding.advice and finding.state != OK:
                print(f"{'':18}-> {finding.advice}", flush=True)
    broken = sum(finding.state == BROKEN for finding in findings)
    if as_json:
        print(json.dumps({"ok": not broken, "findings": [finding._asdict() for finding in findings]}, indent=2))
    else:
        advice = f"{broken} broken: do what the arrows say, then run this again"
        print("\n" + (advice if broken else "all that the course needs is here"))
    return 1 if broken else 0


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    sys.exit(main(sys.argv[1:]))
