"""A file of the source: how it is read, and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from curation.core.errors import DamagedSource
from curation.sources.dialects import Layout, path_roles
from curation.sources.folders import Picture, read_folder
from curation.sources.json_lists import JsonList, read_json
from curation.sources.lines import Lines, read_lines
from curation.sources.news_files import NewsList, read_news
from curation.sources.options import Options
from curation.sources.source_metadata import with_path_roles
from curation.sources.tables import Footer, read_parquet
from curation.sources.tars import read_tar
from curation.sources.text_lists import TextList, read_text


@dataclass(frozen=True)
class TarShards:
    """A tar of samples."""


@dataclass(frozen=True)
class Pictures:
    """The images of one folder, in order."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be opened or recognised; reading it raises this error."""

    error: str


Reading = Footer | Lines | JsonList | TextList | TarShards | Pictures | NewsList | Unreadable


@dataclass(frozen=True)
class SourceFile:
    """One file of the source, or one folder of images. Its rows are numbered from 0 in its own order.

    ``name`` does not change when other files come or go; ``fingerprint`` changes when the content may have changed.
    """

    name: str
    url: str
    dialect: str
    fingerprint: str
    size: int
    reading: Reading
    options: Options = field(default_factory=Options)

    def rows(self) -> int | None:
        """The number of rows, or None where it is not known without reading the file."""
        match self.reading:
            case Footer(rows=rows):
                return rows
            case Pictures(pictures=pictures):
                return len(pictures)
            case _:
                return None

    def read(self, start: int = 0, end: int | None = None, *, kept: bool = False) -> Iterator[pa.Table]:
        """Tables of ``SourceMetadata`` for the rows [start, end), in order. Raises ``SourceError``.

        With ``kept`` they hold what the options keep of further columns; that takes time with long lists.
        A folder called ``language=de`` above the file gives that value to rows of a file without such a column.
        """
        options = self.options
        match self.reading:
            case Footer(layout=layout):
                tables = read_parquet(self.url, layout, start, end, options=options, kept=kept)
            case Lines() as how:
                tables = read_lines(self.url, how, start, end, options=options, kept=kept)
            case JsonList() as how_json:
                tables = read_json(self.url, how_json, start, end, options=options, kept=kept)
            case TextList() as how_text:
                tables = read_text(self.url, how_text, start, end, options=options)
            case TarShards():
                tables = read_tar(self.url, start, end, options=options)
            case Pictures(pictures=pictures):
                tables = read_folder(self.url, pictures, start, end, options=options)
            case NewsList() as news:
                return read_news(self.url, news, start, end, options=options, kept=kept)
            case Unreadable(error=error):
                raise DamagedSource(error)
        return with_path_roles(tables, self._path_roles())

    @property
    def layout(self) -> Layout | None:
        """Which columns are read, for a list."""
        reading = self.reading
        return reading.layout if isinstance(reading, (Footer, Lines, JsonList, TextList)) else None

    def _path_roles(self) -> tuple[tuple[str, str], ...]:
        own = {role for role, _ in self.layout.roles} if self.layout is not None else set()
        url = f"{self.url}/" if isinstance(self.reading, Pictures) else self.url
        return tuple((role, value) for role, value in path_roles(url) if role not in own)


@dataclass(frozen=True)
class SourceSet:
    """All files of the source, sorted by name: this is source order. ``notes`` are about files that are not read."""

    files: tuple[SourceFile, ...]
    notes: tuple[str, ...] = ()

    def rows(self) -> int | None:
        """The number of rows, or None where it is not known without reading them."""
        counts = [f.rows() for f in self.files]
        return None if None in counts else sum(c for c in counts if c is not None)
