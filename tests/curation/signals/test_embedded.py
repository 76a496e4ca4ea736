"""Signals in the bytes of image files: XMP, IPTC, Exif and C2PA, in every place that they stand in."""

from __future__ import annotations

import io
import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from curation.images.metadata import Metadata, read_metadata
from curation.signals.c2pa import c2pa_signs
from curation.signals.embedded import image_signs
from curation.signals.xmp import xmp_signs
from schemas.signals import SignalVerdict
from tests.support.images import encoded, natural
from tests.support.manifests import app11, app13, manifest, superbox, xmp_packet

PIXELS = natural(64, 64)
PLUS = "http://ns.useplus.org/ldf/vocab/"


def found(data: bytes) -> list[tuple[str, str, str]]:
    return [(s.what, s.verdict.value, s.place) for s in image_signs(data)]


def mining(inner: str) -> list[tuple[str, str]]:
    return [(s.verdict.value, s.verbatim) for s in xmp_signs(xmp_packet(inner)) if s.what == "plus:DataMining"]


@pytest.mark.parametrize(
    ("term", "verdict"),
    [
        ("DMI-PROHIBITED", "forbids"),
        ("DMI-PROHIBITED-AIMLTRAINING", "forbids"),
        ("DMI-PROHIBITED-GENAIMLTRAINING", "forbids"),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", "forbids"),
        ("DMI-PROHIBITED-SEECONSTRAINT", "forbids"),
        ("DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", "forbids"),
        ("DMI-PROHIBITED-SEELINKEDRIGHTSEXPR", "forbids"),
        ("DMI-PROHIBITED-OFTHEFUTURE", "forbids"),
        ("DMI-ALLOWED", "allows"),
        ("DMI-UNSPECIFIED", "notice"),
        ("DMI-OFTHEFUTURE", "unknown"),
        ("no thanks", "unknown"),
    ],
)
def test_every_value_of_plus_data_mining(term: str, verdict: str) -> None:
    for value in (term, PLUS + term):
        assert mining(f'<rdf:Description plus:DataMining="{value}" dc:format="image/jpeg"/>') == [(verdict, value)]
        assert mining(f"<rdf:Description plus:DataMining = '{value}'/>") == [(verdict, value)]
        assert mining(f"<plus:DataMining>{value}</plus:DataMining>") == [(verdict, value)]
        assert mining(f'<plus:DataMining rdf:resource="{value}"/>') == [(verdict, value)]
        assert mining(f"<ns1:DataMining>\n {value} </ns1:DataMining>") == [(verdict, value)]


def test_a_wish_counts_in_a_damaged_packet_and_in_utf_16() -> None:
    packet = xmp_packet(f"<plus:DataMining>{PLUS}DMI-PROHIBITED</plus:DataMining>")
    for damaged in (packet[: packet.index(b"</plus")], packet.decode().encode("utf-16"), b"\xff<a <" + packet):
        assert [s.verdict for s in xmp_signs(damaged)] == [SignalVerdict.FORBIDS]


def test_rights_and_licences_in_xmp() -> None:
    packet = xmp_packet(
        '<rdf:Description xmpRights:WebStatement="https://h/l?a=1&amp;b=2" photoshop:Credit="Agency"/>'
        "<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>© A Name</rdf:li></rdf:Alt></dc:rights>"
        '<cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/"/>'
        "<dc:creator><rdf:Seq><rdf:li>A Name</rdf:li><rdf:li>B</rdf:li></rdf:Seq></dc:creator>"
        "<plus:OtherConstraints>ask us</plus:OtherConstraints><xmpRights:UsageTerms/>"
    )
    assert {s.what: (s.verdict.value, s.verbatim) for s in xmp_signs(packet)} == {
        "xmpRights:WebStatement": ("licence", "https://h/l?a=1&b=2"),
        "cc:license": ("licence", "https://creativecommons.org/licenses/by/4.0/"),
        "dc:rights": ("notice", "© A Name"),
        "dc:creator": ("notice", "A Name B"),
        "photoshop:Credit": ("notice", "Agency"),
        "plus:OtherConstraints": ("notice", "ask us"),
    }


def with_xmp(kind: str, packet: bytes) -> bytes:
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return encoded(PIXELS, "PNG", pnginfo=info)
    if kind == "TIFF":
        return encoded(PIXELS, "TIFF", tiffinfo={700: packet})
    return encoded(PIXELS, kind, xmp=packet)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_is_found_in_every_format(kind: str) -> None:
    data = with_xmp(kind, xmp_packet(f"<plus:DataMining>{PLUS}DMI-PROHIBITED</plus:DataMining>"))
    assert found(data) == [("plus:DataMining", "forbids", "image:xmp")]
    assert found(encoded(PIXELS, kind)) == []


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ({"cawg.ai_training": {"use": "notAllowed"}}, "forbids"),
        ({"c2pa.ai_generative_training": {"use": "notAllowed"}, "c2pa.ai_training": {"use": "allowed"}}, "forbids"),
        ({"cawg.data_mining": {"use": "notAllowed"}}, "forbids"),
        ({"cawg.ai_training": {"use": "constrained", "constraint_info": "ask"}}, "constrained"),
        ({"cawg.ai_training": {"use": "allowed"}, "cawg.data_mining": {"use": "allowed"}}, "allows"),
        ({"cawg.ai_inference": {"use": "notAllowed"}}, "notice"),
        ({"c2pa.ai_training": "notAllowed"}, "forbids"),
        ({"cawg.ai_training": {"use": "perhaps"}}, "unknown"),
        ({"cawg.ai_training": None}, "unknown"),
    ],
    ids=str,
)
@pytest.mark.parametrize("label", ["c2pa.training-mining", "cawg.training-mining", "cawg.training-mining__1"])
@pytest.mark.parametrize("kind", [b"cbor", b"json"])
def test_training_and_data_mining_assertions(label: str, kind: bytes, entries: dict[str, object], verdict: str) -> None:
    made = {"entries": entries}
    content = cbor2.dumps(made) if kind == b"cbor" else json.dumps(made).encode()
    (sign,) = c2pa_signs(manifest(superbox(label, kind, content)))
    assert sign.verdict == verdict
    assert json.loads(sign.verbatim) == entries


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_manifests_are_found_in_every_format_without_a_signature(kind: str) -> None:
    entries = {"entries": {"cawg.ai_training": {"use": "notAllowed"}}}
    box = manifest(superbox("cawg.training-mining", b"cbor", cbor2.dumps(entries)))
    data = encoded(PIXELS, kind)
    match kind:
        case "JPEG":
            data = app11(data, box, size=100)  # the assertion's box lies across two segments
        case "PNG":
            data = data[:33] + len(box).to_bytes(4, "big") + b"caBX" + box + b"\0\0\0\0" + data[33:]
        case "WEBP":
            data += b"C2PA" + len(box).to_bytes(4, "little") + box
        case _:
            data += (len(box) + 8).to_bytes(4, "big") + b"uuid" + box
    assert found(data) == [("c2pa:training-mining", "forbids", "image:c2pa")]


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (b"\xff" + cbor2.dumps({"entries": {"cawg.ai_training": {"use": "notAllowed"}}}), "forbids"),
        (b"", "unknown"),
        (b"\x81" * 60_000, "unknown"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "unknown"),
        (cbor2.dumps({"entries": {2**20000: {"use": 2**20000}}}), "notice"),
    ],
    ids=["damaged", "empty", "deep", "endless", "huge"],
)
def test_a_broken_assertion_is_a_wish_or_unknown(content: bytes, verdict: str) -> None:
    (sign,) = c2pa_signs(manifest(superbox("cawg.training-mining", b"cbor", content)))
    assert sign.verdict == verdict and len(sign.verbatim) <= 1000


def test_what_only_names_the_assertion_makes_none() -> None:
    assert list(c2pa_signs(b"self#jumbf=c2pa.assertions/cawg.training-mining and more notAllowed")) == []


def test_iptc_exif_and_texts_are_notices() -> None:
    exif = Image.Exif()
    exif[33432], exif[315] = "(c) A", "Bo"
    records = b"\x1c\x02\x74\x00\x03(c)" + b"\x1c\x02\x78\x00\x01x" + b"\x1c\x02\x50\x00\x02\xc3\xa9"
    data = app13(encoded(PIXELS, "JPEG", exif=exif.tobytes()), records)
    assert [(s.what, s.verbatim, s.place, s.verdict.value) for s in image_signs(data)] == [
        ("iptc:CopyrightNotice", "(c)", "image:iptc", "notice"),
        ("iptc:By-line", "é", "image:iptc", "notice"),
        ("exif:Artist", "Bo", "image:exif", "notice"),
        ("exif:Copyright", "(c) A", "image:exif", "notice"),
    ]
    info = PngInfo()
    info.add_text("Copyright", "mine", zip=True)
    assert found(encoded(PIXELS, "PNG", pnginfo=info)) == [("png:Copyright", "notice", "image:text")]


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    label = b"cawg.training-mining\0"
    for sign in (*xmp_signs(data), *xmp_signs(b"<plus:DataMining" + data), *c2pa_signs(label + data)):
        assert sign.verdict in SignalVerdict and len(sign.verbatim) <= 1000
    for magic in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"):
        assert all(s.verdict in SignalVerdict for s in image_signs(magic + data))


@given(st.data())
def test_damaged_files_are_read(data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[33432] = "(c) A"
    jpeg = encoded(PIXELS, "JPEG", exif=exif.tobytes(), xmp=xmp_packet("<dc:rights>x</dc:rights>"))
    whole = bytearray(app13(jpeg, b"\x1c\x02\x74\x00\x03(c)"))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(2, 900))] = data.draw(st.integers(0, 255))
    assert all(len(s.verbatim) <= 1000 for s in image_signs(bytes(whole)))


def test_the_pixels_stay_readable_with_all_that_is_put_in() -> None:
    data = app13(app11(encoded(PIXELS, "JPEG"), manifest(superbox("x", b"cbor", b"\xa0"))), b"\x1c\x02\x74\x00\x01c")
    Image.open(io.BytesIO(data)).load()
    assert read_metadata(data) != Metadata()
