"""A web server on loopback whose every page is a small program at the socket, well-behaved or not.

    with HostileWeb() as web:
        web.page("/a.jpg", body(b"..."))
        web.page("/slow", drip(b"HTTP/1.1 200 OK\\r\\n", seconds=0.1))
        fetch(web.url("/a.jpg"))
    assert web.asked("/a.jpg") == 1

A page takes a ``Visit`` and writes to its socket; the server closes the connection when the page
returns False, and else waits for the next request on it.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Page = Callable[["Visit"], bool]
Headers = Sequence[tuple[str, str]]


@dataclass
class Visit:
    """One request as it arrived."""

    sock: socket.socket
    method: str
    path: str
    headers: dict[str, str]
    count: int  # how often the path was asked for before
    stopping: threading.Event

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


class HostileWeb:
    """Serves pages by path, each connection in a thread of its own; keeps count of everything."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._pages: dict[str, Page] = {}
        self._tls = tls
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.visits: list[Visit] = []
        self.connections = 0
        self.busy = 0
        self.most_busy = 0
        self._counts: Counter[str] = Counter()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=256)
        self.host, self.port = self._listener.getsockname()[:2]

    def page(self, path: str, page: Page) -> str:
        """Puts a page at a path; returns its URL."""
        self._pages[path] = page
        return self.url(path)

    def url(self, path: str, host: str | None = None) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    def asked(self, path: str) -> int:
        """How many requests for the path have come in."""
        with self._lock:
            return self._counts[path]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(timeout=5)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                with self._lock:
                    self._open.discard(sock)
                sock = self._tls.wrap_socket(sock, server_side=True)
                with self._lock:
                    self._open.add(sock)
            with sock.makefile("rb") as lines:
                while (visit := self._request(sock, lines)) is not None and self._answer(visit):
                    pass
        except (OSError, ValueError):
            pass  # the client went away, which hostile pages make it do
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _request(self, sock: socket.socket, lines: object) -> Visit | None:
        first = lines.readline().decode("latin-1").split()  # type: ignore[attr-defined]
        if len(first) != 3:
            return None
        headers: dict[str, str] = {}
        while (line := lines.readline().decode("latin-1").strip()) != "":  # type: ignore[attr-defined]
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        method, path, _ = first
        with self._lock:
            visit = Visit(sock, method, path, headers, self._counts[path], self._stopping)
            self._counts[path] += 1
            self.visits.append(visit)
        return visit

    def _answer(self, visit: Visit) -> bool:
        page = self._pages.get(visit.path) or self._pages.get("*") or status(404)
        with self._lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            return page(visit)
        finally:
            with self._lock:
                self.busy -= 1


@contextmanager
def canary(host: str = "127.0.0.1", port: int = 0) -> Iterator[HostileWeb]:
    """A server that must see no connection at all; the block fails when it does."""
    with HostileWeb(host, port=port) as web:
        yield web
        time.sleep(0.05)
        assert web.connections == 0, f"{web.connections} connections to a forbidden address"


# Pages that behave


def response(code: int, data: bytes = b"", headers: Headers = ()) -> bytes:
    """A whole response as bytes."""
    head = [f"HTTP/1.1 {code} X", *(f"{k}: {v}" for k, v in headers), f"Content-Length: {len(data)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + data


def body(data: bytes, headers: Headers = ()) -> Page:
    return raw(response(200, data, headers), keep=True)


def status(code: int, data: bytes = b"no", headers: Headers = ()) -> Page:
    return raw(response(code, data, headers), keep=True)


def redirect(location: str, code: int = 302, headers: Headers = ()) -> Page:
    return status(code, b"", [("Location", location), *headers])


def gzipped(data: bytes) -> Page:
    return body(gzip.compress(data), [("Content-Encoding", "gzip")])


def in_turn(*pages: Page) -> Page:
    """The first page for the first request, and so on; the last one for all that follow."""
    return lambda visit: pages[min(visit.count, len(pages) - 1)](visit)


def after(seconds: float, page: Page) -> Page:
    """The page, late."""

    def late(visit: Visit) -> bool:
        visit.stopping.wait(seconds)
        return page(visit)

    return late


# Pages that do not


def raw(data: bytes, keep: bool = False) -> Page:
    """These very bytes, and then the end of the connection unless ``keep``."""

    def send(visit: Visit) -> bool:
        visit.send(data)
        return keep

    return send


def drip(start: bytes, dripped: bytes = b"x", seconds: float = 0.05) -> Page:
    """The start at once and then a few bytes at a time, for ever."""

    def send(visit: Visit) -> bool:
        visit.send(start)
        while not visit.stopping.wait(seconds):
            visit.send(dripped)
        return False

    return send


def endless(start: bytes, block: bytes = b"x" * 65536) -> Page:
    """The start and then blocks as fast as they are taken, for ever."""

    def send(visit: Visit) -> bool:
        visit.send(start)
        while not visit.stopping.is_set():
            visit.send(block)
        return False

    return send


def hang() -> Page:
    """No answer at all."""

    def wait(visit: Visit) -> bool:
        visit.stopping.wait(60)
        return False

    return wait


def reset(start: bytes = b"") -> Page:
    """Some bytes, and then a TCP reset."""

    def send(visit: Visit) -> bool:
        visit.send(start)
        time.sleep(0.05)  # let them arrive before the reset overtakes them
        visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return send
