"""The small web server behind the served pages: who may ask, who may send, and how answers are guarded.

The address holds a secret token, without which nothing is answered; a browser that is lured to it by another page (DNS
rebinding) is refused by the name of the host that it asks for. What a page sends is taken only with the token in a
header of its own, which no page of another origin can send, and as JSON of a bounded size.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs, urlsplit

import duckdb

from curation.core.errors import LapidaryError
from curation.report.asking import Row
from curation.report.page import ICON, encoded, icon, policy_of_served
from curation.report.pictures import FOLDER, SIDE

_SECONDS = 30.0  # for one request to come in
MOST_BYTES = 1 << 16
"""Bytes of what a page may send."""
PROOF = "X-Lapidary-Token"
PICTURES = "pictures"
_LARGE_SIDE = 1024


class Ended(Exception):
    """A question to a server that is being closed."""


class Answering(Protocol):
    """What a server answers. ``takes`` says whether the page may send something, ``further`` as in ``page.render``."""

    @property
    def takes(self) -> bool: ...

    @property
    def further(self) -> tuple[str, ...]: ...

    @property
    def page(self) -> bytes: ...

    def rows(self, asked: dict[str, list[str]]) -> bytes: ...

    def ask(self, name: str, asked: dict[str, list[str]]) -> Row | None: ...

    def post(self, name: str, said: Any) -> tuple[HTTPStatus, Row] | None: ...

    def thumbnail(self, name: str, side: int = SIDE) -> bytes | None: ...

    def end(self) -> None: ...


def as_json(data: Any) -> bytes:
    """An answer's bytes."""
    return encoded(data).encode("utf-8", "replace")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answers: Answering
    token: str
    hosts: frozenset[str]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves before its answer is no error; any other one is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Server6(Server):
    address_family = socket.AF_INET6


def _wrong(status: HTTPStatus, said: str) -> tuple[HTTPStatus, Row]:
    return status, {"error": said}


class Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "lapidary"
    sys_version = ""
    timeout: ClassVar[float | None] = _SECONDS

    def do_GET(self) -> None:
        self._send(*self._answer())

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if not self.server.answers.takes:
            self.send_error(HTTPStatus.NOT_IMPLEMENTED)
            return
        status, data = self._taken()
        self._send(status, "application/json", as_json(data))

    def _send(self, status: HTTPStatus, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        policy = "default-src 'none'; sandbox"
        if kind.startswith("text/html"):
            policy = policy_of_served(self.server.answers.further)
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _path(self) -> tuple[bool, list[str], str]:
        """Whether the request may be answered, the names behind the token, and the query."""
        parts = urlsplit(self.path)
        _, token, *rest = [*parts.path.split("/"), ""]
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        known = self._is_token(token) and (not self.server.hosts or host.lower() in self.server.hosts)
        return known, rest, parts.query

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.server.token.encode())

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        known, rest, query = self._path()
        if not known:
            return HTTPStatus.FORBIDDEN, "text/plain", b"open the address that was printed\n"
        answers = self.server.answers
        try:
            match [part for part in rest if part]:
                case [] if len(rest) > 1:  # with a slash at its end, so that addresses beside it are found
                    return HTTPStatus.OK, "text/html; charset=utf-8", answers.page
                case [name] if name == ICON:
                    return HTTPStatus.OK, "image/svg+xml", icon()
                case [name]:
                    asked = parse_qs(query, max_num_fields=20)
                    if name == "rows":
                        return HTTPStatus.OK, "application/json", answers.rows(asked)
                    if (found := answers.ask(name, asked)) is not None:
                        return HTTPStatus.OK, "application/json", as_json(found)
                case [folder, name] if folder in (FOLDER, PICTURES):
                    with suppress(Ended):
                        side = SIDE if folder == FOLDER else _LARGE_SIDE
                        if (data := answers.thumbnail(name, side)) is not None:
                            return HTTPStatus.OK, "image/jpeg", data
        except Ended:
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"the server is being closed\n"
        except duckdb.IOException:
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"the root has changed meanwhile; start this anew\n"
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found\n"

    def _taken(self) -> tuple[HTTPStatus, Row]:
        """Takes what a page sends. What is wrong with it is said under ``error``."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            return _wrong(HTTPStatus.LENGTH_REQUIRED, "the request has no Content-Length")
        body = self.rfile.read(min(int(length), MOST_BYTES))  # also of what is refused, or its answer is not seen
        if int(length) > MOST_BYTES:
            return _wrong(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request has more than {MOST_BYTES:,} bytes")
        known, rest, _ = self._path()
        if not (known and self._is_ours()):
            return _wrong(HTTPStatus.FORBIDDEN, "the request is not this page's; open the address that was printed")
        if self.headers.get_content_type() != "application/json":
            return _wrong(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return _wrong(HTTPStatus.BAD_REQUEST, "the request is no JSON")
        try:
            taken = self.server.answers.post("/".join(rest).strip("/"), said)
        except Ended:
            return _wrong(HTTPStatus.SERVICE_UNAVAILABLE, "the server is being closed; nothing was taken")
        except (LapidaryError, OSError, duckdb.Error) as error:
            said_of = " ".join(str(error).split())[:500]
            return _wrong(HTTPStatus.SERVICE_UNAVAILABLE, f"nothing was taken: {said_of}")
        return taken if taken is not None else _wrong(HTTPStatus.NOT_FOUND, "nothing of this name is taken")

    def _is_ours(self) -> bool:
        """Whether a request comes from the page itself: a page of another origin can send no such header."""
        origin = self.headers.get("Origin")
        same = origin is None or origin.lower() == f"http://{self.headers.get('Host', '')}".lower()
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        return same and site == "same-origin" and self._is_token(self.headers.get(PROOF, ""))

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: addresses hold the token."""
