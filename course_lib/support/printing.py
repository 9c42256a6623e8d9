"""Dicts of numbers as a table: printed, or kept in a CSV file that grows by a row with each evaluation.

print(table([{"model": name, **evaluator(model)} for name, model in models.items()]))
append_csv("sts.csv", evaluator(model), epoch=1, steps=500)
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def table(rows: Sequence[Mapping], digits: int = 4) -> str:
    """A header and a line for each row: texts to the left, numbers to the right, floats with `digits` decimals.

    Columns are all keys in the order of their first appearance; where a row lacks one, its place stays empty.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_shown(row.get(column, ""), digits) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells)]
    to_left = [any(isinstance(row.get(column), str) for row in rows) for column in columns]
    lines = [
        [cell.ljust(width) if left else cell.rjust(width) for cell, width, left in zip(line, widths, to_left)]
        for line in [columns, *cells]
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _shown(value, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def append_csv(path: str | Path, metrics: Mapping[str, float], epoch: float = -1, steps: int = -1):
    """Add a row to a CSV file: epoch, steps, and the numbers of an evaluator. A new file begins with a header.

    epoch, steps: when in training this was measured; -1 as in sentence_transformers: not in training, or at an epoch's end.
    The file is written anew beside the old one and put in its place: at every moment it is whole, with or without the row.
    For one writer at a time. Raises ValueError, and changes nothing, where the file has other columns.
    """
    path, row = Path(path), {"epoch": epoch, "steps": steps, **metrics}
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    header = next(csv.reader(io.StringIO(before)), [])
    if header and header != list(row):
        differing = sorted(set(header) ^ set(row)) or ["none, but their order"]
        raise ValueError(
            f"{path} has other columns than this row (differing: {', '.join(differing[:6])}); choose another file"
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    if not header:
        writer.writeheader()
    writer.writerow(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    with open(unfinished, "w", encoding="utf-8", newline="") as file:
        file.write((before if before.endswith("\n") or not before else before + "\n") + text.getvalue())
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
