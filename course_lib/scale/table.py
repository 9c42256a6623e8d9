"""A table of vectors on disk, with what belongs to them: a few lines over LanceDB, a database without a server.

    table = create(folder, batches)                  # columns: {"id": ..., "year": ..., "vector": (rows, dim)}
    index(table, partitions=256)
    found = search(table, query, 10, where="year >= 2020")    # a pyarrow table with a column _distance

Vectors are of length 1, so that the order by Euclidean distance is that by cosine, and _distance is 2 - 2 * cosine. The
index (IVF_RQ: inverted lists of vectors rounded to bits) lies on disk too, and reads what a query needs. What was
appended is kept when a process is killed. https://lancedb.github.io/lancedb
Left out on purpose: all else that LanceDB does. `create` returns its table, on which it can be called.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree, IvfRq

NAME = "vectors"


def record_batch(columns: Mapping[str, object]) -> pa.RecordBatch:
    """Columns of the same length, as LanceDB takes them: "vector" is float32 (rows, dim), others have a value a row."""
    vectors = np.ascontiguousarray(columns["vector"], dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return pa.record_batch({name: column if name == "vector" else pa.array(of) for name, of in columns.items()})


def create(folder: str | Path, batches: Iterable[Mapping[str, object]]) -> lancedb.table.Table:
    """A new table in `folder` from batches of columns, one batch in memory at a time. Returns it.

    ValueError where the folder has one.
    """
    source = map(record_batch, batches)
    first = next(source)

    def all_batches() -> Iterator[pa.RecordBatch]:
        yield first
        yield from source

    return lancedb.connect(folder).create_table(NAME, all_batches(), schema=first.schema)


def opened(folder: str | Path) -> lancedb.table.Table:
    """The table that `create` made in this folder, with what was added since."""
    return lancedb.connect(folder).open_table(NAME)


def append(table: lancedb.table.Table, columns: Mapping[str, object]):
    """Add rows. When it returns they are on disk; when the process is killed before, all of them are there or none."""
    table.add(pa.Table.from_batches([record_batch(columns)]))


def index(table: lancedb.table.Table, partitions: int):
    """Index the vectors in that many lists. What is appended later is compared one by one, until `table.optimize()`."""
    table.create_index("vector", config=IvfRq(distance_type="l2", num_partitions=partitions), replace=True)


def index_column(table: lancedb.table.Table, column: str):
    """Index a column that filters name, so that they need not read all of it."""
    table.create_index(column, config=BTree(), replace=True)


def search(
    table: lancedb.table.Table, query: np.ndarray, k: int, probes: int = 16, refine: int = 20, where: str | None = None
) -> pa.Table:
    """The k rows nearest to query (dim,), nearest first: the table's columns without the vectors, and _distance.

    probes: how many lists are read. refine: refine * k candidates by their bits, put in order by their vectors.
    where: a condition in SQL. The rows that meet it may all lie in other lists: then more lists are read until k are
    found or none is left, so fewer than k means that there are no more.
    """
    columns = [name for name in table.schema.names if name != "vector"]
    asked = table.search(query).distance_type("l2").select([*columns, "_distance"]).limit(k).refine_factor(refine)
    if where is None:
        return asked.nprobes(probes).to_arrow()
    return asked.where(where).minimum_nprobes(probes).maximum_nprobes(0).to_arrow()
