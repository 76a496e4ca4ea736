"""Kinds of files in a source, by name and by content, and messages about files that are not read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from curation.sources.listing import Found, Listing
from curation.sources.sidecars import IMAGE_EXTENSIONS, IMAGE_HEAD, SIDECAR_EXTENSIONS, is_image

PACKED = ("gz", "bz2", "xz")
_SHOWN = 20  # names in one message
_ARCHIVES = frozenset(("zip", "rar", "7z", "gz", "bz2", "xz", "zst", "tgz", "tbz2", "txz", "tar", "lz4"))
_LISTS = frozenset(("parquet", "pq", "csv", "tsv", "jsonl", "ndjson", "arrow", "feather", "xlsx", "orc", "avro"))
# What describes a data set or checks it, and holds none of its samples.
_HARMLESS_NAMES = re.compile(
    r"_success|_metadata|_common_metadata|_started.*|_committed.*|thumbs\.db|desktop\.ini|makefile|(?:sha|md5|b2)\d*sums"
    r"|(?:licen[cs]e|notice|readme|authors|changelog|citation)(?:\..*)?"
    r"|dataset_infos?\.json|croissant\.json|state\.json|.*_stats\.json"
)
_HARMLESS_ENDINGS = re.compile(
    r"md|rst|html?|pdf|cff|bib|py|sh|ipynb|ya?ml|toml|cfg|ini|crc|md5|sha\d+|sig|asc|idx|index|log|lock"
)


def kinds_of(listing: Listing) -> defaultdict[str, list[Found]]:
    """The files by kind: list, tar, packed (a compressed tar), packed text, image, sidecar, other, or passed over."""
    kinds: defaultdict[str, list[Found]] = defaultdict(list)
    # Spark, Hive and Dask put files of their own beside the parts, under names that begin with an underscore.
    meant = last_part(listing.spec).startswith("_")
    for file in listing.files:
        kind = _kind(listing, file)
        own = any(part.startswith("_") for part in file.name.split("/")) and not meant
        kinds["passed over" if own and kind not in ("image", "sidecar") else kind].append(file)
    return kinds


def _kind(listing: Listing, file: Found) -> str:
    match endings(file.name):
        case [*_, "parquet" | "pq"] | [*_, "tsv" | "csv"]:
            return "list"
        case [*_, "tsv" | "csv", packed] if packed in PACKED:
            return "list"
        case [*_, "json" | "jsonl" | "ndjson" | "txt", packed] if packed in PACKED:
            return "packed text"
        case [*_, "tar"]:
            return "tar"
        case [*_, "tgz" | "tbz2" | "txz"] | [*_, "tar", _]:
            return "packed"
        case [*_, ending] if ending in SIDECAR_EXTENSIONS:
            return "sidecar"
        case [*_, ending] if ending in IMAGE_EXTENSIONS:
            return "image"
        case [] if file.fault is None and head_of(listing.fs, file, 4) == b"PAR1":
            return "list"
    return "other"


def json_and_text_lists(kinds: Mapping[str, Sequence[Found]]) -> list[Found]:
    """Files that are lists where a source holds no others: .json, .jsonl, .ndjson and .txt, packed ones too."""
    files = [*kinds["sidecar"], *kinds["other"], *kinds["packed text"]]
    return [f for f in files if list_ending(f.name) is not None and not _is_harmless(f.name)]


def list_ending(name: str) -> str | None:
    """json, jsonl or txt for such a list by its name; None for any other file."""
    match endings(name):
        case [*_, "json" | "jsonl" | "ndjson" | "txt" as ending] | [
            *_,
            "json" | "jsonl" | "ndjson" | "txt" as ending,
            _,
        ]:
            return {"ndjson": "jsonl"}.get(ending, ending) if endings(name)[-1] in (ending, *PACKED) else None
    return None


def pictures_by_content(listing: Listing, kinds: defaultdict[str, list[Found]]) -> list[Found]:
    """Images among the files of unknown or no ending, recognised by their bytes; they leave their kind."""
    candidates = [*kinds["other"], *(f for f in kinds["passed over"] if _kind(listing, f) == "other")]
    with ThreadPoolExecutor(8) as threads:
        heads = threads.map(lambda f: b"" if f.fault else head_of(listing.fs, f, IMAGE_HEAD), candidates)
        found = [file for file, head in zip(candidates, heads, strict=True) if head and is_image(head)]
    for kind in ("other", "passed over"):
        kinds[kind] = [f for f in kinds[kind] if f not in found]
    return found


def endings(name: str) -> list[str]:
    """The parts behind the dots of the file's name."""
    return last_part(name).lower().split(".")[1:]


def head_of(fs: Any, file: Found, size: int) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    try:
        return bytes(fs.cat_file(file.path, start=0, end=min(size, file.size) if file.size else size))
    except OSError:
        return b""


def last_part(name: str) -> str:
    """The name of a file without its folders."""
    return name.rsplit("/", 1)[-1]


def stem_of(name: str) -> str:
    """The name without what follows the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".", 1)[0]


def unused_notes(names: Iterable[str], spec: str) -> tuple[str, ...]:
    """One message for each kind of file that is not read, with the names of the first files."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        if not _is_harmless(name):
            kinds[_ending(name)].append(name)
    return tuple(
        f"source {spec!r}: {_counted(found)} not read: {some(found)}{_advice(ending)}"
        for ending, found in sorted(kinds.items())
    )


def linked_notes(linked: Iterable[str], spec: str) -> tuple[str, ...]:
    """A message about links to folders, which are not followed."""
    found = list(linked)
    if not found:
        return ()
    return (
        f"source {spec!r}: links to folders are not followed: {some(found)}; to read such a folder, name it as a "
        "source of its own",
    )


def some(names: Iterable[str], most: int = _SHOWN) -> str:
    """The first names, and how many more there are."""
    first = [*names]
    return ", ".join(first[:most]) + (f" and {len(first) - most} more" if len(first) > most else "")


def _is_harmless(name: str) -> bool:
    last = last_part(name).lower()
    return bool(_HARMLESS_NAMES.fullmatch(last) or _HARMLESS_ENDINGS.fullmatch(_ending(name)))


def _ending(name: str) -> str:
    last = name.rsplit("/", 1)[-1].lower()
    return last.rsplit(".", 1)[-1] if "." in last else ""


def _counted(names: list[str]) -> str:
    return "1 file is" if len(names) == 1 else f"{len(names)} files are"


def _advice(ending: str) -> str:
    if ending in _ARCHIVES:
        return "; unpack archives to have them read"
    if ending in _LISTS:
        return "; name lists as a source of their own to have them read"
    return ""
