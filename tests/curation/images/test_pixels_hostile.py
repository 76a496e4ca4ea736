"""Bytes that lie, break off or explode are turned down with their reason, in little memory."""

from __future__ import annotations

import functools
import gzip
import pickle
import resource
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.images.pixels import PixelsRejected, prepare
from schemas.reasons import Reason
from schemas.recipe import Download
from tests.support.images import (
    chunk,
    encoded,
    exif,
    jpeg,
    natural,
    off,
    opened,
    png,
    smooth,
    srgb_profile,
    untouched,
)

PICTURE = smooth(120, 80)
ROOT = Path(__file__).resolve().parents[3]


def rejected(data: bytes, recipe: Download | None = None) -> PixelsRejected:
    with pytest.raises(PixelsRejected) as caught:
        prepare(data, recipe or untouched())
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><html><body><svg></svg></body></html>",
        b"just text",
        b"\0",
        b"\xff\xd8",
        b"BM is how this text begins, and goes on for a while",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b'<?xml version="1.0"?><rss></rss>',
        bytes(range(256)),
    ],
)
def test_what_is_no_image_is_called_so(data: bytes) -> None:
    assert rejected(data).reason is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='10'/>", "svg"),
        (b"8BPS\0\1" + bytes(20), "psd"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heif"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jpeg xl"),
        (b"%PDF-1.7", "pdf"),
        (b"\0\0\1\0\1\0", "ico"),
        (b"P6\n10 10\n255\n", "pnm"),
        (gzip.compress(b"<svg/>"), "gzip"),
    ],
)
def test_what_is_an_image_we_do_not_take_is_called_so(data: bytes, name: str) -> None:
    found = rejected(data)
    assert (found.reason, found.detail) == (Reason.UNSUPPORTED_FORMAT, name)


def test_nothing_is_an_empty_body() -> None:
    assert rejected(b"").reason is Reason.EMPTY_BODY


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("AVIF", {}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_half_a_file_is_never_a_picture(kind: str, options: dict[str, Any], share: float) -> None:
    whole = encoded(natural(120, 90), kind, **options)
    found = rejected(whole[: int(len(whole) * share)])
    assert found.reason in (Reason.TRUNCATED, Reason.NOT_AN_IMAGE), found.detail


def test_a_jpeg_that_ends_early_but_properly_is_not_silently_grey() -> None:
    whole = jpeg(natural(200, 160))
    assert rejected(whole[: len(whole) // 2] + b"\xff\xd9").reason is Reason.TRUNCATED
    assert rejected(whole[: len(whole) // 2] + whole[len(whole) // 2 + 900 :]).reason is Reason.TRUNCATED
    small = untouched(resize="shorter", size=32)
    assert rejected(whole[: len(whole) // 2] + b"\xff\xd9", small).reason is Reason.TRUNCATED


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_that_really_is_grey_is_kept(progressive: bool) -> None:
    grey = np.full((90, 120, 3), 128, np.uint8)
    assert prepare(encoded(grey, "JPEG", progressive=progressive), untouched()).unchanged
    grey[:40] = natural(120, 40)
    assert prepare(encoded(grey, "JPEG", progressive=progressive), untouched()).unchanged


def test_what_follows_a_jpeg_does_not_matter() -> None:
    data = jpeg(PICTURE) + b"<html>" * 50
    prepared = prepare(data, untouched(keep_metadata=True))
    assert prepared.unchanged
    assert prepared.data == data
    assert prepare(data, untouched()).data == jpeg(PICTURE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@given(seed=st.integers(0, 2**32 - 1), hits=st.integers(1, 40))
@example(seed=2_360_355_470, hits=1)  # a marker amid a JPEG's data, which OpenCV reads over and Pillow does not
@settings(max_examples=25, deadline=None)
def test_damaged_files_are_pictures_or_turned_down(kind: str, seed: int, hits: int) -> None:
    data = bytearray(encoded(PICTURE, kind))
    random = np.random.default_rng(seed)
    for at in random.integers(0, len(data), hits):
        data[at] = random.integers(0, 256)
    try:
        prepared = prepare(bytes(data), untouched(max_pixels=1_000_000))
    except PixelsRejected:
        return
    assert opened(prepared.data).shape == (prepared.height, prepared.width, 3)


@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*"]))
@settings(max_examples=300, deadline=None)
def test_garbage_behind_the_magic_bytes_is_turned_down(body: bytes, magic: bytes) -> None:
    expected = (Reason.UNDECODABLE, Reason.TRUNCATED, Reason.TOO_MANY_PIXELS, Reason.ANIMATED)
    assert rejected(magic + body).reason in expected


def moving(kind: str) -> bytes:
    frames = [Image.fromarray(natural(60, 50, seed=n)) for n in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_more_than_one_picture_is_animated(kind: str) -> None:
    found = rejected(moving(kind))
    assert found.reason is Reason.ANIMATED
    assert found.seen.format == kind.lower()
    assert not prepare(encoded(natural(60, 50), kind), untouched()).unchanged


def test_size_and_aspect_are_judged_by_the_header() -> None:
    recipe = Download(min_side=100, max_aspect=3.0)
    broken = encoded(natural(300, 99), "PNG")[:60]
    assert rejected(broken, recipe).reason is Reason.TOO_SMALL
    wide = rejected(encoded(natural(301, 100), "PNG"), recipe)
    assert wide.reason is Reason.ASPECT
    assert (wide.seen.width, wide.seen.height) == (301, 100)
    assert prepare(encoded(natural(300, 100), "PNG"), recipe).width == 300
    assert rejected(encoded(natural(101, 100), "PNG"), Download(max_pixels=10_000)).reason is Reason.TOO_MANY_PIXELS


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def huge() -> dict[str, bytes]:
    """Headers of 30,000 x 30,000 pixels (16,383 x 16,383 for WebP) over little data."""
    side = 30_000
    small = jpeg(PICTURE)
    frame = small.index(b"\xff\xc0") + 5
    gif = encoded(PICTURE, "GIF")
    bmp = encoded(PICTURE, "BMP")
    ifd = encoded(PICTURE, "TIFF")
    lossless = encoded(PICTURE, "WEBP", lossless=True)
    avif = encoded(PICTURE, "AVIF")
    ispe = avif.index(b"ispe") + 8
    return {
        "png": png(side, side, 8, 2, b"\0" * 1000),
        "png16": png(side, side, 16, 6, b"\0" * 1000),
        "jpeg": patched(small, frame, struct.pack(">HH", side, side)),
        "gif screen": patched(gif, 6, struct.pack("<HH", side, side)),
        "gif frame": patched(gif, gif.index(b",\0\0\0\0") + 5, struct.pack("<HH", side, side)),
        "bmp": patched(bmp, 18, struct.pack("<ii", side, side)),
        "bmp upside down": patched(bmp, 18, struct.pack("<ii", side, -side)),
        "tiff": _tiff_of(ifd, side),
        "webp": patched(lossless, 21, struct.pack("<I", 16382 | 16382 << 14)),
        "avif": patched(avif, ispe, struct.pack(">II", 16_000, 16_000)),
        "svgz": gzip.compress(bytes(10**7)),
    }


def _tiff_of(data: bytes, side: int) -> bytes:
    start = struct.unpack_from("<I", data, 4)[0]
    made = bytearray(data)
    for entry in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * entry
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            struct.pack_into("<HII", made, at + 2, 4, 1, side)
    return bytes(made)


@functools.cache
def bombs() -> dict[str, bytes]:
    """Files that claim to be small, and unpack to 256 MB a piece or copy themselves hundreds of times."""
    packed = _zeros(1 << 28)
    rows = b"".join(b"\0" + PICTURE[y].tobytes() for y in range(80))
    return {
        "profile": png(120, 80, 8, 2, rows, chunk(b"iCCP", b"icc\0\0" + packed)),
        "text": png(120, 80, 8, 2, rows, chunk(b"zTXt", b"Comment\0\0" + packed) * 20),
        "international text": png(120, 80, 8, 2, rows, chunk(b"iTXt", b"Comment\0\1\0\0\0" + packed) * 20),
        "overlong data": png(120, 80, 8, 2, b"")[:33] + chunk(b"IDAT", packed) + chunk(b"IEND", b""),
        "overlapping tags": _overlapping(4_000_000),
        "overlapping exif": _avif_with(_overlapping(4_000_000)),
    }


@functools.cache
def _zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def _overlapping(size: int) -> bytes:
    """A TIFF directory of 300 tags, each of which claims all of the file."""
    entries = [struct.pack("<HHII", 256, 4, 1, 120), struct.pack("<HHII", 257, 4, 1, 80)]
    entries += [struct.pack("<HHII", 40_000 + n, 7, size - 5000, 4500) for n in range(300)]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    return head + bytes(size - len(head))


def _avif_with(blob: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return encoded(PICTURE, "AVIF", exif=b"Exif\0\0" + blob)


MEMORY = """
import pickle, sys
from pathlib import Path
from curation.images.pixels import PixelsRejected, prepare
from schemas.recipe import Download
def peak():
    # Not getrusage: a child starts with its parent's peak there.
    return next(1024 * int(v.split()[1]) for v in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in v)
for name, data in pickle.load(sys.stdin.buffer).items():
    before = peak()
    try:
        prepare(data, Download(min_side=1, max_aspect=0))
        said = "ok"
    except PixelsRejected as rejected:
        said = rejected.reason.value
    print(name, said, peak() - before, sep=":")
print("peak", "", peak(), sep=":")
"""


def in_a_process(files: dict[str, bytes]) -> dict[str, tuple[str, int]]:
    """What becomes of files in a fresh process, by how many bytes each raised its peak, and that peak."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], input=pickle.dumps(files), capture_output=True, cwd=ROOT, check=True
    )
    found = (line.split(":") for line in done.stdout.decode().splitlines())
    return {name: (said, int(grown)) for name, said, grown in found}


@pytest.mark.parametrize("name", huge())
def test_huge_headers_cost_no_memory(name: str) -> None:
    data = huge()[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = rejected(data, Download(min_side=1, max_aspect=0))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    expected = Reason.UNSUPPORTED_FORMAT if name == "svgz" else Reason.TOO_MANY_PIXELS
    assert found.reason is expected
    assert grown < 50 << 20


def test_a_png_header_of_900_million_pixels_stays_below_200_megabytes() -> None:
    found = in_a_process({"png": huge()["png"]})
    assert found["png"][0] == "too_many_pixels"
    assert found["png"][1] < 10 << 20
    assert found["peak"][1] < 200 << 20


def test_bombs_stay_packed() -> None:
    found = in_a_process({"first": encoded(PICTURE, "PNG"), **bombs()})  # the first one compiles kernels
    for name in ("profile", "text", "international text", "overlong data"):
        assert found[name][0] in ("ok", "undecodable"), name
    for name in ("overlapping tags", "overlapping exif"):
        assert found[name][0] == "undecodable", name
    for name in bombs():
        assert found[name][1] < 64 << 20, name


def test_a_directory_that_leads_to_itself_ends() -> None:
    data = encoded(PICTURE, "TIFF")
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    cyclic = patched(data, start + 2 + 12 * count, struct.pack("<I", start))
    try:
        assert off(opened(prepare(cyclic, untouched()).data), PICTURE) < 1
    except PixelsRejected as found:
        assert found.reason in (Reason.ANIMATED, Reason.UNDECODABLE)


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", exif(6)[:-3]]
)
def test_broken_exif_means_upright(block: bytes) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = jpeg(PICTURE)
    assert prepare(data[:2] + segment + data[2:], untouched()).width == 120


def test_a_great_deal_of_metadata_is_no_hindrance() -> None:
    data = jpeg(PICTURE, icc_profile=srgb_profile())
    segment = b"\xff\xe1" + struct.pack(">H", 60_002) + b"Exif\0\0" + bytes(59_994)
    assert prepare(data[:2] + segment * 200 + data[2:], untouched()).data == data
    grey = jpeg(Image.fromarray(PICTURE).convert("L"))
    assert prepare(grey[:2] + segment * 200 + grey[2:], untouched()).width == 120
    assert rejected(b"\xff\xd8" + b"\xff" * 5_000_000).reason is Reason.UNDECODABLE
    assert rejected(b"\xff\xd8" + b"\xff\xe5\0\2" * 1_000_000).reason is Reason.UNDECODABLE
