"""For the doctor: are the packages there, new enough, and can they be imported? Checks yield (state, what, advice)."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL = "python -m pip install -r requirements-lock.txt (or run make, which does it in .venv)"
FOR_TESTS = "nothing, to run notebooks; for tests: python -m pip install -r requirements-lock-dev.txt (or make test)"
IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    print("doctor: begin", name, flush=True)
    try:
        importlib.import_module(name)
    except BaseException as error:
        print("doctor: error", name, type(error).__name__ + ":", " ".join(str(error).split())[:300], flush=True)
"""


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def bounds():
    """[{package: lowest version} of requirements.txt, of the extra dev, of the extra scale]."""
    found = [dict(re.findall(r"^([\w.-]+)>=([\d.]+)", read("requirements.txt"), flags=re.M))]
    for extra in ("dev", "scale"):
        named = re.search(rf"^{extra} = \[(.*?)^\]", read("pyproject.toml"), flags=re.M | re.S)[1]
        found.append(dict(re.findall(r'"([\w.-]+)(?:\[\w+\])?>=([\d.]+)"', named)))
    return found


def installed(package):
    """The version, or None."""
    try:
        return metadata.version(package)
    except Exception:  # not there, or its metadata damaged
        return None


def numbers(version):
    """2.10.0rc1+cpu -> (2, 10): comparable, without zeros at the end."""
    found = [int(number) for number in re.match(r"(?:\d+(?:\.\d+)*)?", version)[0].split(".") if number]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def packages():
    uses = [
        ("BROKEN", "the notebooks", INSTALL),
        ("note", "tests and tools", FOR_TESTS),
        ("note", "notebook 17", INSTALL),
    ]
    for names, (state, use, advice) in zip(bounds(), uses):
        bad = []
        for name, lowest in names.items():
            version = installed(name)
            if version is None:
                bad.append(f"{name} is missing")
            elif numbers(version) < numbers(lowest):
                bad.append(f"{name} {version} is older than {lowest}")
        if bad:
            yield state, f"for {use}: {', '.join(bad)}", advice
        else:
            yield "ok", f"for {use}: {len(names)}, none too old", ""
    both = read("requirements-lock.txt") + read("requirements-lock-dev.txt")
    lock = re.findall(r"^([\w.-]+)==([^\s;]+)", both, flags=re.M)
    other = [
        f"{name} {installed(name)} ({version})"
        for name, version in lock
        if installed(name) and installed(name).split("+")[0] != version
    ]
    if other:
        yield (
            "note",
            f"{len(other)} differ from the lock: {', '.join(other[:4])}{', ...' * (len(other) > 4)}",
            f"nothing, unless something fails: then take the lock's versions, {INSTALL}",
        )


def imports(modules, seconds=300):
    """{module: what went wrong} when a new process imports them: some die of it, and would take this one along."""
    wrong, left = {}, list(modules)
    while left:
        try:
            done = subprocess.run(
                [sys.executable, "-c", IMPORTS, *left],
                cwd=str(ROOT / "notebooks"),  # where kernels work
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
            )
            output, end = done.stdout, f"ends the process with code {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired as error:
            output, end = error.stdout or b"", f"takes more than {seconds} s"
        lines = [
            line.split(" ", 3) for line in output.decode("utf-8", "replace").splitlines() if line.startswith("doctor: ")
        ]
        wrong.update({name: "".join(rest) for _, kind, name, *rest in lines if kind == "error"})
        begun = [name for _, kind, name, *_ in lines if kind == "begin"]
        if not end:
            break
        name = begun[-1] if begun else left[0]
        wrong.setdefault(name, end)
        left = left[left.index(name) + 1 :]
    return wrong


def modules():
    """Names of the modules of the required packages, of those that are installed."""
    names = {name: {"scikit-learn": "sklearn"}.get(name, name.replace("-", "_")) for name in bounds()[0]}
    return [module for name, module in names.items() if installed(name)]


def importing(tried, wrong):
    """`wrong` is what imports(tried) returned."""
    for module, what in wrong.items():
        yield "BROKEN", f"{module} cannot be imported: {what}", f"install it anew: {INSTALL}"
    if tried and not wrong:
        yield "ok", f"{len(tried)} can be imported", ""
