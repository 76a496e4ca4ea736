"""Signals in the bytes of an image file: XMP, IPTC, Exif, texts of a PNG, and C2PA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from curation.images.exif import Directory, first_directory
from curation.images.metadata import Metadata, read_metadata, scanned
from curation.signals.c2pa import c2pa_signs
from curation.signals.sign import MOST_CHARACTERS, Sign, text_of
from curation.signals.xmp import xmp_signs
from schemas.signals import SignalVerdict

# IPTC-IIM 4.2, record 2.
_IPTC = {80: "iptc:By-line", 110: "iptc:Credit", 116: "iptc:CopyrightNotice"}
_EXIF = {315: "exif:Artist", 33432: "exif:Copyright"}
_TEXTS = {b"Author": "png:Author", b"Copyright": "png:Copyright"}
_MOST_RECORDS = 1000


def image_signs(data: bytes) -> list[Sign]:
    """What the file says of rights and training. Never raises; files of any format are looked at."""
    found = read_metadata(data)
    if found is None:
        found = scanned(data)
    return list(_signs(found))


def _signs(found: Metadata) -> Iterator[Sign]:
    if found.xmp:
        yield from (replace(s, place="image:xmp") for s in xmp_signs(found.xmp))
    if found.c2pa:
        yield from (replace(s, place="image:c2pa") for s in c2pa_signs(found.c2pa))
    for what, value in _iptc(found.iptc):
        yield Sign(what, value, SignalVerdict.NOTICE, "image:iptc")
    for what, value in _exif(found.exif):
        yield Sign(what, value, SignalVerdict.NOTICE, "image:exif")
    for keyword, what in _TEXTS.items():
        if said := found.texts.get(keyword):
            yield Sign(what, text_of(said).strip(), SignalVerdict.NOTICE, "image:text")


def _iptc(records: bytes) -> Iterator[tuple[str, str]]:
    """Datasets of record 2: a marker, record and number, a length of two bytes, the value."""
    at = 0
    for _ in range(_MOST_RECORDS):
        if records[at : at + 1] != b"\x1c" or at + 5 > len(records):
            return
        record, number = records[at + 1], records[at + 2]
        size = int.from_bytes(records[at + 3 : at + 5], "big")
        value = text_of(records[at + 5 : at + 5 + size]).strip()
        if record == 2 and number in _IPTC and value:
            yield _IPTC[number], value
        at += 5 + size


def _exif(exif: bytes) -> Iterator[tuple[str, str]]:
    try:
        first = first_directory(exif, 0)
    except ValueError:
        return
    for tag, what in _EXIF.items():
        if value := _ascii(exif, first, tag):
            yield what, value


def _ascii(exif: bytes, found: Directory, tag: int) -> str:
    """The text of a tag; empty where there is none. Exif's copyright may hold two, with a NUL between."""
    if tag not in found.places:
        return ""
    entry, count = found.places[tag], min(found.counts[tag], 4 * MOST_CHARACTERS)
    start = entry + 8
    if found.counts[tag] > 4:
        start = int.from_bytes(exif[start : start + 4], "little" if exif[:2] == b"II" else "big")
    return text_of(exif[start : start + count].replace(b"\0", b" ")).strip()
