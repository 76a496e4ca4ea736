"""Lists in a news layout, streamed into claims; their images are looked for, and never outside the source."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import IO, Annotated, Any, ClassVar

import fsspec
import pyarrow as pa

from curation.core.errors import SourceError
from curation.sources.json_stream import Shape, read_items
from curation.sources.laion import Claim
from curation.sources.news import Item, LayoutName, items_of
from curation.sources.pixels import BATCH, file_sha256
from schemas.arrow import schema_of, table_of
from schemas.ids import content_url
from schemas.news import NewsArticle
from schemas.reasons import Reason

_TOLD = {"outlet", "topic", "date", "headline", "article_id", "article_url"}


@dataclass(frozen=True, slots=True)
class NewsClaim(Claim):
    """A claim with what the source says of its article."""

    table: ClassVar[str] = "news_claims"

    outlet: Annotated[str | None, "as in articles"] = None
    topic: Annotated[str | None, "as in articles"] = None
    date: Annotated[str | None, "as in articles"] = None
    headline: Annotated[str | None, "as in articles"] = None
    article_id: Annotated[str | None, "as in articles"] = None
    article_url: Annotated[str | None, "as in articles"] = None
    published_split: Annotated[str | None, "as in articles"] = None


@dataclass(frozen=True)
class NewsList:
    """A list in a news layout. ``folder`` is what image paths are relative to, as a path of its filesystem."""

    layout: LayoutName
    shape: Shape
    folder: str


def read_news(url: str, how: NewsList, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
    """Tables of ``NewsClaim`` for the rows [start, end), in order; images that lie there are hashed for their ids.

    An image that is missing is a ``file_missing`` row unless the record has its URL. Raises ``SourceError`` where
    the list is damaged, or where an image leads out of the source.
    """
    fs, path = fsspec.core.url_to_fs(url)
    where = _Images(fs, how, url)
    try:
        with opened(fs, path) as file:
            found = islice(_items(file, how, url), start, end)
            while batch := list(islice(found, BATCH)):
                yield table_of(NewsClaim, [where.claim(item) for item in batch])
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SourceError(f"{url} cannot be read: {error}; fetch it again or leave it out") from error


def articles(rows: pa.Table, claims: pa.Table) -> pa.Table:
    """The articles of these rows, from the claims that they were made of."""
    same = {name: rows[name] for name in ("source_file", "source_row", "sample_id")}
    schema = schema_of(NewsArticle)
    return pa.table([same.get(f.name) if f.name in same else claims[f.name] for f in schema], schema).combine_chunks()


def _items(file: IO[str], how: NewsList, url: str) -> Iterator[Item]:
    for number, (key, value) in enumerate(read_items(file, how.shape, url)):
        yield from items_of(how.layout, key, value, f"{url}, record {number},")


class _Images:
    """Finds the images of one list."""

    def __init__(self, fs: Any, how: NewsList, url: str) -> None:
        self._fs = fs
        self._how = how
        self._url = url
        self._local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
        self._home = os.path.realpath(how.folder) if self._local else how.folder

    def claim(self, item: Item) -> NewsClaim:
        about = {f.name: getattr(item, f.name) for f in fields(item) if f.name in _TOLD}
        told = {**about, "alt_text": item.caption or "", "published_split": item.split, "note": item.note}
        if item.fault is not None or item.image is None:
            return NewsClaim(**told, url=item.image_url, fault=item.fault)
        path = f"{self._how.folder}/{item.image}"
        self._stays(path, item.image)
        try:
            sha256, size = file_sha256(self._fs, path)
        except OSError as error:
            if item.image_url is not None:
                return NewsClaim(**told, url=item.image_url)
            told["note"] = f"{item.image}: {error.strerror or 'not found'}"
            return NewsClaim(**told, fault=Reason.FILE_MISSING)
        return NewsClaim(
            **told,
            url=item.image_url,
            content=content_url(sha256),
            local_file=self._fs.unstrip_protocol(path),
            local_offset=0,
            local_size=size,
        )

    def _stays(self, path: str, name: str) -> None:
        """A link may lead anywhere; what it leads to must lie in the source as well."""
        if not self._local:
            return
        real = os.path.realpath(path)
        if real != self._home and not real.startswith(self._home.rstrip("/") + "/"):
            raise SourceError(
                f"{self._url} names the image {name!r}, which is a link that leads out of the source; it was not read. "
                "Put the file itself there, or leave the record out"
            )


def opened(fs: Any, path: str) -> IO[str]:
    """The list's text, unpacked where its name ends in .gz."""
    raw = fs.open(path, "rb")
    packed = gzip.GzipFile(fileobj=raw) if path.lower().endswith(".gz") else raw
    return io.TextIOWrapper(packed, encoding="utf-8", errors="strict")
