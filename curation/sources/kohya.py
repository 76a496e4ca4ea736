"""Captions of a folder of images as sd-scripts (kohya) writes them: ``meta_cap.json``, ``meta_lat.json`` and the like.

Such a file is an object whose keys name images and whose values have ``caption``, ``tags`` or both. A key is an
image's name without its ending, or its path on the machine where the file was written.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.core.errors import SourceError
from curation.sources.encodings import decode
from curation.sources.imagefolder import Listed
from curation.sources.listing import Found, Listing
from curation.sources.options import Options
from curation.sources.sidecars import IMAGE_EXTENSIONS
from curation.sources.source_metadata import clean

# The order in which sd-scripts' tools write them, the last one first: it holds what the others do.
_USUAL = ("meta_lat.json", "meta_clean.json", "meta_cap_dd.json", "meta_cap.json")
_LONGEST = 1 << 30  # bytes
log = logging.getLogger(__name__)


@dataclass
class KohyaCaptions:
    """The entries of one file, by the names of the images that they may be of."""

    file: Found
    entries: dict[str, Mapping[str, Any]]
    keys: dict[str, list[str]] = field(init=False)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        keys: defaultdict[str, list[str]] = defaultdict(list)
        for key in self.entries:
            keys[_stem(key)].append(key)
        self.keys = dict(keys)

    def listed(self, name: str, options: Options) -> Listed | None:
        """The caption of an image by its name relative to the file's folder; None where the file has none for it."""
        keys = self.keys.get(_stem(name), [])
        if len(keys) > 1:
            shared = {key: _shared(key, name) for key in keys}
            best = max(shared.values())
            keys = [key for key in keys if shared[key] == best]
        if not keys:
            return None
        last = self.file.name.rsplit("/", 1)[-1]
        if len(keys) > 1:
            return Listed(note=f"{last} has {len(keys)} entries that may be of it")
        self.used.add(keys[0])
        entry = self.entries[keys[0]]
        caption, tags = (entry.get(k) if isinstance(entry.get(k), str) else None for k in ("caption", "tags"))
        further = {k: v for k, v in entry.items() if k != ("caption" if caption else "tags")} if options.keep else {}
        return Listed({"alt_text": clean(caption or tags or "")}, None, further)

    def warn_of_unused(self) -> None:
        """Logs the entries that no image took."""
        left = [clean(key) for key in self.entries if key not in self.used]
        if left:
            shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
            log.warning("%s: %d entries are of no image in its folder: %s", self.file.path, len(left), shown)


def kohya_files(listing: Listing, sidecars: Sequence[Found]) -> Iterator[KohyaCaptions]:
    """The best such file of each folder. Raises ``SourceError`` for one that cannot be read."""
    by_folder: defaultdict[str, list[Found]] = defaultdict(list)
    for file in sidecars:
        folder, _, last = file.name.rpartition("/")
        if last.lower().startswith("meta") and last.lower().endswith(".json") and file.fault is None:
            by_folder[folder].append(file)
    for folder in sorted(by_folder):
        for file in sorted(by_folder[folder], key=lambda f: (_rank(f), f.name)):
            entries = _read(listing, file)
            if entries:
                yield KohyaCaptions(file, entries)
                break


def _rank(file: Found) -> int:
    last = file.name.rsplit("/", 1)[-1].lower()
    return _USUAL.index(last) if last in _USUAL else len(_USUAL)


def _read(listing: Listing, file: Found) -> dict[str, Mapping[str, Any]]:
    """The entries; none where the file is something else."""
    if file.size > _LONGEST:
        raise SourceError(f"{file.path} has {file.size} bytes; at most {_LONGEST} are read; divide it or leave it out")
    try:
        found = json.loads(decode(listing.fs.cat_file(file.path))[0])
    except OSError as error:
        raise SourceError(f"{file.path} cannot be read: {error}; correct the file or leave it out") from error
    except (ValueError, RecursionError) as error:
        if _rank(file) == len(_USUAL):
            return {}  # some other file, which is named as unread
        raise SourceError(f"{file.path} is no JSON ({error}); correct the file or leave it out") from error
    if not isinstance(found, dict):
        return {}
    entries: dict[str, Mapping[str, Any]] = {k: v for k, v in found.items() if isinstance(v, dict)}
    known = any(isinstance(v.get(k), str) for v in entries.values() for k in ("caption", "tags"))
    return entries if known else {}


def _parts(name: str) -> list[str]:
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".")]
    stem, dot, ending = parts[-1].rpartition(".") if parts else ("", "", "")
    return [*parts[:-1], stem if dot and ending.lower() in IMAGE_EXTENSIONS else parts[-1]] if parts else [""]


def _stem(name: str) -> str:
    return _parts(name)[-1]


def _shared(key: str, name: str) -> int:
    """How many parts two paths have in common at their ends."""
    pairs = zip(reversed(_parts(key)), reversed(_parts(name)), strict=False)
    count = 0
    for a, b in pairs:
        if a != b:
            break
        count += 1
    return count
