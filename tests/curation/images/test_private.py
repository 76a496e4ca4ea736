"""Images that are not encoded again lose what their files say of people and places, and none of their pixels."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curation.images.metadata import read_metadata
from curation.images.pixels import prepare
from tests.support.images import encoded, natural, opened, srgb_profile, untouched

PICTURE = natural(120, 90)
PLAIN = {
    "baseline": encoded(PICTURE, "JPEG", quality=90),
    "progressive": encoded(PICTURE, "JPEG", quality=90, progressive=True),
    "4:4:4": encoded(PICTURE, "JPEG", quality=90, subsampling=0),
    "restarts": encoded(PICTURE, "JPEG", quality=90, restart_marker_blocks=4),
    "profile": encoded(PICTURE, "JPEG", quality=90, icc_profile=srgb_profile()),
}
SECRET = b"52 deg 31 min north, serial 4711, Jane Roe"
_BEGINNINGS = (
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"Photoshop 3.0\x008BIM",
    b"JFXX\0\x10",
    b"MPF\0",
    b"JP",
    b"",
)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


@given(
    st.sampled_from(sorted(PLAIN)),
    st.lists(
        st.tuples(
            st.sampled_from([*range(0xE0, 0xEE), 0xEF, 0xFE]), st.sampled_from(_BEGINNINGS), st.binary(max_size=40)
        ),
        min_size=1,
        max_size=5,
    ),
    st.binary(max_size=50),
)
def test_a_jpeg_is_exported_as_if_nothing_had_been_written_into_it(
    name: str, written: list[tuple[int, bytes, bytes]], behind: bytes
) -> None:
    plain = PLAIN[name]
    segments = b"".join(_segment(marker, begins + SECRET + rest) for marker, begins, rest in written)
    first = plain.index(b"\xff\xdb")  # behind JFIF and the colour profile
    made = prepare(plain[:first] + segments + plain[first:] + SECRET + behind.replace(b"\xff", b""), untouched())
    assert made.data == plain
    assert not made.unchanged


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_jpeg_without_any_is_the_one_that_came(name: str) -> None:
    made = prepare(PLAIN[name], untouched())
    assert (made.data, made.unchanged, made.sha256) == (PLAIN[name], True, made.original_sha256)


def test_a_thumbnail_in_jfif_goes() -> None:
    plain = PLAIN["baseline"]
    with_thumbnail = plain[:2] + _segment(0xE0, plain[6:18] + bytes([3, 2]) + SECRET[:18]) + plain[20:]
    assert prepare(with_thumbnail, untouched()).data == plain


def test_adobe_s_word_on_colours_stays() -> None:
    adobe = _segment(0xEE, b"Adobe" + bytes([0, 100, 0, 0, 0, 0, 1]))
    plain = PLAIN["baseline"]
    data = plain[:2] + adobe + plain[20:]
    made = prepare(data, untouched())
    assert made.data == data
    assert np.array_equal(opened(made.data), opened(plain))


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {})])
def test_places_and_names_of_a_camera_are_not_exported(kind: str, options: dict[str, Any]) -> None:
    block = Image.Exif()
    block[0x010E] = SECRET.decode()
    block.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    xmp = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    data = encoded(PICTURE, kind, quality=90, exif=block.tobytes(), xmp=xmp, **options)
    settings = untouched(format=kind.lower())
    made = prepare(data, settings)
    found = read_metadata(made.data)
    assert found is not None
    assert (found.exif, found.xmp, SECRET in made.data) == (b"", b"", False)
    assert np.array_equal(opened(made.data), opened(data))
    assert prepare(made.data, settings).unchanged
    kept = prepare(data, untouched(format=kind.lower(), keep_metadata=True))
    assert (kept.data, kept.unchanged) == (data, True)
