"""One connection: a socket, HTTP/1.1 on it, and a deadline over all of it.

h11 reads the protocol and this module reads the socket, so that every single receive waits for what is
left of the deadline and no longer: a host that drips a byte a second gains nothing by it.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import h11

from curation.fetch.encoding import decoder_for
from curation.fetch.rejected import FetchRejected, left_until, timed_out
from curation.fetch.url import Address
from schemas.reasons import Reason

MAX_HEAD = 64 * 1024
_RECEIVE = 64 * 1024
_RECEIVE_BODY = 256 * 1024
_END_OF_HEAD = re.compile(rb"\n\r?\n")
# h11 takes quadratic time to refuse a line of many blanks: too long a time from a few hundred of them on.
_BLANKS = b" " * 512
_MOST_BETWEEN = 4096  # bytes of a chunk's header, and of all trailers
_SLICE = 2048
_MOST_INTERIM = 20  # 1xx answers before the real one
# A chunk of one byte costs as much time as one of a thousand; servers that mean well send thousands.
_MANY_PIECES = 10_000
_SMALL_PIECE = 32
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a body. ``headers`` hold (name as sent, value) in the order of the response."""

    status: int
    headers: Headers
    http_version: bytes

    @property
    def persistent(self) -> bool:
        """Whether the server will answer again on this connection."""
        return self.http_version >= b"1.1" and b"close" not in (self.get(b"connection") or b"").lower()

    @property
    def length(self) -> int | None:
        """Bytes of the body where the response announces them; h11 has made sure that it does so once."""
        if self.get(b"transfer-encoding") is not None:
            return None
        value = self.get(b"content-length")
        return None if value is None else int(value)

    def get(self, name: bytes) -> bytes | None:
        """The first header of that name (in lower case)."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


class Stale(Exception):
    """A kept connection turned out to be closed before it answered; a new one will tell more."""


class Connection:
    """A socket to a checked address (or to the proxy), speaking HTTP/1.1 for one request after another."""

    def __init__(self, sock: socket.socket, key: tuple[str, str, int]) -> None:
        self.key = key
        self.idle_since = 0.0
        self._sock = sock
        self._http = _new_http()
        self._held = b""  # received, and not yet shown to h11
        self._tail = b""  # the end of a head that has begun
        self._used = False
        self._ended = False
        self._done = False

    def ask(self, path: str, headers: list[tuple[str, str]], deadline: float) -> Head:
        """Sends a GET and reads the response up to its body. Raises ``FetchRejected`` or ``Stale``."""
        try:
            head = self._exchange("GET", path, headers, deadline)
        except OSError as error:
            if self._used and isinstance(error, (ConnectionError, ssl.SSLEOFError)):
                raise Stale from error
            raise _broken(error) from error
        self._used = True
        return head

    def tunnel(self, address: Address, port: int, headers: list[tuple[str, str]], deadline: float) -> None:
        """Has a proxy connect to the address; the socket then leads there. Raises ``FetchRejected``."""
        host = f"[{address}]" if address.version == 6 else str(address)
        try:
            head = self._exchange("CONNECT", f"{host}:{port}", [("Host", f"{host}:{port}"), *headers], deadline)
        except OSError as error:
            raise _broken(error) from error
        if not 200 <= head.status < 300:
            raise FetchRejected(Reason.CONNECTION_FAILED, f"the proxy answered {head.status}", transient=True)

    def body(self, head: Head, cap: int, deadline: float, *, cut: bool = False) -> bytes:
        """The body, decoded, of at most ``cap`` bytes; where ``cut`` its beginning when it is longer.

        Raises ``FetchRejected`` with TOO_MANY_BYTES, TRUNCATED, TIMEOUT, CONNECTION_FAILED or HTTP_UNEXPECTED.
        """
        length = head.length
        if length is not None and length > cap and not cut:
            raise _too_many(f"announces {length} bytes, more than {cap}", head.status)
        decoder = decoder_for(head.get(b"content-encoding"), head.status)
        data = bytearray()
        received = 0
        for piece in self._pieces(head, length, deadline):
            received += len(piece)
            data += piece if decoder is None else decoder.decode(piece, cap + 1 - len(data))
            if max(received, len(data)) > cap:
                if cut:
                    return bytes(data[:cap])
                raise _too_many(f"more than {cap} bytes", head.status)
        if decoder is not None and not decoder.finished:
            raise _truncated("the compressed body ends early", head.status)
        return bytes(data)

    def discard(self, head: Head, deadline: float) -> None:
        """Reads the body away. Raises ``FetchRejected`` where it does not end by the deadline."""
        for _ in self._pieces(head, head.length, deadline):
            pass

    def reusable(self) -> bool:
        """Makes ready for the next request; False when the connection has to be closed."""
        if not self._done:
            return False
        self._http = _new_http()
        self._held = b""
        self._done = False
        return True

    def alive(self) -> bool:
        """Whether nothing has come in since the last response; anything that has is an end, or garbage."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._sock.close()

    def _exchange(self, method: str, path: str, headers: list[tuple[str, str]], deadline: float) -> Head:
        request = self._http.send(h11.Request(method=method, target=path, headers=headers))
        self._http.send(h11.EndOfMessage())
        self._sock.settimeout(left_until(deadline, "sending the request"))
        try:
            self._sock.sendall(request or b"")
        except TimeoutError:
            raise timed_out("sending the request") from None
        return self._head(deadline)

    def _head(self, deadline: float) -> Head:
        for _ in range(_MOST_INTERIM):
            event = self._event(deadline, None)
            if type(event) is h11.Response:
                return Head(event.status_code, event.headers.raw_items(), event.http_version)
            if type(event) is not h11.InformationalResponse or event.status_code == 101:
                break
        raise FetchRejected(Reason.HTTP_UNEXPECTED, "no final response among the interim ones")

    def _pieces(self, head: Head, length: int | None, deadline: float) -> Iterator[bytes]:
        """The body as it comes in; at its end the connection is done, if it can go on at all."""
        try:
            if length is None:
                yield from self._events(head, deadline)
                rest = self._http.trailing_data[0] + self._held
            else:
                # The common case, read past h11: there is nothing to parse in it.
                early = self._http.trailing_data[0] + self._held
                if length and early:
                    yield early[:length]
                rest = early[length:]
                left = length - len(early)
                while left > 0:
                    self._sock.settimeout(left_until(deadline, "reading the body"))
                    data = self._sock.recv(min(left, _RECEIVE_BODY))
                    if not data:
                        raise _truncated(f"closed {left} bytes before the end of {length}", head.status)
                    left -= len(data)
                    yield data
        except TimeoutError:
            raise timed_out("reading the body") from None
        except OSError as error:
            raise _truncated(f"the connection broke in the body: {error}", head.status) from error
        self._done = head.persistent and not self._ended and not rest

    def _events(self, head: Head, deadline: float) -> Iterator[bytes]:
        received = pieces = 0
        while type(event := self._event(deadline, head.status)) is h11.Data:
            received += len(event.data)
            pieces += 1
            if pieces > _MANY_PIECES and received < pieces * _SMALL_PIECE:
                raise FetchRejected(Reason.HTTP_UNEXPECTED, "countless tiny chunks", status=head.status)
            yield event.data

    def _event(self, deadline: float, status: int | None) -> h11.Event | type[h11.PAUSED]:
        doing = "waiting for the response" if status is None else "reading the body"
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                if not self._ended:
                    raise FetchRejected(
                        Reason.HTTP_UNEXPECTED, f"not HTTP: {str(error)[:200]}", status=status
                    ) from error
                if status is None:
                    raise ConnectionResetError("closed in the middle of a response") from error
                raise _truncated(str(error), status) from error
            if event is not h11.NEED_DATA:
                if type(event) is h11.ConnectionClosed:
                    raise ConnectionResetError("closed without a response")
                return event  # type: ignore[return-value]  # NEED_DATA is the other sentinel
            data, self._held = self._held or self._receive(deadline, doing), b""
            self._http.receive_data(self._of_head(data) if status is None else self._of_body(data, status))

    def _of_head(self, data: bytes) -> bytes:
        """As much of the data as belongs to the head; the rest is held."""
        before, known = self._tail + data, len(self._tail)
        end = _END_OF_HEAD.search(before, max(0, known - 2))
        stop = len(before) if end is None else end.end()
        if _many_blanks(before[:stop]):
            raise FetchRejected(Reason.HTTP_UNEXPECTED, "not HTTP: hundreds of blanks in a row")
        self._tail = before[-len(_BLANKS) :] if end is None else b""
        self._held = before[stop:]
        return before[known:stop]

    def _of_body(self, data: bytes, status: int) -> bytes:
        """As much of a body without a length as h11 may be shown at once; the rest is held."""
        if len(self._http.trailing_data[0]) > _MOST_BETWEEN:
            raise FetchRejected(Reason.HTTP_UNEXPECTED, "endless chunk headers or trailers", status=status)
        if not _many_blanks(data):
            return data
        self._held = data[_SLICE:]
        return data[:_SLICE]

    def _receive(self, deadline: float, doing: str) -> bytes:
        self._sock.settimeout(left_until(deadline, doing))
        try:
            data = self._sock.recv(_RECEIVE)
        except TimeoutError:
            raise timed_out(doing) from None
        self._ended = not data
        return data


def _many_blanks(data: bytes) -> bool:
    return _BLANKS in data.replace(b"\t", b" ")


def _new_http() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)


def _broken(error: OSError) -> FetchRejected:
    return FetchRejected(Reason.CONNECTION_FAILED, str(error), transient=True)


def _truncated(detail: str, status: int | None) -> FetchRejected:
    return FetchRejected(Reason.TRUNCATED, detail, status=status, transient=True)


def _too_many(detail: str, status: int) -> FetchRejected:
    return FetchRejected(Reason.TOO_MANY_BYTES, detail, status=status)
