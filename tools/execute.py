"""One notebook by papermill: what `make run` and `tools/batch.py run` call for each.

    python tools/execute.py 05_mean_pooling

papermill writes build/partial/NAME.ipynb, its log beside it; only a notebook that ran to its end is moved to build/.
Whoever starts a kernel chooses its ports a second before it opens them. Where another program takes one in between, as
several notebooks at a time may do to each other, the kernel ends before it runs anything: it is started once more.
"""

import os
import subprocess
import sys

from repository import ROOT

NOT_STARTED = "Kernel died before replying to kernel_info"  # jupyter_client's words


def execute(name, root=ROOT):
    """True if the notebook ran to its end, with the parameters in build/parameters/NAME.yaml."""
    build = root / "build"
    built, partial = build / f"{name}.ipynb", build / "partial" / f"{name}.ipynb"
    log = partial.with_suffix(".log")
    partial.parent.mkdir(parents=True, exist_ok=True)
    built.unlink(missing_ok=True)
    print(f"run   {name}\n", end="", flush=True)  # in one piece: others print at the same time
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--log-level", "ERROR"]
    command += [
        "-f",
        str(build / "parameters" / f"{name}.yaml"),
        str(root / "notebooks" / f"{name}.ipynb"),
        str(partial),
    ]
    for _ in range(2):
        partial.unlink(missing_ok=True)
        with open(log, "w", encoding="utf-8") as errors:
            done = subprocess.run(command, stderr=errors).returncode == 0
        if done:
            os.replace(partial, built)
        if done or NOT_STARTED not in log.read_text(encoding="utf-8", errors="replace"):
            break
    return done


if __name__ == "__main__":
    try:
        sys.exit(0 if execute(*sys.argv[1:]) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
