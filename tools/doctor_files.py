"""For the doctor: are models and data found, and whole? Checks yield (state, what, advice)."""

import csv
import hashlib
import json
import os
import re

AGAIN = "get the file again: git checkout -- {}, or clone the course anew"


def damage(file):
    """What is wrong with a safetensors file, by its header: its length must be what the tensors add up to. Or ''."""
    with open(file, "rb") as opened:
        length, size = int.from_bytes(opened.read(8), "little"), os.path.getsize(file)
        if not 2 <= length <= size - 8:
            return "no safetensors file, or cut short in its header"
        try:
            header = json.loads(opened.read(length))
            end = (
                8
                + length
                + max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return "its header is damaged"
    return "" if size == end else f"{size:,} bytes long, its header says {end:,}"


def recorded_hashes(home):
    """{model: SHA-256 of its weights} as data/results has them."""
    hashes = {}
    for file in sorted((home / "data" / "results").glob("*.csv")):
        with open(file, encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row.get("model_sha256") and str(row.get("model")).startswith("course/"):
                    hashes.setdefault(row["model"][len("course/") :], set()).add(row["model_sha256"])
    return hashes


def model_problem(folder, hashes, usable):
    """What is wrong with a model's folder, or ''."""
    for file in sorted(folder.rglob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            return f"{file.name}: {error}"
    files = sorted(folder.rglob("*.safetensors"))
    for file in files:
        if damage(file):
            return f"{file.name}: {damage(file)}"
    own = min(folder.rglob("model.safetensors"), default=None)
    if own is None:
        return "model.safetensors is missing"
    if hashes and hashlib.sha256(own.read_bytes()).hexdigest() not in hashes:
        return f"{own.name}: its SHA-256 is not the recorded one"
    if not usable:
        return ""
    from course_lib.encoder import SentenceEncoder
    from course_lib.models.sparse import SparseEncoder
    from course_lib.support.folders import read_weights

    try:
        for file in files:
            if file.name == "model.safetensors":
                read_weights(file.parent)
        if (folder / "modules.json").exists():
            sparse = "SpladePooling" in (folder / "modules.json").read_text(encoding="utf-8")
            (SparseEncoder if sparse else SentenceEncoder).load(folder, device="cpu").encode(["A cat sits on a mat."])
    except Exception as error:  # of a damaged folder, anything
        return f"{type(error).__name__}: {error}"
    return ""


def models(home, usable):
    """The models in `home`/data/models; opened, and used once, where course_lib is `usable`."""
    hashes, folders = (
        recorded_hashes(home),
        sorted(path for path in (home / "data" / "models").glob("[!.]*") if path.is_dir()),
    )
    whole = []
    for folder in folders:
        problem = model_problem(folder, hashes.get(folder.name), usable)
        if problem:
            yield "BROKEN", f"{folder.name}: {problem}", AGAIN.format(f"data/models/{folder.name}")
        else:
            whole.append(folder.name + ("" if folder.name in hashes else " (no hash recorded)"))
    missing = sorted(set(hashes) - {folder.name for folder in folders})
    if missing or not folders:
        yield (
            "BROKEN",
            f"missing in {home / 'data' / 'models'}: {', '.join(missing) or 'all'}",
            AGAIN.format("data/models"),
        )
    if whole:
        yield "ok", f"whole{'' if usable else ' by size and hash, not opened'}: {', '.join(whole)}", ""


def data(home, usable):
    """The files of `home`/data, read by the course's reader."""
    sheet = home / "data" / "README.md"
    text = sheet.read_text(encoding="utf-8") if sheet.exists() else ""
    folders = re.findall(r"^\| `(\w+)/` \| ([\d,]+) articles, ([\d,]+) queries \|", text, flags=re.M)
    table = re.findall(r"^\| `([\w.]+\.tsv(?:\.gz)?)` \| ([\d,]+) \| ([^|]+) \|", text, flags=re.M)
    if not table:
        yield "BROKEN", f"{sheet} lists no files", AGAIN.format("data")
    elif not usable:
        yield "note", "not read: course_lib cannot be imported", "see the lines on packages and course_lib"
        return
    from course_lib.datasets.retrieval import load_retrieval
    from course_lib.support.tables import read_tsv

    def number(shown):
        return int(shown.replace(",", ""))

    def table_problem(name, rows, columns):
        count = sum(1 for _ in read_tsv(home / "data" / name, *re.findall(r"`(\w+)`", columns)))
        return "" if count == number(rows) else f"{count:,} rows, not {rows}"

    def folder_problem(name, articles, asked):
        queries, corpus, _ = load_retrieval(home / "data" / name)
        return (
            ""
            if (len(corpus), len(queries)) == (number(articles), number(asked))
            else f"{len(corpus)} articles, {len(queries)} queries"
        )

    good = 0
    for name, problem_of, said in [(row[0], table_problem, row) for row in table] + [
        (f"{row[0]}/", folder_problem, row) for row in folders
    ]:
        try:
            problem = problem_of(*said)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            yield "BROKEN", f"{name}: {problem}", AGAIN.format(f"data/{name.rstrip('/')}")
        good += not problem and problem_of is table_problem
    if good:
        yield "ok", f"{good} files with the rows and columns that data/README.md says", ""
