"""The records of a file of lines: quoted fields over several lines, lines that are too long, quotes left open."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from curation.sources.sidecars import IMAGE_EXTENSIONS

_LONGEST = 16 << 20  # bytes; the rest of a longer line is dropped and its row is malformed
_TOO_LONG = f"a line of more than {_LONGEST} bytes"
_UNCLOSED = "a quote that does not close, or text behind a closing quote"
_SPAN = 1000  # lines that a quoted field may span
_BOM = b"\xef\xbb\xbf"
_OPENS = re.compile(rb'(?:^|\t)"')

csv.field_size_limit(2**31 - 1)


@dataclasses.dataclass(frozen=True)
class Row:
    """The fields of one record; ``fault`` says why they cannot be used."""

    fields: Sequence[bytes]
    fault: str | None = None


def lines_of(file: IO[bytes], *, ends: bool = False) -> Iterator[bytes]:
    """Lines, with or without their ends; of a line that is too long only the beginning."""
    first = True
    while line := file.readline(_LONGEST):
        if not line.endswith(b"\n") and len(line) == _LONGEST:
            while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield line
            continue
        if first:
            line, first = line.removeprefix(_BOM), False
        yield line if ends else bare(line)


def bare(line: bytes) -> bytes:
    """The line without its end."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def split_pair(line: bytes, *, first: bool) -> Row:
    """An unquoted line of url and caption, in either order; further tabs belong to the caption."""
    if len(line) >= _LONGEST:
        return Row([], _TOO_LONG)
    return _counted(line.split(b"\t", 1) if first else line.rsplit(b"\t", 1), 2)


class Records(Iterator[Row]):
    """The records of a list with a header; quoted fields may hold line ends.

    A quote that someone left open would take the rows that follow for its text, up to the next quote. Such a record
    is recognised by its lines: two or more of them are whole rows when read alone. Then the quote counts as open.
    """

    def __init__(
        self, lines: Iterator[bytes], separator: str, columns: int, place: int, looks: Callable[[bytes], bool]
    ) -> None:
        """``place`` is the column of the image, whose values ``looks`` recognises."""
        self._lines = lines
        self._again: deque[bytes] = deque()
        self._separator = separator
        self._columns = columns
        self._place = place
        self._looks = looks

    def __next__(self) -> Row:
        line = self._next()
        if line is None:
            raise StopIteration
        if len(line) >= _LONGEST:
            return Row([], _TOO_LONG)
        if b'"' not in line:
            return self._literal(line)
        fields = self._parse(bare(line))
        if fields is None and line.count(b'"') % 2:
            fields = self._over_lines(line)
        if self._separator == "\t":
            return Row(fields) if fields is not None and len(fields) == self._columns else self._literal(line)
        return Row([bare(line)], _UNCLOSED) if fields is None else _counted(fields, self._columns)

    def _literal(self, line: bytes) -> Row:
        plain = bare(line)
        blank = not plain and self._separator != "\t"
        return _counted([] if blank else plain.split(self._separator.encode()), self._columns)

    def _parse(self, record: bytes) -> list[bytes] | None:
        """The fields of a record; None where its quotes do not work out."""
        try:
            # Split at line ends, as the csv module expects it; they stay part of the fields.
            lines = io.StringIO(text_of(record), newline="")
            rows = list(csv.reader(lines, delimiter=self._separator, strict=True))
        except csv.Error:
            return None
        if len(rows) > 1:
            return None
        return [bytes_of(field) for field in rows[0]] if rows else []

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
                    fields = self._parse(bare(b"".join(taken)))
                    if fields is not None and (self._separator != "\t" or len(fields) == self._columns):
                        return fields
                    break
        self._again.extendleft(reversed(taken[1:]))
        return None

    def _is_whole(self, line: bytes) -> bool:
        """Whether a line is a row when read alone: as many fields as columns, and an image in its place."""
        fields = bare(line).split(self._separator.encode())
        return (
            len(fields) >= self._columns and self._place < len(fields) and self._looks(fields[self._place].lstrip(b'"'))
        )

    def _next(self) -> bytes | None:
        return self._again.popleft() if self._again else next(self._lines, None)


def _counted(fields: Sequence[bytes], expected: int) -> Row:
    if len(fields) == expected:
        return Row(fields)
    plural = "" if len(fields) == 1 else "s"
    return Row(fields, f"{len(fields)} column{plural}; expected {expected}")


def is_url(text: bytes) -> bool:
    """Whether a text is a web address."""
    return text.lstrip().lower().startswith((b"http://", b"https://"))


def is_file(text: bytes) -> bool:
    """Whether a text is the name of an image file."""
    return text.strip(b' "\r\n').lower().rpartition(b".")[2].decode("latin-1") in IMAGE_EXTENSIONS


# The csv module reads text; this pair carries any bytes through it and back.
def text_of(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def bytes_of(field: str) -> bytes:
    return field.encode("utf-8", "surrogateescape")
