"""TSV and CSV lists, read line by line: a line that cannot be parsed is still a row, with a fault.

A TSV without a header is CC12M's: url, tab, caption, nothing quoted; a caption may hold tabs and quotes.
With a header that names a dialect's columns, fields may be quoted: in CSV across lines, in TSV within
one. A quote that is still open after ``_SPAN`` lines never closes: its first line is a malformed row and
the next line starts afresh. ``.gz``, ``.bz2`` and ``.xz`` are unpacked while reading.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import lzma
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

import fsspec
import pyarrow as pa
from fsspec.spec import AbstractBufferedFile

from curation.core.errors import SourceError
from curation.sources.laion import CC12M, NUMBER_ROLES, Layout, recognise
from curation.sources.source_metadata import as_number, claims
from schemas.reasons import Reason

BATCH = 10_000
_LONGEST = 16 << 20  # bytes; a line beyond it is cut and malformed
_TOO_LONG = f"a line of more than {_LONGEST} bytes"
_SPAN = 1000  # lines that a quoted field may span
_LOOK = 100  # lines in which a url must turn up for a file to be a list of them
_BOM = b"\xef\xbb\xbf"

csv.field_size_limit(2**31 - 1)


@dataclasses.dataclass(frozen=True)
class Lines:
    """How a file of lines is read."""

    layout: Layout
    separator: str
    header: tuple[str, ...]  # empty without one


@dataclasses.dataclass(frozen=True)
class _Row:
    fields: Sequence[bytes]
    fault: str | None = None


def recognise_lines(url: str, separator: str) -> Lines:
    """How the file is to be read, from its first lines.

    Raises ``SourceError`` when it cannot be opened or is in no known dialect.
    """
    try:
        with _open(url) as file:
            lines = list(itertools.islice(_lines(file), _LOOK))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(f"{url} cannot be read: {error}") from error
    first = _text(lines[0]) if lines else ""
    columns = _columns(first, separator)
    names = {c.strip().casefold() for c in columns}
    headed = "url" in names and len(names & {"text", "caption", "alt_text"}) > 0
    if not headed and separator == "\t" and (not lines or any(_is_url(line) for line in lines)):
        return Lines(Layout(CC12M, (("url", "0"), ("alt_text", "1"))), separator, ())
    stripped = tuple(c.strip() for c in columns)
    return Lines(recognise(stripped, url), separator, stripped)


def _columns(first: str, separator: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([first], delimiter=separator), []))
    except csv.Error:  # a carriage return within a caption, say: such a line is no header
        return tuple(first.split(separator))


def read_lines(url: str, how: Lines, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
    """Tables of claims for the rows [start, end), in file order. Row 0 follows the header, if there is one."""
    try:
        with _open(url) as file:
            # Within quotes a CSV may hold line ends, and these are part of the text.
            lines = _lines(file, ends=bool(how.header) and how.separator != "\t")
            if how.header:
                next(lines, None)
            rows = _rows(lines, how)
            wanted = itertools.islice(rows, start, end)
            while batch := list(itertools.islice(wanted, BATCH)):
                yield _claims(batch, how)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(f"{url} cannot be read to its end: {error}; fetch the file again") from error


def _rows(lines: Iterator[bytes], how: Lines) -> Iterator[_Row]:
    if not how.header:
        return (_split(line, 2) for line in lines)
    if how.separator == "\t":
        return (_parsed(line, len(how.header)) for line in lines)
    return _records(lines, how.separator, len(how.header))


def _open(url: str) -> IO[bytes]:
    file: IO[bytes] = fsspec.open(url, "rb", compression="infer").open()
    return file


def _lines(file: IO[bytes], *, ends: bool = False) -> Iterator[bytes]:
    """Lines, with their ends or without; of one that is too long only the beginning."""
    # fsspec's own remote files know no limit for a line.
    reader = io.BufferedReader(file, 1 << 20) if isinstance(file, AbstractBufferedFile) else file
    first = True
    while line := reader.readline(_LONGEST):
        if not line.endswith(b"\n") and len(line) == _LONGEST:
            while (rest := reader.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield line
            continue
        if first:
            line, first = line.removeprefix(_BOM), False
        yield line if ends else _bare(line)


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _split(line: bytes, expected: int) -> _Row:
    """An unquoted line of exactly two fields; everything behind the first tab is the second."""
    if len(line) >= _LONGEST:
        return _Row([], _TOO_LONG)
    return _counted(line.split(b"\t", expected - 1), expected)


def _parsed(line: bytes, expected: int) -> _Row:
    """A line of a TSV with a header: quoted where that works out, literal where it does not."""
    if len(line) >= _LONGEST:
        return _Row([], _TOO_LONG)
    if b'"' in line:
        try:
            fields = next(csv.reader([_text(line)], delimiter="\t", strict=True), [])
            if len(fields) == expected:
                return _Row([_bytes(f) for f in fields])
        except csv.Error:
            pass
    return _counted(line.split(b"\t"), expected)


def _records(lines: Iterator[bytes], separator: str, expected: int) -> Iterator[_Row]:
    """Records of a CSV, whose quoted fields may hold line ends."""
    feed = _Feed(lines)
    while feed.more():
        try:
            fields = next(csv.reader(feed, delimiter=separator, strict=True), [])
        except (csv.Error, _Endless):
            yield _Row([_bare(feed.back_to_second())], "a quote that does not close, or text behind a closing quote")
            continue
        if any(len(line) >= _LONGEST for line in feed.taken):
            yield _Row([], _TOO_LONG)
        else:
            yield _counted([_bytes(f) for f in fields], expected)
        feed.taken = []


class _Endless(Exception):
    """A record runs over too many lines."""


class _Feed(Iterator[str]):
    """Hands lines to the CSV parser, and takes back those of a record that came to nothing."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._again: deque[bytes] = deque()
        self.taken: list[bytes] = []

    def more(self) -> bool:
        if not self._again:
            self._again.extend(itertools.islice(self._lines, 1))
        return bool(self._again)

    def back_to_second(self) -> bytes:
        """Returns the first line of the record in hand; the others will be read again."""
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.taken = []
        return first

    def __next__(self) -> str:
        if len(self.taken) >= _SPAN:
            raise _Endless
        if not self.more():
            raise StopIteration
        line = self._again.popleft()
        self.taken.append(line)
        return _text(line)


def _counted(fields: Sequence[bytes], expected: int) -> _Row:
    if len(fields) == expected:
        return _Row(fields)
    plural = "" if len(fields) == 1 else "s"
    return _Row(fields, f"{len(fields)} column{plural}; expected {expected}")


def _claims(rows: list[_Row], how: Lines) -> pa.Table:
    places = {role: how.header.index(name) if how.header else int(name) for role, name in how.layout.roles}
    columns: dict[str, pa.Array] = {}
    for role, place in places.items():
        values = [r.fields[place] if place < len(r.fields) else None for r in rows]
        if role in NUMBER_ROLES:
            columns[role] = pa.array([None if v is None else as_number(_text(v)) for v in values], pa.float64())
        else:
            columns[role] = pa.array(values, pa.binary())
    table = claims(columns, len(rows))
    if all(r.fault is None for r in rows):
        return table
    fault = [
        Reason.MALFORMED_ROW.value if r.fault else v for r, v in zip(rows, table["fault"].to_pylist(), strict=True)
    ]
    note = [r.fault or v for r, v in zip(rows, table["note"].to_pylist(), strict=True)]
    for name, found in (("fault", fault), ("note", note)):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(found, pa.string()))
    return table


def _is_url(line: bytes) -> bool:
    return line.lstrip().lower().startswith((b"http://", b"https://"))


# The csv module reads text; this pair carries any bytes through it and back.
def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _bytes(field: str) -> bytes:
    return field.encode("utf-8", "surrogateescape")
