"""The head of a response: status line and headers, read as leniently as browsers and curl read them.

This fetcher forwards nothing, so that no second reader can be led to see another message in the same bytes. Lines
that are no headers are skipped; only what leaves the body's bounds in doubt is refused. All patterns take time
linear in the head's length, which ``http1`` limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from curation.fetch.rejected import FetchRejected
from schemas.reasons import Reason

Headers = list[tuple[bytes, bytes]]

# Up to four odd bytes (a byte order mark, say) may come first, as in Chromium. "ICY" is what radio servers say.
_STATUS_LINE = re.compile(rb".{0,4}?(?:HTTP(?:/(\d{1,2})(?:\.(\d{1,2}))?)?|ICY)(?:[ \t]+(.*)|)", re.I | re.S)
_LINE_ENDS = re.compile(rb"[\r\n]+")
_BLANKS = b" \t\v\f"
_LONGEST_NUMBER = 19  # digits; nothing as long as that is ever read
_AUTHORITY = re.compile(rb"(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}[^/\\?#]*", re.I)


@dataclass(frozen=True)
class Head:
    """The head of a response. ``headers`` hold (name as sent, value) in the order of the response.

    ``length`` is None where no valid length is announced, and where chunks are announced, which override it.
    """

    status: int
    headers: Headers
    version: tuple[int, int]
    length: int | None = None

    @cached_property
    def transfer_codings(self) -> list[bytes]:
        """In the order in which they were applied, lower case, without parameters."""
        return _tokens(self.headers, b"transfer-encoding")

    @property
    def chunked(self) -> bool:
        return b"chunked" in self.transfer_codings

    @property
    def content_codings(self) -> list[bytes]:
        """Every coding of the body in the order in which it was applied: Content-Encoding, then Transfer-Encoding."""
        return _tokens(self.headers, b"content-encoding") + [c for c in self.transfer_codings if c != b"chunked"]

    @property
    def persistent(self) -> bool:
        """Whether the server will answer again on this connection."""
        if self.chunked and self.get(b"content-length") is not None:
            return False  # the bounds of such a body are in doubt
        return self.version >= (1, 1) and b"close" not in _tokens(self.headers, b"connection")

    def get(self, name: bytes) -> bytes | None:
        """The value of the first header of that name (in lower case) that has one; b"" where none of them has."""
        found = [value for key, value in self.headers if key.lower() == name]
        return next(filter(None, found), b"") if found else None


def parse_head(block: bytes) -> Head:
    """Parse everything before the empty line. Raises ``FetchRejected`` with HTTP_UNEXPECTED."""
    if b"\0" in block:
        raise not_http("a NUL byte in the head")  # browsers and curl refuse it too
    lines = _LINE_ENDS.split(block.strip(b"\r\n"))
    status, version = _status_line(lines[0])
    head = Head(status, _headers(lines[1:]), version)
    return head if head.chunked else Head(status, head.headers, version, _length(head))


def not_http(why: str, status: int | None = None) -> FetchRejected:
    return FetchRejected(Reason.HTTP_UNEXPECTED, f"not HTTP: {why}", status=status)


def location_text(value: bytes) -> str:
    """A Location as a URL: UTF-8 where it is; other bytes of its path are percent-encoded, as browsers and curl do."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        found = _AUTHORITY.match(value)
        end = found.end() if found else 0
        rest = "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in value[end:])
        return value[:end].decode("latin-1") + rest


def _status_line(line: bytes) -> tuple[int, tuple[int, int]]:
    found = _STATUS_LINE.fullmatch(line.strip(_BLANKS))
    if found is None:
        raise not_http(f"status line {line[:100]!r}")
    major, minor, rest = found.groups()
    version = (int(major), int(minor or 0)) if major else (1, 0)
    digits = re.match(rb"\d+", rest or b"")
    if digits is None:
        return 200, version  # browsers take a status line without a status for success
    if len(digits.group()) != 3 or int(digits.group()) < 100:
        raise not_http(f"status line {line[:100]!r}")
    return int(digits.group()), version


def _headers(lines: list[bytes]) -> Headers:
    """Headers with continuation lines joined to them. A head whose first header is indented is indented throughout."""
    indented = bool(lines) and lines[0][:1] in (b" ", b"\t")
    parts: list[tuple[bytes, list[bytes]]] = []
    skipping = False  # what continues a skipped line is skipped with it
    for line in lines:
        if line[:1] in (b" ", b"\t") and not indented:
            if not skipping:
                parts[-1][1].append(line.strip(_BLANKS))
            continue
        name, colon, value = line.partition(b":")
        name = name.strip(_BLANKS)
        skipping = not (colon and name)
        if not skipping:
            parts.append((name, [value.strip(_BLANKS)]))
    return [(name, b" ".join(filter(None, values))) for name, values in parts]


def _tokens(headers: Headers, wanted: bytes) -> list[bytes]:
    return list(filter(None, _values(headers, wanted)))


def _values(headers: Headers, wanted: bytes) -> Iterator[bytes]:
    """The parts between commas of all headers of the name, lower case, without parameters and quotes."""
    for name, value in headers:
        if name.lower() == wanted:
            for part in value.lower().split(b","):
                yield part.partition(b";")[0].strip(_BLANKS + b"\"'")


def _length(head: Head) -> int | None:
    """The announced length; a value that is no number is ignored, as Chromium does."""
    found: set[int] = set()
    for value in _values(head.headers, b"content-length"):
        if value.isdigit():
            digits = value.lstrip(b"0")
            found.add(int(digits or b"0") if len(digits) < _LONGEST_NUMBER else 10**_LONGEST_NUMBER)
        elif value.startswith(b"-") and value[1:].isdigit():
            raise not_http(f"Content-Length {value[:20].decode()}", head.status)
    if len(found) > 1:
        raise not_http(f"{len(found)} different lengths announced", head.status)
    return found.pop() if found else None
