"""Images embedded in Parquet: as bytes, or as the hub writes them, ``{bytes, path}``.

A row of such a file names its image by ``local_file`` = ``parquet-image:COLUMN:URL``, with the number of the row as
``local_offset`` and the number of its bytes as ``local_size``.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.sources.local_images import LocalImages
from curation.sources.sidecars import IMAGE_HEAD, is_image
from curation.sources.source_metadata import put
from schemas.arrays import Array
from schemas.ids import content_url

EMBEDDED_BATCH = 32  # images held at once
_MARK = "parquet-image:"
_MEMORY = 128 << 20  # bytes of images that are kept for the next rows
_OPEN_FILES = 4


def is_image_struct(kind: pa.DataType) -> bool:
    """Whether a column has the form in which the hub embeds images."""
    if not pa.types.is_struct(kind):
        return False
    names = {field.name: field.type for field in kind}
    return "bytes" in names and names.keys() <= {"bytes", "path"} and _is_bytes(names["bytes"])


def embedded_images(table: pa.Table, url: str, column: str, first: int, images: Array, local: LocalImages) -> pa.Table:
    """The table of the rows from ``first`` on with the places of their images.

    A row without a url is known by its bytes. Where the hub's form has a path and no bytes, the path is that of a
    local image. A row with neither keeps what it has.
    """
    contents, paths = _parts(images)
    place = f"{_MARK}{quote(column, safe='')}:{url}"
    known, files, offsets, sizes = [], [], [], []
    for number, (data, address) in enumerate(zip(contents, table["url"].to_pylist(), strict=True)):
        own = not (address or "").strip()
        if data and not own and not is_image(data[:IMAGE_HEAD]):
            data = None  # what stands there is no picture, and the url may lead to one
        known.append(content_url(hashlib.sha256(data).hexdigest()) if data and own else None)
        files.append(place if data else None)
        offsets.append(first + number if data else None)
        sizes.append(len(data) if data else None)
    table = put(table, "content", pa.array(known, pa.string()))
    table = put(table, "local_file", pa.array(files, pa.string()))
    table = put(table, "local_offset", pa.array(offsets, pa.int64()))
    table = put(table, "local_size", pa.array(sizes, pa.int64()))
    outside = [p if not data and p else None for p, data in zip(paths, contents, strict=True)]
    return local.located(table, outside) if any(outside) else table


def _parts(images: Array) -> tuple[list[bytes | None], list[str | None]]:
    if pa.types.is_struct(images.type):
        names = [field.name for field in images.type]
        paths = pc.struct_field(images, "path").to_pylist() if "path" in names else [None] * len(images)
        return pc.struct_field(images, "bytes").to_pylist(), paths
    return images.to_pylist(), [None] * len(images)


def is_embedded(local_file: str) -> bool:
    """Whether a ``local_file`` names an image embedded in Parquet."""
    return local_file.startswith(_MARK)


def read_embedded(local_file: str, row: int) -> bytes | None:
    """The bytes of the image in a row; None where the file has no such row or no image in it.

    Threads may share the images that are kept: rows are mostly read in order, a batch at a time. Raises ``OSError``
    and ``pa.ArrowException`` for a file that cannot be read.
    """
    column, _, url = local_file.removeprefix(_MARK).partition(":")
    return _open_file(url, unquote(column)).image(row)


class _File:
    """The images of one column of one file, read batch by batch from the start of a row group."""

    def __init__(self, url: str, column: str) -> None:
        self._column = column
        self._lock = threading.Lock()
        self._raw: Any = fsspec.open(url, "rb").open()
        self._file = pq.ParquetFile(self._raw, buffer_size=1 << 20, pre_buffer=False)
        self._batches: Iterator[Any] = iter(())
        self._group = -1
        self._next = -1  # the row with which the next batch of that row group begins
        self._kept: OrderedDict[int, bytes | None] = OrderedDict()
        self._size = 0

    def image(self, row: int) -> bytes | None:
        with self._lock:
            if row in self._kept:
                return self._kept[row]
            group, first = self._group_of(row)
            if group is None:
                return None
            if group != self._group or not first <= self._next <= row:
                self._group = group
                self._batches = self._file.iter_batches(EMBEDDED_BATCH, row_groups=[group], columns=[self._column])
                self._next = first
            while self._next <= row:
                batch = next(self._batches, None)
                if batch is None:
                    self._next = -1
                    return None
                self._keep(batch, row)
            return self._kept.get(row)

    def _keep(self, batch: pa.RecordBatch, wanted: int) -> None:
        values = batch.column(self._column.split(".")[0])
        if "." in self._column and self._column not in batch.schema.names:
            values = pc.struct_field(values, self._column.split(".")[1:])
        for data in _parts(values)[0]:
            self._kept[self._next] = data
            self._size += len(data or b"")
            self._next += 1
        while self._size > _MEMORY and len(self._kept) > 1:
            oldest = next(row for row in self._kept if row != wanted)
            self._size -= len(self._kept.pop(oldest) or b"")

    def _group_of(self, row: int) -> tuple[int | None, int]:
        first = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if row < first + rows:
                return group, first
            first += rows
        return None, first

    def close(self) -> None:
        self._raw.close()


_FILES: OrderedDict[tuple[str, str], _File] = OrderedDict()
_LOCK = threading.Lock()


def _open_file(url: str, column: str) -> _File:
    with _LOCK:
        key = (url, column)
        if key not in _FILES:
            _FILES[key] = _File(url, column)
            if len(_FILES) > _OPEN_FILES:
                _FILES.popitem(last=False)  # closed when the last thread lets go of it
        _FILES.move_to_end(key)
        return _FILES[key]


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
