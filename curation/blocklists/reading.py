"""Reads a list, line by line, into a table of 25 bytes an entry; the list itself is never in memory whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import zlib
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, cast

import fsspec
import numpy as np
import pyarrow as pa

from curation.blocklists.entries import keys_of
from curation.core.errors import SourceError
from curation.core.files import is_remote
from curation.core.store import one_line, shown
from schemas.arrays import Values
from schemas.blocklists import Kind

KEY_BYTES = 16
_FIELDS: list[pa.Field[Any]] = [
    pa.field("key", pa.binary(KEY_BYTES), nullable=False),  # of a pHash its 8 bytes, else a hash of what is listed
    pa.field("line", pa.int32(), nullable=False),
    pa.field("words", pa.uint8(), nullable=False),  # of a phrase
    pa.field("first", pa.uint32(), nullable=False),  # a hash of a phrase's first word
]
ENTRIES = pa.schema(_FIELDS)
_LARGEST = 4 << 30  # bytes, unpacked
_LONGEST = 8192  # bytes of a line
_CHUNK = 1 << 20
_CONNECT, _SILENT = 30.0, 60.0  # seconds that a server of lists may take to answer, and to send more
_GZIP = b"\x1f\x8b"
_Keys = np.dtype([("high", ">u8"), ("low", ">u8")])
_WAIT = "correct the place, or wait until it can be reached: without the list, what it names would be fetched"
log = logging.getLogger(__name__)


def read_list(kind: Kind, place: str) -> pa.Table:
    """The entries of a list by key, each once, with the first line that has it.

    Raises ``SourceError`` for a list that cannot be read, and for a line that is no entry of the kind.
    """
    keys, lines, words, firsts = bytearray(), array("i"), array("B"), array("I")
    where = f"blocklists.{kind}: {shown(place)}"
    for number, line in _lines(place, where):
        try:
            found = keys_of(kind, line)
        except ValueError as error:
            raise SourceError(
                f"{where}, line {number}: {one_line(error)}; correct the line, or put # before it"
            ) from error
        for key in found:
            keys += hashed(kind, key)
            lines.append(number)
            words.append(key.count(" ") + 1)
            firsts.append(first_hash(key))
    if not lines:
        log.warning("%s has no entries, so that nothing is rejected for it; is it the right file?", where)
    return _sorted(keys, lines, words, firsts)


def hashed(kind: Kind, key: str) -> bytes:
    """A key as the tables have it."""
    if kind == "phash":
        return bytes.fromhex(key).ljust(KEY_BYTES, b"\0")
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def first_hash(key: str) -> int:
    """A hash of the first word of a key."""
    return zlib.crc32(key.partition(" ")[0].encode("utf-8", "surrogatepass"))


def _sorted(keys: bytearray, lines: array[int], words: array[int], firsts: array[int]) -> pa.Table:
    number = np.frombuffer(lines, np.int32) if lines else np.empty(0, np.int32)
    key = np.frombuffer(bytes(keys), _Keys)
    order = np.lexsort((number, key["low"], key["high"]))
    key = key[order]
    fresh = np.ones(len(key), np.bool_)
    fresh[1:] = key[1:] != key[:-1]
    order = order[fresh]
    packed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(KEY_BYTES), len(order), [None, pa.py_buffer(key[fresh].tobytes())]
    )
    columns: list[Values] = [
        packed,
        pa.array(number[order]),
        pa.array(np.frombuffer(words.tobytes(), np.uint8)[order]),
        pa.array(np.frombuffer(firsts.tobytes(), np.uint32)[order]),
    ]
    return pa.Table.from_arrays(columns, schema=ENTRIES)


def _lines(place: str, where: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, trimmed, with their numbers from 1 on. Raises ``SourceError``."""
    number, rest, size = 0, b"", 0
    for chunk in _chunks(place, where):
        size += len(chunk)
        if size > _LARGEST:
            raise SourceError(f"{where} has more than {_LARGEST >> 30} GiB; a list has one entry a line: split it")
        whole = (rest + chunk).split(b"\n")
        rest = whole.pop()
        if len(rest) > _LONGEST:
            whole.append(rest)  # which fails
        for line in whole:
            number += 1
            if text := _text(line, number, where):
                yield number, text
    if not size and is_remote(place):
        # What a server sends that has lost the list; of a list that became empty, a comment would be left.
        raise SourceError(f"{where} is empty: not a byte came; {_WAIT}")
    if text := _text(rest, number + 1, where):
        yield number + 1, text


def _text(line: bytes, number: int, where: str) -> str:
    if len(line) > _LONGEST:
        raise SourceError(f"{where}, line {number} has more than {_LONGEST} bytes; expected one entry a line")
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{where}, line {number} is no UTF-8 ({error.reason}); save the list as UTF-8 text"
        ) from error
    if "\0" in text:
        raise SourceError(f"{where}, line {number} holds a zero byte: the file is no text; expected one entry a line")
    return text.strip()


def _chunks(place: str, where: str) -> Iterator[bytes]:
    try:
        with _opened(place) as file, _unpacked(file) as plain:
            while chunk := plain.read(_CHUNK):
                yield chunk
    except SourceError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{where} is a damaged gzip file ({one_line(error)}); fetch or pack it again") from error
    except FileNotFoundError as error:
        raise SourceError(f"{where} does not exist; correct the path, or take the list out of the recipe") from error
    except Exception as error:  # a driver may raise anything of its own
        raise SourceError(f"{where} cannot be read: {_what(error)}; {_WAIT}") from error


def _opened(place: str) -> AbstractContextManager[IO[bytes]]:
    if not place.startswith(("http://", "https://")):
        return cast(AbstractContextManager[IO[bytes]], fsspec.open(place, "rb"))
    from aiohttp import ClientTimeout  # of the extra, as the driver is

    patience = ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENT)
    fs, path = fsspec.core.url_to_fs(place, client_kwargs={"timeout": patience})
    # As a stream and of a given size: else the driver asks twice before it reads, and takes every refusal for a 404.
    return cast(AbstractContextManager[IO[bytes]], fs.open(path, "rb", block_size=0, size=1))


def _what(error: Exception) -> str:
    """An error in one line; that of a server's answer by its status."""
    if isinstance(error, TimeoutError):
        return f"no connection within {_CONNECT:g} seconds, or nothing came for {_SILENT:g}"
    status = getattr(error, "status", None)
    return f"HTTP status {status}" if isinstance(status, int) else one_line(error) or type(error).__name__


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    ahead = io.BufferedReader(cast(io.RawIOBase, file), _CHUNK)  # what fsspec opens can be read into a buffer
    return cast(IO[bytes], gzip.GzipFile(fileobj=ahead) if ahead.peek(2)[:2] == _GZIP else ahead)
