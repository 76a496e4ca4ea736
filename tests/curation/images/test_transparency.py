"""Keys, palettes and alpha count in the samples of the file; what is transparent or not covered becomes white."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.images.pixels import prepare
from tests.support.images import chunk, encoded, natural, off, opened, png, png16, smooth, untouched

PICTURE = smooth(120, 80)


def exported(data: bytes) -> Any:
    return opened(prepare(data, untouched(quality=100)).data)


def blocks(depth: int, key: int) -> Any:
    """Samples in blocks of 16 x 16, some of which are ``key``."""
    cells = np.random.default_rng(depth).integers(0, 1 << depth, (5, 7))
    cells[0, 0] = cells[2, 3] = cells[4, 6] = key
    cells[1, 1] = (key + 1) % (1 << depth)
    return np.kron(cells, np.ones((16, 16), int))


def packed(samples: Any, depth: int) -> bytes:
    """Rows of samples of 1 to 16 bits, each with its filter byte."""
    bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    rows = np.packbits(bits.reshape(samples.shape[0], -1).astype(np.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def inside(difference: Any) -> Any:
    """The middle of each block, where a JPEG leaves the samples alone."""
    return np.abs(difference)[8::16, 8::16]


@pytest.mark.parametrize("high_bits", [0, 0xFFFF])
@pytest.mark.parametrize(("depth", "key"), [(1, 0), (1, 1), (2, 0), (2, 1), (2, 3), (4, 0), (4, 7), (4, 15), (8, 100)])
def test_a_grey_key_counts_in_the_samples_of_the_file(depth: int, key: int, high_bits: int) -> None:
    samples = blocks(depth, key)
    most = (1 << depth) - 1
    stored = key | (high_bits & ~most)
    data = png(112, 80, depth, 0, packed(samples, depth), chunk(b"tRNS", struct.pack(">H", stored)))
    expected = np.where(samples == key, 255, samples * 255 // most)
    assert inside(exported(data)[..., 0] - expected).max() <= 6


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_with_alpha_counts_in_the_indexes_of_the_file(depth: int) -> None:
    samples = blocks(depth, 1)
    entries = min(1 << depth, 200)
    samples = np.minimum(samples, entries - 1)
    palette = np.random.default_rng(9).integers(0, 256, (entries, 3))
    alpha = np.full(entries, 255)
    alpha[: (entries + 1) // 2] = np.arange((entries + 1) // 2) * 40 % 256
    extra = chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    extra += chunk(b"tRNS", alpha[: (entries + 1) // 2].astype(np.uint8).tobytes())  # shorter than the palette
    share = alpha[samples][..., None] / 255
    expected = palette[samples] * share + 255 * (1 - share)
    found = exported(png(112, 80, depth, 3, packed(samples, depth), extra))
    assert inside((found - expected).mean(axis=-1)).max() <= 6


def test_a_colour_key_of_8_bits_ignores_the_high_bytes() -> None:
    picture = np.full((80, 80, 3), (200, 100, 50), np.uint8)
    picture[:, :40] = 10, 20, 30
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    found = exported(png(80, 80, 8, 2, rows, chunk(b"tRNS", struct.pack(">HHH", 0x110A, 0x2214, 0x331E))))
    assert off(found[:, :30], 255) < 1
    assert off(found[:, 50:], [200, 100, 50]) < 2


@pytest.mark.parametrize("colour", [0, 2])
def test_a_key_of_16_bits_leaves_its_neighbours_visible(colour: int) -> None:
    deep = np.full((80, 96), 40_000, np.uint16)
    deep[:, :32] = 0x1234
    deep[:, 32:64] = 0x1235  # the same high byte
    samples = deep if colour == 0 else np.repeat(deep[..., None], 3, axis=2)
    key = struct.pack(">H", 0x1234) * (1 if colour == 0 else 3)
    found = exported(png16(samples, colour, chunk(b"tRNS", key)))
    assert off(found[:, :24], 255) < 1
    assert off(found[:, 40:56], 0x12) < 2
    assert off(found[:, 72:], 156) < 2


def test_an_index_beyond_the_palette_is_black() -> None:
    samples = np.kron(np.array([[0, 1, 200, 255]]), np.ones((32, 32), int))
    extra = chunk(b"PLTE", bytes([250, 10, 10, 10, 250, 10])) + chunk(b"tRNS", b"\xff\0")
    found = exported(png(128, 32, 8, 3, packed(samples, 8), extra))
    assert off(found[:, 8:24], [250, 10, 10]) < 3
    assert off(found[:, 40:56], 255) < 3
    assert off(found[:, 72:], 0) < 3


def bmp32(alpha: Any, *, header: int = 108, compression: int = 3) -> bytes:
    """A BMP of 32 bits a pixel, with a mask for alpha."""
    height, width = PICTURE.shape[:2]
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, compression, width * height * 4, 0, 0, 0, 0)
    info = (info + (masks if header > 40 else b"")).ljust(header, b"\0")
    pixels = np.dstack([PICTURE[..., ::-1], np.broadcast_to(alpha, (height, width))]).astype(np.uint8)[::-1]
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + pixels.size, 0, 0, start) + info + pixels.tobytes()


@pytest.mark.parametrize("header", [56, 108, 124])
def test_alpha_of_zeros_alone_in_a_bmp_means_nothing(header: int) -> None:
    assert off(exported(bmp32(0, header=header)), PICTURE) < 1
    assert off(exported(bmp32(255, header=header)), PICTURE) < 1
    half = np.where(np.arange(120) < 60, 0, 255)[None]
    found = exported(bmp32(half, header=header))
    assert off(found[:, :56], 255) < 1
    assert off(found[:, 64:], PICTURE[:, 64:]) < 1


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_the_fourth_byte_of_a_plain_bmp_is_no_alpha(alpha: int) -> None:
    assert off(exported(bmp32(alpha, header=40, compression=0)), PICTURE) < 1


def tiff(samples: Any, photometric: int, extra: int | None) -> bytes:
    """An uncompressed TIFF of one strip, little-endian, with ``extra`` as its ExtraSamples."""
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    tags = [(256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 1), (262, 3, 1, photometric), (277, 3, 1, channels)]
    tags += [(278, 4, 1, height), (279, 4, 1, samples.nbytes)] + ([] if extra is None else [(338, 3, 1, extra)])
    count = len(tags) + 2
    data = 8 + 2 + 12 * count + 4
    depths = struct.pack(f"<{channels}H", *[bits] * channels)
    inline = int.from_bytes(depths, "little") if len(depths) <= 4 else data + samples.nbytes
    tags += [(258, 3, channels, inline), (273, 4, 1, data)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4)
    return head + samples.astype(samples.dtype.newbyteorder("<")).tobytes() + depths


ALPHA = np.linspace(0, 255, 120 * 80).round().astype(np.uint8).reshape(80, 120)
ON_WHITE = PICTURE * (ALPHA[..., None] / 255) + 255 * (1 - ALPHA[..., None] / 255)


@pytest.mark.parametrize("deep", [False, True])
def test_the_fourth_sample_of_a_tiff_is_what_its_tag_says(deep: bool) -> None:
    def made(colours: Any, alpha: Any, extra: int | None) -> bytes:
        samples = np.dstack([colours, alpha]).astype(np.uint8)
        return tiff(samples.astype(np.uint16) * 257 if deep else samples, 2, extra)

    assert off(exported(made(PICTURE, ALPHA, 0)), PICTURE) < 1.5  # unspecified: no alpha
    associated = (PICTURE * (ALPHA[..., None] / 255)).round()
    assert off(exported(made(associated, ALPHA, 1)), ON_WHITE) < 2
    assert off(exported(made(PICTURE, ALPHA, 2)), ON_WHITE) < 1.5
    assert off(exported(made(PICTURE, 0 * ALPHA, 2)), 255) < 1  # stated to be alpha: all transparent
    if not deep:
        assert off(exported(made(PICTURE, 0 * ALPHA, None)), PICTURE) < 1.5  # unstated, and of zeros alone


def test_grey_with_a_second_sample() -> None:
    grey = PICTURE[..., :1]
    expected = np.repeat(grey, 3, axis=2)
    share = ALPHA[..., None] / 255
    assert off(exported(tiff(np.dstack([grey, ALPHA]), 1, 0)), expected) < 1.5
    assert off(exported(tiff(np.dstack([grey, ALPHA]), 1, 2)), expected * share + 255 * (1 - share)) < 1.5


def gif(frame: tuple[int, int, int, int], canvas: tuple[int, int], *, key: int | None, background: int = 2) -> bytes:
    """A GIF of one frame (left, top, width, height) of index 1, on a canvas of this background colour."""
    palette = bytes([0, 0, 0, 200, 60, 40, 0, 0, 255, 0, 255, 0])
    left, top, width, height = frame
    screen = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x81, background, 0) + palette
    control = b"" if key is None else b"!\xf9\4\1\0\0" + bytes([key, 0])
    pixels = Image.new("P", (width, height), 1)
    pixels.putpalette(palette)
    source = encoded(pixels, "GIF", optimize=False)
    body = source[source.index(b",\0\0\0\0") + 10 :]
    flags = source[source.index(b",\0\0\0\0") + 9]
    if flags & 128:
        body = body[3 << ((flags & 7) + 1) :]
    return screen + control + b"," + struct.pack("<HHHHB", left, top, width, height, 0) + body


@pytest.mark.parametrize("key", [None, 0, 2])
@pytest.mark.parametrize("background", [0, 2])
def test_what_a_gif_frame_leaves_free_is_white(key: int | None, background: int) -> None:
    found = exported(gif((20, 10, 60, 40), (120, 80), key=key, background=background))
    assert found.shape == (80, 120, 3)
    assert off(found[20:40, 30:70], [200, 60, 40]) < 4
    assert off(found[:8], 255) < 2
    assert off(found[:, 90:], 255) < 2
    assert off(found[60:, :], 255) < 2


def test_a_gif_frame_beyond_its_screen_is_kept_whole() -> None:
    found = exported(gif((8, 8, 100, 60), (20, 10), key=None))
    assert found.shape == (68, 108, 3)
    assert off(found[16:60, 16:100], [200, 60, 40]) < 4


def test_what_a_webp_frame_leaves_free_is_white() -> None:
    still = encoded(PICTURE, "WEBP", lossless=True)
    frame = struct.pack("<I", 40)[:3] + struct.pack("<I", 30)[:3]
    frame += struct.pack("<I", 119)[:3] + struct.pack("<I", 79)[:3] + bytes(4) + still[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + struct.pack("<I", 239)[:3] + struct.pack("<I", 199)[:3]
    body = b"WEBP" + canvas + b"ANIM\6\0\0\0" + b"\0\0\xff\xff\0\0" + b"ANMF" + struct.pack("<I", len(frame)) + frame
    found = exported(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert found.shape == (200, 240, 3)
    assert off(found[60:140, 80:200], PICTURE) < 3
    assert off(found[:56], 255) < 2


def test_a_png_whose_last_rows_are_missing_is_not_black_below() -> None:
    """Its data stream ends properly, which Pillow takes for a whole picture."""
    from curation.images.pixels import PixelsRejected
    from schemas.reasons import Reason

    bright = np.maximum(natural(90, 60), 5)
    rows = b"".join(b"\0" + row.tobytes() for row in bright)
    assert off(exported(png(90, 60, 8, 2, rows)), bright) < 3
    for kept in (10, 40, 58, 59):
        with pytest.raises(PixelsRejected) as caught:
            prepare(png(90, 60, 8, 2, rows[: kept * 271]), untouched())
        assert caught.value.reason is Reason.TRUNCATED, kept
    dark = b"".join(b"\0" + bytes(90 * 3) for _ in range(60))
    assert prepare(png(90, 60, 8, 2, dark), untouched()).width == 90
    assert zlib.decompress(zlib.compress(dark)) == dark
