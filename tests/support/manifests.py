"""Blocks of metadata as programs write them into image files: XMP packets, C2PA manifests, Photoshop's resources."""

from __future__ import annotations


def xmp_packet(inner: str) -> bytes:
    """A packet around these properties."""
    return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>{inner}</rdf:RDF></x:xmpmeta>".encode()


def box(kind: bytes, content: bytes) -> bytes:
    """A box of ISO 14496-12: its length, its type, its content."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def superbox(label: str, kind: bytes, content: bytes) -> bytes:
    """A JUMBF superbox (ISO 19566-5) with a label and one content box."""
    description = box(b"jumd", kind + bytes(12) + b"\3" + label.encode() + b"\0")
    return box(b"jumb", description + box(kind, content))


def manifest(assertion: bytes) -> bytes:
    """A C2PA manifest store with one assertion, and without a claim or a signature."""
    store = box(b"jumb", box(b"jumd", b"c2as" + bytes(12) + b"\3c2pa.assertions\0") + assertion)
    one = box(b"jumb", box(b"jumd", b"c2ma" + bytes(12) + b"\3urn:c2pa:1\0") + store)
    return box(b"jumb", box(b"jumd", b"c2pa" + bytes(12) + b"\3c2pa\0") + one)


def app11(jpeg: bytes, jumbf: bytes, size: int = 60_000) -> bytes:
    """The JPEG with a JUMBF box in segments of so many bytes; each further one repeats the box's length and type."""
    head, body = jumbf[:8], jumbf[8:]
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    made = b"".join(
        b"\xff\xeb" + (18 + len(piece)).to_bytes(2, "big") + b"JP\0\1" + n.to_bytes(4, "big") + head + piece
        for n, piece in enumerate(pieces, 1)
    )
    return jpeg[:2] + made + jpeg[2:]


def app13(jpeg: bytes, records: bytes) -> bytes:
    """The JPEG with IPTC records among Photoshop's image resources."""
    resource = b"8BIM\4\4\0\0" + len(records).to_bytes(4, "big") + records + bytes(len(records) & 1)
    segment = b"Photoshop 3.0\0" + resource
    return jpeg[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]
