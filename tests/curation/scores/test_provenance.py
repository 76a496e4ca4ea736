"""What is read of a file's metadata: persons, places, serial numbers and generators, in every form they come in."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from curation.images.metadata import read_metadata
from curation.images.picture import Picture
from curation.scores.provenance import Provenance
from tests.support.images import chunk, encoded, natural

PIXELS = natural(64, 64)
NOTHING = {c.name: 0.0 for c in Provenance.columns}
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def scores(data: bytes) -> dict[str, float | None]:
    with Provenance().open() as measure:
        values = measure(Picture(PIXELS[..., ::-1], data))
    return dict(zip((c.name for c in Provenance.columns), values, strict=True))


def exif(**tags: str) -> bytes:
    """Exif as cameras write it: artist and copyright, serial numbers and owner, a place."""
    block = Image.Exif()
    for tag, value in {"artist": 315, "copyright": 33432, "software": 305}.items():
        if tag in tags:
            block[value] = tags[tag]
    inner = block.get_ifd(34665)
    for tag, value in {"owner": 42032, "serial": 42033, "lens": 42037}.items():
        if tag in tags:
            inner[value] = tags[tag]
    if "comment" in tags:
        inner[37510] = b"UNICODE\0" + tags["comment"].encode("utf-16-le")
    if "place" in tags:
        block.get_ifd(34853)[1], block.get_ifd(34853)[2] = "N", (52.0, 30.0, 0.0)
    return block.tobytes()


def with_exif(kind: str, block: bytes) -> bytes:
    return encoded(PIXELS, kind, exif=block)


def xmp_packet(inner: str) -> bytes:
    return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>{inner}</rdf:RDF></x:xmpmeta>".encode()


def with_xmp(kind: str, packet: bytes) -> bytes:
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return encoded(PIXELS, "PNG", pnginfo=info)
    return encoded(PIXELS, kind, xmp=packet)


def app11(data: bytes, box: bytes) -> bytes:
    """The JPEG with a JUMBF box in two segments, as C2PA embeds its manifests."""
    pieces = [box[:30], box[30:]]
    made = b"".join(
        b"\xff\xeb" + (10 + len(p)).to_bytes(2, "big") + b"JP\0\1" + n.to_bytes(4, "big") + p
        for n, p in enumerate(pieces, 1)
    )
    return data[:2] + made + data[2:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_persons_places_and_serial_numbers_are_counted(kind: str) -> None:
    assert scores(encoded(PIXELS, kind)) == NOTHING
    said = exif(artist="A Name", copyright="A Name", owner="A Name", serial="123", lens="45", place="here")
    assert scores(with_exif(kind, said)) == NOTHING | {"gps": 1, "person_fields": 3, "serial_numbers": 2}
    assert scores(with_exif(kind, exif(software="a camera 1.0"))) == NOTHING


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("source", "synthetic"),
    [
        ("trainedAlgorithmicMedia", 1),
        ("compositeWithTrainedAlgorithmicMedia", 1),
        ("digitalCapture", 0),
        ("trainedAlgorithmicMediaNot", 0),
    ],
)
def test_the_source_type_that_a_file_declares_is_read_from_xmp(kind: str, source: str, synthetic: int) -> None:
    packet = xmp_packet(
        f'<rdf:Description Iptc4xmpExt:DigitalSourceType="{SOURCE}{source}" exif:GPSLatitude="52,30N"/>'
    )
    assert scores(with_xmp(kind, packet)) == NOTHING | {"declared_synthetic": synthetic, "gps": 1}


def test_a_c2pa_manifest_is_seen_in_every_format() -> None:
    box = b"\0\0\0\x50jumb\0\0\0\x20jumdc2pa\0\x11\0\x10" + f"...{SOURCE}trainedAlgorithmicMedia ...".encode()
    jpeg, png, webp = (encoded(PIXELS, kind) for kind in ("JPEG", "PNG", "WEBP"))
    expected = NOTHING | {"c2pa": 1, "declared_synthetic": 1}
    assert scores(app11(jpeg, box)) == expected
    assert scores(png[:33] + chunk(b"caBX", box) + png[33:]) == expected
    assert scores(webp + b"C2PA" + len(box).to_bytes(4, "little") + box) == expected
    assert scores(app11(jpeg, b"\0\0\0\x50jumb another box, of a 360 degree picture")) == NOTHING


@pytest.mark.parametrize("keyword", ["parameters", "prompt", "workflow", "sd-metadata", "invokeai_metadata"])
@pytest.mark.parametrize("packed", [False, True])
def test_parameters_of_generators_are_seen_in_a_pngs_texts(keyword: str, packed: bool) -> None:
    info = PngInfo()
    info.add_text(keyword, "a dog on a beach\nSteps: 20, Sampler: Euler a, CFG scale: 7", zip=packed)
    assert scores(encoded(PIXELS, "PNG", pnginfo=info)) == NOTHING | {"generator": 1}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("tags", "generated"),
    [
        ({"software": "Adobe Firefly"}, 1),
        ({"software": "Midjourney"}, 1),
        ({"comment": "a dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"}, 1),
        ({"software": "Adobe Photoshop 25.0 (Windows)"}, 0),
        ({"comment": "Steps to the garden, a sampler of flowers"}, 0),
    ],
)
def test_generators_are_seen_in_exif(kind: str, tags: dict[str, str], generated: int) -> None:
    assert scores(with_exif(kind, exif(**tags))) == NOTHING | {"generator": generated}


def test_where_the_original_is_gone_or_of_another_format_nothing_is_known() -> None:
    with Provenance().open() as measure:
        assert set(measure(Picture(PIXELS))) == {None}
    assert set(scores(encoded(PIXELS, "GIF")).values()) == {None}


@given(st.data())
def test_damaged_metadata_do_no_harm(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP"]))
    whole = bytearray(with_exif(kind, exif(artist="A Name", serial="12", place="here", comment="Steps: 2, Seed: 1")))
    for _ in range(data.draw(st.integers(0, 12))):
        whole[data.draw(st.integers(12, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = scores(bytes(whole[: data.draw(st.integers(12, len(whole)))]))
    assert all(v is None or v >= 0 for v in found.values())


def test_a_text_that_inflates_without_end_is_cut() -> None:
    bomb = b"parameter\0\0" + zlib.compress(bytes(50_000_000), 9)
    png = encoded(PIXELS, "PNG")
    found = read_metadata(png[:33] + chunk(b"zTXt", bomb) + png[33:])
    assert found is not None and len(found.texts[b"parameter"]) <= 1 << 20


def test_many_blocks_take_no_time_to_speak_of() -> None:
    png = encoded(PIXELS, "PNG")
    many = b"".join(chunk(b"tEXt", f"k{n}".encode() + b"\0" + b"x" * 10) for n in range(20_000))
    found = read_metadata(png[:33] + many + png[33:])
    assert found is not None and len(found.texts) <= 1000
    assert np.asarray(Image.open(io.BytesIO(png))).shape == (64, 64, 3)
