"""TSV and CSV lists, read record by record: a record that cannot be parsed is still a row, with a fault.

Two lists come without a header line: CC12M (url, tab, caption) and CC3M (caption, tab, url). Nothing in them is
quoted, and a caption may hold tabs and quotes. Every other list has a header with the columns of a dialect, and its
fields may be quoted as in RFC 4180, line ends included. A quote that never closes costs one row in a CSV, and in a
TSV is a character like any other.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import lzma
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
from fsspec.spec import AbstractBufferedFile

from curation.core.errors import DamagedSource, SourceError
from curation.sources.dialects import CC12M, Layout, recognise
from curation.sources.encodings import open_text
from curation.sources.source_metadata import NUMBER_ROLES, as_number, metadata_table
from schemas.arrays import Array
from schemas.reasons import Reason

BATCH = 10_000
_LONGEST = 16 << 20  # bytes; the rest of a longer line is dropped and its row is malformed
_TOO_LONG = f"a line of more than {_LONGEST} bytes"
_UNCLOSED = "a quote that does not close, or text behind a closing quote"
_SPAN = 1000  # lines that a quoted field may span
_LOOK = 100  # lines by which a list is recognised
_BOM = b"\xef\xbb\xbf"
_SEPARATORS = "\t,;|"
_OPENS = re.compile(rb'(?:^|\t)"')

csv.field_size_limit(2**31 - 1)


@dataclasses.dataclass(frozen=True)
class Lines:
    """How a file of lines is read. Without a header, ``layout`` names columns by their number."""

    layout: Layout
    separator: str
    header: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Row:
    fields: Sequence[bytes]
    fault: str | None = None


def recognise_lines(url: str, separator: str) -> Lines:
    """How to read the file, from its first lines. ``separator`` is the one that its name promises.

    Raises ``SourceError`` when the file cannot be read, has no known dialect, or has data but no header line.
    """
    try:
        with open_text(url) as file:
            lines = list(itertools.islice(_lines(file), _LOOK))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DamagedSource(f"{url} cannot be read: {error}") from error
    first = _text(lines[0]) if lines else ""
    for sign in (separator, *_SEPARATORS.replace(separator, "")):
        columns = tuple(c.strip() for c in _columns(first, sign))
        names = {c.casefold() for c in columns}
        if "url" in names and names & {"text", "caption", "alt_text"}:
            return Lines(recognise(columns, url), sign, columns)
    if separator == "\t":
        order = _without_header(lines)
        if order is not None:
            return Lines(Layout(CC12M, order), separator, ())
    columns = tuple(c.strip() for c in _columns(first, separator))
    if any(_is_url(_bytes(column)) for column in columns):
        text = max((c for c in columns if not _is_url(_bytes(c))), key=len, default="")
        names_of = ("url" if _is_url(_bytes(c)) else "caption" if c == text else "other" for c in columns)
        raise SourceError(
            f"{url} has no header line: its first line is a row ({first[:120]!r}). Put a line with the column names "
            f"above it, for example {separator.join(names_of)!r}. Only a TSV of url and caption alone needs none"
        )
    return Lines(recognise(columns, url), separator, columns)


def _without_header(lines: Sequence[bytes]) -> tuple[tuple[str, str], ...] | None:
    """The columns of a list of urls and captions that has no header; None for any other list."""
    if not lines:
        return (("url", "0"), ("alt_text", "1"))
    before = sum(_is_url(line) for line in lines)
    after = sum(_is_url(line.rpartition(b"\t")[2]) and not _is_url(line) for line in lines)
    if not before and not after:
        return None
    widths = Counter(line.count(b"\t") + 1 for line in lines)
    (width, _), *others = widths.most_common()
    if width > 2 and not others and len(lines) > 1:
        return None  # every line has the same further columns, and nothing tells what they are
    if b"://" not in lines[0] and lines[0].count(b"\t") + 1 == width > 1 and len(lines) > 1:
        return None  # a header, with names that no dialect has
    return (("url", "0"), ("alt_text", "1")) if before >= after else (("alt_text", "0"), ("url", "1"))


def _columns(first: str, separator: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([first], delimiter=separator), []))
    except csv.Error:  # a carriage return within a caption, say: such a line is no header
        return tuple(first.split(separator))


def read_lines(url: str, how: Lines, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the rows [start, end), in file order. Row 0 follows the header, if any."""
    try:
        with open_text(url) as file:
            lines = _lines(file, ends=bool(how.header))
            if how.header:
                next(lines, None)
            wanted = itertools.islice(_rows(lines, how), start, end)
            while batch := list(itertools.islice(wanted, BATCH)):
                yield _table(batch, how)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DamagedSource(f"{url} cannot be read to its end: {error}; fetch the file again") from error


def _rows(lines: Iterator[bytes], how: Lines) -> Iterator[_Row]:
    places = _places(how)
    if how.header:
        return _Records(lines, how.separator, len(how.header), places["url"])
    return (_split(line, first=places["url"] == 0) for line in lines)


def _places(how: Lines) -> dict[str, int]:
    return {role: how.header.index(name) if how.header else int(name) for role, name in how.layout.roles}


def _lines(file: IO[bytes], *, ends: bool = False) -> Iterator[bytes]:
    """Lines, with or without their ends; of a line that is too long only the beginning."""
    # fsspec's own remote files have no limit for a line.
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


def _split(line: bytes, *, first: bool) -> _Row:
    """An unquoted line of url and caption, in either order; further tabs belong to the caption."""
    if len(line) >= _LONGEST:
        return _Row([], _TOO_LONG)
    return _counted(line.split(b"\t", 1) if first else line.rsplit(b"\t", 1), 2)


class _Records(Iterator[_Row]):
    """The records of a list with a header; quoted fields may hold line ends.

    A quote that someone left open would take the rows that follow for its text, up to the next quote. Such a record
    is recognised by its lines: two or more of them are whole rows when read alone. Then the quote counts as open.
    """

    def __init__(self, lines: Iterator[bytes], separator: str, columns: int, url: int) -> None:
        self._lines = lines
        self._again: deque[bytes] = deque()
        self._separator = separator
        self._columns = columns
        self._url = url

    def __next__(self) -> _Row:
        line = self._next()
        if line is None:
            raise StopIteration
        if len(line) >= _LONGEST:
            return _Row([], _TOO_LONG)
        if b'"' not in line:
            return self._literal(line)
        fields = self._parse(_bare(line))
        if fields is None and line.count(b'"') % 2:
            fields = self._over_lines(line)
        if self._separator == "\t":
            return _Row(fields) if fields is not None and len(fields) == self._columns else self._literal(line)
        return _Row([_bare(line)], _UNCLOSED) if fields is None else _counted(fields, self._columns)

    def _literal(self, line: bytes) -> _Row:
        plain = _bare(line)
        blank = not plain and self._separator != "\t"
        return _counted([] if blank else plain.split(self._separator.encode()), self._columns)

    def _parse(self, record: bytes) -> list[bytes] | None:
        """The fields of a record; None where its quotes do not work out."""
        try:
            # Split at line ends, as the csv module expects it; they stay part of the fields.
            lines = io.StringIO(_text(record), newline="")
            rows = list(csv.reader(lines, delimiter=self._separator, strict=True))
        except csv.Error:
            return None
        if len(rows) > 1:
            return None
        return [_bytes(field) for field in rows[0]] if rows else []

    def _over_lines(self, line: bytes) -> list[bytes] | None:
        """The fields of a record that begins with this line and ends on a later one.

        None where there is no such record; then nothing but this line was taken.
        """
        taken = [line]
        size = len(line)
        whole = int(self._is_whole(line))
        if self._separator != "\t" or _OPENS.search(line):
            while len(taken) < _SPAN and (following := self._next()) is not None:
                taken.append(following)
                size += len(following)
                whole += self._is_whole(following)
                if whole > 1 or size >= _LONGEST:
                    break
                if following.count(b'"') % 2:
                    fields = self._parse(_bare(b"".join(taken)))
                    if fields is not None and (self._separator != "\t" or len(fields) == self._columns):
                        return fields
                    break
        self._again.extendleft(reversed(taken[1:]))
        return None

    def _is_whole(self, line: bytes) -> bool:
        """Whether a line is a row when read alone: as many fields as columns, and a url in its place."""
        fields = _bare(line).split(self._separator.encode())
        return len(fields) >= self._columns and self._url < len(fields) and _is_url(fields[self._url].lstrip(b'"'))

    def _next(self) -> bytes | None:
        return self._again.popleft() if self._again else next(self._lines, None)


def _counted(fields: Sequence[bytes], expected: int) -> _Row:
    if len(fields) == expected:
        return _Row(fields)
    plural = "" if len(fields) == 1 else "s"
    return _Row(fields, f"{len(fields)} column{plural}; expected {expected}")


def _table(rows: list[_Row], how: Lines) -> pa.Table:
    columns: dict[str, Array] = {}
    for role, place in _places(how).items():
        values = [r.fields[place] if place < len(r.fields) else None for r in rows]
        if role in NUMBER_ROLES:
            columns[role] = pa.array([None if v is None else as_number(_text(v)) for v in values], pa.float64())
        else:
            columns[role] = pa.array(values, pa.binary())
    table = metadata_table(columns, len(rows))
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


def _is_url(text: bytes) -> bool:
    return text.lstrip().lower().startswith((b"http://", b"https://"))


# The csv module reads text; this pair carries any bytes through it and back.
def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _bytes(field: str) -> bytes:
    return field.encode("utf-8", "surrogateescape")
