"""JSON lists: an object a line (.jsonl, .ndjson), or a list of objects (.json), also within an object of one list.

A value within an object is a column of its own, called by its path: ``image.url``. A line that is no JSON object is a
row with a fault.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, Literal

import pyarrow as pa

from curation.core.errors import DamagedSource, SourceError
from curation.sources.columns import Column, Kind, recognise
from curation.sources.dialects import Layout
from curation.sources.encodings import UNREADABLE, open_text, tables_of_rows
from curation.sources.kept import kept_object
from curation.sources.local_images import LocalImages
from curation.sources.options import PLAIN, Options
from curation.sources.source_metadata import NUMBER_ROLES, as_number, clean, metadata_table, put
from schemas.arrays import Array
from schemas.reasons import Reason

_LOOK = 100  # records by which a list is recognised
_LONGEST = 64 << 20  # bytes of one line
_DEEPEST = 3  # objects within objects whose values are columns
_BLANK = b" \t\r\n\xef\xbb\xbf"
Shape = Literal["lines", "list"]


@dataclass(frozen=True)
class JsonList:
    """How a JSON list is read. ``under`` is the path of the list within its file; empty for the file itself."""

    layout: Layout
    shape: Shape
    under: str = ""


def recognise_json(url: str, options: Options = PLAIN) -> JsonList | None:
    """How to read the file, from its first records; None for one without any value.

    Raises ``DamagedSource`` for a file that is no JSON, and ``SourceError`` for one that is no list of objects, or
    where no column holds images.
    """
    try:
        shape, under = _shape(url)
        records = list(itertools.islice(_records(url, shape, under), _LOOK))
    except UNREADABLE as error:
        raise DamagedSource(f"{url} cannot be read: {error}") from error
    objects = [r for r in records if isinstance(r, dict)]
    if not objects and records:
        fault = next((r.why for r in records if isinstance(r, _Fault)), "")
        raise DamagedSource(f"{url} is no list of JSON objects: {fault}")
    columns = list(_columns(objects))
    return JsonList(recognise(columns, url, options), shape, under) if columns else None


def read_json(
    url: str,
    how: JsonList,
    start: int = 0,
    end: int | None = None,
    *,
    options: Options = PLAIN,
    kept: bool = False,
) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the records [start, end), in order. Raises ``DamagedSource``."""
    images = LocalImages(url, options)
    records = _records(url, how.shape, how.under)
    return tables_of_rows(url, records, start, end, lambda batch: _table(batch, how.layout, images, kept=kept))


@dataclass(frozen=True)
class _Fault:
    """What stands in the place of a record that cannot be used."""

    why: str


def _shape(url: str) -> tuple[Shape, str]:
    """Lines or a list, and where the list is."""
    with open_text(url) as file:
        head = file.read(1 << 16).lstrip(_BLANK)
    if head.startswith(b"["):
        # A line may be a list too, but then it is no record.
        return "list", "item"
    line = head.partition(b"\n")[0]
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        first = None
    if first is not None and (head[len(line) :].strip() or not _lists_in(first)):
        return "lines", ""
    with open_text(url) as file:
        lists = _top_lists(file, url)
    if not lists:
        return "lines", ""  # objects over several lines, or no JSON: each line tells what is wrong with it
    if len(lists) > 1:
        raise SourceError(
            f"{url} is an object with several lists of objects ({', '.join(lists)}); what belongs together is not "
            "known. Write one of them, with url (or file_name) and text in each object, into a file of its own"
        )
    return "list", f"{lists[0]}.item"


def _lists_in(value: Any) -> list[str]:
    """The keys of an object whose values are lists of objects."""
    if not isinstance(value, dict):
        return []
    return [k for k, v in value.items() if isinstance(v, list) and v and all(isinstance(i, dict) for i in v[:3])]


def _top_lists(file: IO[bytes], url: str) -> list[str]:
    import ijson  # only lists that are one long JSON value need it

    found: dict[str, None] = {}
    try:
        for prefix, event, _ in ijson.parse(file):
            if event == "start_map" and prefix.endswith(".item") and prefix.count(".") == 1:
                found[prefix.removesuffix(".item")] = None
    except (ijson.JSONError, ValueError, RecursionError) as error:
        if not found:
            return []
        raise DamagedSource(f"{url} is no whole JSON: {_why(error)}") from error
    return list(found)


def _records(url: str, shape: Shape, under: str) -> Iterator[dict[str, Any] | _Fault]:
    with open_text(url) as file:
        yield from _lines(file) if shape == "lines" else _items(file, under, url)


def _lines(file: IO[bytes]) -> Iterator[dict[str, Any] | _Fault]:
    first = True
    while line := file.readline(_LONGEST):
        if len(line) == _LONGEST and not line.endswith(b"\n"):
            while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield _Fault(f"a line of more than {_LONGEST} bytes")
            continue
        if first:
            line, first = line.lstrip(_BLANK), False
        if not line.strip(_BLANK):
            continue
        try:
            value = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            yield _Fault(f"no JSON: {_why(error)}")
            continue
        yield value if isinstance(value, dict) else _Fault(f"a {type(value).__name__}; an object was expected")


def _items(file: IO[bytes], under: str, url: str) -> Iterator[dict[str, Any] | _Fault]:
    import ijson

    number = 0
    try:
        for value in ijson.items(_Bare(file), under):
            number += 1
            if isinstance(value, dict):
                yield {k: float(v) if isinstance(v, Decimal) else v for k, v in value.items()}
            else:
                yield _Fault(f"a {type(value).__name__}; an object was expected")
    except (ijson.JSONError, ValueError, RecursionError) as error:
        raise DamagedSource(
            f"{url} is no whole JSON behind record {number} ({_why(error)}): it is half-written or damaged; "
            "fetch the file again"
        ) from error


class _Bare:
    """A file without a byte order mark, as ijson wants it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        while data and not self._begun:
            data = data.lstrip(_BLANK)
            self._begun = bool(data)
            data = data or self._file.read(size)
        return data


def _columns(records: Sequence[Mapping[str, Any]]) -> Iterator[Column]:
    """The keys of all records, with their first texts; a value within an object is a column of its own."""
    paths: dict[tuple[str, ...], list[Any]] = {}
    for record in records:
        _collect(record, (), paths)
    for path, values in paths.items():
        texts = tuple(v[:500] for v in values if isinstance(v, str))
        yield Column(".".join(path), _kind(values), texts, nested=len(path) > 1)


def _collect(record: Mapping[str, Any], above: tuple[str, ...], paths: dict[tuple[str, ...], list[Any]]) -> None:
    for key, value in record.items():
        if value is not None:
            paths.setdefault((*above, key), []).append(value)
        if isinstance(value, dict) and len(above) < _DEEPEST:
            _collect(value, (*above, key), paths)


def _kind(values: Sequence[Any]) -> Kind:
    if any(isinstance(v, str) for v in values):
        return "text"
    if any(isinstance(v, list) and v and all(isinstance(t, str) for t in v) for v in values):
        return "texts"
    return "number" if all(isinstance(v, (bool, int, float)) for v in values) else "other"


def _at(record: Mapping[str, Any], name: str) -> Any:
    """A value by its key, or by its path."""
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _table(records: Sequence[dict[str, Any] | _Fault], layout: Layout, images: LocalImages, *, kept: bool) -> pa.Table:
    rows = [r if isinstance(r, dict) else {} for r in records]
    roles: dict[str, list[str]] = {}
    for role, name in layout.roles:
        roles.setdefault(role, []).append(name)
    columns: dict[str, Array] = {}
    notes: list[str | None] = [r.why if isinstance(r, _Fault) else None for r in records]
    for role, names in roles.items():
        if role in NUMBER_ROLES:
            values = (next((v for n in names if (v := _number(_at(row, n))) is not None), None) for row in rows)
            columns[role] = pa.array(values, pa.float64())
        elif role not in ("path", "image"):
            texts = [_text(row, names) for row in rows]
            columns[role] = pa.array([text for text, _ in texts], pa.string())
            if role == "alt_text":
                notes = [n or more for n, (_, more) in zip(notes, texts, strict=True)]
    table = metadata_table(columns, len(rows))
    faults = [Reason.MALFORMED_ROW.value if isinstance(r, _Fault) else None for r in records]
    table = put(put(table, "fault", pa.array(faults, pa.string())), "note", pa.array(notes, pa.string()))
    if kept and layout.kept:
        objects = [kept_object({n: _at(row, n) for n in layout.kept}) for row in rows]
        table = put(table, "columns", pa.array(objects, pa.string()))
    paths = [_text(row, roles["path"])[0] for row in rows] if "path" in roles else None
    return images.located(table, paths)


def _text(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str | None, str | None]:
    """The first text that is not blank, and a note where it is one of several."""
    first: str | None = None
    for name in names:
        value, note = _at(row, name), None
        if isinstance(value, list):
            texts = [v for v in value if isinstance(v, str)]
            value, note = (texts[0] if texts else None), f"the first of {len(texts)} texts" if len(texts) > 1 else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str):
            first = clean(value) if first is None else first
            if value.strip():
                return clean(value), note
    return first, None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return as_number(value) if isinstance(value, str) else float(value)
    except OverflowError:
        return None


def _why(error: Exception) -> str:
    return clean((str(error).strip() or type(error).__name__).splitlines()[0])[:200]
