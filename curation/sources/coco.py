"""COCO's captions: an object with the lists ``images`` and ``annotations``, joined by the image's id.

A record is one image with all its captions, in the order of the file (column ``captions``). Its ``license`` is the
address of the one that it names by number in ``licenses``. Captions of images that the list does not have are records
with a fault, one for each such image.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

from curation.core.errors import StoreError
from curation.sources.json_members import Fault, listed

_LISTS = ("images", "annotations", "licenses")
_CACHE_KIB = 1 << 16  # of the temporary database; the rest of it is on disk
_TABLES = f"""
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -{_CACHE_KIB};
CREATE TABLE images (place INTEGER PRIMARY KEY, id TEXT, body TEXT);
CREATE TABLE captions (place INTEGER PRIMARY KEY, image TEXT, caption TEXT);
BEGIN;
"""
_INDEXES = "CREATE INDEX by_id ON images (id); CREATE INDEX by_image ON captions (image);"
_JOINED = """
SELECT i.place, i.body, c.caption FROM images i LEFT JOIN captions c ON c.image = i.id ORDER BY i.place, c.place
"""
_ALONE = """
SELECT c.image, count(*) FROM captions c LEFT JOIN images i ON i.id = c.image
WHERE i.place IS NULL GROUP BY c.image ORDER BY min(c.place)
"""


def is_coco(first: Mapping[str, Any]) -> bool:
    """Whether an object whose lists begin with these records holds images and their captions."""
    image, note = first.get("images"), first.get("annotations")
    return isinstance(image, dict) and isinstance(note, dict) and "id" in image and {"image_id", "caption"} <= {*note}


def first_images(file: IO[bytes], url: str) -> Iterator[dict[str, Any]]:
    """The images, each with a caption that may be another one's: what the columns are is known without joining."""
    for _, image in listed(file, url, {"images"}):
        if isinstance(image, dict):
            yield {**image, "captions": ["a caption"]}


def joined(file: IO[bytes], url: str) -> Iterator[dict[str, Any] | Fault]:
    """The records, once the whole file has been read. They wait on disk: memory does not grow with the list.

    Raises ``DamagedSource`` for a file that is no whole JSON, and ``StoreError`` where the temporary folder has no
    room.
    """
    try:
        # A database without a name is a temporary file, which no other process sees and a killed run does not leave.
        with contextlib.closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as database:
            database.executescript(_TABLES)
            licenses = _load(database, file, url)
            database.executescript(_INDEXES)  # ends the transaction first
            for _, rows in itertools.groupby(database.execute(_JOINED), key=lambda row: row[0]):
                yield _record(list(rows), licenses)
            for image, count in database.execute(_ALONE):
                named = "which have no image_id" if image is None else f"of image {image[:200]}, which the list lacks"
                yield Fault(f"{count} annotations {named}")
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot join the images and captions of {url}: {error}; free space in {tempfile.gettempdir()} or set "
            "TMPDIR"
        ) from error


def _load(database: sqlite3.Connection, file: IO[bytes], url: str) -> dict[str, Any]:
    """Fills the tables; returns the licences by id."""
    licenses: dict[str, Any] = {}
    for name, value in listed(file, url, _LISTS):
        record = value if isinstance(value, dict) else {}
        match name:
            case "images":
                database.execute("INSERT INTO images (id, body) VALUES (?, ?)", (_id(record, "id"), json.dumps(value)))
            case "annotations":
                row = (_id(record, "image_id"), json.dumps(record.get("caption")))
                database.execute("INSERT INTO captions (image, caption) VALUES (?, ?)", row)
            case "licenses" if (key := _id(record, "id")) is not None:
                licenses[key] = record.get("url") or record.get("name")
    return licenses


def _record(rows: list[tuple[int, str, str | None]], licenses: Mapping[str, Any]) -> dict[str, Any] | Fault:
    """The record of one image from its rows, one a caption; the columns are those of ``_JOINED``."""
    image = json.loads(rows[0][1])
    if not isinstance(image, dict):
        return Fault(f"a {type(image).__name__}; an object was expected")
    captions = [json.loads(caption) for _, _, caption in rows if caption is not None]
    texts = [text for text in captions if isinstance(text, str) and text.strip()]
    known = {"license": licenses[key]} if (key := _id(image, "license") or "") in licenses else {}
    return {**image, **known, **({"captions": texts} if texts else {})}


def _id(record: Mapping[str, Any], key: str) -> str | None:
    """An id as a text: numbers and texts that read alike are the same."""
    value = record.get(key)
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-8", "replace").decode()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else json.dumps(value, sort_keys=True)
