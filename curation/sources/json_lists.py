"""JSON lists: an object a line (.jsonl, .ndjson), a list of objects (.json), also within an object of one list, or
COCO's captions.

A value within an object is a column of its own, called by its path: ``image.url``. A line that is no JSON object is a
row with a fault.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

import pyarrow as pa

from curation.core.errors import DamagedSource
from curation.sources.coco import first_images, is_coco, joined
from curation.sources.columns import Column, Kind, NoImages, recognise
from curation.sources.dialects import Layout
from curation.sources.encodings import UNREADABLE, open_text, tables_of_rows
from curation.sources.json_members import BLANK, Fault, listed, members
from curation.sources.kept import kept_object, value_at
from curation.sources.local_images import LocalImages
from curation.sources.options import PLAIN, Options
from curation.sources.source_metadata import NUMBER_ROLES, as_number, clean, metadata_table, put
from schemas.arrays import Array
from schemas.reasons import Reason

_LOOK = 100  # records by which a list is recognised
_LONGEST = 64 << 20  # bytes of one line
_DEEPEST = 3  # objects within objects whose values are columns
Shape = Literal["lines", "list", "coco"]


@dataclass(frozen=True)
class JsonList:
    """How a JSON list is read. ``under`` is the key of the list in the file's object; empty for the file itself."""

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
        records = list(itertools.islice(_begin(url, shape, under), _LOOK))
    except UNREADABLE as error:
        raise DamagedSource(f"{url} cannot be read: {error}") from error
    objects = [r for r in records if isinstance(r, dict)]
    if not objects and records:
        fault = next((r.why for r in records if isinstance(r, Fault)), "")
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


def _shape(url: str) -> tuple[Shape, str]:
    """Lines or a list, and where the list is."""
    with open_text(url) as file:
        head = file.read(1 << 16).lstrip(BLANK)
    if head.startswith(b"["):
        # A line may be a list too, but then it is no record.
        return "list", ""
    line = head.partition(b"\n")[0]
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        first = None
    if first is not None and (head[len(line) :].strip() or not _lists_in(first)):
        return "lines", ""
    with open_text(url) as file:
        lists = _first_records(file, url)
    if is_coco(lists):
        return "coco", ""
    if not lists:
        return "lines", ""  # objects over several lines, or no JSON: each line tells what is wrong with it
    if len(lists) > 1:
        raise NoImages(
            f"{url} is an object with several lists of objects ({', '.join(lists)}); what belongs together is not "
            "known, except for COCO's captions (images with an id, annotations with image_id and caption). Write one "
            "of them, with url (or file_name) and text in each object, into a file of its own"
        )
    return "list", next(iter(lists))


def _lists_in(value: Any) -> list[str]:
    """The keys of an object whose values are lists of objects."""
    if not isinstance(value, dict):
        return []
    return [k for k, v in value.items() if isinstance(v, list) and v and all(isinstance(i, dict) for i in v[:3])]


def _first_records(file: IO[bytes], url: str) -> dict[str, Any]:
    """The lists of objects that an object has, each with its first record; looks no further once it is COCO's."""
    found: dict[str, Any] = {}
    try:
        for name, value in listed(file, url, first=True):
            if isinstance(value, dict):
                found.setdefault(name, value)
            if is_coco(found):
                break
    except DamagedSource:
        if found:
            raise
    return found


def _begin(url: str, shape: Shape, under: str) -> Iterator[dict[str, Any] | Fault]:
    """The first records, as far as a list is recognised by them."""
    if shape != "coco":
        yield from _records(url, shape, under)
        return
    with open_text(url) as file:
        yield from first_images(file, url)


def _records(url: str, shape: Shape, under: str) -> Iterator[dict[str, Any] | Fault]:
    with open_text(url) as file:
        match shape:
            case "lines":
                yield from _lines(file)
            case "list":
                yield from _items(file, under, url)
            case "coco":
                yield from joined(file, url)


def _lines(file: IO[bytes]) -> Iterator[dict[str, Any] | Fault]:
    first = True
    while line := file.readline(_LONGEST):
        if len(line) == _LONGEST and not line.endswith(b"\n"):
            while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield Fault(f"a line of more than {_LONGEST} bytes")
            continue
        if first:
            line, first = line.lstrip(BLANK), False
        if not line.strip(BLANK):
            continue
        try:
            value = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            yield Fault(f"no JSON: {_why(error)}")
            continue
        yield value if isinstance(value, dict) else Fault(f"a {type(value).__name__}; an object was expected")


def _items(file: IO[bytes], under: str, url: str) -> Iterator[dict[str, Any] | Fault]:
    for _, value in listed(file, url, {under}) if under else members(file, url, keyed=False):
        yield value if isinstance(value, dict) else Fault(f"a {type(value).__name__}; an object was expected")


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


def _table(records: Sequence[dict[str, Any] | Fault], layout: Layout, images: LocalImages, *, kept: bool) -> pa.Table:
    rows = [r if isinstance(r, dict) else {} for r in records]
    roles: dict[str, list[str]] = {}
    for role, name in layout.roles:
        roles.setdefault(role, []).append(name)
    columns: dict[str, Array] = {}
    notes: list[str | None] = [r.why if isinstance(r, Fault) else None for r in records]
    for role, names in roles.items():
        if role in NUMBER_ROLES:
            values = (next((v for n in names if (v := _number(value_at(row, n))) is not None), None) for row in rows)
            columns[role] = pa.array(values, pa.float64())
        elif role not in ("path", "image"):
            texts = [_text(row, names) for row in rows]
            columns[role] = pa.array([text for text, _ in texts], pa.string())
            if role == "alt_text":
                notes = [n or more for n, (_, more) in zip(notes, texts, strict=True)]
    table = metadata_table(columns, len(rows))
    faults = [Reason.MALFORMED_ROW.value if isinstance(r, Fault) else None for r in records]
    table = put(put(table, "fault", pa.array(faults, pa.string())), "note", pa.array(notes, pa.string()))
    if kept and layout.kept:
        objects = [kept_object({n: value_at(row, n) for n in layout.kept}) for row in rows]
        table = put(table, "columns", pa.array(objects, pa.string()))
    paths = [_text(row, roles["path"])[0] for row in rows] if "path" in roles else None
    return images.located(table, paths)


def _text(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str | None, str | None]:
    """The first text that is not blank, and a note where it is one of several."""
    first: str | None = None
    for name in names:
        value, note = value_at(row, name), None
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
