"""A proxy before an object store that fails as a test says: for some requests of a kind, or for all of them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FAULTS = ("slow down", "reset in mid-upload", "reset in mid-download", "time-out", "stale listing")
SILENCE = 3.0
"""Seconds for which a time-out says nothing; clients have to give up before."""
_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass
class Trouble:
    """``fault`` befalls the requests of its kind from number ``at`` on, ``many`` of them; -1: all."""

    fault: str
    at: int
    many: int
    met: int = 0  # requests of its kind so far
    done: int = 0  # how many it has befallen

    def befalls(self, method: str, path: str) -> bool:
        """Whether it befalls this request, which it counts."""
        listing = method == "GET" and "list-type=2" in path
        kinds = {
            "reset in mid-upload": method == "PUT",
            "reset in mid-download": method == "GET" and not listing,
            "stale listing": listing,
        }
        if not kinds.get(self.fault, True):
            return False
        self.met += 1
        if self.met <= self.at or (self.many >= 0 and self.done >= self.many):
            return False
        self.done += 1
        return True


@dataclass
class S3Proxy:
    """Forwards to ``upstream`` (http://host:port). ``requests`` counts by method, ``asked`` by method and path."""

    upstream: str
    store: str = "moto"
    trouble: Trouble | None = None
    requests: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    _listings: dict[str, tuple[int, list[tuple[str, str]], bytes]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fault(self, method: str, path: str) -> str | None:
        with self._lock:
            self.requests[method] += 1
            self.asked[method, path.partition("?")[0]] += 1
            return self.trouble.fault if self.trouble is not None and self.trouble.befalls(method, path) else None

    def pass_on(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the store answers."""
        address = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in ("connection", "content-length", "expect"):
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            connection.close()

    def listing(self, path: str, fresh: tuple[int, list[tuple[str, str]], bytes], *, stale: bool) -> Any:
        """A listing as it is, or as it was when it was asked for first."""
        with self._lock:
            known = self._listings.setdefault(path, fresh)
        return known if stale else fresh


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: S3Proxy

    def _do(self) -> None:
        fault = self.proxy.fault(self.command, self.path)
        size = int(self.headers.get("Content-Length") or 0)
        if fault == "reset in mid-upload":
            self.rfile.read(size // 2)
            self._reset()
            return
        if self.headers.get("Expect", "").lower() == "100-continue":
            pass  # the base class has answered
        body = self.rfile.read(size)
        if fault == "time-out":
            threading.Event().wait(SILENCE)
            self._reset()
            return
        if fault == "slow down":
            self._send(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            return
        answer = self.proxy.pass_on(self.command, self.path, self.headers, body)
        if self.command == "GET" and "list-type=2" in self.path:
            answer = self.proxy.listing(self.path, answer, stale=fault == "stale listing")
        if fault == "reset in mid-download" and len(answer[2]) > 1:
            self._send(*answer[:2], answer[2], upto=len(answer[2]) // 2)
            self._reset()
            return
        self._send(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _do  # names of the base class

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes, upto: int | None = None) -> None:
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value if self.command == "HEAD" else length
            elif name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:upto])
            self.wfile.flush()

    def _reset(self) -> None:
        """Breaks the connection off."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with contextlib.suppress(OSError):
            self.connection.close()

    def log_message(self, format: str, *words: Any) -> None:
        pass


@contextlib.contextmanager
def s3_proxy(upstream: str, store: str = "moto") -> Iterator[S3Proxy]:
    """A running proxy on a port of its own, before the store of this name."""
    proxy = S3Proxy(upstream, store)
    proxy._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    proxy._server.daemon_threads = True
    thread = threading.Thread(target=proxy._server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy._server.shutdown()
        proxy._server.server_close()
