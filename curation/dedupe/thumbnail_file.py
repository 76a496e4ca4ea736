"""The thumbnails of the images that a run compares, in a temporary file: few of them are ever looked at."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.core.errors import StoreError
from curation.core.store import Store
from curation.dedupe.search.distinct import Distinct, fixed_array, words_in
from curation.dedupe.search.kernels import Words
from curation.dedupe.search.thumbnails import THUMBNAIL_WORDS
from schemas.arrays import Array, Chunked

THUMBNAIL_BYTES = 8 * THUMBNAIL_WORDS
_CHUNK = 1 << 12
_AT_ONCE = 1 << 20  # thumbnails; one call reads less than 2 GiB
_NOWHERE = -2  # not just below a number


class ThumbnailFile:
    """Takes thumbnails and gives each a number, by which it is read again.

    They are several times as large as all else that is compared of an image, and only those of near images are
    needed. The file lies in the folder of a local root, else where temporary files do, and has no name there: a
    killed run leaves nothing. Its methods raise ``StoreError`` where the disk fails.
    """

    def __init__(self, store: Store | None = None) -> None:
        own = store is not None and store.is_local and Path(store.path("")).is_dir()
        self._folder = store.path("") if store is not None and own else tempfile.gettempdir()
        self._file: IO[bytes] | None = None
        self._count = 0

    def add(self, column: Chunked) -> Array:
        """The numbers (int64) of these thumbnails, fixed-size binary; null where there is none."""
        there = column.is_valid().to_numpy()
        numbers = np.zeros(len(column), np.int64)
        numbers[there] = np.arange(self._count, self._count + int(there.sum()))
        try:
            for chunk in column.drop_null().chunks:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # as long as this object
                self._file.write(words_in(chunk, np.uint64).data)
                self._count += len(chunk)
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise self._full(error) from error
        return pa.array(numbers, mask=~there)

    def _full(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write hashes and thumbnails to {self._folder}: {error}; free space or set TMPDIR")

    def mapped(self, table: pa.Table) -> pa.Table:
        """The same table from a temporary file of its own: the system may take its memory, and reads it again."""
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                with pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table)
                file.flush()
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise self._full(error) from error
        return pa.ipc.open_file(pa.py_buffer(mapped)).read_all()

    def column(self, numbers: Array) -> Array:
        """The thumbnails with these numbers as fixed-size binary; null for null."""
        found = fixed_array(self.words(numbers))
        told: Array = pc.if_else(numbers.is_valid(), found, pa.scalar(None, found.type))
        return told

    def kinds(self, numbers: Array) -> NDArray[np.int64]:
        """A number for each of these thumbnails; equal thumbnails have the same number, and so have missing ones."""
        digests = np.zeros((len(numbers), 2), np.uint64)
        for start in range(0, len(numbers), _CHUNK):
            words = self.words(numbers[start : start + _CHUNK])
            digests[start : start + _CHUNK] = [
                np.frombuffer(hashlib.blake2b(row.data, digest_size=16).digest(), np.uint64) for row in words
            ]
        return Distinct.of(digests).row.astype(np.int64)

    def words(self, numbers: Array) -> Words:
        """The thumbnails with these numbers, of shape (numbers, 33); zeros for null."""
        places: NDArray[np.int64] = numbers.fill_null(_NOWHERE).to_numpy(zero_copy_only=False)
        found = np.zeros((len(places), THUMBNAIL_WORDS), np.uint64)
        if self._file is None or not len(places):
            return found
        # Thumbnails that lie one behind the other are read at once.
        begin = np.diff(places, prepend=places[0]) != 1
        begin[::_AT_ONCE] = True
        begins = np.flatnonzero(begin)
        ends = np.append(begins[1:], len(places))
        wanted = places[begins] >= 0
        file = self._file.fileno()
        try:
            for row, end, place in np.stack([begins, ends, places[begins]])[:, wanted].T.tolist():
                # Not mapped: a page of a map is fifteen thumbnails, and pages that were read count as memory.
                os.preadv(file, [found[row:end].data], place * THUMBNAIL_BYTES)
        except OSError as error:
            raise StoreError(f"cannot read thumbnails from {self._folder}: {error}") from error
        return found
