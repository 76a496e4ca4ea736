"""TSV and CSV lists, read record by record: a record that cannot be parsed is still a row, with a fault.

Two lists come without a header line: CC12M (url, tab, caption) and CC3M (caption, tab, url). Nothing in them is
quoted, and a caption may hold tabs and quotes. Every other list has a header, and its fields may be quoted as in
RFC 4180, line ends included. A quote that never closes costs one row in a CSV, and in a TSV is a character like any
other.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa

from curation.core.errors import DamagedSource, SourceError
from curation.sources.columns import Column, recognise
from curation.sources.dialects import URL_CAPTION, Layout
from curation.sources.encodings import UNREADABLE, open_text, tables_of_rows
from curation.sources.kept import kept_object
from curation.sources.line_records import Records, Row, bytes_of, is_file, is_url, lines_of, split_pair, text_of
from curation.sources.local_images import LocalImages
from curation.sources.options import PLAIN, Options
from curation.sources.source_metadata import NUMBER_ROLES, as_number, first_of, metadata_table, put
from schemas.arrays import Array
from schemas.reasons import Reason

_LOOK = 100  # lines by which a list is recognised
_SEPARATORS = "\t,;|"


@dataclasses.dataclass(frozen=True)
class Lines:
    """How a file of lines is read. Without a header, ``layout`` names columns by their number."""

    layout: Layout
    separator: str
    header: tuple[str, ...]


def recognise_lines(url: str, separator: str, options: Options = PLAIN) -> Lines:
    """How to read the file, from its first lines. ``separator`` is the one that its name promises.

    Raises ``SourceError`` when the file cannot be read, when no column holds images or several may hold the same, or
    when it has data but no header line.
    """
    try:
        with open_text(url) as file:
            lines = list(itertools.islice(lines_of(file), _LOOK))
    except (*UNREADABLE, ValueError) as error:
        raise DamagedSource(f"{url} cannot be read: {error}") from error
    if not lines:  # no row, whatever its columns would be
        return Lines(Layout(URL_CAPTION, (("url", "0"), ("alt_text", "1"))), separator, ())
    first = text_of(lines[0])
    signs = (separator, *_SEPARATORS.replace(separator, ""))
    for sign in signs:
        names = {c.strip().casefold() for c in _columns(first, sign)}
        if "url" in names and names & {"text", "caption", "alt_text"}:
            return _with_header(url, lines, sign, options)
    if separator == "\t":
        order = _without_header(lines)
        if order is not None:
            return Lines(Layout(URL_CAPTION, order), separator, ())
    columns = tuple(c.strip() for c in _columns(first, separator))
    if any(is_url(bytes_of(column)) for column in columns):
        text = max((c for c in columns if not is_url(bytes_of(c))), key=len, default="")
        names_of = ("url" if is_url(bytes_of(c)) else "caption" if c == text else "other" for c in columns)
        raise SourceError(
            f"{url} has no header line: its first line is a row ({first[:120]!r}). Put a line with the column names "
            f"above it, for example {separator.join(names_of)!r}. Only a TSV of url and caption alone needs none"
        )
    # The separator that gives the most columns; that of the name where several do.
    return _with_header(url, lines, max(signs, key=lambda sign: len(_columns(first, sign))), options)


def _with_header(url: str, lines: Sequence[bytes], sign: str, options: Options) -> Lines:
    header = tuple(c.strip() for c in _columns(text_of(lines[0]), sign))
    rows = [_columns(text_of(line), sign) for line in lines[1:21]]
    values = [tuple(r[n][:500] for r in rows if n < len(r) and r[n].strip()) for n in range(len(header))]
    columns = [Column(name, "text", value) for name, value in zip(header, values, strict=True)]
    return Lines(recognise(columns, url, options), sign, header)


def _without_header(lines: Sequence[bytes]) -> tuple[tuple[str, str], ...] | None:
    """The columns of a list of urls and captions that has no header; None for any other list."""
    before = sum(is_url(line) for line in lines)
    after = sum(is_url(line.rpartition(b"\t")[2]) and not is_url(line) for line in lines)
    if not before and not after:
        return None
    widths = Counter(line.count(b"\t") + 1 for line in lines)
    (width, _), *others = widths.most_common()
    if width > 2 and not others and len(lines) > 1:
        return None  # every line has the same further columns, and nothing tells what they are
    if b"://" not in lines[0] and lines[0].count(b"\t") + 1 == width > 1 and len(lines) > 1:
        return None  # a header, with names that no dialect has
    if width == 1 and not is_url(lines[0]):
        return None  # a header of one column
    return (("url", "0"), ("alt_text", "1")) if before >= after else (("alt_text", "0"), ("url", "1"))


def _columns(first: str, separator: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([first], delimiter=separator), []))
    except csv.Error:  # a carriage return within a caption, say: such a line is no header
        return tuple(first.split(separator))


def read_lines(
    url: str,
    how: Lines,
    start: int = 0,
    end: int | None = None,
    *,
    options: Options = PLAIN,
    kept: bool = False,
) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the rows [start, end), in file order. Row 0 follows the header, if any."""
    images = LocalImages(url, options)

    def table(rows: list[Row]) -> pa.Table:
        return images.located(_table(rows, how, kept=kept), _paths(rows, how))

    return tables_of_rows(url, _rows_of(url, how), start, end, table)


def _rows_of(url: str, how: Lines) -> Iterator[Row]:
    with open_text(url) as file:
        lines = lines_of(file, ends=bool(how.header))
        if how.header:
            next(lines, None)
        yield from _rows(lines, how)


def _rows(lines: Iterator[bytes], how: Lines) -> Iterator[Row]:
    places = _places(how)
    if how.header:
        at, looks = (places["url"], is_url) if "url" in places else (places["path"], is_file)
        return Records(lines, how.separator, len(how.header), at[0], looks)
    return (split_pair(line, first=places["url"][0] == 0) for line in lines)


def _places(how: Lines) -> dict[str, list[int]]:
    """The places of the columns of each role."""
    found: dict[str, list[int]] = {}
    for role, name in how.layout.roles:
        found.setdefault(role, []).append(how.header.index(name) if how.header else int(name))
    return found


def _paths(rows: Sequence[Row], how: Lines) -> list[str | None] | None:
    """The paths of local images, where a column holds them."""
    places = _places(how).get("path")
    if places is None:
        return None
    fields = (None if r.fault else _field(r, places) for r in rows)
    return [None if f is None else f.decode("utf-8", "replace") for f in fields]


def _field(row: Row, places: Sequence[int]) -> bytes | None:
    """The first field that is not blank."""
    found = [row.fields[place] for place in places if place < len(row.fields)]
    return next((f for f in found if f.strip()), found[0] if found else None)


def _table(rows: list[Row], how: Lines, *, kept: bool) -> pa.Table:
    columns: dict[str, Array] = {}
    for role, places in _places(how).items():
        values = [_field(r, places) for r in rows]
        if role in NUMBER_ROLES:
            columns[role] = pa.array([None if v is None else as_number(text_of(v)) for v in values], pa.float64())
        elif role != "path":
            columns[role] = pa.array(values, pa.binary())
    table = metadata_table(columns, len(rows))
    if kept and how.layout.kept and how.header:
        table = put(table, "columns", pa.array([_kept(r, how) for r in rows], pa.string()))
    if all(r.fault is None for r in rows):
        return table
    fault = [Reason.MALFORMED_ROW.value if r.fault else None for r in rows]
    note = pa.array([r.fault for r in rows], pa.string())
    table = put(table, "fault", first_of(pa.array(fault, pa.string()), table["fault"]))
    return put(table, "note", first_of(note, table["note"]))


def _kept(row: Row, how: Lines) -> str | None:
    if row.fault:
        return None
    places = ((name, how.header.index(name)) for name in how.layout.kept)
    return kept_object({name: row.fields[at] for name, at in places if at < len(row.fields) and row.fields[at]})
