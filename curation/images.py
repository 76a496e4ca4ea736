"""Reads images out of ``images/<shard>.tar`` by the offset and size that the images table holds."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Self

from curation.errors import StoreError
from curation.store import Store


class ImageReader:
    """``reader(offset, size)`` is the bytes of one image. Threads may share a reader.

    On a local root it keeps one file open; elsewhere each call is one ranged read. The tar is looked for
    at the first call, so that a shard without images needs none. Raises ``StoreError`` when the tar is
    missing or ends before the image does.
    """

    def __init__(self, store: Store, shard: str) -> None:
        self._store = store
        self._name = store.images_file(shard)
        self._lock = threading.Lock()
        self._file: int | None = None

    def __call__(self, offset: int, size: int) -> bytes:
        if self._store.is_local:
            data = self._read_local(offset, size)
        else:
            data = self._store.read(self._name, offset, offset + size)
        if len(data) != size:
            raise StoreError(
                f"{self._store.path(self._name)} ends at {len(data)} of {size} bytes after offset {offset}: "
                "it does not belong to the images table beside it; delete that shard's manifest entry to redo it"
            )
        return data

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_local(self, offset: int, size: int) -> bytes:
        try:
            with self._lock:
                if self._file is None:
                    self._file = os.open(self._store.path(self._name), os.O_RDONLY)
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


def open_images(store: Store, shard: str) -> ImageReader:
    """A reader of that shard's images; close it, or use it as a context manager."""
    return ImageReader(store, shard)
