"""The vectors of a search index in files of its own, of which single rows are read: no memory holds them all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.core.errors import StoreError
from curation.core.store import Store
from curation.embed.vectors import Vectors, unit

SUFFIX = ".f16"
_BLOCK = 16_384  # rows that are written at a time


@dataclass(frozen=True)
class ExactRows:
    """Rows of float16 in several files, which lie in a folder of a root; ``parts`` are (name, rows), in order."""

    store: Store
    folder: str
    width: int
    parts: tuple[tuple[str, int], ...] = ()

    def __len__(self) -> int:
        return sum(rows for _, rows in self.parts)

    @property
    def stands(self) -> bool:
        """Whether all files are there, each as large as it has to be."""
        return all(self._size(name) == rows * self._bytes for name, rows in self.parts)

    def added(self, vectors: Vectors) -> ExactRows:
        """The same with these vectors behind them, in a file that is named by its content."""
        path = self.store.scratch(f"{self.folder}/rows{SUFFIX}")
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                for at in range(0, len(vectors.rows), _BLOCK):
                    data = np.ascontiguousarray(vectors.rows[at : at + _BLOCK], "<f2").tobytes()
                    digest.update(data)
                    file.write(data)
            name = digest.hexdigest()[:32] + SUFFIX
            self.store.publish(f"{self.folder}/{name}", path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error}; free space or name another --root") from error
        finally:
            path.unlink(missing_ok=True)
        return ExactRows(self.store, self.folder, self.width, (*self.parts, (name, len(vectors.rows))))

    def cosines(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosines of some rows with a vector of unit length, (width,). Raises ``StoreError`` for a damaged file."""
        found = np.empty(len(rows), np.float32)
        first = 0
        for name, count in self.parts:
            own = np.flatnonzero((rows >= first) & (rows < first + count))
            if len(own):
                places = ((rows[own] - first) * self._bytes).tolist()
                found[own] = unit(self._read(name, places)) @ query
            first += count
        return found

    def _read(self, name: str, places: Sequence[int]) -> NDArray[np.float16]:
        file = f"{self.folder}/{name}"
        data = self.store.read_ranges(file, [(at, at + self._bytes) for at in places])
        if any(len(row) != self._bytes for row in data):
            raise StoreError(f"{self.store.path(file)} is damaged; remove {self.store.path(self.folder)} and ask again")
        return np.frombuffer(b"".join(data), "<f2").reshape(len(places), self.width)

    def _size(self, name: str) -> int:
        try:
            return int(self.store.filesystem.size(self.store.path(f"{self.folder}/{name}")))
        except FileNotFoundError:
            return -1

    @property
    def _bytes(self) -> int:
        return 2 * self.width
