"""From ``--source`` to the lists of a news source: their layouts, and where their images are."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import fsspec

from curation.core.errors import SourceError
from curation.sources.discover import gathered
from curation.sources.kinds import unused_notes
from curation.sources.listing import Found, Listing, list_spec
from curation.sources.news import LAYOUTS, MARKS, LayoutName, layout_of
from curation.sources.news_files import NewsList, Shape, open_list, read_items, shape_of
from curation.sources.options import PLAIN, Options
from curation.sources.source_file import SourceFile, SourceSet, Unreadable

log = logging.getLogger(__name__)
_HEAD = 1 << 22  # bytes by which a list is recognised
_LOOK = 8  # records by which it is recognised
_IMAGES: dict[LayoutName, tuple[str, ...]] = {
    "visualnews": (".",),
    "nytimes800k": ("images_processed", "images", "."),
    "goodnews": ("images", "resized", "images_processed", "."),
}
_LOOKS: dict[LayoutName, str] = {
    "visualnews": "a JSON list (origin/data.json) of objects",
    "nytimes800k": "a JSON object a line, one an article,",
    "goodnews": "a JSON object of articles by id, each",
}


def open_news(specs: Sequence[str], layout: LayoutName | None = None, options: Options = PLAIN) -> SourceSet:
    """Lists and recognises the news lists that the specs name: folders as they were published, or the lists.

    With ``layout``, only lists in that layout count. Raises ``SourceError`` when there is none, or all are empty; the
    message names what was looked for.
    """
    if not specs:
        raise SourceError("no source is named; give --source with the folder or the list of a news dataset")
    return gathered(file for spec in specs for file in _files(_listing(spec), layout, options))


def _files(listing: Listing, layout: LayoutName | None, options: Options) -> Iterator[SourceFile]:
    seen: list[str] = []
    found = 0
    for file in listing.files:
        if not _is_list_name(file.name):
            continue
        if file.fault is not None and not (file.link and file.version):
            raise SourceError(f"{file.path} cannot be read: it is {file.fault}")
        url = str(listing.fs.unstrip_protocol(file.path))
        try:
            how = _recognise(listing.fs, file, layout)
        except OSError as error:
            found += 1
            fault = f"{url} cannot be read: {error}; fetch it again or leave it out"
            yield SourceFile(file.name, url, "unreadable", file.version, file.size, Unreadable(fault))
            continue
        if how is None:
            seen.append(file.name)
            continue
        found += 1
        # The rows hold the paths of the images, so a list that was moved must be read again.
        yield SourceFile(file.name, url, how.layout, f"{file.version} {url}", file.size, how, options)
    if not found:
        raise SourceError(_nothing(listing, layout, seen))
    for note in unused_notes(seen, listing.spec):
        log.warning("%s", note)


def _listing(spec: str) -> Listing:
    """The files of a source; of a folder only its own lists, because the images beside them may be millions."""
    try:
        fs, path = fsspec.core.url_to_fs(spec)
        fs.invalidate_cache()  # as ``list_spec`` does
        if not fs.isdir(path):
            return list_spec(spec)
        path = path.rstrip("/")
        for folder in (path, f"{path}/origin"):
            names = [str(n) for n in fs.ls(folder, detail=False)] if fs.isdir(folder) else []
            lists = [list_spec(fs.unstrip_protocol(n)) for n in sorted(names) if _is_list_name(n)]
            if lists:
                return Listing(spec, fs, folder, tuple(f for part in lists for f in part.files))
    except (ValueError, ImportError, OSError) as error:
        raise SourceError(f"source {spec!r} cannot be listed: {error}") from error
    return Listing(spec, fs, path, ())


def _recognise(fs: Any, file: Found, layout: LayoutName | None) -> NewsList | None:
    """The layout of a list and the folder of its images; None for no layout. Raises ``OSError``."""
    try:
        with open_list(fs, file.path) as data:
            head = data.read(_HEAD)
    except EOFError as error:
        raise OSError(f"it ends early ({error})") from error
    guess = shape_of(head)
    # One article of NYTimes800k and all of GoodNews are each an object on one line.
    shapes: list[Shape] = ["lines", "object"] if guess == "lines" else [guess] if guess else []
    for shape in shapes:
        name = next((n for value in _first(head, shape, file.name) if (n := layout_of(value)) is not None), None)
        fits = {"visualnews": ("list", "lines"), "nytimes800k": ("list", "lines"), "goodnews": ("object",)}
        if name is not None and shape in fits[name] and layout in (None, name):
            folder = file.path.rsplit("/", 1)[0] if "/" in file.path else ""
            return NewsList(name, shape, _image_folder(fs, folder, name))
    return None


def _first(head: bytes, shape: Shape, where: str) -> list[Any]:
    """The first items that are whole before the head ends."""
    found: list[Any] = []
    try:
        for _, value in read_items(io.BytesIO(head), shape, where):
            found.append(value)
            if len(found) == _LOOK:
                break
    except SourceError:
        return found
    return found


def _image_folder(fs: Any, folder: str, layout: LayoutName) -> str:
    places = (folder if name == "." else f"{folder}/{name}" for name in _IMAGES[layout])
    return next((place for place in places if place == folder or fs.isdir(place)), folder)


def _is_list_name(name: str) -> bool:
    endings = name.rsplit("/", 1)[-1].lower().removesuffix(".gz").split(".")[1:]
    return bool(endings) and endings[-1] in ("json", "jsonl", "ndjson")


def _nothing(listing: Listing, layout: LayoutName | None, seen: Sequence[str]) -> str:
    wanted = [layout] if layout else LAYOUTS
    marks = "; ".join(f"{name}: {_LOOKS[name]} with {' and '.join(MARKS[name])}" for name in wanted)
    looked = f"looked into {', '.join(seen[:5])}" if seen else "no .json or .jsonl file was found"
    return f"source {listing.spec!r} is in no news layout: {looked}. Looked for {marks}"
