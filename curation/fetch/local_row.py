"""The bytes of an image that lies in a file, a tar or a Parquet file, instead of behind a URL."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow as pa

from curation.fetch.http import Fetched
from curation.fetch.rejected import FetchRejected
from curation.sources.embedded import is_embedded, read_embedded
from schemas.reasons import Reason
from schemas.records import SourceRow

_FILE = "file://"
_HERE = ("/", f"{_FILE}/")


def read_row(row: SourceRow, max_bytes: int) -> Fetched:
    """A local image as if it had been fetched. Raises ``FetchRejected`` as ``read_local`` does."""
    return Fetched(read_local(row, max_bytes), 0)


def read_local(row: SourceRow, max_bytes: int) -> bytes:
    """The bytes of a local image. Raises ``FetchRejected``: FILE_MISSING, TRUNCATED or TOO_MANY_BYTES."""
    path = row.local_file or ""
    start = row.local_offset or 0
    if is_embedded(path):
        return _read_embedded(path, start, row.local_size or 0, max_bytes)
    try:
        size = row.local_size if row.local_size is not None else _size(path) - start
        if size > max_bytes:
            raise FetchRejected(Reason.TOO_MANY_BYTES, f"{size} bytes, the limit is {max_bytes}")
        data = _read(path, start, size)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise FetchRejected(Reason.FILE_MISSING, f"{path}: {error.strerror or 'not found'}") from error
    if len(data) < size:
        raise FetchRejected(Reason.TRUNCATED, f"{path} holds {len(data)} of {size} bytes from {start} on")
    return data


def _size(path: str) -> int:
    if path.startswith(_HERE):
        return Path(path.removeprefix(_FILE)).stat().st_size
    fs, inner = fsspec.core.url_to_fs(path)
    return int(fs.size(inner))


def _read(path: str, start: int, size: int) -> bytes:
    if path.startswith(_HERE):  # fsspec takes ten times as long, and most sources lie on this machine
        with Path(path.removeprefix(_FILE)).open("rb") as file:
            file.seek(start)
            return file.read(size)
    fs, inner = fsspec.core.url_to_fs(path)
    return bytes(fs.cat_file(inner, start=start, end=start + size))


def _read_embedded(path: str, number: int, size: int, max_bytes: int) -> bytes:
    """The image in a row of a Parquet file. Raises ``FetchRejected`` as ``read_local`` does."""
    if size > max_bytes:
        raise FetchRejected(Reason.TOO_MANY_BYTES, f"{size} bytes, the limit is {max_bytes}")
    try:
        data = read_embedded(path, number)
    except (OSError, pa.ArrowException) as error:
        raise FetchRejected(Reason.FILE_MISSING, f"{path}: {' '.join(str(error).split())[:200]}") from error
    if data is None or len(data) != size:
        found = "none" if data is None else f"{len(data)} bytes"
        raise FetchRejected(Reason.TRUNCATED, f"{path} has another image in row {number}: {found} instead of {size}")
    return data
