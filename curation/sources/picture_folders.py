"""Images with what belongs to each: sidecars of the same name, and rows of metadata files in the folders above."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace

from curation.sources.folders import Picture
from curation.sources.imagefolder import METADATA_FILES, Listed, composed, read_metadata
from curation.sources.kohya import kohya_files
from curation.sources.listing import Found, Listing, beside
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import SIDECAR_EXTENSIONS, TEXT_EXTENSIONS


@dataclass
class Folder:
    """The images of one folder, by name relative to the source's base; ``.`` is the base itself."""

    name: str
    pictures: list[Picture] = field(default_factory=list)
    size: int = 0
    versions: list[str] = field(default_factory=list)

    def made_of(self, *files: Found | None) -> None:
        """Adds files that the rows depend on."""
        for file in files:
            if file is not None:
                self.versions.append(f"{file.name}\n{file.version}\n")
                self.size += file.size

    def fingerprint(self, url: str) -> str:
        """Changes with the names and versions of the files, and with the place of the folder."""
        text = "".join([*self.versions, url])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def picture_folders(
    listing: Listing,
    images: Sequence[Found],
    sidecars: Sequence[Found],
    captions: Sequence[Found],
    options: Options = PLAIN,
) -> tuple[list[Folder], set[Found]]:
    """One folder for each that holds images, and the sidecars and metadata files that were used.

    A spec such as '*.jpg' names no sidecars, so those in the same folders are taken too. ``captions`` are metadata
    files. Raises ``SourceError`` for a metadata file that cannot be read.
    """
    if not sidecars and not captions:
        near = [f for folder in sorted({_folder(i.name) for i in images}) for f in beside(listing, folder)]
        sidecars = [f for f in near if f.name.rsplit(".", 1)[-1].lower() in SIDECAR_EXTENSIONS]
        captions = [f for f in near if is_metadata_file(f.name)]
    by_name = {(_folder(f.name), *_split(f.name)): f for f in sidecars}
    folders: dict[str, Folder] = {}
    used: set[Found] = set()
    for image in sorted(images, key=lambda f: f.name):
        folder = folders.setdefault(_folder(image.name), Folder(_folder(image.name)))
        # Some tools put the sidecar's ending behind the image's: photo.jpg.txt, photo.jpg.json.
        stems = (_split(image.name)[0], _last(image.name))
        texts = ((folder.name, stem, ending) for ending in TEXT_EXTENSIONS for stem in stems)
        text = next((by_name[key] for key in texts if key in by_name), None)
        objects = ((folder.name, stem, "json") for stem in stems)
        metadata = next((by_name[key] for key in objects if key in by_name), None)
        fault = image.fault or unwritable(image.path)
        barred = [f"{_last(f.name)} is {f.fault}" for f in (text, metadata) if f is not None and f.fault]
        note = "; ".join(barred) or None
        folder.pictures.append(Picture(image.name, image.path, _path(text), _path(metadata), fault, note=note))
        folder.made_of(image, text, metadata)
        used.update(f for f in (text, metadata) if f is not None)
    used.update(_add_captions(listing, folders, captions, options))
    if options.tidy:
        used.update(_add_kohya(listing, folders, [f for f in sidecars if f not in used], options))
    return [folders[name] for name in sorted(folders)], used


def is_metadata_file(name: str) -> bool:
    """Whether a file has the name of an imagefolder's metadata file."""
    return _last(name).lower() in METADATA_FILES


def unwritable(path: str) -> str | None:
    """The fault of a path that is not valid UTF-8; None for any other."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    return None


def _add_kohya(
    listing: Listing, folders: dict[str, Folder], sidecars: Sequence[Found], options: Options
) -> Iterator[Found]:
    """Gives pictures that no metadata file knows their entry of sd-scripts' nearest file; yields the files read."""
    files = {_folder(found.file.name): found for found in kohya_files(listing, sidecars)}
    governed: set[str] = set()
    for folder in folders.values():
        place = _nearest(folder.name, files)
        if place is None:
            continue
        governed.add(place)
        for at, picture in enumerate(folder.pictures):
            if picture.listed is None or not picture.listed.values:
                name = picture.name if place == "." else picture.name.removeprefix(f"{place}/")
                folder.pictures[at] = replace(picture, listed=files[place].listed(name, options) or picture.listed)
        folder.made_of(files[place].file)
    for place in sorted(governed):
        files[place].warn_of_unused()
        yield files[place].file


def _add_captions(
    listing: Listing, folders: dict[str, Folder], captions: Sequence[Found], options: Options
) -> Iterator[Found]:
    """Gives each picture its row of the nearest metadata file; yields the files that were read.

    A row whose image is not there becomes a picture with a fault.
    """
    nearest: dict[str, Found] = {}
    for file in captions:
        first = nearest.setdefault(_folder(file.name), file)
        if _order(file) < _order(first):
            nearest[_folder(file.name)] = file
    for place, file in sorted(nearest.items()):
        if file.fault is not None:
            continue
        yield file
        rows = read_metadata(str(listing.fs.unstrip_protocol(file.path)), options)
        governed = [folder for folder in folders.values() if _nearest(folder.name, nearest) == place]
        for folder in governed:
            folder.pictures = [_with_row(p, rows, place, _last(file.name)) for p in folder.pictures]
        for name in sorted(rows):  # those that no picture has taken
            path = name if place == "." else f"{place}/{name}"
            if not listing.fs.exists(f"{listing.base}/{path}"):
                folder = folders.setdefault(_folder(path), Folder(_folder(path)))
                fault = f"{_last(file.name)} names it, but it is not there"
                folder.pictures.append(Picture(path, f"{listing.base}/{path}", None, None, fault, rows[name]))
                governed += [] if folder in governed else [folder]
        for folder in governed:
            folder.pictures.sort(key=lambda p: p.name)
            folder.made_of(file)


def _with_row(picture: Picture, rows: dict[str, Listed], place: str, metadata: str) -> Picture:
    """The picture with its row, which is taken out of ``rows``."""
    row = rows.pop(composed(picture.name if place == "." else picture.name.removeprefix(f"{place}/")), None)
    if row is None and picture.text is None and picture.metadata is None:
        row = Listed(note=f"{metadata} has no row for it")
    return replace(picture, listed=row)


def _nearest(folder: str, places: Container[str]) -> str | None:
    """The folder itself or the nearest one above it that is one of the places."""
    while folder not in places:
        if folder == ".":
            return None
        folder = _folder(folder)
    return folder


def _order(file: Found) -> int:
    return METADATA_FILES.index(_last(file.name).lower())


def _path(sidecar: Found | None) -> str | None:
    """The path of a sidecar, unless it must not be read."""
    return None if sidecar is None or sidecar.fault is not None else sidecar.path


def _folder(name: str) -> str:
    return name.rsplit("/", 1)[0] if "/" in name else "."


def _split(name: str) -> tuple[str, str]:
    """Stem and ending of the last part, the ending in lower case."""
    stem, _, ending = _last(name).rpartition(".")
    return stem or ending, ending.lower()


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
