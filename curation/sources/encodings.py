"""Texts that do not come as plain UTF-8: byte order marks, UTF-16, Windows code pages, old line ends, compression."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TypeVar

import fsspec
import pyarrow as pa
from fsspec.spec import AbstractBufferedFile

from curation.core.errors import DamagedSource

T = TypeVar("T")

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged list raises."""

_BATCH = 10_000  # rows of a table

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ", "xz"))
_HEAD = 1 << 16  # bytes in which the first line of a list ends


def decode(data: bytes) -> tuple[str, str | None]:
    """The text, and a note where the encoding had to be guessed or something could not be read.

    UTF-8 and every encoding with a byte order mark are read as they are. Without a mark, UTF-16 is recognised by
    its zero bytes, and Windows-1252 is assumed where few bytes lie beyond ASCII.
    """
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if encoding is None and (encoding := _zeros(data)) is not None:
        return data.decode(encoding, "replace"), f"not marked as {encoding.upper()}, read as that"
    try:
        return data.decode(encoding or "utf-8"), None
    except UnicodeDecodeError:
        pass
    if encoding is not None:
        name = encoding.removesuffix("-sig").upper()
        return data.decode(encoding, "replace"), f"not valid {name}; each part that could not be read became U+FFFD"
    text = data.decode("utf-8", "replace")
    # Valid sequences beyond ASCII do not come about by chance: then it is UTF-8, and damaged.
    is_utf8 = any(char > "\x7f" and char != "\ufffd" for char in text)
    if not is_utf8 and 3 * sum(byte >= 0x80 for byte in data) < len(data):
        try:
            return data.decode("cp1252"), "not valid UTF-8, read as Windows-1252"
        except UnicodeDecodeError:
            pass
    return text, "not valid UTF-8; each part that could not be read became U+FFFD"


def _zeros(data: bytes) -> str | None:
    """The UTF-16 byte order of a text whose every second byte is mostly zero."""
    half = len(data) // 2
    if half < 2 or len(data) % 2:
        return None
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if data[start::2].count(0) > 0.7 * half and data[1 - start :: 2].count(0) < 0.1 * half:
            return encoding
    return None


def buffered(file: IO[bytes]) -> IO[bytes]:
    """The file, read through a buffer where it is an object store's, whose own ``readline`` takes no size."""
    return io.BufferedReader(file, 1 << 20) if isinstance(file, AbstractBufferedFile) else file


def open_text(url: str) -> IO[bytes]:
    """A list for reading as lines of bytes: unpacked, UTF-16 as UTF-8, and old Macintosh line ends as ``\\n``.

    Compression is recognised by the bytes, so that a file may have a wrong ending. Raises ``OSError``.
    """
    file = buffered(fsspec.open(url, "rb").open())
    start = file.read(8)
    file.seek(0)
    match next((name for magic, name in _COMPRESSED if start.startswith(magic)), None):
        case "gzip":
            file = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
        case "bz2":
            file = bz2.BZ2File(file)
        case "xz":
            file = lzma.LZMAFile(file)  # noqa: SIM115  # the caller closes it
    head = file.read(_HEAD)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        return io.BufferedReader(_Converted(file, lambda data: decoder.decode(data, not data).encode()), 1 << 20)
    if b"\r" in head and b"\n" not in head:
        return io.BufferedReader(_Converted(file, lambda data: data.replace(b"\r", b"\n")), 1 << 20)
    return file


def tables_of_rows(
    url: str, rows: Iterator[T], start: int, end: int | None, table: Callable[[list[T]], pa.Table]
) -> Iterator[pa.Table]:
    """Tables of the rows [start, end) of a list. Raises ``DamagedSource`` where it cannot be read to its end."""
    try:
        wanted = itertools.islice(rows, start, end)
        while batch := list(itertools.islice(wanted, _BATCH)):
            yield table(batch)
    except UNREADABLE as error:
        raise DamagedSource(f"{url} cannot be read to its end: {error}; fetch the file again") from error


class _Converted(io.RawIOBase):
    """A stream whose bytes pass through a function, piece by piece."""

    def __init__(self, file: IO[bytes], convert: Callable[[bytes], bytes]) -> None:
        self._file = file
        self._convert = convert
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b"?"
        while data and not self._waiting:
            data = self._file.read(len(buffer))
            self._waiting = self._convert(data)
        part = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()
