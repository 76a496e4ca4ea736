"""From ``--source`` strings to source files: the kind and the dialect of each, and how to read it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from curation.core.errors import DamagedSource, SourceError
from curation.sources.dialects import path_roles
from curation.sources.folders import Picture, read_folder
from curation.sources.kinds import (
    PACKED,
    endings,
    head_of,
    kinds_of,
    linked_notes,
    pictures_by_content,
    some,
    stem_of,
    unused_notes,
)
from curation.sources.lines import Lines, read_lines, recognise_lines
from curation.sources.listing import Found, Listing, list_spec
from curation.sources.news_files import NewsList, read_news
from curation.sources.picture_folders import Folder, is_metadata_file, picture_folders, unwritable
from curation.sources.source_metadata import with_path_roles
from curation.sources.tables import Footer, read_footer, read_parquet
from curation.sources.tars import read_tar

_KNOWN = (
    "Parquet (.parquet), TSV (.tsv), CSV (.csv), WebDataset or img2dataset tars (.tar), "
    "or a folder of images with .txt or .json files beside them or a metadata.jsonl"
)
_LINES = {"tsv": "\t", "csv": ","}
log = logging.getLogger(__name__)


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


Reading = Footer | Lines | TarShards | Pictures | NewsList | Unreadable


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

    def rows(self) -> int | None:
        """The number of rows, or None where it is not known without reading the file."""
        match self.reading:
            case Footer(rows=rows):
                return rows
            case Pictures(pictures=pictures):
                return len(pictures)
            case _:
                return None

    def read(self, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
        """Tables of ``SourceMetadata`` for the rows [start, end), in order. Raises ``SourceError``.

        A folder called ``language=de`` above the file gives that value to rows of a file without such a column.
        """
        match self.reading:
            case Footer(layout=layout):
                tables = read_parquet(self.url, layout, start, end)
            case Lines() as how:
                tables = read_lines(self.url, how, start, end)
            case TarShards():
                tables = read_tar(self.url, start, end)
            case Pictures(pictures=pictures):
                tables = read_folder(self.url, pictures, start, end)
            case NewsList() as news:
                return read_news(self.url, news, start, end)
            case Unreadable(error=error):
                raise DamagedSource(error)
        return with_path_roles(tables, self._path_roles())

    def _path_roles(self) -> tuple[tuple[str, str], ...]:
        own = {role for role, _ in self.reading.layout.roles} if isinstance(self.reading, (Footer, Lines)) else set()
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


def open_source(specs: Sequence[str]) -> SourceSet:
    """Lists and recognises the files that the specs name, without reading their rows.

    A damaged file is an ``Unreadable`` one of the set. Files that look like data and are not read are logged.
    Raises ``SourceError`` where nothing can be read, a dialect is unknown, or a mixture leaves open what is meant.
    """
    if not specs:
        raise SourceError("no source is named; give --source with a file, a pattern, a folder or an fsspec URL")
    notes: list[str] = []
    found = gathered(file for spec in specs for file in _recognised(list_spec(spec), notes))
    for note in notes:
        log.warning("%s", note)
    return SourceSet(found.files, tuple(notes))


def gathered(found: Iterable[SourceFile]) -> SourceSet:
    """The files as one source. Raises ``SourceError`` for names that clash, and where no file has a row."""
    files: dict[str, SourceFile] = {}
    for file in found:
        if unwritable(file.name + file.url):
            raise SourceError(f"{file.name!r} is a name that is not valid UTF-8; rename the file or its folder")
        other = files.setdefault(file.name, file)
        if other.url != file.url:
            raise SourceError(
                f"{other.url} and {file.url} would both be called {file.name!r}; "
                "name them by one pattern from the folder above both, such as 'lists/*/part-*.parquet'"
            )
    places: dict[str, str] = {}
    for file in files.values():
        if places.setdefault(file.url, file.name) != file.name:
            raise SourceError(
                f"{file.url} is named twice, as {places[file.url]!r} and {file.name!r}; name each file once"
            )
    sources = SourceSet(tuple(sorted(files.values(), key=lambda f: f.name)))
    _check_rows(sources.files)
    return sources


def _check_rows(files: Sequence[SourceFile]) -> None:
    """Raises ``SourceError`` where no file has a row: the error of the first damaged file, if there is one."""
    damage: SourceError | None = None
    for file in files:
        try:
            rows = file.rows()
            if rows or (rows is None and any(table.num_rows for table in file.read(0, 1))):
                return
        except SourceError as error:
            damage = damage or error
    raise damage or SourceError(f"the source has no rows: {some((f.url for f in files), 5)}; name one that has")


def _recognised(listing: Listing, notes: list[str]) -> Iterator[SourceFile]:
    """The files of one spec: lists, or tars, or folders of images."""
    kinds = kinds_of(listing)
    lists, tars, images = kinds["list"], kinds["tar"], kinds["image"]
    if not tars and all(is_metadata_file(f.name) for f in lists):
        images += pictures_by_content(listing, kinds)
    captions = [f for f in lists if images and is_metadata_file(f.name)]
    # img2dataset leaves metadata beside each tar or folder of pixels, which hold all of it too.
    with_pixels = {stem_of(f.name) for f in tars} | {f.name.rsplit("/", 1)[0] for f in images if "/" in f.name}
    lists = [f for f in lists if f not in captions and stem_of(f.name) not in with_pixels]
    if sum(map(bool, (lists, tars, images))) > 1:
        held = [f"{len(v)} {k} ({v[0].name})" for k, v in (("lists", lists), ("tars", tars), ("images", images)) if v]
        raise SourceError(f"source {listing.spec!r} mixes {' and '.join(held)}; name one kind, such as '*.parquet'")
    if kinds["packed"] and not lists and not images:
        raise SourceError(
            f"{some((f.path for f in kinds['packed']), 5)}: pixels are read in place, so a compressed tar cannot be "
            "used; unpack it to a plain .tar"
        )
    unused = [*kinds["other"], *kinds["packed"], *kinds["passed over"]]
    if lists:
        unused += kinds["sidecar"]
        with ThreadPoolExecutor(8) as threads:
            yield from threads.map(lambda f: _list(listing, f), lists)
    elif tars:
        unused += [f for f in kinds["sidecar"] if stem_of(f.name) not in with_pixels]
        yield from (_tar(listing, tar) for tar in tars)
    elif images:
        captions += [f for f in kinds["other"] if is_metadata_file(f.name)]
        folders, used = picture_folders(listing, images, kinds["sidecar"], captions)
        unused = [f for f in (*unused, *captions, *kinds["sidecar"]) if f not in used and f not in images]
        yield from (_folder(listing, folder) for folder in folders)
    else:
        raise SourceError(
            f"source {listing.spec!r} holds nothing that can be read: {some((f.name for f in listing.files), 5)}. "
            f"Expected {_KNOWN}"
        )
    notes += unused_notes({f.name for f in unused}, listing.spec) + linked_notes(listing.linked, listing.spec)


def _list(listing: Listing, file: Found) -> SourceFile:
    url = _url(listing, file)
    match endings(file.name):
        case [*_, ending, packed] if packed in PACKED:
            separator = _LINES.get(ending)
        case [*_, ending]:
            separator = _LINES.get(ending)
        case _:
            separator = None
    try:
        _check_openable(file)
        # A file may have the wrong ending, so that its first bytes count too.
        is_parquet = separator is None or head_of(listing.fs, file, 4) == b"PAR1"
        reading = read_footer(url) if is_parquet or separator is None else recognise_lines(url, separator)
    except DamagedSource as error:
        return SourceFile(file.name, url, "unreadable", file.version, file.size, Unreadable(str(error)))
    return SourceFile(file.name, url, reading.layout.dialect, file.version, file.size, reading)


def _tar(listing: Listing, file: Found) -> SourceFile:
    url = _url(listing, file)
    # The rows hold the place of the pixels, so a tar that was moved must be read again.
    fingerprint = f"{file.version} {url}"
    try:
        _check_openable(file)
    except DamagedSource as error:
        return SourceFile(file.name, url, "unreadable", fingerprint, file.size, Unreadable(str(error)))
    return SourceFile(file.name, url, "webdataset", fingerprint, file.size, TarShards())


def _folder(listing: Listing, folder: Folder) -> SourceFile:
    url = listing.fs.unstrip_protocol(listing.base if folder.name == "." else f"{listing.base}/{folder.name}")
    return SourceFile(
        folder.name, url, "images", folder.fingerprint(url), folder.size, Pictures(tuple(folder.pictures))
    )


def _check_openable(file: Found) -> None:
    # A list or tar may be a link that leads out of the source: whoever named it meant it.
    if file.fault is not None and not (file.link and file.version):
        raise DamagedSource(f"{file.path} cannot be read: it is {file.fault}")


def _url(listing: Listing, file: Found) -> str:
    return str(listing.fs.unstrip_protocol(file.path))
