"""The body of a response: its bounds (chunks, a length, or the end of the connection) and its codings.

Both are read as leniently as browsers and curl read them, within limits on memory and work.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from curation.fetch.head import Head, not_http
from curation.fetch.rejected import FetchRejected
from schemas.reasons import Reason

_MOST_BETWEEN = 4096  # bytes of a chunk's header, and of all trailers
_CHUNK_HEADER = re.compile(rb"[ \t]*0*([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.S)
_RECEIVE_BODY = 256 * 1024
# A chunk of one byte costs as much time as one of a thousand; servers that mean well send thousands.
_MANY_PIECES = 10_000
_SMALL_PIECE = 32
_MOST_CODINGS = 4
_MOST_MEMBERS = 10_000
_COMPRESSED = frozenset({b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress", b"x-compress"})
# JPEG, PNG, GIF and WebP; no compressed data begin so.
_PLAIN_IMAGE = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG|GIF8|RIFF")
_FIRST_BYTES = b"\xff\x89GR"


class Stream:
    """The bytes of a connection behind a head. ``receive(most)`` returns the next ones, b"" at the end."""

    def __init__(self, held: bytes, receive: Callable[[int], bytes]) -> None:
        self.held = held
        self.ended = False
        self._receive = receive

    def pieces(self, head: Head) -> Iterator[bytes]:
        """The body as it comes in. Raises ``FetchRejected`` with TRUNCATED where it ends early."""
        if head.chunked:
            return self._chunks(head.status)
        return self._until_the_end() if head.length is None else self._exactly(head.length, head.status)

    def _more(self, most: int = _RECEIVE_BODY) -> bytes:
        if self.held:
            data, self.held = self.held, b""
            return data
        data = self._receive(most)
        self.ended = not data
        return data

    def _until_the_end(self) -> Iterator[bytes]:
        while data := self._more():
            yield data

    def _exactly(self, length: int, status: int) -> Iterator[bytes]:
        left = length
        while left > 0:
            data = self._more(min(left, _RECEIVE_BODY))
            if not data:
                raise truncated(f"closed {left} bytes before the end of {length}", status)
            if len(data) > left:
                data, self.held = data[:left], data[left:]
            left -= len(data)
            yield data

    def _chunks(self, status: int) -> Iterator[bytes]:
        if self._begins_as_an_image():
            yield from self._until_the_end()  # chunks were announced and not sent
            return
        pieces = received = 0
        while size := self._chunk_size(status):
            for data in self._exactly(size, status):
                received += len(data)
                pieces += 1
                if pieces > _MANY_PIECES and received < pieces * _SMALL_PIECE:
                    raise FetchRejected(Reason.HTTP_UNEXPECTED, "countless tiny chunks", status=status)
                yield data
        left = _MOST_BETWEEN
        while line := self._line(left, status):  # trailers say nothing about an image
            left -= len(line) + 1

    def _begins_as_an_image(self) -> bool:
        """No chunk header begins with any of these bytes, since none of them is a digit."""
        start = b""
        while len(start) < 4 and start[:1] in _FIRST_BYTES and not self.ended:
            start += self._more()
        self.held = start
        return _PLAIN_IMAGE.match(start) is not None

    def _chunk_size(self, status: int) -> int:
        """Bytes of the next chunk, 0 for the last one. The line end after a chunk reads as an empty line here."""
        for _ in range(4):
            line = self._line(_MOST_BETWEEN, status)
            if line:
                found = _CHUNK_HEADER.fullmatch(line)
                if found is not None:
                    return int(found[1], 16)
                raise not_http(f"chunk header {line[:50]!r}", status)
            if self.ended:
                raise truncated("closed before the last chunk", status)
        raise not_http("no chunk after several empty lines", status)

    def _line(self, most: int, status: int) -> bytes:
        """The next line without its end; at the end of the connection what is left."""
        kept = b""
        while True:
            data = self._more()
            end = data.find(b"\n")
            if end >= 0:
                self.held = data[end + 1 :]
                data = data[:end]
            if len(kept) + len(data) > most:
                raise FetchRejected(Reason.HTTP_UNEXPECTED, "endless chunk headers or trailers", status=status)
            kept += data
            if end >= 0 or self.ended:
                return kept.rstrip(b"\r")


class Decoder:
    """Undoes one content coding, decoded no further than ``cap`` and a byte: a bomb costs what the cap allows.

    A body that begins as an image is passed through: its coding is a false claim, which clients that
    asked for no coding never notice.
    """

    def __init__(self, coding: bytes, cap: int, status: int) -> None:
        self.total = 0
        self._coding = coding
        self._cap = cap
        self._status = status
        self._start = b""  # of the body, until its kind is known
        self._inflate: Any = None
        self._plain = False
        self._over = False
        self._held = b""
        self._members = 0

    @property
    def finished(self) -> bool:
        """Whether the compressed data have come to their end; a body without a byte is complete too."""
        return self._plain or self._over or (not self._start if self._inflate is None else self._inflate.eof)

    def decode(self, data: bytes) -> bytes:
        """Raises ``FetchRejected`` with HTTP_UNEXPECTED where the data are not coded as announced."""
        if self._inflate is None and not self._plain:
            self._start += data
            wanted = 4 if self._start[:1] in _FIRST_BYTES else 2 if self._coding == b"deflate" else 1
            if len(self._start) < wanted:
                return b""
            data = self._start
            self._begin()
        if self._plain:
            self.total += len(data)
            return data
        out = self._members_of(data)
        self.total += len(out)
        return out

    def _begin(self) -> None:
        self._plain = _PLAIN_IMAGE.match(self._start) is not None
        if self._plain:
            return
        if self._coding in (b"gzip", b"x-gzip"):
            self._inflate = _gzip()
        elif self._coding == b"deflate":
            # By deflate the standard means zlib's format, and some servers the bare one.
            zlibs = self._start[0] & 0x0F == 8 and int.from_bytes(self._start[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if zlibs else -zlib.MAX_WBITS)
        else:
            raise self._unexpected(f"the body is compressed with {self._coding.decode()}, which was not asked for")

    def _members_of(self, data: bytes) -> bytes:
        """gzip members one after the other; what follows the compressed data and is none is ignored."""
        out: list[bytes] = []
        room = self._cap + 1 - self.total
        data, self._held = self._held + data, b""
        while data and not self._over and room > 0:
            if self._inflate.eof:
                data = data.lstrip(b"\0")
                if data == b"\x1f"[: len(data)]:
                    self._held = data
                    break
                self._over = self._coding == b"deflate" or not data.startswith(b"\x1f\x8b")
                if self._over:
                    break
                self._inflate = _gzip()
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    raise self._unexpected("countless gzip members")
            try:
                piece = self._inflate.decompress(data, room)
            except zlib.error as error:
                if not self._members:
                    raise self._unexpected(f"the body is not compressed as it claims: {error}") from error
                self._over = True
                break
            out.append(piece)
            room -= len(piece)
            data = self._inflate.unused_data
        return b"".join(out)

    def _unexpected(self, why: str) -> FetchRejected:
        return FetchRejected(Reason.HTTP_UNEXPECTED, why, status=self._status)


def decoders(head: Head, cap: int) -> list[Decoder]:
    """One for each coding that means compression, in the order to undo them; words like "utf-8" mean nothing."""
    codings = [c for c in reversed(head.content_codings) if c in _COMPRESSED]
    if len(codings) > _MOST_CODINGS:
        raise FetchRejected(Reason.HTTP_UNEXPECTED, f"{len(codings)} content codings", status=head.status)
    return [Decoder(coding, cap, head.status) for coding in codings]


def looks_whole(data: bytes | bytearray) -> bool:
    """Whether the data end as an image of their format ends, so that a wrong length cut nothing off."""
    end = bytes(data[-64:]).rstrip(b"\0\r\n ")
    if data.startswith(b"\xff\xd8"):
        return end.endswith(b"\xff\xd9")
    if data.startswith(b"\x89PNG"):
        return b"IEND\xaeB`\x82" in end
    if data.startswith(b"GIF8"):
        return end.endswith(b";")
    return data.startswith(b"RIFF") and len(data) >= 8 + int.from_bytes(data[4:8], "little")


def truncated(detail: str, status: int | None) -> FetchRejected:
    return FetchRejected(Reason.TRUNCATED, detail, status=status, transient=True)


def _gzip() -> Any:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
