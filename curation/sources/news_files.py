"""Lists in a news layout, streamed into rows; their images are looked for, but never outside the source."""

from __future__ import annotations

import codecs
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import IO, Annotated, Any, ClassVar, Literal

import fsspec
import pyarrow as pa

from curation.core.errors import SourceError
from curation.sources.encodings import buffered
from curation.sources.json_members import BLANK, LONGEST, members
from curation.sources.kept import kept_of_record
from curation.sources.news import Item, LayoutName, items_of
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import BATCH, file_sha256
from curation.sources.source_metadata import SourceMetadata
from schemas.arrow import schema_of, table_of
from schemas.ids import content_url
from schemas.news import NewsArticle
from schemas.reasons import Reason

Shape = Literal["list", "object", "lines"]
_AGAIN = "it is half-written or damaged; fetch it again or leave it out"
_ARTICLE = ("outlet", "topic", "date", "headline", "article_id", "article_url")


@dataclass(frozen=True, slots=True)
class NewsMetadata(SourceMetadata):
    """What a news source states about one image and its article."""

    table: ClassVar[str] = "news_metadata"

    outlet: Annotated[str | None, "as in articles"] = None
    topic: Annotated[str | None, "as in articles"] = None
    date: Annotated[str | None, "as in articles"] = None
    headline: Annotated[str | None, "as in articles"] = None
    article_id: Annotated[str | None, "as in articles"] = None
    article_url: Annotated[str | None, "as in articles"] = None
    published_split: Annotated[str | None, "as in articles"] = None


@dataclass(frozen=True)
class NewsList:
    """A list in a news layout. Image paths are relative to ``folder``, a path of the list's filesystem."""

    layout: LayoutName
    shape: Shape
    folder: str


def read_news(
    url: str, how: NewsList, start: int = 0, end: int | None = None, *, options: Options = PLAIN, kept: bool = False
) -> Iterator[pa.Table]:
    """Tables of ``NewsMetadata`` for the rows [start, end), in order; local images are hashed for their ids.

    With ``kept`` they hold what the options keep of further values of the records.
    A missing image makes a ``file_missing`` row, unless the record has the image's URL. Raises ``SourceError`` where
    the list is damaged, or where an image path leads out of the source.
    """
    fs, path = fsspec.core.url_to_fs(url)
    images = _Images(fs, how, url, options if kept else PLAIN)
    try:
        with open_list(fs, path) as file:
            found = islice(_items(file, how, url), start, end)
            while batch := list(islice(found, BATCH)):
                yield table_of(NewsMetadata, [images.metadata(item) for item in batch])
    except (OSError, EOFError) as error:
        raise SourceError(f"{url} cannot be read: {error}; fetch it again or leave it out") from error


def articles(rows: pa.Table, metadata: pa.Table) -> pa.Table:
    """The articles of these rows, from the metadata that the rows were made of."""
    same = {name: rows[name] for name in ("source_file", "source_row", "sample_id")}
    schema = schema_of(NewsArticle)
    columns = [same[f.name] if f.name in same else metadata[f.name] for f in schema]
    return pa.table(columns, schema=schema).combine_chunks()


def open_list(fs: Any, path: str) -> IO[bytes]:
    """The bytes of a list, unpacked where its name ends in ``.gz``."""
    raw = buffered(fs.open(path, "rb"))
    return gzip.open(raw, "rb") if path.lower().endswith(".gz") else raw  # type: ignore[return-value]


def shape_of(start: bytes) -> Shape | None:
    """The shape of a file that begins like this; an object that ends with its line is the first of many lines."""
    text = start.lstrip(BLANK).decode("utf-8", "ignore")
    if text.startswith("["):
        return "list"
    if not text.startswith("{"):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):  # the object goes on, or the reader will report what is wrong with it
        return "object"
    rest = text[end:].lstrip(" \t\r")
    return "lines" if not rest.strip() or rest.startswith("\n") else None


def read_items(file: IO[bytes], shape: Shape, where: str) -> Iterator[tuple[str | None, Any]]:
    """The values of a list, (key, value) of an object, or the values on lines; in order.

    Memory holds one item, never the file. Raises ``SourceError`` where the JSON ends early or is damaged, with the
    number of the item; the items before it have been yielded.
    """
    return _lines(file, where) if shape == "lines" else members(file, where, keyed=shape == "object")


def _lines(file: IO[bytes], where: str) -> Iterator[tuple[str | None, Any]]:
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if not line.strip(BLANK):
            continue
        try:
            value = json.loads(line.lstrip(codecs.BOM_UTF8))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{where} has no JSON value on line {number} ({error}): {_AGAIN}") from error
        yield None, value


def _items(file: IO[bytes], how: NewsList, url: str) -> Iterator[Item]:
    for number, (key, value) in enumerate(read_items(file, how.shape, url)):
        yield from items_of(how.layout, key, value, f"{url}, record {number},")


class _Images:
    """Finds the images of one list."""

    def __init__(self, fs: Any, how: NewsList, url: str, options: Options) -> None:
        self._fs = fs
        self._options = options
        self._how = how
        self._url = url
        self._local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
        self._home = os.path.realpath(how.folder) if self._local else how.folder

    def metadata(self, item: Item) -> NewsMetadata:
        article = {f.name: getattr(item, f.name) for f in fields(item) if f.name in _ARTICLE}
        known = {**article, "alt_text": item.caption or "", "published_split": item.split, "note": item.note}
        if self._options.keep:
            known["columns"] = kept_of_record(item.further, self._options)
        if item.fault is not None or item.image is None:
            return NewsMetadata(**known, url=item.image_url, fault=item.fault)
        path = f"{self._how.folder}/{item.image}"
        self._check_inside(path, item.image)
        try:
            sha256, size = file_sha256(self._fs, path)
        except OSError as error:
            if item.image_url is not None:
                return NewsMetadata(**known, url=item.image_url)
            known["note"] = f"{item.image}: {error.strerror or 'not found'}"
            return NewsMetadata(**known, fault=Reason.FILE_MISSING)
        return NewsMetadata(
            **known,
            url=item.image_url,
            content=content_url(sha256),
            local_file=self._fs.unstrip_protocol(path),
            local_offset=0,
            local_size=size,
        )

    def _check_inside(self, path: str, name: str) -> None:
        """Raises ``SourceError`` for a path that leads out of the source through a link."""
        if not self._local:
            return
        real = os.path.realpath(path)
        if real != self._home and not real.startswith(self._home.rstrip("/") + "/"):
            raise SourceError(
                f"{self._url} names the image {name!r}, which is a link that leads out of the source; it was not read. "
                "Put the file itself there, or leave the record out"
            )
