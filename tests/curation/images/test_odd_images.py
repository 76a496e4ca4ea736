"""One odd image costs its own row and nothing else: not the shard, not the room that others decode in."""

from __future__ import annotations

import errno
import functools
import socket
import struct
from types import SimpleNamespace

import pytest
from PIL import Image

from curation.fetch.http import Fetched
from curation.fetch.limiter import DecodeLimiter
from curation.fetch.process_row import process_row
from curation.images.headers import read_header
from curation.images.pixels import PixelsRejected, prepare
from schemas.reasons import Reason
from schemas.recipe import Download
from tests.support.fetchers import fetcher, rejection
from tests.support.images import chunk, encoded, jpeg, natural, off, opened, png, smooth, swapped_profile, untouched
from tests.support.source_rows import source_row

PICTURE = smooth(120, 80)
ANY = Download(min_side=1, max_aspect=0)


class Sends:
    """A host that answers with these bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def fetch(self, url: str) -> Fetched:
        return Fetched(self._data, 200)


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory: (tag, type, count, value) each; ``data`` follow it."""
    entries = b"".join(struct.pack("<HHI", *tag[:3]) + struct.pack("<q", tag[3])[:4] for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following) + data


SIZE = (256, 4, 1, 120), (257, 4, 1, 80)
SBYTE, SHORT, SSHORT, LONG, SLONG = 6, 3, 8, 4, 9


def strips(count: int, rows: int) -> bytes:
    """A grey TIFF whose strips of so many rows all lie at the same place."""
    at = 8 + 2 + 12 * 9 + 4
    tags = ((258, SHORT, 1, 8), (259, SHORT, 1, 1), (262, SHORT, 1, 1), (273, LONG, count, at), (277, SHORT, 1, 1))
    lengths = (278, LONG, 1, rows), (279, LONG, 1, 120 * rows)
    place = struct.pack("<I", at + 4 * count) * count
    return tiff(*SIZE, *tags, *lengths, data=place + bytes(120 * 80))


def crowded(count: int) -> bytes:
    """A picture, and behind it a directory of so many tags for a second one."""
    first = tiff(*SIZE, following=8 + 2 + 24 + 4)
    return first + struct.pack("<H", count) + struct.pack("<HHII", 254, LONG, 1, 1) * count + struct.pack("<I", 8)


@functools.cache
def wide() -> bytes:
    """A PNG of 70,000 x 400 pixels, all black."""
    return png(70_000, 400, 8, 0, bytes(70_001 * 400))


ODD: dict[str, tuple[bytes, Reason]] = {
    "tiff of -1 bits": (tiff(*SIZE, (258, SSHORT, 1, -1)), Reason.UNDECODABLE),
    "tiff of -128 bits": (tiff(*SIZE, (258, SBYTE, 1, -128)), Reason.UNDECODABLE),
    "tiff of 0 bits": (tiff(*SIZE, (258, SHORT, 1, 0)), Reason.UNDECODABLE),
    "tiff of endless tiles": (tiff(*SIZE, (322, LONG, 1, 1 << 31)), Reason.TOO_MANY_PIXELS),
    "tiff of tall tiles": (tiff(*SIZE, (323, LONG, 1, 1 << 31)), Reason.TOO_MANY_PIXELS),
    "tiff of -5 x -5": (tiff((256, SLONG, 1, -5), (257, SLONG, 1, -5)), Reason.TOO_SMALL),
    "tiff turned by -1": (tiff(*SIZE, (274, SSHORT, 1, -1)), Reason.UNDECODABLE),
    "tiff of many strips over each other": (strips(10_000, 79), Reason.UNDECODABLE),
    "tiff of two crowds": (crowded(65_535), Reason.UNDECODABLE),
    "short tiff": (b"II*\0\x08", Reason.TRUNCATED),
    "png wider than a jpeg": (wide(), Reason.TOO_MANY_PIXELS),
    "bmp of the least size": (b"BM" + bytes(12) + struct.pack("<Iii", 40, -(1 << 31), 1), Reason.TOO_MANY_PIXELS),
    "short webp": (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f", Reason.UNDECODABLE),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_is_a_rejected_row(name: str) -> None:
    data, reason = ODD[name]
    result = process_row(source_row(0, "http://x/a"), Sends(data), ANY, DecodeLimiter().hold)
    assert result.data is None
    assert result.row.reason is reason, result.row.detail
    assert result.row.detail


def test_the_longest_sides_that_a_jpeg_holds_are_exported() -> None:
    recipe = Download(min_side=1, max_aspect=0)
    assert prepare(png(65_500, 3, 8, 0, bytes(65_501 * 3)), recipe).width == 65_500
    assert prepare(png(2, 65_500, 8, 0, bytes(3 * 65_500)), recipe).height == 65_500
    with pytest.raises(PixelsRejected, match="65501x3"):
        prepare(png(65_501, 3, 8, 0, bytes(65_502 * 3)), recipe)
    assert prepare(wide(), Download(min_side=1, max_aspect=0, resize="longer")).width == 512


def test_whatever_reading_a_header_raises_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(data: bytes, start: int) -> None:
        raise ArithmeticError("nobody thought of this")

    monkeypatch.setattr("curation.images.exif.first_directory", fails)
    with pytest.raises(PixelsRejected, match="nobody thought of this") as caught:
        read_header(tiff(*SIZE), 10**6)
    assert caught.value.reason is Reason.UNDECODABLE


def test_planes_and_padded_tiles_are_not_too_many() -> None:
    assert prepare(strips(80, 1), untouched()).width == 120
    assert prepare(strips(2, 79), untouched()).width == 120
    assert off(opened(prepare(encoded(PICTURE, "TIFF"), untouched()).data), PICTURE) < 2


def progressive(scans: int, hide: bytes = b"") -> bytes:
    """A progressive JPEG with the first bits of its first AC coefficients repeated, ``hide`` before each copy."""
    data = encoded(PICTURE, "JPEG", progressive=True)
    start = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    end = data.index(b"\xff\xc4", start)
    return data[:end] + (hide + data[start:end]) * (scans - data.count(b"\xff\xda")) + data[end:]


def sequential(scans: int) -> bytes:
    """A grey JPEG, and as many copies of its only scan."""
    data = jpeg(Image.fromarray(natural(120, 80)).convert("L"))
    return data[:-2] + data[data.index(b"\xff\xda") : -2] * (scans - 1) + b"\xff\xd9"


@pytest.mark.parametrize(
    "data",
    [
        progressive(101),
        progressive(5000),
        progressive(101, b"\xff\xdd\0\4\0\0"),
        progressive(101, b"\xff\xff"),
        progressive(101, b"\xff\xd0\xff\x02\xff\xff"),  # a length behind a marker that has none
        sequential(101),
        progressive(101, b"\xff\xdd\0\4\0\0" * 2000),  # no more segments are looked at, either
    ],
)
def test_a_jpeg_of_countless_scans_is_turned_down(data: bytes) -> None:
    with pytest.raises(PixelsRejected) as caught:
        prepare(data, ANY)
    assert caught.value.reason is Reason.UNDECODABLE
    assert "more than" in caught.value.detail


def test_a_jpeg_of_many_scans_is_kept_and_what_follows_its_end_is_not_counted() -> None:
    assert prepare(progressive(100), untouched()).unchanged
    film = jpeg(PICTURE) + b"\xff\xda\0\2" * 1000  # as a camera adds to a picture that moves
    assert off(opened(prepare(film, untouched()).data), PICTURE) < 2
    dotted = encoded(Image.new("L", (2600, 2600)), "JPEG", restart_marker_blocks=1)
    assert sum(dotted.count(bytes([0xFF, 0xD0 + n])) for n in range(8)) > 100_000
    assert prepare(dotted, untouched()).width == 2600


def avif_with(marks: int, tags: int) -> bytes:
    """An AVIF behind which so many Exif blocks begin, all with one directory of so many tags."""
    data = encoded(PICTURE, "AVIF")
    box = struct.pack(">I4s", 16 + 8 * marks + 12 * tags + 6, b"free") + bytes(8)
    at = 8 * marks
    blocks = b"".join(b"II*\0" + struct.pack("<I", at - 8 * n) for n in range(marks))
    return data + box + blocks + struct.pack("<H", tags) + bytes(12 * tags + 4)


@pytest.mark.parametrize(("marks", "tags"), [(65, 10), (200, 60_000), (1, 4097)])
def test_an_avif_of_countless_exif_is_turned_down(marks: int, tags: int) -> None:
    with pytest.raises(PixelsRejected, match="Exif") as caught:
        prepare(avif_with(marks, tags), untouched())
    assert caught.value.reason is Reason.UNDECODABLE
    assert prepare(avif_with(64, 200), untouched()).width == 120


def test_of_many_profiles_in_a_png_only_the_first_is_unpacked() -> None:
    rows = b"".join(b"\0" + PICTURE[y].tobytes() for y in range(80))
    plain = encoded(PICTURE, "PNG", icc_profile=swapped_profile())
    start = plain.index(b"iCCP") - 4
    swapped = plain[start : start + 12 + int.from_bytes(plain[start : start + 4], "big")]
    broken = chunk(b"iCCP", b"icc\0\0junk")
    assert off(opened(prepare(png(120, 80, 8, 2, rows, swapped + broken), untouched()).data), PICTURE) > 20
    assert off(opened(prepare(png(120, 80, 8, 2, rows, broken + swapped), untouched()).data), PICTURE) < 2


def sockets_that(number: int) -> SimpleNamespace:
    """A machine on which no socket can be made, and why."""

    def refuse(family: int, kind: int) -> None:
        raise OSError(number, "no")

    known = {name: getattr(socket, name) for name in ("AF_INET", "AF_INET6", "SOCK_STREAM", "IPPROTO_TCP")}
    return SimpleNamespace(socket=refuse, **known)


def test_an_address_family_that_the_machine_lacks_costs_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.fetch.sockets.socket", sockets_that(errno.EAFNOSUPPORT))
    with fetcher() as fetch:
        rejected = rejection(fetch, "http://[2606:4700::1111]/a.jpg")
    assert rejected.reason is Reason.CONNECTION_FAILED


def test_a_process_without_sockets_left_blames_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.fetch.sockets.socket", sockets_that(errno.EMFILE))
    with fetcher() as fetch, pytest.raises(OSError, match="no"):
        fetch.fetch("http://[2606:4700::1111]/a.jpg")
