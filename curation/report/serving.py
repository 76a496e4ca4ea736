"""The page over all rows, by a small server: read-only, for one person, on this machine unless told otherwise.

Its address holds a secret token, without which nothing is answered; a browser that is lured to it by another page (DNS
rebinding) is refused by the name of the host that it asks for.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

from curation.images.reading import open_images
from curation.report import figures
from curation.report.asking import Root, Row, opened
from curation.report.choosing import choose_sample, list_everything
from curation.report.page import ICON, encoded, icon, policy_of_served, render
from curation.report.pictures import FOLDER, Stored, is_name, read_thumbnail
from curation.report.rows import read_rows
from curation.report.write import summary

MOST_ROWS = 60
"""Rows of one answer."""
_MOST_OFFSET = 1_000_000
_MOST_WORDS = 8
_MOST_CHARACTERS = 200
_KEPT_THUMBNAILS = 1000
_SECONDS = 30.0  # for one request to come in
_FILTERS = ("fate", "stage", "reason", "split")
_FIND = """
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT (row_number() OVER ())::INTEGER AS place, source_file, source_row FROM (
    SELECT source_file, source_row FROM listed {where} ORDER BY source_file, source_row LIMIT {limit} OFFSET {offset}
)
"""
_TEXT = "lower(concat_ws(chr(10), alt_text, caption, url, sample_id, detail, source_file))"
_PLACE = """
SELECT sha256, shard AS images_shard, "offset", size FROM images WHERE sha256 >= ? AND sha256 < ? AND "offset" >= 0
LIMIT 1
"""


@dataclass
class Answers:
    """What the server says; one question at a time is put to the database. Threads may share it."""

    root: Root
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thumbnails: OrderedDict[str, bytes | None] = field(default_factory=OrderedDict)
    _page: bytes = b""
    _ended: bool = False

    @classmethod
    def over(cls, root: Root) -> Self:
        """Makes the page, and the table that is searched."""
        found = cls(root)
        choose_sample(root)
        members = figures.clusters(root)
        data = summary(root, members, _address, served=True)
        data.pop("state")
        rows = read_rows(root, _address)
        data |= {"rows": rows, "sample": {"rows": len(rows), "of": data["funnel"]["rows"]}, "changes": None}
        found._page = render(root.name, data, served=True)
        list_everything(root)
        return found

    @property
    def page(self) -> bytes:
        """The page's HTML."""
        return self._page

    def rows(self, asked: dict[str, list[str]]) -> bytes:
        """The rows that fit a question, as JSON: ``found`` is the number of all, ``rows`` some of them."""
        where, values = _where(asked)
        limit = _number(asked, "limit", MOST_ROWS, MOST_ROWS)
        offset = _number(asked, "offset", 0, _MOST_OFFSET)
        with self._asking():
            connection = self.root.connection
            ((found,),) = connection.execute(f"SELECT count(*) FROM listed {where}", values).fetchall()  # noqa: S608
            connection.execute(_FIND.format(where=where, limit=limit, offset=offset), values)
            rows: list[Row] = read_rows(self.root, _address)
        return encoded({"rows": rows, "found": found}).encode("utf-8", "replace")

    def thumbnail(self, name: str) -> bytes | None:
        """The thumbnail of this name; None where no image of the root has it."""
        if not is_name(name) or not self.root.has("images"):
            return None
        with self._asking():
            if name in self._thumbnails:
                self._thumbnails.move_to_end(name)
                return self._thumbnails[name]
            start = name.removesuffix(".jpg")
            found = self.root.ask(_PLACE, [start, start + "g"])  # g follows the last hex digit
        stored = Stored.of(found[0]) if found else None
        data = None
        if stored is not None:
            with open_images(self.root.store, stored.shard) as read:
                data = read_thumbnail(read, stored)
        with self._lock:
            self._thumbnails[name] = data
            while len(self._thumbnails) > _KEPT_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        return data

    def end(self) -> None:
        """Waits for the question that is being answered; later ones are turned away."""
        with self._lock:
            self._ended = True

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """One question at a time. Raises ``Ended``."""
        with self._lock:
            if self._ended:
                raise Ended
            yield


class Ended(Exception):
    """A question to a server that is being closed."""


def _address(stored: Stored) -> str:
    return f"{FOLDER}/{stored.name}"


def _where(asked: dict[str, list[str]]) -> tuple[str, list[str]]:
    """The filter as SQL, with its values apart: no text of a question gets into a statement."""
    given = {name: asked[name][0] for name in _FILTERS if asked.get(name) and asked[name][0]}
    words = (asked.get("q") or [""])[0][:_MOST_CHARACTERS].lower().split()[:_MOST_WORDS]
    rules = [f"{name} = ?" for name in given] + [f"contains({_TEXT}, ?)" for _ in words]
    return (f"WHERE {' AND '.join(rules)}" if rules else ""), [*given.values(), *words]


def _number(asked: dict[str, list[str]], name: str, default: int, most: int) -> int:
    text = (asked.get(name) or [""])[0]
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 10 else default


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answers: Answers
    token: str
    hosts: frozenset[str]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves before its answer is no error; any other one is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "lapidary"
    sys_version = ""
    timeout: ClassVar[float | None] = _SECONDS

    def do_GET(self) -> None:
        status, kind, data = self._answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        html = kind.startswith("text/html")
        self.send_header("Content-Security-Policy", policy_of_served() if html else "default-src 'none'; sandbox")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_GET

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        parts = urlsplit(self.path)
        _, token, *rest = [*parts.path.split("/"), ""]
        known = hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode())
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if not known or (self.server.hosts and host.lower() not in self.server.hosts):
            return HTTPStatus.FORBIDDEN, "text/plain", b"open the address that lapidary report printed\n"
        match [part for part in rest if part]:
            case [] if len(rest) > 1:  # with a slash at its end, so that addresses beside it are found
                return HTTPStatus.OK, "text/html; charset=utf-8", self.server.answers.page
            case [name] if name == ICON:
                return HTTPStatus.OK, "image/svg+xml", icon()
            case ["rows"]:
                asked = parse_qs(parts.query, max_num_fields=20)
                try:
                    return HTTPStatus.OK, "application/json", self.server.answers.rows(asked)
                except Ended:
                    return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"the server is being closed\n"
            case [folder, name] if folder == FOLDER:
                with suppress(Ended):
                    if (data := self.server.answers.thumbnail(name)) is not None:
                        return HTTPStatus.OK, "image/jpeg", data
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found\n"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: addresses hold the token."""


@dataclass(frozen=True)
class Served:
    """A server that answers until it is closed. ``url`` is what to open."""

    url: str
    server: _Server
    thread: threading.Thread
    stack: ExitStack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.server.answers.end()
        self.stack.close()


def serve(url: str, host: str = "127.0.0.1", port: int = 0) -> Served:
    """Starts the server of a root's page. Raises ``RootError`` for what is no root, ``OSError`` for the address."""
    with ExitStack() as stack:
        root = stack.enter_context(opened(url))
        server = (_Server6 if ":" in host else _Server)((host, port), _Handler)
        stack.callback(server.server_close)
        server.answers = Answers.over(root)
        server.token = secrets.token_urlsafe(24)
        # On an address of the outside world, the names by which others call this machine are theirs to choose.
        server.hosts = frozenset({host, "localhost", "[::1]"}) if _is_loopback(host) else frozenset()
        thread = threading.Thread(target=server.serve_forever, name="lapidary report", daemon=True)
        thread.start()
        shown = f"[{host}]" if ":" in host else host
        return Served(f"http://{shown}:{server.server_port}/{server.token}/", server, thread, stack.pop_all())


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
