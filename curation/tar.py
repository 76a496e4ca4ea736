"""Byte-deterministic WebDataset shards: the same members give the same bytes, whoever writes them when.

A sample is all members that share a name up to the first dot: ``<sample_id>.jpg``, ``.txt``, ``.json``.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self

_BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE


class TarWriter:
    """Writes a tar at a local path; time, owner and mode are fixed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._position = 0

    def add(self, name: str, data: bytes) -> int:
        """Appends a member; returns the offset of its data from the start of the tar, in bytes.

        ``name`` is ASCII of at most 100 characters (ids of ours always are); else ``ValueError``.
        """
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mode = 0o644
        header = info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
        self._file.write(header)
        offset = self._position + len(header)
        self._file.write(data)
        padding = -len(data) % _BLOCK
        self._file.write(b"\0" * padding)
        self._position = offset + len(data) + padding
        return offset

    def close(self) -> None:
        """Ends the tar: two empty blocks, filled up to a whole record."""
        if self._file.closed:
            return
        end = self._position + 2 * _BLOCK
        self._file.write(b"\0" * (2 * _BLOCK + (-end % _RECORD)))
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
