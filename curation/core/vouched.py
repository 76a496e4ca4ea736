"""Files that must be as their manifest entries vouch for: a byte that changed on a disk is found when it is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import StoreError
from curation.core.store import Store


def read_vouched(store: Store, name: str, sha256: str) -> pa.Table:
    """A Parquet file of this sha256 (hex). Raises ``StoreError`` where it is another one."""
    data = store.read(name)
    _check(store, name, data, sha256)
    return pq.read_table(pa.BufferReader(data))


def sha256_of(path: Path) -> str:
    """The sha256 (hex) of a local file. Raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(store: Store, name: str, sha256: str) -> None:
    """Raises ``StoreError`` where a file is not the one of this sha256 (hex)."""
    _check(store, name, store.read(name), sha256)


def _check(store: Store, name: str, data: bytes, sha256: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        _, table, file = name.split("/", 2)
        redo = store.how_to_redo(table, file.removesuffix(".parquet"))
        raise StoreError(
            f"{store.path(name)} is damaged: its sha256 is {found}, its manifest entry vouches for {sha256}. Restore "
            f"it from a copy, or {redo} and run again to have the shard done anew"
        )
