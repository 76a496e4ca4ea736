"""From ``--source`` strings to source files: what each is, in which dialect, and how to read it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.core.errors import SourceError
from curation.sources.folders import Picture, read_folder
from curation.sources.lines import Lines, read_lines, recognise_lines
from curation.sources.listing import Found, Listing, beside, list_spec
from curation.sources.news_files import NewsList, read_news
from curation.sources.pixels import IMAGE_EXTENSIONS
from curation.sources.tables import Footer, read_footer, read_parquet
from curation.sources.tars import read_tar

_KNOWN = (
    "Parquet (.parquet), TSV (.tsv), CSV (.csv), WebDataset or img2dataset tars (.tar), "
    "or a folder of images with .txt or .json beside them"
)
_LINES = {"tsv": "\t", "csv": ","}
_PACKED = ("gz", "bz2", "xz")


@dataclass(frozen=True)
class TarShards:
    """A tar of samples."""


@dataclass(frozen=True)
class Pictures:
    """The images of one folder, in order."""

    pictures: tuple[Picture, ...]


Reading = Footer | Lines | TarShards | Pictures | NewsList


@dataclass(frozen=True)
class SourceFile:
    """One file of the source (of images: one folder). Its rows are numbered from 0 in its own order.

    ``name`` does not change when other files come or go; ``fingerprint`` changes when its content may
    have changed.
    """

    name: str
    url: str
    dialect: str
    fingerprint: str
    size: int
    reading: Reading

    def rows(self) -> int | None:
        """How many rows it has, where that can be told without reading it."""
        match self.reading:
            case Footer(rows=rows):
                return rows
            case Pictures(pictures=pictures):
                return len(pictures)
            case _:
                return None

    def read(self, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
        """Tables of ``Claim`` for the rows [start, end), in order. Raises ``SourceError``."""
        match self.reading:
            case Footer(layout=layout):
                return read_parquet(self.url, layout, start, end)
            case Lines() as how:
                return read_lines(self.url, how, start, end)
            case TarShards():
                return read_tar(self.url, start, end)
            case Pictures(pictures=pictures):
                return read_folder(self.url, pictures, start, end)
            case NewsList() as layout:
                return read_news(self.url, layout, start, end)


@dataclass(frozen=True)
class SourceSet:
    """All files of the source, sorted by name: this is source order."""

    files: tuple[SourceFile, ...]

    def rows(self) -> int | None:
        """How many rows there are, where that can be told without reading them."""
        counts = [f.rows() for f in self.files]
        return None if None in counts else sum(c for c in counts if c is not None)


def open_source(specs: Sequence[str]) -> SourceSet:
    """Lists and recognises the files that the specs name, and reads no row of them.

    Raises ``SourceError`` for what is missing, unreadable, truncated, empty, in no known dialect, or
    mixed in a way that leaves open what is meant.
    """
    if not specs:
        raise SourceError("no source is named; give --source with a file, a pattern, a folder or an fsspec URL")
    return gathered(file for spec in specs for file in _recognised(list_spec(spec)))


def gathered(found: Iterable[SourceFile]) -> SourceSet:
    """The files as one source. Raises ``SourceError`` for names that clash, and where there is no row at all."""
    files: dict[str, SourceFile] = {}
    for file in found:
        if _unwritable(file.name + file.url):
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
    if all(_is_empty(f) for f in sources.files):
        raise SourceError(f"the source has no rows: {_some(f.url for f in sources.files)}; name one that has")
    return sources


def _is_empty(file: SourceFile) -> bool:
    rows = file.rows()
    if rows is None:
        return not any(table.num_rows for table in file.read(0, 1))
    return rows == 0


def _recognised(listing: Listing) -> Iterator[SourceFile]:
    """The files of one spec: lists, or tars, or images."""
    kinds = _kinds(listing)
    lists, tars, images = kinds["list"], kinds["tar"], kinds["image"]
    if kinds["packed"]:
        raise SourceError(
            f"{_some(f.path for f in kinds['packed'])}: pixels are read in place, so a compressed tar will not do; "
            "unpack it to a plain .tar"
        )
    # img2dataset leaves metadata beside each tar or folder of pixels, which hold all of it too.
    with_pixels = {_stem(f.name) for f in tars} | {f.name.rsplit("/", 1)[0] for f in images if "/" in f.name}
    lists = [f for f in lists if _stem(f.name) not in with_pixels]
    if sum(map(bool, (lists, tars, images))) > 1:
        held = [f"{len(v)} {k} ({v[0].name})" for k, v in (("lists", lists), ("tars", tars), ("images", images)) if v]
        raise SourceError(f"source {listing.spec!r} mixes {' and '.join(held)}; name one kind, such as '*.parquet'")
    if lists:
        with ThreadPoolExecutor(8) as threads:
            yield from threads.map(lambda f: _list(listing, f), lists)
    elif tars:
        for tar in tars:
            _openable(tar)
            url = _url(listing, tar)
            # The rows say where the pixels are, so a tar that was moved is another one.
            yield SourceFile(tar.name, url, "webdataset", f"{tar.version} {url}", tar.size, TarShards())
    elif images:
        yield from _folders(listing, images, kinds["sidecar"])
    else:
        raise SourceError(
            f"source {listing.spec!r} holds nothing that can be read: {_some(f.name for f in listing.files)}. "
            f"Expected {_KNOWN}"
        )


def _kinds(listing: Listing) -> defaultdict[str, list[Found]]:
    kinds: defaultdict[str, list[Found]] = defaultdict(list)
    for file in listing.files:
        kinds[_kind(listing, file)].append(file)
    return kinds


def _kind(listing: Listing, file: Found) -> str:
    match _endings(file.name):
        case [*_, "parquet" | "pq"] | [*_, "tsv" | "csv"]:
            return "list"
        case [*_, "tsv" | "csv", packed] if packed in _PACKED:
            return "list"
        case [*_, "tar"]:
            return "tar"
        case [*_, "tgz" | "tbz2" | "txz"] | [*_, "tar", _]:
            return "packed"
        case [*_, "txt" | "json"]:
            return "sidecar"
        case [*_, ending] if ending in IMAGE_EXTENSIONS:
            return "image"
        case [] if file.fault is None and _has_magic(listing.fs, file.path):
            return "list"
    return "other"


def _endings(name: str) -> list[str]:
    """What follows the dots of the last part."""
    return name.rsplit("/", 1)[-1].lower().split(".")[1:]


def _has_magic(fs: Any, path: str) -> bool:
    try:
        return bytes(fs.cat_file(path, start=0, end=4)) == b"PAR1"
    except OSError:
        return False


def _list(listing: Listing, file: Found) -> SourceFile:
    _openable(file)
    url = _url(listing, file)
    match _endings(file.name):
        case [*_, ending, packed] if packed in _PACKED:
            separator = _LINES.get(ending)
        case endings:
            separator = _LINES.get(endings[-1]) if endings else None
    reading = read_footer(url) if separator is None else recognise_lines(url, separator)
    return SourceFile(file.name, url, reading.layout.dialect, file.version, file.size, reading)


def _openable(file: Found) -> None:
    # A list or tar may be a link to anywhere: whoever named it meant it.
    if file.fault is not None and not (file.link and file.version):
        raise SourceError(f"{file.path} cannot be read: it is {file.fault}")


def _folders(listing: Listing, images: Sequence[Found], sidecars: Sequence[Found]) -> Iterator[SourceFile]:
    """One source file a folder that holds images. '*.jpg' names no sidecars, but means those beside too."""
    if not sidecars:
        near = (f for folder in sorted({_folder(i.name) for i in images}) for f in beside(listing, folder))
        sidecars = [f for f in near if _kind(listing, f) == "sidecar"]
    by_stem = {(_folder(f.name), _last_stem(f.name), f.name.rsplit(".", 1)[-1].lower()): f for f in sidecars}
    folders: defaultdict[str, list[Picture]] = defaultdict(list)
    prints: defaultdict[str, Any] = defaultdict(hashlib.sha256)
    sizes: defaultdict[str, int] = defaultdict(int)
    for image in images:
        folder = _folder(image.name)
        text, metadata = (by_stem.get((folder, _last_stem(image.name), ending)) for ending in ("txt", "json"))
        fault = image.fault or _unwritable(image.path)
        folders[folder].append(Picture(image.name, image.path, _path(text), _path(metadata), fault))
        for file in (image, text, metadata):
            if file is not None:
                prints[folder].update(f"{file.name}\n{file.version}\n".encode("utf-8", "surrogateescape"))
                sizes[folder] += file.size
    for folder, pictures in folders.items():
        url = listing.fs.unstrip_protocol(listing.base if folder == "." else f"{listing.base}/{folder}")
        prints[folder].update(url.encode("utf-8", "surrogateescape"))
        mark = prints[folder].hexdigest()[:32]
        yield SourceFile(folder, url, "images", mark, sizes[folder], Pictures(tuple(pictures)))


def _path(sidecar: Found | None) -> str | None:
    """Where it lies, unless it must not be read."""
    return None if sidecar is None or sidecar.fault is not None else sidecar.path


def _unwritable(path: str) -> str | None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    return None


def _folder(name: str) -> str:
    return name.rsplit("/", 1)[0] if "/" in name else "."


def _last_stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _stem(name: str) -> str:
    """The name without what follows the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".", 1)[0]


def _url(listing: Listing, file: Found) -> str:
    return str(listing.fs.unstrip_protocol(file.path))


def _some(names: Iterable[str]) -> str:
    first = [*names]
    return ", ".join(first[:5]) + (f" and {len(first) - 5} more" if len(first) > 5 else "")
