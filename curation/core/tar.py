"""Byte-deterministic WebDataset shards: the same members always give the same bytes.

A sample is all members that share a name up to the first dot: ``<sample_id>.jpg``, ``.txt``, ``.json``.
"""

from __future__ import annotations

import hashlib
import queue
import tarfile
import threading
from pathlib import Path
from typing import BinaryIO

from curation.core.closing import Closing

_BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE
_BATCH = 1 << 20
_LARGEST = 8**11 - 1
_LARGEST_BLANK = 1 << 30

_NAME = slice(0, 100)
_SIZE = slice(124, 136)
_CHECKSUM = slice(148, 156)


def _blank_header() -> bytes:
    info = tarfile.TarInfo("")
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


_HEADER = _blank_header()
# The checksum counts itself as spaces, and the blank header's size as twelve characters to be replaced.
_SUM_OF_THE_REST = sum(_HEADER) - sum(_HEADER[_CHECKSUM]) - sum(_HEADER[_SIZE]) + 8 * ord(" ")


class TarWriter(Closing):
    """Writes a tar at a local path; time, owner and mode are fixed.

    With ``hashed`` the sha256 of the tar is computed beside the writing and known once it is closed. With ``at``, the
    file's first so many bytes, which are whole members, stay as they are and members are added behind them.
    """

    def __init__(self, path: Path, *, hashed: bool = False, at: int = 0) -> None:
        if at and hashed:
            raise ValueError("only a tar that is written from its start can be hashed on the way")
        self._file = path.open("r+b" if at else "wb", buffering=0)
        if at:
            self._file.truncate(at)
            self._file.seek(at)
        self._position = at
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._hasher = _Hasher() if hashed else None

    @property
    def sha256(self) -> str:
        """Hex, of the whole file. Raises ``ValueError`` before it is closed, or when it was not ``hashed``."""
        if self._hasher is None or not self._file.closed:
            raise ValueError("the sha256 of a tar is known once it is closed, if hashed=True")
        return self._hasher.hexdigest()

    def add(self, name: str, data: bytes) -> int:
        """Appends a member; returns the offset of its data from the start of the tar, in bytes.

        ``name`` is ASCII of at most 100 characters (ids of ours always are); else ``ValueError``.
        """
        self._write(_header(name, len(data)))
        offset = self._position
        self._write(data)
        if padding := -len(data) % _BLOCK:
            self._write(b"\0" * padding)
        if self._pending_size >= _BATCH:
            self._flush()
        return offset

    def close(self) -> None:
        """Ends the tar: two empty blocks, filled up to a whole record."""
        if self._file.closed:
            return
        try:
            self._write(b"\0" * (2 * _BLOCK + -(self._position + 2 * _BLOCK) % _RECORD))
            self._flush()
        finally:
            self._file.close()
            if self._hasher is not None:
                self._hasher.close()

    def _write(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_size += len(data)
        self._position += len(data)

    def _flush(self) -> None:
        batch = b"".join(self._pending)
        self._pending, self._pending_size = [], 0
        if self._hasher is not None:
            self._hasher.update(batch)
        rest = memoryview(batch)
        while rest:
            rest = rest[self._file.write(rest) :]


def end_of_member(offset: int, size: int) -> int:
    """Where a member ends whose data begin at ``offset``: the next one may begin there."""
    return offset + size + -size % _BLOCK


def blank_member(file: BinaryIO, offset: int, size: int) -> None:
    """Overwrites the member whose data begin at ``offset`` in an open tar: a name without meaning, and zeros.

    Every other member stays where it is. Raises ``ValueError`` where no member of that size begins there.
    """
    file.seek(max(0, offset - _BLOCK))
    head = file.read(_BLOCK)
    if offset < _BLOCK or len(head) != _BLOCK or head[_SIZE] != b"%011o\0" % size:
        raise ValueError(f"no member of {size} bytes begins at byte {offset}")
    file.seek(offset - _BLOCK)
    file.write(_header(f"taken-down-{offset}.gone", size))
    for start in range(0, size, _BATCH):
        file.write(bytes(min(_BATCH, size - start)))


def blank_between(file: BinaryIO, start: int, end: int) -> None:
    """Overwrites all that lies in an open tar between the end of a member and the header of a later one."""
    while start < end:
        size = min(end - start - _BLOCK, _LARGEST_BLANK)
        start += _BLOCK
        file.seek(start - _BLOCK)
        file.write(_header(f"replaced-{start}.gone", size))
        for at in range(0, size, _BATCH):
            file.write(bytes(min(_BATCH, size - at)))
        start += size


def begin_of_member(offset: int) -> int:
    """Where the header of a member stands whose data begin at ``offset``."""
    return offset - _BLOCK


class _Hasher:
    """Hashes in a thread of its own, since hashing costs as much as writing and neither holds Python's lock."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._batches: queue.Queue[bytes | None] = queue.Queue(maxsize=4)
        self._thread = threading.Thread(target=self._run, daemon=True, name="tar-sha256")
        self._thread.start()

    def update(self, batch: bytes) -> None:
        self._batches.put(batch)

    def close(self) -> None:
        self._batches.put(None)
        self._thread.join()

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._sha256.update(batch)


def _header(name: str, size: int) -> bytes:
    """What ``tarfile`` writes for a plain file, without its cost a call."""
    spelled = name.encode("ascii")
    if not 0 < len(spelled) <= 100:
        raise ValueError(f"a member's name is 1 to 100 characters, not {len(spelled)}: {name[:120]!r}")
    if size > _LARGEST:
        raise ValueError(f"a member is at most {_LARGEST} bytes, not {size}: {name}")
    header = bytearray(_HEADER)
    header[_NAME] = spelled.ljust(100, b"\0")
    header[_SIZE] = octal = b"%011o\0" % size
    header[_CHECKSUM] = b"%06o\0 " % (_SUM_OF_THE_REST + sum(spelled) + sum(octal))
    return bytes(header)
