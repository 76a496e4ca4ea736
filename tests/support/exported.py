"""A small release to export, and what an export is to the byte."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curation.core.store import Store
from curation.exports.export import Made, described, export
from curation.exports.form import Settings
from curation.exports.installed import form_of
from curation.exports.known import EXPORT
from curation.exports.release import Sample, read_release
from curation.load.buckets import Buckets
from curation.load.captions import Captions
from tests.support.plain_release import plain_release

WIDE, TALL, SQUARE = (96, 48), (40, 80), (64, 64)
SIZES = ((WIDE, SQUARE, TALL, SQUARE), (TALL, TALL), (WIDE, SQUARE, SQUARE))
KINDS = ("short", "tags")
MIXED = Captions({"short": 0.5, "preferred": 0.5})
_STAMPED = re.compile(r"\.lance/_(versions|transactions)/")
SETTINGS = Settings(MIXED, Buckets(pixels=64 * 64, step=16), seen_as="/seen")


def release(folder: Path) -> str:
    """The url of a root of three tars, four, two and three images."""
    return plain_release(folder, SIZES, kinds=KINDS)


def exported(root: str, form: str, folder: Path, settings: Settings = SETTINGS) -> Made:
    return export(read_release(root, ["train"]), form_of(form), settings, folder)


def told(root: str, form: str, settings: Settings = SETTINGS) -> dict[str, Any]:
    """What the ``export.json`` of that export says from its beginning on."""
    return described(read_release(root, ["train"]), form_of(form), settings)


def samples(root: str, captions: Captions = MIXED) -> dict[str, Sample]:
    """What an export must have, by sample_id."""
    return {s.sample_id: s for tar in read_release(root, ["train"]) for s in tar.samples(captions)}


def bytes_of(folder: Path) -> Mapping[str, str]:
    """The sha256 of each file below a folder, without what Lance writes its own time and random names into."""
    store = Store(str(folder))
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not _STAMPED.search(p.as_posix()))
    return {p.relative_to(store.path("")).as_posix(): _sha256(p) for p in files}


def _sha256(path: Path) -> str:
    lines = path.read_bytes().splitlines(keepends=True) if path.name == EXPORT else [path.read_bytes()]
    return hashlib.sha256(
        b"".join(li for li in lines if path.name != EXPORT or b"_transactions/" not in li)
    ).hexdigest()
