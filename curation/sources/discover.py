"""From ``--source`` strings to source files: the kind and the dialect of each, and how to read it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from curation.core.errors import DamagedSource, SourceError
from curation.sources.columns import NoImages
from curation.sources.json_lists import JsonList, recognise_json
from curation.sources.kinds import (
    PACKED,
    endings,
    head_of,
    json_and_text_lists,
    kinds_of,
    linked_notes,
    list_ending,
    pictures_by_content,
    some,
    stem_of,
    unused_notes,
)
from curation.sources.lines import Lines, recognise_lines
from curation.sources.listing import Found, Listing, list_spec
from curation.sources.options import PLAIN, Options
from curation.sources.picture_folders import Folder, is_metadata_file, picture_folders, unwritable
from curation.sources.releases import release_of, without_annotations
from curation.sources.source_file import Pictures, SourceFile, SourceSet, TarShards, Unreadable
from curation.sources.tables import Footer, read_footer
from curation.sources.text_lists import TextList, recognise_bare, recognise_text

_KNOWN = (
    "Parquet (.parquet), TSV (.tsv), CSV (.csv), JSON (.jsonl, .json), lists of addresses (.txt), WebDataset or "
    "img2dataset tars (.tar), a release or root of ours, or a folder of images with .txt, .caption or .json files "
    "beside them, a metadata.jsonl or a meta_cap.json"
)
_LINES = {"tsv": "\t", "csv": ","}
log = logging.getLogger(__name__)


def open_source(specs: Sequence[str], options: Options = PLAIN) -> SourceSet:
    """Lists and recognises the files that the specs name, without reading their rows.

    A damaged file is an ``Unreadable`` one of the set. Files that look like data and are not read are logged.
    Raises ``SourceError`` where nothing can be read, a dialect is unknown, or a mixture leaves open what is meant.
    """
    if not specs:
        raise SourceError("no source is named; give --source with a file, a pattern, a folder or an fsspec URL")
    notes: list[str] = []
    found = gathered(file for spec in specs for file in _recognised(list_spec(spec), options, notes))
    guesses = [f.layout.note for f in found.files if f.layout is not None and f.layout.note is not None]
    notes += (
        [f"{guesses[0]} (and {len(guesses) - 1} more lists)" if len(guesses) > 1 else guesses[0]] if guesses else []
    )
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


def _recognised(listing: Listing, options: Options, notes: list[str]) -> Iterator[SourceFile]:
    """The files of one spec: lists, or tars, or folders of images."""
    listing = without_annotations(release_of(listing))
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
        raise SourceError(
            f"source {listing.spec!r} mixes {' and '.join(held)}; name one kind, such as '*.parquet'. A list whose "
            "rows name the images by path finds them when it is named alone"
        )
    if kinds["packed"] and not lists and not images:
        raise SourceError(
            f"{some((f.path for f in kinds['packed']), 5)}: pixels are read in place, so a compressed tar cannot be "
            "used; unpack it to a plain .tar"
        )
    unused = [*kinds["other"], *kinds["packed"], *kinds["packed text"], *kinds["passed over"]]
    if lists:
        unused += kinds["sidecar"]
        with ThreadPoolExecutor(8) as threads:
            yield from filter(None, threads.map(lambda f: _list(listing, f, options), lists))
    elif tars:
        unused += [f for f in kinds["sidecar"] if stem_of(f.name) not in with_pixels]
        yield from (_tar(listing, tar, options) for tar in tars)
    elif images:
        captions += [f for f in kinds["other"] if is_metadata_file(f.name)]
        folders, used = picture_folders(listing, images, kinds["sidecar"], captions, options)
        unused = [f for f in (*unused, *captions, *kinds["sidecar"]) if f not in used and f not in images]
        yield from (_folder(listing, folder, options) for folder in folders)
    else:
        found, others = _json_and_text(listing, kinds, options)
        if not found:
            raise others or SourceError(
                f"source {listing.spec!r} holds nothing that can be read: {some((f.name for f in listing.files), 5)}. "
                f"Expected {_KNOWN}"
            )
        yield from found
        names = {file.name for file in found}
        unused = [f for f in (*unused, *kinds["sidecar"]) if f.name not in names]
    notes += unused_notes({f.name for f in unused}, listing.spec) + linked_notes(listing.linked, listing.spec)


def _json_and_text(
    listing: Listing, kinds: Mapping[str, Sequence[Found]], options: Options
) -> tuple[list[SourceFile], SourceError | None]:
    """The lists among JSON and text files, and the error of the first one that names no images."""
    found: list[SourceFile] = []
    other: SourceError | None = None
    for file in json_and_text_lists(kinds):
        try:
            read = _list(listing, file, options)
        except NoImages as error:
            other = other or error
            continue
        if read is not None:
            found.append(read)
    return found, other


def _list(listing: Listing, file: Found, options: Options) -> SourceFile | None:
    """A list as a file of the source; None for a text that is none."""
    url = _url(listing, file)
    try:
        _check_openable(file)
        reading = _reading(listing, file, url, options)
    except DamagedSource as error:
        return SourceFile(file.name, url, "unreadable", file.version, file.size, Unreadable(str(error)))
    if reading is None:
        return None
    fingerprint = file.version
    if reading.layout.has_pixels:
        # The rows hold the place of the pixels, so a list that was moved must be read again.
        fingerprint = f"{file.version} {url}"
    return SourceFile(file.name, url, reading.layout.dialect, fingerprint, file.size, reading, options)


def _reading(listing: Listing, file: Found, url: str, options: Options) -> Footer | Lines | JsonList | TextList | None:
    """How a list is read. Raises ``DamagedSource``, and ``SourceError`` for columns that are not understood."""
    match endings(file.name):
        case [*_, ending, packed] if packed in PACKED:
            separator = _LINES.get(ending)
        case [*_, ending]:
            separator = _LINES.get(ending)
        case _:
            separator = None
    match list_ending(file.name):
        case "json" | "jsonl":
            return recognise_json(url, options)
        case "txt":
            return recognise_text(url)
    # A file may have the wrong ending, so that its first bytes count too.
    if separator is None or head_of(listing.fs, file, 4) == b"PAR1":
        return read_footer(url, options)
    return recognise_bare(url) or recognise_lines(url, separator, options)


def _tar(listing: Listing, tar: Found, options: Options) -> SourceFile:
    url = _url(listing, tar)
    # The rows hold the place of the pixels, so a tar that was moved must be read again.
    fingerprint = f"{tar.version} {url}"
    try:
        _check_openable(tar)
    except DamagedSource as error:
        return SourceFile(tar.name, url, "unreadable", fingerprint, tar.size, Unreadable(str(error)))
    return SourceFile(tar.name, url, "webdataset", fingerprint, tar.size, TarShards(), options)


def _folder(listing: Listing, folder: Folder, options: Options) -> SourceFile:
    url = listing.fs.unstrip_protocol(listing.base if folder.name == "." else f"{listing.base}/{folder.name}")
    pictures = Pictures(tuple(folder.pictures))
    return SourceFile(folder.name, url, "images", folder.fingerprint(url), folder.size, pictures, options)


def _check_openable(file: Found) -> None:
    # A list or tar may be a link that leads out of the source: whoever named it meant it.
    if file.fault is not None and not (file.link and file.version):
        raise DamagedSource(f"{file.path} cannot be read: it is {file.fault}")


def _url(listing: Listing, file: Found) -> str:
    return str(listing.fs.unstrip_protocol(file.path))
