"""Data-parallel training without an open port: a script of your own, started several times on this machine.

    python -m course_lib.scale.parallel --processes 2 my_training.py    # and what the script is to find in sys.argv

The script is written as for one process: `training.train` gives each process a share of every batch, and a loss with
`gather=gather` sees the vectors of all (support/distributed.py). The processes meet over a file, not over a port that
others could reach, and talk over loopback.
Left out on purpose: several machines, GPUs. `accelerate launch --num_processes 2 my_training.py` has them.
"""

import argparse
import os
import runpy
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from torch import distributed

from course_lib.support.folders import COURSE_HOME


def launch(script: str, arguments: list[str], processes: int) -> int:
    """Run a script in so many processes; what the first prints is printed. The exit code: 0 where none failed."""
    paths = f"{COURSE_HOME}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": paths}  # a core each
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "course_lib.scale.parallel", "--processes", str(processes)]
        command += ["--meeting", str(Path(folder, "meeting")), "--rank"]
        members = []
        for rank in range(processes):
            heard = subprocess.DEVNULL if rank else None
            members.append(subprocess.Popen([*command, str(rank), script, *arguments], env=env, stdout=heard))
        return max(abs(member.wait()) for member in members)


def join(rank: int, processes: int, meeting: str):
    """Make this process number `rank` of several, which find each other over the file `meeting`."""
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes))
    os.environ.update(ACCELERATE_USE_CPU="true")
    if sys.platform != "win32":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    where = dict(init_method=Path(meeting).as_uri(), rank=rank, world_size=processes)
    distributed.init_process_group("gloo", timeout=timedelta(minutes=5), **where)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.rank is None:
        sys.exit(launch(given.script, given.arguments, given.processes))
    join(given.rank, given.processes, given.meeting)
    sys.argv = [given.script, *given.arguments]
    runpy.run_path(given.script, run_name="__main__")
    distributed.destroy_process_group()
