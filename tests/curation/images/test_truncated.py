"""Data that break off are ``truncated``, whatever end is put behind them; what lacks no pixel is whole."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.images.entropy import Coded, coded_data
from curation.images.headers import read_header
from curation.images.pixels import PixelsRejected, prepare
from schemas.reasons import Reason
from tests.support.images import chunk, encoded, exif, natural, off, opened, untouched

PICTURE = natural(333, 222)
GREY = Image.fromarray(PICTURE).convert("L")
CMYK = Image.fromarray(PICTURE).convert("CMYK")
END = b"\xff\xd9"


def separate_scans() -> bytes:
    """A sequential JPEG with a scan for each component."""
    grey = [encoded(Image.fromarray(PICTURE[..., n]), "JPEG", quality=80) for n in range(3)]
    frame = grey[0].index(b"\xff\xc0")
    tables = grey[0].index(b"\xff\xc4")
    coded = grey[0].index(b"\xff\xda")
    size = grey[0][frame + 4 : frame + 9]
    head = grey[0][:frame] + b"\xff\xc0" + struct.pack(">H", 17) + size + b"\3\1\x11\0\2\x11\0\3\x11\0"
    scans = b"".join(
        b"\xff\xda\0\x08\1" + bytes([n + 1, 0]) + b"\0\x3f\0" + g[g.index(b"\xff\xda") + 10 : -2]
        for n, g in enumerate(grey)
    )
    return head + grey[0][tables:coded] + scans + END


def ycck() -> bytes:
    data = encoded(CMYK, "JPEG")
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


JPEGS: dict[str, bytes] = {
    "4:4:4": encoded(PICTURE, "JPEG", subsampling=0),
    "4:2:2": encoded(PICTURE, "JPEG", subsampling=1),
    "4:2:0": encoded(PICTURE, "JPEG", subsampling=2),
    "fine": encoded(PICTURE, "JPEG", quality=98, optimize=True),
    "rgb": encoded(PICTURE, "JPEG", keep_rgb=True),
    "progressive": encoded(PICTURE, "JPEG", progressive=True),
    "progressive 4:4:4": encoded(PICTURE, "JPEG", progressive=True, subsampling=0, quality=95),
    "restart": encoded(PICTURE, "JPEG", restart_marker_blocks=5),
    "restart rows": encoded(PICTURE, "JPEG", restart_marker_rows=1, subsampling=0),
    "progressive restart": encoded(PICTURE, "JPEG", progressive=True, restart_marker_blocks=4),
    "grey": encoded(GREY, "JPEG"),
    "grey restart": encoded(GREY, "JPEG", restart_marker_blocks=3),
    "grey progressive": encoded(GREY, "JPEG", progressive=True),
    "cmyk": encoded(CMYK, "JPEG"),
    "cmyk progressive": encoded(CMYK, "JPEG", progressive=True),
    "ycck": ycck(),
    "separate scans": separate_scans(),
    "smooth": encoded(Image.fromarray(PICTURE[:6, :8]).resize((320, 240), Image.Resampling.BICUBIC), "JPEG"),
    "smooth progressive": encoded(
        Image.fromarray(PICTURE[:6, :8]).resize((320, 240), Image.Resampling.BICUBIC), "JPEG", progressive=True
    ),
}
FALSE_ENDS: dict[str, bytes] = {
    "nothing": b"",
    "end marker": END,
    "two end markers": END + END,
    "end marker and a page": END + b"<html>" * 30,
    "half a marker": b"\xff",
    "zeros and end marker": bytes(40) + END,
    "comment and end marker": b"\xff\xfe\0\x06abcd" + END,
    "another picture": END + encoded(PICTURE[:40, :40], "JPEG"),
}


def rejection(data: bytes, **changes: Any) -> PixelsRejected:
    with pytest.raises(PixelsRejected) as caught:
        prepare(data, untouched(**changes))
    return caught.value


@pytest.mark.parametrize("end", FALSE_ENDS)
@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_that_breaks_off_is_truncated_whatever_follows(name: str, end: str) -> None:
    whole = JPEGS[name]
    coded = whole.index(b"\xff\xda") + 14
    for share in (0.0, 0.3, 0.6, 0.9, 0.99):
        at = coded + int((len(whole) - coded) * share)
        kept = whole[:at].rstrip(b"\xff") + FALSE_ENDS[end]
        if end.startswith("zeros") and share > 0.95:
            continue  # so many zeros are codes for the little that is missing
        assert rejection(kept).reason is Reason.TRUNCATED, (share, rejection(kept).detail)
    assert rejection(whole[: len(whole) // 2] + END, resize="shorter", size=40).reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_without_its_last_bytes_is_truncated(name: str) -> None:
    """A decoder reads 8 bytes ahead, so that fewer are not always missed: they hold less than one unit."""
    whole = JPEGS[name]
    for lost in (16, 40):
        kept = whole[: -2 - lost].rstrip(b"\xff")
        assert rejection(kept + END).reason is Reason.TRUNCATED, lost


@pytest.mark.parametrize("name", JPEGS)
def test_a_hole_in_a_jpeg_is_no_picture(name: str) -> None:
    whole = JPEGS[name]
    middle = (len(whole) + whole.index(b"\xff\xda")) // 2
    found = rejection(whole[:middle].rstrip(b"\xff") + whole[middle + len(whole) // 8 :])
    assert found.reason in (Reason.TRUNCATED, Reason.UNDECODABLE)


@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"\xff",
        b"\xff\xff\xff" + END,
        bytes(20) + END,
        END + b"<html>" * 50,
        END + bytes(1000),
        b"\xff\xfe\0\x06a\xff\xd9b" + END,
        END + encoded(PICTURE[:40, :40], "JPEG"),
    ],
)
@pytest.mark.parametrize("name", JPEGS)
def test_a_whole_jpeg_is_kept_whatever_follows_its_data(name: str, end: bytes) -> None:
    whole = JPEGS[name]
    expected = opened(prepare(whole, untouched()).data)
    prepared = prepare(whole[:-2] + end, untouched())
    assert off(opened(prepared.data), expected) < 2.5
    assert prepared.data.endswith(END) or END in prepared.data
    Image.open(io.BytesIO(prepared.data)).load()  # which refuses a file without its end


@pytest.mark.parametrize("name", JPEGS)
def test_all_coded_data_are_followed_to_their_end(name: str) -> None:
    whole = JPEGS[name]
    assert coded_data(read_header(whole, 10**6)) is Coded.WHOLE
    if "restart" not in name or "progressive" in name:  # whose missing markers are counted before
        assert coded_data(read_header(whole[: len(whole) * 3 // 4] + END, 10**6)) is Coded.SHORT


def test_the_end_marker_of_an_exif_thumbnail_ends_nothing() -> None:
    thumbnail = encoded(PICTURE[:60, :80], "JPEG")
    block = exif(1) + thumbnail
    whole = JPEGS["4:2:0"]
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + whole[2:]
    assert prepare(data, untouched()).data == whole
    for at in (len(block) // 2, len(block) + 6, len(block) + 300, len(data) - 1000):
        assert rejection(data[:at]).reason is Reason.TRUNCATED


def test_a_progressive_jpeg_without_its_later_scans_is_truncated() -> None:
    whole = JPEGS["progressive"]
    at = whole.index(b"\xff\xda")
    scans = 0
    while (at := whole.find(b"\xff\xc4", at + 2)) > 0:
        scans += 1
        assert rejection(whole[:at] + END).reason is Reason.TRUNCATED, scans
    assert scans > 5


def test_missing_restart_intervals_are_missed() -> None:
    whole = JPEGS["restart"]
    first, second = whole.index(b"\xff\xd3"), whole.index(b"\xff\xd5")
    assert rejection(whole[:first] + whole[second:]).reason is Reason.TRUNCATED


OTHERS: dict[str, bytes] = {
    "png": encoded(PICTURE, "PNG"),
    "png grey": encoded(GREY, "PNG"),
    "png palette": encoded(GREY.quantize(12), "PNG", bits=4),
    "webp": encoded(PICTURE, "WEBP"),
    "webp lossless": encoded(PICTURE, "WEBP", lossless=True),
    "webp alpha": encoded(Image.fromarray(np.dstack([PICTURE, PICTURE[..., 0]])), "WEBP", exif=exif(3)),
    "gif": encoded(GREY, "GIF"),
    "gif interlaced": encoded(Image.fromarray(PICTURE).quantize(90), "GIF", interlace=1),
    "bmp": encoded(PICTURE, "BMP"),
    "bmp palette": encoded(GREY.quantize(30), "BMP"),
    "tiff": encoded(PICTURE, "TIFF"),
    "tiff lzw": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encoded(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
    "avif": encoded(PICTURE, "AVIF"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 0.97])
def test_any_file_that_breaks_off_is_truncated(name: str, share: float) -> None:
    whole = OTHERS[name]
    found = rejection(whole[: int(len(whole) * share)])
    assert found.reason is Reason.TRUNCATED, found.detail


@pytest.mark.parametrize("name", OTHERS)
def test_what_follows_a_whole_file_does_not_matter(name: str) -> None:
    whole = OTHERS[name]
    assert prepare(whole + b"<html>" * 100, untouched()).sha256 == prepare(whole, untouched()).sha256


def png_of(rows: bytes, packed: bytes | None = None, end: bytes = chunk(b"IEND", b""), interlaced: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 80, 8, 2, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed or zlib.compress(rows)) + end


ROWS = b"".join(b"\0" + PICTURE[y, :120].tobytes() for y in range(80))


def test_a_png_with_all_its_pixels_is_whole_and_one_without_is_not() -> None:
    packed = zlib.compress(ROWS)
    expected = PICTURE[:80, :120]
    whole = [
        png_of(ROWS, end=b""),
        png_of(ROWS)[:-12],
        png_of(ROWS)[:-13],
        png_of(ROWS)[:-18],  # half of the checksum of the data
        png_of(ROWS, packed[:-4]),
        png_of(ROWS, packed[:-2], end=b""),
        png_of(ROWS + b"\0" * 400),
    ]
    for n, data in enumerate(whole):
        assert off(opened(prepare(data, untouched()).data), expected) < 2.5, n
    short = [
        png_of(ROWS[:-361]),
        png_of(ROWS, packed[: len(packed) // 2]),
        png_of(ROWS, packed[: len(packed) // 2], end=b""),
        png_of(ROWS, packed[: len(packed) // 2], end=chunk(b"tEXt", b"a\0b") + chunk(b"IEND", b"")),
        png_of(ROWS[: len(ROWS) // 2], interlaced=1),
    ]
    for n, data in enumerate(short):
        assert rejection(data).reason is Reason.TRUNCATED, n
    assert rejection(png_of(ROWS, b"\x78\x9c" + b"\x07junk" * 9)).reason is Reason.UNDECODABLE


@pytest.mark.parametrize("name", ["gif", "gif interlaced"])
def test_a_gif_with_all_its_pixels_is_whole_and_one_without_is_not(name: str) -> None:
    whole = OTHERS[name]
    assert prepare(whole[:-1], untouched()).sha256 == prepare(whole, untouched()).sha256
    assert prepare(whole[:-2], untouched()).sha256 == prepare(whole, untouched()).sha256
    middle = whole.index(b",\0\0\0\0") + 11
    while whole[middle] and middle < len(whole) // 2:
        middle += 1 + whole[middle]
        if middle < 900:  # behind the colour table, if there is one
            continue
    assert rejection(whole[:middle] + b"\0;").reason is Reason.TRUNCATED
    assert rejection(whole[:middle] + b"\0").reason is Reason.TRUNCATED


def test_a_webp_without_its_metadata_is_whole_and_one_with_false_sizes_is_not() -> None:
    alpha = OTHERS["webp alpha"]
    assert alpha.index(b"EXIF") > alpha.index(b"VP8 ")
    cut = alpha[: alpha.index(b"EXIF") + 10]
    upright = prepare(cut, untouched())
    assert (upright.width, upright.height) == (333, 222)
    for name in ("webp", "webp lossless"):
        whole = OTHERS[name]
        kind = whole[12:16]
        kept = whole[20 : len(whole) // 4 * 2]
        body = b"WEBP" + kind + struct.pack("<I", len(kept)) + kept
        data = b"RIFF" + struct.pack("<I", len(body)) + body
        assert rejection(data).reason in (Reason.TRUNCATED, Reason.UNDECODABLE)


def test_a_bmp_without_the_padding_of_its_last_row_is_whole() -> None:
    image = PICTURE[:, :331]
    whole = encoded(image, "BMP")
    assert prepare(whole[:-3], untouched()).sha256 == prepare(whole, untouched()).sha256
    assert rejection(whole[:-4]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", ["tiff lzw", "tiff deflate"])
def test_a_tiff_whose_strips_are_too_short_is_no_picture(name: str) -> None:
    """The strips' sizes end where the data do, and the directory follows, as a careless program may repair it."""
    image = Image.open(io.BytesIO(OTHERS[name]))
    counts = image.tag_v2[279]  # type: ignore[attr-defined]
    data = bytearray(OTHERS[name])
    directory = struct.unpack_from("<I", data, 4)[0]
    for n in range(struct.unpack_from("<H", data, directory)[0]):
        at = directory + 2 + 12 * n
        tag, kind, count, place = struct.unpack_from("<HHII", data, at)
        if tag == 279:
            last = place + 4 * (count - 1) if count > 1 else at + 8
            assert kind == 4
            struct.pack_into("<I", data, last, counts[-1] // 2)
    found = rejection(bytes(data))
    assert found.reason in (Reason.TRUNCATED, Reason.UNDECODABLE)


@pytest.mark.parametrize("name", ["4:2:0", "grey", "grey restart"])
def test_a_sequential_jpeg_in_one_scan_is_decoded_once_and_its_codes_are_not_followed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def followed(header: object) -> Coded:
        raise AssertionError("followed")

    monkeypatch.setattr("curation.images.decode.coded_data", followed)
    assert prepare(JPEGS[name], untouched()).width == 333
