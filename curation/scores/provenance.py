"""Provenance: what the file as fetched says of people and of a generator. Counted, never copied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.exif import Directory
    from curation.images.metadata import Metadata
    from curation.images.picture import Picture

# Tags of Exif 3.0 and TIFF 6.0, and of Windows: artist, copyright, XPAuthor; camera owner, photographer, image editor.
_NAMES, _NAMES_OF_EXIF = frozenset({315, 33432, 40093}), frozenset({42032, 42039, 42040})
_SERIALS = frozenset({42033, 42037, 50735})  # of body and lens; DNG's of the camera
_EXIF, _GPS = 34665, 34853  # where these directories are
_NAMES_OF_XMP = re.compile(
    rb"<dc:creator\b|photoshop:(?:Credit|AuthorsPosition)\b|plus:(?:ImageCreator|CopyrightOwner)\b"
)
_SERIALS_OF_XMP = re.compile(rb"(?:aux|exifEX):(?:SerialNumber|LensSerialNumber|BodySerialNumber)\b")
_GPS_OF_XMP = re.compile(rb"exif:GPSL(?:atitude|ongitude)\b")
# IPTC's list of digital source types, as XMP and C2PA assertions have it.
_DECLARED = re.compile(
    rb"digitalsourcetype/(?:trainedAlgorithmicMedia|compositeWithTrainedAlgorithmicMedia|algorithmicMedia|"
    rb"compositeSynthetic)\b"
)
_KEYWORDS = frozenset(
    {b"parameters", b"prompt", b"workflow", b"sd-metadata", b"Dream", b"invokeai_metadata", b"invokeai_graph"}
)
# What Stable Diffusion's front ends write, also into Exif's user comment (there often as UTF-16).
_PARAMETERS = re.compile(
    rb"Steps: ?\d+, ?(?:Sampler|Size|CFG scale|Seed)|\"class_type\"|\"sampler_name\"|\"cfg_scale\""
)
_GENERATORS = re.compile(
    rb"(?i)\b(?:stable ?diffusion|midjourney|dall[-\xb7. ]?e|adobe firefly|imagen \d|novelai|comfyui|invokeai|"
    rb"automatic1111|leonardo\.ai|ideogram|flux\.1|made with google ai|bing image creator|dreamstudio)\b"
)


@dataclass(frozen=True)
class Provenance:
    """What the metadata of the file as fetched say: of persons and places, and of a generator that made the picture.

    Read from Exif, XMP, C2PA manifests and a PNG's texts, while the original bytes are at hand: in the pass that
    fetches an image, and later where it was stored as it came. Values are counted, never copied. Signatures are not
    checked: a manifest says what its writer says. Most synthetic pictures say nothing of themselves. Unknown for other
    files than JPEG, PNG and WebP, and where the original is gone.
    """

    name: ClassVar[str] = "provenance"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("gps", "1 where a place on earth is named", "", 0, 1),
        ScoreColumn("person_fields", "fields that name a person or owner", "fields", 0),
        ScoreColumn("serial_numbers", "serial numbers of camera or lens", "fields", 0),
        ScoreColumn("c2pa", "1 where there is a C2PA manifest", "", 0, 1),
        ScoreColumn("declared_synthetic", "1 where digitalSourceType says that a model made it", "", 0, 1),
        ScoreColumn("generator", "1 where a known generator or its parameters are named", "", 0, 1),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _provenance


def _provenance(picture: Picture) -> Sequence[float | None]:
    from curation.images.metadata import read_metadata

    found = None if picture.original is None else read_metadata(picture.original)
    if found is None:
        return [None] * len(Provenance.columns)
    if not (found.exif or found.xmp or found.c2pa or found.texts):
        return [0.0] * len(Provenance.columns)  # most pictures of the web
    first, exif, place = _directories(found.exif)
    people = len(first & _NAMES) + len(exif & _NAMES_OF_EXIF) + len(set(_NAMES_OF_XMP.findall(found.xmp)))
    serials = len((first | exif) & _SERIALS) + len(set(_SERIALS_OF_XMP.findall(found.xmp)))
    declared = _DECLARED.search(found.xmp) or _DECLARED.search(found.c2pa)
    return [
        float(place or bool(_GPS_OF_XMP.search(found.xmp))),
        float(people),
        float(serials),
        float(bool(found.c2pa)),
        float(bool(declared)),
        float(_generated(found)),
    ]


def _generated(found: Metadata) -> bool:
    if found.texts.keys() & _KEYWORDS:
        return True
    said = (found.exif, found.exif.replace(b"\0", b""), found.xmp, *found.texts.values())
    return any(_PARAMETERS.search(text) or _GENERATORS.search(text) for text in said)


def _directories(exif: bytes) -> tuple[frozenset[int], frozenset[int], bool]:
    """The tags of the first directory and of Exif's own, and whether there is a place; damaged ones count as empty."""
    from curation.images.exif import directory, first_directory

    def tags(read: Directory | None) -> frozenset[int]:
        return frozenset(read.counts) if read is not None else frozenset()

    def at(tag: int) -> Directory | None:
        if first is None or tag not in first.tags:
            return None
        try:
            return directory(exif, 0, first.tags[tag])
        except ValueError:
            return None

    try:
        first: Directory | None = first_directory(exif, 0)
    except ValueError:
        first = None
    place = tags(at(_GPS))
    return tags(first), tags(at(_EXIF)), bool({2, 4} & place)  # GPSLatitude, GPSLongitude
