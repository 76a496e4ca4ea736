"""Reads images out of ``images/<shard>.tar`` by the offset and size that the images table holds."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path

from curation.core.closing import Closing
from curation.core.errors import StoreError
from curation.core.store import Store


class ImageReader(Closing):
    """``reader(offset, size)`` is the bytes of one image. Threads may share a reader.

    On a local root it keeps one file open. Elsewhere each call is one ranged read; or, with ``whole``, the first
    call fetches the tar, for those who read most of it and must not wait for a request an image. The tar is
    looked for at the first call, so that a shard without images needs none. Raises ``StoreError`` when the tar
    is missing or ends before the image does.
    """

    def __init__(self, store: Store, shard: str, *, whole: bool = False) -> None:
        self._store = store
        self._name = store.images_file(shard)
        self._shard = shard
        self._ranged = not store.is_local and not whole
        self._lock = threading.Lock()
        self._file: int | None = None

    def __call__(self, offset: int, size: int, sha256: str | None = None) -> bytes:
        """The bytes of an image; with ``sha256`` (hex) a ``StoreError`` where they are others than were stored."""
        data = self._read_range(offset, size) if self._ranged else self._read_file(offset, size)
        if len(data) != size:
            raise StoreError(
                f"{self._store.path(self._name)} ends at {len(data)} of {size} bytes after offset {offset}: "
                f"it does not belong to the images table beside it; {self._redo()} and run again to redo it"
            )
        if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise StoreError(
                f"{self._store.path(self._name)} is damaged at byte {offset}: sha256 {found} instead of {sha256}; "
                f"restore it from a copy, or {self._redo()} and run again to have the shard fetched anew"
            )
        return data

    def _redo(self) -> str:
        return self._store.how_to_redo("images", self._shard)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _read_range(self, offset: int, size: int) -> bytes:
        return self._store.read(self._name, offset, offset + size)

    def _read_file(self, offset: int, size: int) -> bytes:
        try:
            with self._lock:
                if self._file is None:
                    self._file = self._open()
                file = self._file
            parts = []
            while size > 0:
                # pread leaves no shared position behind, and may return less than was asked for.
                part = os.pread(file, size, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                size -= len(part)
            return b"".join(parts)
        except OSError as error:
            raise StoreError(f"cannot read {self._store.path(self._name)}: {error}") from error

    def _open(self) -> int:
        path = self._store.path(self._name)
        if self._store.is_local:
            return os.open(path, os.O_RDONLY)
        folder = tempfile.mkdtemp(prefix="lapidary-images-")
        try:
            local = str(Path(folder) / "images.tar")
            self._store.fetch(self._name, local)
            return os.open(local, os.O_RDONLY)  # which outlives its name
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def open_images(store: Store, shard: str, *, whole: bool = False) -> ImageReader:
    """A reader of that shard's images; close it, or use it as a context manager. ``whole``: see ``ImageReader``."""
    return ImageReader(store, shard, whole=whole)
