"""Content encodings that servers send though nobody asked for them."""

from __future__ import annotations

import zlib

from curation.fetch.rejected import FetchRejected
from schemas.reasons import Reason


class Decoder:
    """gzip and deflate, decoded no further than asked for: a bomb costs what the cap allows."""

    def __init__(self, deflate: bool, status: int) -> None:
        self._status = status
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS if deflate else 16 + zlib.MAX_WBITS)
        self._may_be_raw = deflate
        self._started = False

    @property
    def finished(self) -> bool:
        """Whether the compressed data have come to their end; no data at all are an end too."""
        return self._inflate.eof or not self._started

    def decode(self, data: bytes, most: int) -> bytes:
        """At most ``most`` more bytes, a positive number. Raises ``FetchRejected`` with HTTP_UNEXPECTED."""
        if self._inflate.eof:
            return b""  # whatever follows the compressed body is not part of it
        first, self._started = not self._started, True
        try:
            return self._inflate.decompress(data, most)
        except zlib.error as error:
            if not (first and self._may_be_raw):
                raise self._not_compressed(error) from error
        # By deflate the standard means zlib's format, and some servers the bare one.
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._inflate.decompress(data, most)
        except zlib.error as error:
            raise self._not_compressed(error) from error

    def _not_compressed(self, error: zlib.error) -> FetchRejected:
        detail = f"the body is not compressed as it claims: {error}"
        return FetchRejected(Reason.HTTP_UNEXPECTED, detail, status=self._status)


def decoder_for(encoding: bytes | None, status: int) -> Decoder | None:
    """None for a body that stands for itself: no encoding, identity, or a word that means nothing.

    Raises ``FetchRejected`` with HTTP_UNEXPECTED for an encoding that exists and was not asked for.
    """
    match (encoding or b"").strip().lower():
        case b"gzip" | b"x-gzip":
            return Decoder(deflate=False, status=status)
        case b"deflate":
            return Decoder(deflate=True, status=status)
        case b"br" | b"zstd" | b"compress" as name:
            raise FetchRejected(Reason.HTTP_UNEXPECTED, f"{name.decode()} was not asked for", status=status)
        case _:
            return None
