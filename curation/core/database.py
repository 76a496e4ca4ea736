"""Databases for one computation: their memory is bounded, and what it does not hold goes to a temporary folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from curation.core.errors import StoreError
from curation.core.files import Files

_THREADS = 8
_OF_A_THREAD = 256  # MB; DuckDB asks for half of it at least
_NO_ROOM = ("No space left", "Could not write", "File too large")


@contextmanager
def registered(database: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Rows that queries find under a name inside the block."""
    database.register(name, rows)
    try:
        yield
    finally:
        database.unregister(name)


def let_read(database: duckdb.DuckDBPyConnection, store: Files) -> None:
    """Lets queries read files of an object store, as they are now, by their addresses.

    The store is asked once what there is, not ten times for each file of each query. Several stores of one kind are
    read by the first one's keys: DuckDB knows one filesystem of a name.
    """
    if not store.is_local and set(store.protocols).isdisjoint(database.list_filesystems()):
        database.register_filesystem(store.as_it_is())


@contextmanager
def scratch_database(
    task: str, folder: Path | None = None, *, ordered: bool = True
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, of at most 512 MB on two cores and 2 GB on eight or more.

    ``folder`` is made for the rest and removed at the end; without it a temporary one is. Rows come in no order that a
    query does not ask for where it is not ``ordered``. Raises ``StoreError`` where memory or the folder's disk has no
    room, which says that the ``task`` (such as "look for repeats") cannot be done.
    """
    spilled = folder or Path(tempfile.mkdtemp(prefix="lapidary-"))
    threads = min(os.cpu_count() or 1, _THREADS)
    config = {
        "threads": threads,
        "memory_limit": f"{_OF_A_THREAD * max(threads, 2)}MB",
        "temp_directory": str(spilled),
        "preserve_insertion_order": ordered,
    }
    try:
        spilled.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(":memory:", config=config) as database:
            yield database
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        said = str(error).splitlines()[0]
        if isinstance(error, duckdb.IOException) and not any(cause in said for cause in _NO_ROOM):
            raise
        raise StoreError(
            f"cannot {task}: {said}; free space in {spilled.parent}" + ("" if folder else " or set TMPDIR")
        ) from error
    finally:
        shutil.rmtree(spilled, ignore_errors=True)
