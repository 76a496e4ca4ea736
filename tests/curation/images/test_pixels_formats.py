"""Every dress that pixels come in ends as the same upright sRGB picture, near a reference made another way."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import Any

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from curation.images.pixels import prepare
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
    png16,
    smooth,
    srgb_profile,
    swapped_profile,
    turned,
    untouched,
)

PICTURE = smooth(120, 80)
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "TIFF deflate": {"compression": "tiff_adobe_deflate"},
    "WEBP": {"lossless": True},
}


def exported(data: bytes, recipe: Download | None = None) -> Any:
    return opened(prepare(data, recipe or untouched()).data)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_file_comes_out_as_it_was(kind: str) -> None:
    data = encoded(PICTURE, kind.split()[0], **LOSSLESS[kind])
    assert off(exported(data), PICTURE) < 1
    assert prepare(data, untouched()).original_format == kind.split()[0].lower()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF lzw", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(kind: str, orientation: int) -> None:
    options = LOSSLESS.get(kind, {})
    data = encoded(turned(PICTURE, orientation), kind.split()[0], exif=exif(orientation), **options)
    prepared = prepare(data, untouched())
    assert (prepared.width, prepared.height) == (120, 80)
    assert (prepared.original_width, prepared.original_height) == ((80, 120) if orientation > 4 else (120, 80))
    assert off(opened(prepared.data), PICTURE) < 2
    assert not Image.open(io.BytesIO(prepared.data)).getexif().get(274, 1) > 1


def test_orientation_and_size_work_together() -> None:
    data = jpeg(turned(natural(600, 300), 6), exif=exif(6))
    prepared = prepare(data, untouched(resize="shorter", size=100))
    assert (prepared.width, prepared.height) == (200, 100)
    assert off(opened(prepared.data), Image.fromarray(natural(600, 300)).resize((200, 100))) < 3


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = np.linspace(0, 65535, 120 * 80).round().astype(np.uint16).reshape(80, 120)
    expected = (deep / 257).round()
    grey = np.repeat(expected[..., None], 3, axis=2)
    colours = np.stack([deep, deep[::-1], deep[:, ::-1]], axis=-1)
    half = np.full_like(deep, 32768)
    assert off(exported(png16(deep, 0)), grey) < 1
    assert off(exported(png16(colours, 2)), (colours / 257).round()) < 2
    on_white = 255 - (255 - grey) * 128 / 255
    assert off(exported(png16(np.stack([deep, half], axis=-1), 4)), on_white) < 2
    over = 255 - (255 - colours / 257) * 128 / 255
    assert off(exported(png16(np.concatenate([colours, half[..., None]], axis=-1), 6)), over) < 2
    assert off(exported(encoded(Image.fromarray(deep), "TIFF")), grey) < 1


def test_white_is_zero_turns_a_deep_tiff_over() -> None:
    deep = np.linspace(0, 65535, 120 * 80).round().astype(np.uint16).reshape(80, 120)
    data = encoded(Image.fromarray(deep), "TIFF", tiffinfo={262: 0})
    assert b"\x06\x01\x03\x00\x01\x00\x00\x00\x00\x00" in data
    assert off(exported(data), np.repeat((255 - deep / 257)[..., None], 3, axis=2)) < 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-4, 9)])
def test_floats_find_their_range(low: float, high: float) -> None:
    values = np.linspace(low, high, 120 * 80, dtype=np.float32).reshape(80, 120)
    expected = (values - low) * 255 / (high - low)
    assert off(exported(encoded(Image.fromarray(values), "TIFF")), np.repeat(expected[..., None], 3, axis=2)) < 1


def test_whole_numbers_of_32_bits_find_their_range() -> None:
    values = np.linspace(0, 65535, 120 * 80).astype(np.int32).reshape(80, 120)
    assert off(exported(encoded(Image.fromarray(values), "TIFF")), np.repeat((values / 257)[..., None], 3, axis=2)) < 1


def test_transparency_is_laid_on_white() -> None:
    alpha = np.linspace(0, 255, 120 * 80).round().astype(np.uint8).reshape(80, 120)
    expected = PICTURE * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255)
    with_alpha = Image.fromarray(np.dstack([PICTURE, alpha]))
    for kind in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        assert off(exported(encoded(with_alpha, kind, **options)), expected) < 1.2, kind
    grey = with_alpha.convert("LA")
    grey_expected = np.asarray(grey)[..., :1] * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255)
    assert off(exported(encoded(grey, "PNG")), np.repeat(grey_expected, 3, axis=2)) < 1


def test_hidden_colours_do_not_bleed_through_a_resize() -> None:
    hidden = np.zeros((256, 256, 4), np.uint8)
    hidden[:, :128] = (200, 100, 50, 255)
    hidden[:, 128:] = (0, 255, 0, 0)
    out = exported(encoded(Image.fromarray(hidden), "PNG"), untouched(resize="shorter", size=64))
    assert (out[..., 1] - out[..., 0] < 12).all()
    assert off(out[:, 40:], 255) < 1


def test_palettes_keep_their_colours_and_their_holes() -> None:
    palette = Image.fromarray(PICTURE).quantize(64)
    assert off(exported(encoded(palette, "PNG")), np.asarray(palette.convert("RGB"))) < 3
    assert off(exported(encoded(palette, "GIF")), np.asarray(palette.convert("RGB"))) < 3
    hole = encoded(palette, "PNG", transparency=bytes([0] * 32 + [255] * 32))
    indexes = np.asarray(palette)[..., None]
    assert off(exported(hole), np.where(indexes < 32, 255, np.asarray(palette.convert("RGB")))) < 4
    gif = encoded(palette, "GIF", transparency=int(indexes[0, 0, 0]))
    assert (exported(gif)[:5, :5] > 250).all()


def test_a_single_transparent_colour_becomes_white() -> None:
    row = bytes([0]) + bytes([10, 20, 30]) * 40 + bytes([200, 100, 50]) * 40
    colour = png(80, 80, 8, 2, row * 80, chunk(b"tRNS", struct.pack(">HHH", 10, 20, 30)))
    assert off(exported(colour)[:, :30], 255) < 1
    assert off(exported(colour)[:, 50:], [200, 100, 50]) < 2
    grey = png(80, 80, 8, 0, (bytes([0]) + bytes([7]) * 40 + bytes([99]) * 40) * 80, chunk(b"tRNS", b"\0\x07"))
    assert off(exported(grey)[:, :30], 255) < 1
    assert off(exported(grey)[:, 50:], 99) < 1
    deep = np.full((80, 80), 40000, np.uint16)
    deep[:, :40] = 1234
    assert off(exported(png16(deep, 0, chunk(b"tRNS", struct.pack(">H", 1234))))[:, :30], 255) < 1
    coloured = np.repeat(deep[..., None], 3, axis=2)
    holed = exported(png16(coloured, 2, chunk(b"tRNS", struct.pack(">HHH", 1234, 1234, 1234))))
    assert off(holed[:, :30], 255) < 1
    assert off(holed[:, 50:], 156) < 2


def test_one_bit_and_grey_become_rgb() -> None:
    grey = Image.fromarray(PICTURE).convert("L")
    for data in (encoded(grey, "PNG"), jpeg(grey), encoded(grey, "TIFF")):
        prepared = prepare(data, untouched())
        assert Image.open(io.BytesIO(prepared.data)).mode == "RGB"
        assert not prepared.unchanged
        assert off(opened(prepared.data), np.repeat(np.asarray(grey)[..., None], 3, axis=2)) < 1.5
    bits = grey.point(lambda v: 255 * (v > 90), "1")
    assert off(exported(encoded(bits, "PNG")), np.asarray(bits.convert("RGB"))) < 3


def test_cmyk_becomes_rgb_inverted_or_not() -> None:
    cmyk = Image.fromarray(PICTURE).convert("CMYK")
    expected = np.asarray(cmyk.convert("RGB"))
    adobe = jpeg(cmyk)
    assert b"Adobe" in adobe
    assert off(exported(adobe), expected) < 2
    assert off(exported(encoded(cmyk, "TIFF")), expected) < 1


def test_lab_becomes_srgb() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = to_lab.apply(Image.fromarray(PICTURE))
    assert off(exported(encoded(lab, "TIFF")), PICTURE) < 2.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_profiles_are_followed(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind != "PNG" else {}
    data = encoded(PICTURE, kind, icc_profile=swapped_profile(), **options)
    prepared = prepare(data, untouched())
    assert not prepared.unchanged
    assert off(opened(prepared.data), PICTURE[..., [1, 0, 2]]) < 6
    assert "icc_profile" not in Image.open(io.BytesIO(prepared.data)).info


@pytest.mark.parametrize("profile", [b"junk" * 50, srgb_profile()[:200], b"\0" * 128, srgb_profile()])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_broken_profile_counts_as_srgb(kind: str, profile: bytes) -> None:
    assert off(exported(encoded(PICTURE, kind, icc_profile=profile)), PICTURE) < 2


def test_a_profile_for_another_kind_of_image_is_ignored() -> None:
    grey = Image.fromarray(PICTURE).convert("L")
    expected = np.repeat(np.asarray(grey)[..., None], 3, axis=2)
    assert off(exported(jpeg(grey, icc_profile=swapped_profile())), expected) < 1.5
    cmyk = Image.fromarray(PICTURE).convert("CMYK")
    assert off(exported(jpeg(cmyk, icc_profile=swapped_profile())), np.asarray(cmyk.convert("RGB"))) < 2


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_that_needs_nothing_keeps_its_bytes(progressive: bool, subsampling: int) -> None:
    data = encoded(PICTURE, "JPEG", progressive=progressive, subsampling=subsampling, icc_profile=srgb_profile())
    prepared = prepare(data, Download(min_side=80))
    assert prepared.unchanged
    assert prepared.data == data
    assert prepared.sha256 == prepared.original_sha256 == hashlib.sha256(data).hexdigest()
    assert prepared.phash == int(str(imagehash.phash(Image.open(io.BytesIO(data)))), 16)


def test_what_is_exported_anew_has_no_metadata() -> None:
    data = jpeg(natural(300, 300), exif=exif(6), comment=b"secret", icc_profile=srgb_profile())
    prepared = prepare(data, untouched(size=100, resize="longer"))
    assert b"secret" not in prepared.data
    assert set(Image.open(io.BytesIO(prepared.data)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert prepared.sha256 == hashlib.sha256(prepared.data).hexdigest()


@pytest.mark.parametrize("scale", [1.05, 1.27, 1.6, 1.99, 2.0, 2.7, 4.3, 9.1])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_resize_is_near_lanczos(scale: float, kind: str) -> None:
    side = round(128 * scale)
    source = natural(side + 13, side, seed=3)
    data = encoded(source, kind) if kind == "PNG" else jpeg(source)
    prepared = prepare(data, untouched(resize="shorter", size=128, quality=100))
    reference = np.asarray(Image.fromarray(source).resize((prepared.width, prepared.height), Image.Resampling.LANCZOS))
    weights = np.array([0.299, 0.587, 0.114])  # a JPEG halves the chroma; what the filter does shows in the luma
    error = float(np.square((opened(prepared.data) - reference.astype(np.int16)) @ weights).mean())
    assert 10 * np.log10(255**2 / error) > 40  # decibel; the eye stops seeing differences between 35 and 40


def test_fine_stripes_become_grey_and_no_moire() -> None:
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    out = exported(encoded(stripes, "PNG"), untouched(resize="shorter", size=300))
    assert np.abs(out - 128).max() < 40


@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    size=st.integers(16, 1024),
    resize=st.sampled_from(["shorter", "longer", "none"]),
)
@settings(max_examples=200, deadline=None)
def test_nothing_is_enlarged_and_the_named_side_fits(width: int, height: int, size: int, resize: str) -> None:
    from curation.images.shrink import target

    recipe = untouched(size=size, resize=resize)
    out = target(width, height, recipe)
    assert out[0] <= width
    assert out[1] <= height
    assert min(out) >= 1
    side = min if resize == "shorter" else max
    if resize == "none" or side(width, height) <= size:
        assert out == (width, height)
    else:
        assert side(out) == size
        assert abs(out[0] * height - out[1] * width) <= max(width, height)


def test_the_hash_is_that_of_the_exported_pixels() -> None:
    image = Image.fromarray(natural(200, 150))
    assert prepare(encoded(image, "PNG"), untouched()).phash == int(str(imagehash.phash(image)), 16)


def test_the_same_bytes_give_the_same_bytes() -> None:
    data = encoded(natural(300, 200), "PNG")
    recipe = untouched(resize="shorter", size=90)
    assert prepare(data, recipe) == prepare(data, recipe)


def test_an_interlaced_or_chunked_png_is_whole() -> None:
    rows = b"".join(b"\0" + PICTURE[y].tobytes() for y in range(80))
    packed = zlib.compress(rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 80, 8, 2, 0, 0, 0))
    pieces = b"".join(chunk(b"IDAT", packed[i : i + 97]) for i in range(0, len(packed), 97))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"tEXt", b"a\0b") + pieces + chunk(b"IEND", b"")
    assert off(exported(data), PICTURE) < 1
