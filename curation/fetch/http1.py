"""One connection: a socket, HTTP/1.1 on it, and a deadline over all of it.

Every single receive waits for what is left of the deadline and no longer: a host that drips a byte a second gains
nothing by it. ``head`` and ``body`` read the protocol.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Iterator
from functools import partial

from curation.core.url import Address
from curation.fetch.body import Stream, decoders, looks_whole, truncated
from curation.fetch.head import Head, not_http, parse_head
from curation.fetch.rejected import FetchRejected, left_until, timed_out
from schemas.reasons import Reason

MAX_HEAD = 64 * 1024
_RECEIVE = 64 * 1024
_END_OF_HEAD = re.compile(rb"\n\r{0,2}\n")
_LONGEST_END = 4
_MOST_INTERIM = 20  # 1xx answers before the real one
_VISIBLE = re.compile(r"[!-~]+")
_PRINTABLE = re.compile(r"[ -~]*")
_INTERRUPTED = frozenset({Reason.TRUNCATED, Reason.TIMEOUT, Reason.HTTP_UNEXPECTED})


class Stale(Exception):
    """A kept connection was closed before it answered; a new one has to be tried."""


class Connection:
    """A socket to a checked address (or to the proxy), speaking HTTP/1.1 for one request after another."""

    def __init__(self, sock: socket.socket, key: tuple[str, str, int]) -> None:
        self.key = key
        self.idle_since = 0.0
        self._sock = sock
        self._held = b""  # received behind the head
        self._used = False
        self._done = False

    def ask(self, path: str, headers: list[tuple[str, str]], deadline: float) -> Head:
        """Send a GET and read the response up to its body. Raises ``FetchRejected`` or ``Stale``."""
        try:
            head = self._exchange("GET", path, headers, deadline)
        except OSError as error:
            if self._used and isinstance(error, (ConnectionError, ssl.SSLEOFError)):
                raise Stale from error
            raise _broken(error) from error
        self._used = True
        return head

    def tunnel(self, address: Address, port: int, headers: list[tuple[str, str]], deadline: float) -> None:
        """Have a proxy connect to the address; the socket then leads there. Raises ``FetchRejected``."""
        host = f"[{address}]" if address.version == 6 else str(address)
        try:
            head = self._exchange("CONNECT", f"{host}:{port}", [("Host", f"{host}:{port}"), *headers], deadline)
        except OSError as error:
            raise _broken(error) from error
        if not 200 <= head.status < 300:
            raise FetchRejected(Reason.CONNECTION_FAILED, f"the proxy answered {head.status}", transient=True)

    def body(self, head: Head, cap: int, deadline: float, *, cut: bool = False) -> bytes:
        """The body, decoded, of at most ``cap`` bytes; where ``cut`` its beginning when it is longer.

        A body that breaks off counts as complete where its compressed data or its image have come to their end: the
        announced length was wrong. Raises ``FetchRejected`` with TOO_MANY_BYTES, TRUNCATED, TIMEOUT or HTTP_UNEXPECTED.
        """
        if head.length is not None and head.length > cap and not cut:
            raise _too_many(f"announces {head.length} bytes, the limit is {cap}", head.status)
        chain = decoders(head, cap)
        data = bytearray()
        received = 0
        try:
            for piece in self._pieces(head, deadline):
                received += len(piece)
                for decoder in chain:
                    piece = decoder.decode(piece)
                data += piece
                if received > cap or len(data) > cap or any(decoder.total > cap for decoder in chain):
                    if cut:
                        return bytes(data[:cap])
                    raise _too_many(f"more than {cap} bytes", head.status)
        except FetchRejected as rejected:
            finished = bool(chain) and bool(data) and all(decoder.finished for decoder in chain)
            if rejected.reason not in _INTERRUPTED or not (finished or looks_whole(data)):
                raise
            return bytes(data)
        if not all(decoder.finished for decoder in chain) and not looks_whole(data):
            raise truncated("the compressed body ends early", head.status)
        return bytes(data)

    def discard(self, head: Head, deadline: float) -> None:
        """Read the body away. Raises ``FetchRejected`` where it does not end by the deadline."""
        for _ in self._pieces(head, deadline):
            pass

    def reusable(self) -> bool:
        """Make ready for the next request; False when the connection has to be closed."""
        if not self._done:
            return False
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
        request = _request(method, path, headers)
        self._sock.settimeout(left_until(deadline, "sending the request"))
        try:
            self._sock.sendall(request)
        except TimeoutError:
            raise timed_out("sending the request") from None
        for _ in range(_MOST_INTERIM):
            head = parse_head(self._head(deadline))
            if head.status >= 200:
                return head
            if head.status == 101:
                break
        raise FetchRejected(Reason.HTTP_UNEXPECTED, "no final response among the interim ones")

    def _head(self, deadline: float) -> bytes:
        """The bytes up to the empty line; what came behind them is held."""
        data = bytearray()
        known = 0
        more, self._held = self._held, b""
        while True:
            data += more
            if not known:
                data = data.lstrip(b"\r\n")  # left over from the response before
            end = _END_OF_HEAD.search(data, max(0, known - _LONGEST_END))
            if (len(data) if end is None else end.end()) > MAX_HEAD:
                raise not_http(f"a head of more than {MAX_HEAD} bytes")
            if end is not None:
                self._held = bytes(data[end.end() :])
                return bytes(data[: end.start()])
            known = len(data)
            more = self._receive(deadline, "waiting for the response", _RECEIVE)
            if not more:
                raise ConnectionResetError(
                    "closed in the middle of a response" if data else "closed without a response"
                )

    def _pieces(self, head: Head, deadline: float) -> Iterator[bytes]:
        """The body as it comes in; at its end the connection is done, if it can go on at all."""
        stream = Stream(self._held, partial(self._receive, deadline, "reading the body"))
        self._held = b""
        try:
            yield from stream.pieces(head)
        except OSError as error:
            raise truncated(f"the connection broke in the body: {error}", head.status) from error
        self._done = head.persistent and not stream.ended and not stream.held

    def _receive(self, deadline: float, doing: str, most: int) -> bytes:
        self._sock.settimeout(left_until(deadline, doing))
        try:
            return self._sock.recv(most)
        except TimeoutError:
            raise timed_out(doing) from None


def _request(method: str, target: str, headers: list[tuple[str, str]]) -> bytes:
    """Raises ``ValueError`` for what would break out of its line."""
    if not _VISIBLE.fullmatch(target) or not all(_PRINTABLE.fullmatch(value) for _, value in headers):
        raise ValueError(f"not a request target with printable headers: {target[:100]!r}")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("ascii")


def _broken(error: OSError) -> FetchRejected:
    return FetchRejected(Reason.CONNECTION_FAILED, str(error), transient=True)


def _too_many(detail: str, status: int) -> FetchRejected:
    return FetchRejected(Reason.TOO_MANY_BYTES, detail, status=status)
