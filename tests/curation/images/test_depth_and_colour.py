"""Deep samples are scaled and not clipped; profiles and named colour spaces are followed; broken ones count as sRGB."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from curation.images import cicp
from curation.images.pixels import prepare
from schemas.recipe import Download
from tests.curation.images.test_transparency import packed, tiff
from tests.support.images import chunk, encoded, jpeg, off, opened, png, png16, smooth, srgb_profile, untouched

PICTURE = smooth(120, 80)
DEEP = np.linspace(0, 65535, 120 * 80).round().astype(np.uint16).reshape(80, 120)
GREY = np.repeat((DEEP / 257).round()[..., None], 3, axis=2)


def exported(data: bytes, recipe: Download | None = None) -> Any:
    return opened(prepare(data, recipe or untouched(quality=98)).data)


def grey_tiff(samples: Any, *, photometric: int = 1, kind: int = 1, order: str = "<") -> bytes:
    """A TIFF of one grey sample a pixel; ``kind`` is its SampleFormat."""
    height, width = samples.shape
    bits = samples.dtype.itemsize * 8
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0)]
    tags += [(277, 3, 1), (278, 4, height), (279, 4, samples.nbytes), (339, 3, kind)]
    data = 8 + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, form, value in tags:
        value = data if tag == 273 else value
        entries += struct.pack(order + "HHI", tag, form, 1)
        entries += struct.pack(order + "HH", value, 0) if form == 3 else struct.pack(order + "I", value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)
    return head + samples.astype(samples.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float32"])
def test_deep_grey_tiffs_are_scaled(dtype: str, photometric: int, order: str) -> None:
    samples = (GREY[..., 0] if dtype == "uint8" else DEEP / 65535 if dtype == "float32" else DEEP).astype(dtype)
    kind = 3 if dtype == "float32" else 1
    expected = GREY if photometric else 255 - GREY
    assert off(exported(grey_tiff(samples, photometric=photometric, kind=kind, order=order)), expected) < 1


@pytest.mark.parametrize("most", [255, 1023, 4095, 65535])
def test_a_png_of_16_bits_keeps_its_scale(most: int) -> None:
    samples = (DEEP.astype(np.int64) * most // 65535).astype(np.uint16)
    expected = np.repeat((samples / 257).round()[..., None], 3, axis=2)
    assert off(exported(png16(samples, 0)), expected) < 1
    assert off(exported(encoded(Image.fromarray(samples), "TIFF")), expected) < 1


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_every_16_bit_mode_is_scaled(dtype: str) -> None:
    mode = {"<u2": "I;16", ">u2": "I;16B"}[dtype]
    image = Image.frombytes(mode, (120, 80), DEEP.astype(dtype).tobytes())
    for kind in ("PNG", "TIFF"):
        assert off(exported(encoded(image, kind)), GREY) < 1, kind


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_shallow_grey_spans_black_to_white(depth: int) -> None:
    samples = np.kron(np.arange(1 << depth)[None] if depth < 8 else np.arange(0, 256, 17)[None], np.ones((32, 16), int))
    expected = samples * 255 // ((1 << depth) - 1)
    found = exported(png(samples.shape[1], 32, depth, 0, packed(samples, depth)))
    assert np.abs(found[16, 8::16, 0] - expected[16, 8::16]).max() <= 2


def test_deep_colour_and_alpha() -> None:
    deep = PICTURE.astype(np.uint16) * 257
    alpha = np.full((80, 120, 1), 32768, np.uint16)
    half = 255 - (255 - PICTURE.astype(float)) * 128 / 255
    assert off(exported(png16(deep, 2)), PICTURE) < 2
    assert off(exported(png16(np.concatenate([deep, alpha], axis=-1), 6)), half) < 2
    assert off(exported(tiff(np.concatenate([deep, alpha], axis=-1), 2, 2)), half) < 2


def as_srgb(samples: Any, primaries: Any, light: Any) -> Any:
    """What colours of a space on the white of D65 are in sRGB, worked out apart from any profile."""
    srgb = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    columns = np.stack([np.array([x / y, 1, (1 - x - y) / y]) for x, y in primaries], axis=1)
    white = np.array([0.3127 / 0.329, 1, (1 - 0.3127 - 0.329) / 0.329])
    columns = columns * np.linalg.solve(columns, white)
    linear = np.clip(light(samples / 255) @ (np.linalg.inv(srgb) @ columns).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_light(v: Any) -> Any:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


P3 = (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)
BT2020 = (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)
SPACES = {
    (12, 13): (P3, srgb_light),
    (12, 1): (P3, srgb_light),
    (9, 13): (BT2020, srgb_light),
    (9, 14): (BT2020, srgb_light),
    (1, 8): (((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), lambda v: v),
    (1, 4): (((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), lambda v: v**2.2),
}
MUTED = (PICTURE // 2 + 64).astype(np.uint8)  # within sRGB, whatever the space


def numbered_png(primaries: int, transfer: int, *more: bytes, full: int = 1) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in MUTED)
    extra = chunk(b"cICP", bytes([primaries, transfer, 0, full])) + b"".join(more)
    return png(120, 80, 8, 2, rows, extra)


@pytest.mark.parametrize("numbers", SPACES)
def test_a_png_that_names_its_space_by_numbers(numbers: tuple[int, int]) -> None:
    expected = as_srgb(MUTED.astype(float), *SPACES[numbers])
    assert off(exported(numbered_png(*numbers)), expected) < 2
    assert off(expected, MUTED) > 0.5


def nclx_avif(primaries: int, transfer: int) -> bytes:
    data = encoded(MUTED, "AVIF", quality=98, subsampling="4:4:4")
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def test_an_avif_that_names_its_space_by_numbers() -> None:
    plain = exported(encoded(MUTED, "AVIF", quality=98, subsampling="4:4:4"))
    assert off(plain, MUTED) < 3
    assert off(exported(nclx_avif(12, 13)), as_srgb(MUTED.astype(float), *SPACES[12, 13])) < 3


@pytest.mark.parametrize("numbers", [(1, 13), (1, 1), (1, 6), (2, 2), (2, 13), (1, 2), (77, 13), (12, 99)])
def test_numbers_that_mean_srgb_or_nothing_known_change_nothing(numbers: tuple[int, int]) -> None:
    assert cicp.profile(*numbers) is None
    assert off(exported(numbered_png(*numbers)), MUTED) < 1.5


@pytest.mark.parametrize("transfer", [16, 18])
def test_brightness_beyond_a_white_page_is_cut_off_and_greys_stay_grey(transfer: int) -> None:
    profile = cicp.profile(9, transfer)
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    ramp = np.repeat(ramp, 16, axis=0)
    found = exported(encoded(ramp, "PNG", icc_profile=profile))
    assert (np.abs(found - found.mean(axis=-1, keepdims=True)) < 3).all()
    line = found[8, :, 0].astype(int)
    assert (np.diff(line) >= -2).all()
    assert line[0] <= 2
    assert line[-1] >= 253
    white = {16: 148, 18: 191}[transfer]  # 203 cd/m²: 58 % of PQ and 75 % of HLG (ITU-R BT.2408)
    assert line[white + 6] >= 250
    assert line[white - 25] < 245


def test_numbers_count_before_a_profile() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in MUTED)
    plain = encoded(MUTED, "PNG", icc_profile=cicp.profile(9, 13))
    start = plain.index(b"iCCP") - 4
    profile = plain[start : start + 12 + int.from_bytes(plain[start : start + 4], "big")]
    assert off(exported(png(120, 80, 8, 2, rows, profile)), as_srgb(MUTED.astype(float), *SPACES[9, 13])) < 2
    assert off(exported(numbered_png(1, 13, profile)), MUTED) < 1.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_display_p3_becomes_srgb(kind: str) -> None:
    options = (
        {"lossless": True} if kind == "WEBP" else {"quality": 98, "subsampling": "4:4:4"} if kind == "AVIF" else {}
    )
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else options
    data = encoded(MUTED, kind, icc_profile=cicp.profile(12, 13), **options)
    assert off(exported(data), as_srgb(MUTED.astype(float), *SPACES[12, 13])) < 3
    assert not prepare(data, untouched()).unchanged


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey with this gamma."""

    def tag(kind: bytes, body: bytes) -> bytes:
        return (kind + bytes(4) + body).ljust(-(-(8 + len(body)) // 4) * 4, b"\0")

    tags = {
        b"desc": tag(b"desc", struct.pack(">I", 5) + b"grey\0" + bytes(78)),
        b"wtpt": tag(b"XYZ ", struct.pack(">3i", 63190, 65536, 54061)),
        b"kTRC": tag(b"curv", struct.pack(">IH", 1, round(gamma * 256))),
    }
    at = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("kind", ["L", "LA", "I;16", "1 bit", "jpeg"])
def test_a_profile_of_grey_is_followed(kind: str) -> None:
    grey = Image.fromarray(PICTURE).convert("L")
    profile = grey_profile(1.0)
    values = np.asarray(grey).astype(float)
    if kind == "jpeg":
        data = jpeg(grey, icc_profile=profile)
    elif kind == "1 bit":
        grey = grey.point(lambda v: 255 * (v > 90), "1")
        values = np.asarray(grey.convert("L")).astype(float)
        data = encoded(grey, "PNG", icc_profile=profile)
    elif kind == "I;16":
        data = encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG", icc_profile=profile)
    else:
        data = encoded(grey.convert(kind), "PNG", icc_profile=profile)
    linear = values / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert off(exported(data), np.repeat(expected[..., None], 3, axis=2)) < 3


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_a_profile_of_cmyk_is_followed(kind: str) -> None:
    """With a profile of another kind of image, and with a broken one, the plain conversion stands."""
    cmyk = Image.fromarray(PICTURE).convert("CMYK")
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    expected = np.asarray(cmyk.convert("RGB"))
    for profile in (srgb_profile(), grey_profile(1.0), b"junk" * 60, srgb_profile()[:300]):
        assert off(exported(encoded(cmyk, kind, icc_profile=profile, **options)), expected) < 2
    found = exported(encoded(cmyk, kind, icc_profile=inverse_cmyk_profile(), **options))
    assert off(found, expected) > 20
    assert off(found, reference(cmyk)) < 4


def reference(cmyk: Image.Image) -> Any:
    import io

    source = ImageCms.ImageCmsProfile(io.BytesIO(inverse_cmyk_profile()))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    return np.asarray(transform.apply(cmyk))


def inverse_cmyk_profile() -> bytes:
    """An ICC profile of CMYK whose table of two steps makes lightness of black alone, the wrong way round."""
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut += bytes(range(256)) * 4
    for n in range(16):
        lut += bytes([230 if n & 1 else 40, 128, 128])  # Lab; the last channel, black, varies fastest
    lut += bytes(range(256)) * 3
    lut = lut.ljust(-(-len(lut) // 4) * 4, b"\0")
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    at = 132 + 24
    table = (
        struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", at, 20) + b"A2B0" + struct.pack(">II", at + 20, len(lut))
    )
    head = struct.pack(">I4sI4s4s4s", at + 20 + len(lut), bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + white + lut
