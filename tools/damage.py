"""What becomes of model folders and data files that are damaged at random: they say so, or do as if nothing was.

    python tools/damage.py                  1,000 folders and 1,000 files
    python tools/damage.py 50 --seed 3      fewer, and others
    python tools/damage.py --only 17        one of them again, with its whole traceback

Each is read, and what can be read is used, in a process of its own with little memory and ten seconds. Counted is

    as before       the damage changes nothing
    other           it is read, and gives other numbers or rows
    said            an error of course_lib's own that names the file or folder
    raw             an error of another library, or one that does not name the file
    not finite      vectors or scores with NaN or infinite numbers
    ended           the process took too long, too much memory, or crashed

Exit code 1 if any of the last three came. Linux alone, as it forks.
"""

import argparse
import copy
import gzip
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from damaged_samples import data_files, model_folders
from safetensors.torch import load_file, save_file

import course_lib
from recipes.shared import measured as shared

BAD = ("raw", "not finite", "ended")
SECONDS, MEMORY = 10, 4 << 30
OWN = tuple(str(Path(package.__file__).parent) + os.sep for package in (course_lib, shared))


# ---- damages: each changes a file, or the folder around it, by random numbers


def cut(file: Path, pick: random.Random):
    content = file.read_bytes()
    file.write_bytes(content[: pick.randrange(len(content) + 1)])


def flip(file: Path, pick: random.Random):
    content = bytearray(file.read_bytes())
    begin = pick.choice([64, 1000, len(content)])  # headers more often than what follows
    for _ in range(pick.choice([1, 1, 5, 50])):
        if content:
            content[pick.randrange(min(begin, len(content)))] ^= 1 << pick.randrange(8)
    file.write_bytes(content)


def zeros(file: Path, pick: random.Random):
    content = bytearray(file.read_bytes())
    begin = pick.randrange(len(content) + 1)
    content[begin : begin + pick.choice([1, 16, 512])] = bytes(pick.choice([1, 16, 512]))
    file.write_bytes(content)


def other_content(file: Path, pick: random.Random):
    file.write_bytes(
        pick.choice(
            [
                b"",
                b"\n",
                b"null",
                b"[]",
                b"{}",
                b'"text"',
                b"[" * 20_000,
                b"<html>not found</html>",
                b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
                b"PK\x03\x04" + bytes(100),
                b"\x80\x02}q\x00.",
                gzip.compress(b"something"),
                "späte Änderung\n".encode("latin-1"),
                b"\xff\xfe" + "{}".encode("utf-16-le"),
            ]
        )
    )


def missing(file: Path, pick: random.Random):
    file.unlink()


def renamed(file: Path, pick: random.Random):
    file.rename(file.with_name(pick.choice([file.name.upper(), file.name + ".txt", "copy of " + file.name])))


def folder_in_its_place(file: Path, pick: random.Random):
    file.unlink()
    file.mkdir()


def exchanged(file: Path, pick: random.Random):
    other = pick.choice([path for path in sorted(file.parent.rglob("*")) if path.is_file()])
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


def json_value(file: Path, pick: random.Random):
    """Somewhere in a JSON file, another value; or a name taken away, or misspelt."""
    content = json.loads(file.read_text(encoding="utf-8"))
    places = list(places_of(content))
    if not places:
        return other_content(file, pick)
    within, key = pick.choice(places[:40] if pick.random() < 0.8 else places)
    what = pick.random()
    if what < 0.15:
        del within[key]
    elif what < 0.25 and isinstance(within, dict):
        within[key.upper() + "_"] = within.pop(key)
    else:
        within[key] = pick.choice(
            [None, True, False, -1, 0, 1, 3, 2.5, 1e18, 10**12, 10**30, float("nan"), "", "x", "bert", [], {}, ["x"]]
            + [{"x": 1}, [[1]], "é" * 3000, copy.deepcopy(within[key])]
        )
    file.write_text(json.dumps(content), encoding="utf-8")


def places_of(content) -> Iterator[tuple]:
    """Every value within: (what holds it, its key there)."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from places_of(value)


def tensor(file: Path, pick: random.Random):
    """In a safetensors file, one tensor is gone, renamed, of another shape or dtype, or has other numbers."""
    from safetensors import safe_open

    tensors = load_file(file)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    name = pick.choice(sorted(tensors))
    t = tensors.pop(name)
    changed = pick.choice(
        [
            dict,
            lambda: {name + ".x": t},
            lambda: {name: t.flatten()[:-1].clone()},
            lambda: {name: t.T.contiguous() if t.ndim == 2 else t[None]},
            lambda: {name: torch.zeros(0)},
            lambda: {name: t.to(pick.choice([torch.int64, torch.float16, torch.bfloat16, torch.bool, torch.uint8]))},
            lambda: {name: torch.full_like(t, pick.choice([float("nan"), float("inf"), 1e38, -1e30, 1e-38]))},
            lambda: {name: t * 1e30},
            lambda: {name: t, "more": torch.ones(2)},
        ]
    )
    tensors |= changed() if t.is_floating_point() or pick.random() < 0.5 else {}
    save_file(tensors, file, metadata=metadata)


def lines(file: Path, pick: random.Random):
    """A text file, or what is packed in it, with a line changed, doubled or gone, or its line ends."""
    packed = file.suffix == ".gz"
    content = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
    rows = content.split(b"\n")
    k = pick.choice([0, pick.randrange(len(rows))])
    rows[k] = pick.choice(
        [
            rows[k].replace(b"\t", b" ", 1),
            rows[k] + b"\tmore",
            rows[k].upper(),
            rows[k].replace(b"\t", b"\r", 1),
            rows[k] + b"\n" + rows[k],
            b"\x00" + rows[k],
            b"",
            rows[k] + b"x" * 300_000,
            b"\xef\xbb\xbf" + rows[k],
            b'"' + rows[k],
            rows[k].replace(b"1", b"1" * 5000, 1),
            rows[k].replace(b"1", "١".encode(), 1),
            b"\xff" + rows[k],
            rows[k].replace(b'"', b"", 1),
            rows[k].replace(b"}", b', "more": [1, null]}', 1),
        ]
    )
    content = b"\n".join(rows[: pick.choice([1, k + 1, len(rows), len(rows)])])
    content = pick.choice([content, content, content.replace(b"\n", b"\r\n"), content.replace(b"\n", b"\r")])
    file.write_bytes(gzip.compress(content) if packed and pick.random() < 0.9 else content)


ANY = [cut, flip, zeros, other_content, missing, renamed, folder_in_its_place, exchanged]


def damages(file: Path) -> list[Callable]:
    """Those that fit a kind of file; of some kinds most."""
    if file.name.endswith(".json"):
        return [*ANY, *[json_value] * 12]
    if file.name.endswith((".safetensors", "checkpoint")):
        return [*ANY, *[tensor] * 6]
    return [*ANY, *[lines] * 8]


# ---- one case: a copy of a sample, damaged, read in a process of its own


def case(sample, number: int, seed: int, work: Path, verbose: bool = False) -> tuple[str, str]:
    """(outcome, what was done and said)."""
    pick = random.Random(f"{seed} {number}")
    folder = work / f"{number}"
    shutil.copytree(sample.folder, folder)
    file = pick.choice([path for path in sorted(folder.rglob("*")) if path.is_file()])
    damage = pick.choice(damages(file))
    what = f"{sample.name}: {file.relative_to(folder)}: {damage.__name__}"
    damage(file, pick)
    outcome, said = in_a_process(lambda: use(sample, folder, verbose))
    shutil.rmtree(folder)
    return outcome, f"{what}: {said}".replace(str(folder), "FOLDER")


def use(sample, folder: Path, verbose: bool) -> tuple[str, str]:
    loaded = False
    try:
        model = sample.load(folder)
        loaded = True
        found = sample.use(model)
    except Exception as error:
        if verbose:
            traceback.print_exc()
        own = traceback.extract_tb(error.__traceback__)[-1].filename.startswith(OWN)
        kind = isinstance(error, ValueError | TypeError | IndexError | OSError | FloatingPointError)
        named = loaded or str(folder) in str(error)
        return "said" if own and kind and named else "raw", f"{type(error).__name__}: {str(error)[:2000]}"
    if not same_or_finite(found):
        return "not finite", ""
    return "as before" if equal(found, sample.expected) else "other", ""


def same_or_finite(found) -> bool:
    return not isinstance(found, np.ndarray) or bool(np.isfinite(found).all())


def equal(a, b) -> bool:
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def in_a_process(function: Callable) -> tuple[str, str]:
    """What a function returns, called in a child with little memory and time; ("ended", why) where it does not."""
    read, write = os.pipe()
    sys.stdout.flush()
    if not (child := os.fork()):
        os.close(read)
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        try:
            os.write(write, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(write)
    content, deadline = b"", time.monotonic() + SECONDS
    while select.select([read], [], [], max(0, deadline - time.monotonic()))[0] and (part := os.read(read, 1 << 16)):
        content += part
    os.close(read)
    slow = time.monotonic() >= deadline
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if content and not slow:
        return tuple(json.loads(content))
    return "ended", "too slow" if slow else f"exit code {code}"


def campaign(samples: list, count: int, seed: int, verbose: bool = False, numbers=None) -> Counter:
    """How many of `count` damaged copies of the samples came to which outcome; the bad ones are printed."""
    outcomes: Counter = Counter()
    with tempfile.TemporaryDirectory() as work:
        for number in range(count) if numbers is None else numbers:
            outcome, said = case(samples[number % len(samples)], number, seed, Path(work), verbose)
            outcomes[outcome] += 1
            if outcome in BAD or verbose:
                print(f"{outcome} {number}: {said[:600]}", flush=True)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=1000, help="of folders, and of files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=["models", "data"], help="one of both")
    parser.add_argument("--only", type=int, help="the number of one case, with --kind")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bad = 0
    for kind, make in {"models": model_folders, "data": data_files}.items():
        if arguments.kind in (None, kind):
            with tempfile.TemporaryDirectory() as folder:
                samples = make(Path(folder))
                numbers = None if arguments.only is None else [arguments.only]
                outcomes = campaign(samples, arguments.count, arguments.seed, arguments.only is not None, numbers)
            print(f"{kind}: {sum(outcomes.values())} damaged, " + ", ".join(f"{outcomes[o]} {o}" for o in outcomes))
            bad += sum(outcomes[outcome] for outcome in BAD)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
