"""Rows of an unfinished shard on disk: a run that was interrupted or killed does not fetch them again.

A file is a key, then records in the order in which rows were finished. Each record is written by one call and carries
its length and a checksum, so that a killed writer leaves at most one that is not whole, which is cut off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from curation.core.stage import Shard
from curation.core.store import Store
from curation.fetch.faults import is_cut_image
from curation.fetch.process_row import HashedRow, RowResult
from schemas.reasons import Reason
from schemas.records import ImageRow, SourceRow

_HEAD = struct.Struct("<4sIIi")  # magic, row, bytes of the fields, bytes of the image or -1
_SUM = struct.Struct("<I")  # CRC-32 of head, fields and image, behind them
_MAGIC = b"row1"
_SUFFIX = ".rows"
# What may be otherwise when the row is asked again: kept over an interruption, it would be a verdict by accident.
_PASSING = frozenset(
    {
        *(Reason.NAME_NOT_RESOLVED, Reason.CONNECTION_FAILED, Reason.TLS_FAILED, Reason.TIMEOUT, Reason.TRUNCATED),
        *(Reason.HTTP_429, Reason.HTTP_5XX, Reason.FORBIDDEN_ADDRESS),
    }
)


@dataclass(frozen=True)
class _Kept:
    """A row in the file; its image, if it has one, begins at ``start``."""

    row: HashedRow
    start: int
    size: int


class Spool:
    """The finished rows of one shard by their number. Use as a context manager; not safe to use from several threads.

    ``key`` stands for all that the rows depend on: a file that begins with another one is emptied.
    """

    def __init__(self, path: Path, key: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._kept: dict[int, _Kept] = {}
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._end = self._read(key.encode() + b"\n")
            os.ftruncate(self._file, self._end)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def rows(self) -> list[int]:
        """Numbers of the rows that an earlier run finished."""
        return sorted(self._kept)

    def result(self, row: int) -> RowResult:
        """A row that an earlier run finished."""
        kept = self._kept[row]
        data = None if kept.size < 0 else os.pread(self._file, kept.size, kept.start)
        return RowResult(kept.row, data)

    def add(self, results: Iterable[tuple[int, RowResult]]) -> None:
        """Keeps rows; those that were lost to something that may pass are left out."""
        for row, result in results:
            if not _may_pass(result.row):
                self._write(_record(row, result))

    def remove(self) -> None:
        """Deletes the file: its shard is finished."""
        _remove(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _write(self, pieces: Sequence[bytes]) -> None:
        """Writes a record at the end. Its pieces are not joined: images are large, and other threads wait meanwhile."""
        written = os.pwritev(self._file, pieces, self._end)
        self._end += written
        rest = memoryview(b"".join(pieces))[written:] if written < sum(map(len, pieces)) else memoryview(b"")
        while rest:
            written = os.pwrite(self._file, rest, self._end)
            self._end += written
            rest = rest[written:]

    def _read(self, key: bytes) -> int:
        """Where the whole records end; writes the key where there is none, or another one."""
        if os.pread(self._file, len(key), 0) != key:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, key, 0)
            return len(key)
        at = len(key)
        while len(head := os.pread(self._file, _HEAD.size, at)) == _HEAD.size:
            magic, row, fields, size = _HEAD.unpack(head)
            length = fields + max(0, size)
            body = os.pread(self._file, length + _SUM.size, at + _HEAD.size)
            if magic != _MAGIC or len(body) != length + _SUM.size:
                break
            if _SUM.unpack(body[length:]) != (zlib.crc32(body[:length], zlib.crc32(head)),):
                break
            start = at + _HEAD.size + fields
            self._kept[row] = _Kept(_row_of(body[:fields]), start, size)
            at += _HEAD.size + len(body)
        return at


def spool_path(store: Store, shard: str) -> Path:
    """Where the spool of a shard lies, if it is there."""
    return folder_of(store) / f"{shard}{_SUFFIX}"


def remove_finished(store: Store, digest: str) -> None:
    """Removes what is left of shards of the table of images that were finished with these settings.

    Their workers died between commit and clean-up. No other process may work on the root.
    """
    for path in sorted(folder_of(store).glob(f"*{_SUFFIX}")):
        entry = store.entry(ImageRow.table, path.name.removesuffix(_SUFFIX))
        if entry is not None and entry.digest == digest and not entry.undecided:
            _remove(path)


def folder_of(store: Store) -> Path:
    """Where workers on this machine keep what a run that is not finished has, until it is.

    That of a root in an object store is in the user's cache folder, where the next run on this machine finds it.
    """
    if store.is_local:
        return Path(store.path("unfinished"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "lapidary" / hashlib.sha256(store.url.encode()).hexdigest()[:32]


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()  # the last one takes the folder along


def spool_of(shard: Shard, rows: Sequence[SourceRow]) -> Spool | None:
    """The spool of a shard that a worker begins; None where none can be written, or another worker has it."""
    path = spool_path(shard.store, shard.name)
    made_of = [shard.digest, sorted(shard.reads.items()), [row.sample_id for row in rows]]
    try:
        return Spool(path, hashlib.sha256(json.dumps(made_of).encode()).hexdigest())
    except OSError:
        return None


def _may_pass(row: ImageRow) -> bool:
    return row.reason in _PASSING and not is_cut_image(row)


def _record(row: int, result: RowResult) -> tuple[bytes, ...]:
    fields = json.dumps({k: v.hex() if isinstance(v, bytes) else v for k, v in _fields(result.row)}).encode()
    data = result.data or b""
    head = _HEAD.pack(_MAGIC, row, len(fields), -1 if result.data is None else len(data))
    return head, fields, data, _SUM.pack(zlib.crc32(data, zlib.crc32(head + fields)))


def _fields(row: Any) -> Iterable[tuple[str, Any]]:
    return ((f.name, getattr(row, f.name)) for f in dataclasses.fields(row))


def _row_of(fields: bytes) -> HashedRow:
    values = json.loads(fields)
    for name in ("phash256", "colours", "thumbnail", "looks", "signs"):
        values[name] = None if values.get(name) is None else bytes.fromhex(values[name])
    values["reason"] = None if values["reason"] is None else Reason(values["reason"])
    return HashedRow(**values)
