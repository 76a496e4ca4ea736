"""Captions of a folder of images in one file: ``metadata.jsonl``, ``metadata.csv`` or ``metadata.parquet``.

This is the imagefolder layout of Hugging Face. A row names an image by its path relative to the metadata file, in a
column ``file_name`` or one that ends in ``_file_name`` (``file_names`` for several). An image belongs to the metadata
file in its own folder or, failing that, in the nearest folder above.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import SourceError
from curation.sources.dialects import NAMES, roles_of
from curation.sources.encodings import open_text
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import OTHER_TEXTS

METADATA_FILES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_KNOWN = {name for names in NAMES.values() for name in names}


@dataclass(frozen=True)
class Listed:
    """One image of a metadata file: values by role, what was wrong with its row, and its further values by column."""

    values: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    further: Mapping[str, Any] = field(default_factory=dict)


def read_metadata(url: str, options: Options = PLAIN) -> dict[str, Listed]:
    """The images that a metadata file names, by their path relative to it, in Unicode's composed form.

    Raises ``SourceError`` where the file cannot be read, has no column of file names, or names a path outside its
    folder.
    """
    found: dict[str, Listed] = {}
    number = 0
    for number, record in enumerate(_records(url), 1):
        listed = _listed(record, options)
        names = _names(record)
        if names is None:
            raise SourceError(
                f"{url}, row {number}, has no column file_name (found {', '.join(map(str, list(record)[:20]))}). "
                "Each row must name its image by the path relative to this file"
            )
        for name in names:
            found.setdefault(_path(url, number, name), listed)
    return found


def composed(path: str) -> str:
    """The same path in Unicode's composed form; macOS writes file names in the decomposed one."""
    return unicodedata.normalize("NFC", path)


def _records(url: str) -> Iterator[dict[str, Any]]:
    try:
        match url.rsplit(".", 1)[-1].lower():
            case "jsonl":
                yield from _json_lines(url)
            case "csv":
                with open_text(url) as data:
                    text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="replace", newline="")
                    yield from csv.DictReader(text, strict=True)
            case _:
                with fsspec.open(url, "rb") as raw:
                    file = pq.ParquetFile(raw, pre_buffer=False)
                    columns = [f.name for f in file.schema_arrow if not pa.types.is_struct(f.type)]
                    for batch in file.iter_batches(columns=columns):
                        yield from batch.to_pylist()
    except (OSError, EOFError, csv.Error, pa.ArrowException) as error:
        raise SourceError(f"{url} cannot be read: {error}; correct the file or leave it out") from error


def _json_lines(url: str) -> Iterator[dict[str, Any]]:
    with open_text(url) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8", "replace"))
            except (ValueError, RecursionError) as error:
                raise SourceError(
                    f"{url} has no JSON on line {number} ({error}); correct or remove the line"
                ) from error
            if not isinstance(record, dict):
                raise SourceError(f"{url}, line {number}: an object was expected, found a {type(record).__name__}")
            yield record


def _names(record: Mapping[str, Any]) -> list[str] | None:
    for key in record:
        name = str(key).casefold()
        value = record[key]
        if (name == "file_name" or name.endswith("_file_name")) and isinstance(value, str):
            return [value]
        if (name == "file_names" or name.endswith("_file_names")) and isinstance(value, list):
            return [v for v in value if isinstance(v, str)]
    return None


def _path(url: str, row: int, name: str) -> str:
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or "\x00" in name or ":" in path.parts[0]:
        raise SourceError(
            f"{url}, row {row}, names {name[:200]!r}; expected the path of an image below this file's folder"
        )
    return composed(str(path))


def _listed(record: Mapping[str, Any], options: Options) -> Listed:
    keys = [k for k in record if isinstance(k, str)]
    columns = {**dict(roles_of(keys)), **options.named(keys)}
    values = {role: record[key] for role, key in columns.items()}
    note = None
    if "alt_text" not in values:
        texts = [k for k in keys if k.casefold() not in _KNOWN and not _is_file_name(k)]
        texts = [k for k in texts if _is_text(record[k])]
        by_name = {k.casefold(): k for k in reversed(texts)}
        chosen = next((by_name[name] for name in OTHER_TEXTS if name in by_name), texts[0] if len(texts) == 1 else None)
        if chosen is not None:
            values["alt_text"] = record[columns.setdefault("alt_text", chosen)]
        elif texts:
            note = f"no alt text: the metadata file has several texts ({', '.join(texts[:8])}); call one of them text"
    if isinstance(several := values.get("alt_text"), list):
        texts = [v for v in several if isinstance(v, str)]
        values["alt_text"] = texts[0] if texts else None
        note = f"the first of {len(several)} texts" if len(several) > 1 else note
    used = {columns.get("url"), columns.get("alt_text")}
    further = {k: record[k] for k in keys if k not in used and not _is_file_name(k)} if options.keep else {}
    return Listed(values, note, further)


def _is_file_name(key: str) -> bool:
    return key.casefold().endswith(("file_name", "file_names"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
    )
