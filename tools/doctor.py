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
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import doctor_files
import doctor_machine
import doctor_outside
from doctor_packages import importing, imports, modules, packages, read

ROOT = Path(__file__).resolve().parents[1]
Finding = namedtuple("Finding", "part state what advice", defaults=["", ""])
OK, NOTE, BROKEN = "ok", "note", "BROKEN"


def python():
    low, high = map(int, re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', read("pyproject.toml")).groups())
    what = f"{platform.python_version()}, {platform.architecture()[0]}, {sys.executable}"
    if not (3, low) <= sys.version_info[:2] < (3, high):
        yield Finding(
            "python",
            BROKEN,
            what,
            f"the course needs Python 3.{low} to 3.{high - 1}: make PYTHON=python3.{high - 2}, "
            "or without make, as docs/running.md says",
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
    yield from (Finding("machine", *found) for found in doctor_machine.hardware(torch))
    yield from (Finding("machine", *found) for found in (doctor_machine.auto() if not own else ()))
    yield from (Finding("models", *found) for found in doctor_files.models(home, not own))
    yield from (Finding("data", *found) for found in doctor_files.data(home, not own))
    yield from jupyter()
    yield from (Finding("hub", *found) for found in doctor_outside.hub())
    yield from (Finding("folders", *found) for found in doctor_outside.folders())
    yield from (Finding("disk", *found) for found in doctor_machine.disk())


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
