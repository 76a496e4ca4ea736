"""What every form is made from: the tars of a release, and their samples with the captions drawn for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from curation.core.errors import RootError, UsageError
from curation.core.store import one_line, shown
from curation.load.captions import Captions
from curation.load.kinds import missing_kinds
from curation.load.shards import IMAGES, Part, annotation_of, find_shards, read_part

SUMS = "SHA256SUMS"
_GROUP = 100  # samples; the hub's viewer reads a row group of Parquet at a time
_GROUP_BYTES = 64 << 20
_ID = re.compile(r"[0-9A-Za-z_-]{1,90}")  # it names files
_SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>.+)")


@dataclass(frozen=True, slots=True)
class Sample:
    """A released sample. ``image`` is its file, ``extension`` jpg, webp or png; width and height are in pixels."""

    sample_id: str
    image: bytes
    extension: str
    width: int
    height: int
    caption: str
    kind: str
    annotation: dict[str, Any]

    @property
    def line(self) -> str:
        """The caption on one line, for readers that take each line for another caption."""
        return " ".join(self.caption.split())

    @property
    def alt_text(self) -> str:
        """As it was on the page; empty where there was none."""
        return str(self.annotation.get("alt_text") or "")


@dataclass(frozen=True)
class ReleaseTar:
    """A tar of the release: ``name`` such as ``train-000000``, ``sha256`` as the release's sums have it."""

    url: str
    name: str
    split: str
    sha256: str

    def samples(self, captions: Captions) -> Iterator[Sample]:
        """Its samples in order, one at a time in memory. Raises ``RootError`` where one has no image."""
        for found in read_part(Part(self.url)):
            annotation = annotation_of(found, shown(self.url))
            extension = next((e for e in IMAGES if e in found), None)
            if extension is None:
                raise RootError(
                    f"{shown(self.url)} has samples without images, as export.images = false makes them; trainers "
                    "read pixels: pack the release with images"
                )
            try:
                name, size = str(annotation["sample_id"]), (int(annotation["width"]), int(annotation["height"]))
                caption, kind = captions.draw(annotation, 0)
            except (KeyError, TypeError, ValueError) as error:
                raise RootError(
                    f"{shown(self.url)} has a .json without what every release has ({one_line(error)}); get it again"
                ) from error
            if not _ID.fullmatch(name) or min(size) < 1:
                raise RootError(f"{shown(self.url)} has the sample {name[:120]!r} of {size} pixels; get it again")
            yield Sample(name, found[extension], extension, *size, caption, kind, annotation)


def read_release(url: str, splits: Sequence[str]) -> list[ReleaseTar]:
    """The tars of some splits in order.

    Raises ``RootError`` where there is no such split, no sums that vouch for its tars, or no image in its first tar.
    """
    found: list[ReleaseTar] = []
    for split in sorted(set(splits)):
        tars = find_shards(url, split)
        sums = read_sums(tars[0].rpartition("/")[0])
        for tar in tars:
            file = tar.rpartition("/")[2]
            if file not in sums:
                raise RootError(f"{shown(tar)} is not in the release's {SUMS}: a run is changing it; let it end first")
            found.append(ReleaseTar(tar, file.removesuffix(".tar"), split, sums[file]))
    next((s for tar in found for s in tar.samples(Captions({"preferred": 1.0}))), None)
    return found


def in_groups(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Samples in groups that are bounded in number and in bytes."""
    group: list[Sample] = []
    size = 0
    for sample in samples:
        group.append(sample)
        size += len(sample.image)
        if len(group) >= _GROUP or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def read_sums(folder: str) -> dict[str, str]:
    """The sha256 of each file of a release by its name. Raises ``RootError``."""
    try:
        fs, path = fsspec.core.url_to_fs(f"{folder}/{SUMS}")
        lines = bytes(fs.cat_file(path)).decode(errors="replace").splitlines()
    except FileNotFoundError as error:
        raise RootError(f"{shown(folder)} has no {SUMS}: the run that makes it has not ended; let it end") from error
    matches = [_SUM.fullmatch(line) for line in lines]
    return {m["name"]: m["sha256"] for m in matches if m is not None}


def check_kinds(tars: Sequence[ReleaseTar], captions: Captions) -> None:
    """Raises ``UsageError`` for a kind of caption that no sample has; reads no further than to the last kind asked."""
    if missing := missing_kinds((tar.url for tar in tars), captions.weights):
        raise UsageError(missing)
