"""For the doctor: what is this machine, and can its disk be written to? Checks yield (state, what, advice)."""

import os
import platform
import shutil
import tempfile
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parents[1]
GB = 1e9


def hardware(torch):
    yield ("ok", f"{platform.platform()}, {machine.cpu_name()}", "")
    features = machine.cpu_features()
    yield (
        "ok",
        ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in features.items())
        or "instruction sets not known",
        "",
    )
    if features.get("AVX2") is False:
        yield ("note", "no AVX2", "nothing: it works, several times slower than the README says")
    total, available = machine.memory()
    sizes = " of ".join(f"{size / GB:.1f} GB" for size in (available, total) if size)
    few = available is not None and available < 2 * GB
    yield (
        "note" if few else "ok",
        f"memory available: {sizes or 'not known'}",
        "close other programs; run one notebook at a time" if few else "",
    )
    if torch is None:
        yield (
            "note",
            f"{machine.cores()} cores; torch cannot be asked for threads and devices",
            "see the lines on packages",
        )
        return
    threads, cores = torch.get_num_threads(), machine.cores()
    one = threads == 1 < cores
    yield (
        "note" if one else "ok",
        f"{cores} cores, torch uses {threads} threads, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}",
        "for more speed unset OMP_NUM_THREADS" if one else "",
    )
    found = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    found += ["MPS"] if torch.backends.mps.is_available() else []
    yield ("ok", f"GPU: {', '.join(found) or 'none, and none is needed'}", "")


def auto():
    from course_lib.support.devices import pick_device, pick_dtype

    device = pick_device("auto")
    dtype = str(pick_dtype("auto", device)).replace("torch.", "")
    notebooks = "" if "COURSE_DEVICE" in os.environ else "; notebooks choose the CPU"
    yield ("ok", f'"auto" chooses device {device}, dtype {dtype}{notebooks}', "")


def disk():
    places = [ROOT, ROOT / "build"]
    try:
        places.append(Path(tempfile.gettempdir()))
    except OSError as error:
        yield (
            "BROKEN",
            f"no folder for temporary files: {error}",
            "name one that can be written to in the environment variable TMPDIR",
        )
    for place in (place for place in places if place.exists()):
        try:
            free = shutil.disk_usage(place).free
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"x" * 4096)
        except OSError as error:
            yield (
                "BROKEN",
                f"cannot write to {place}: {error}",
                "change its permissions, make room, or copy the course to a folder of yours",
            )
            continue
        state = "BROKEN" if free < 0.1 * GB else "note" if free < 2 * GB else "ok"
        yield (
            state,
            f"{free / GB:.1f} GB free in {place}",
            "" if state == "ok" else "make room: a run writes 0.1 GB, a new environment 1.9 GB",
        )
