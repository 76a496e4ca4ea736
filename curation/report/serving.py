"""The page over all rows, by a small server: read-only, on this machine unless told otherwise.

``web`` has the server itself, and who may ask; here is what it answers. ``deciding`` takes decisions as well.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Self

from curation.images.reading import open_images
from curation.report import figures
from curation.report.asking import Root, Row, opened
from curation.report.choosing import choose_sample, list_everything
from curation.report.page import render, title_of
from curation.report.pictures import FOLDER, SIDE, Stored, is_name, read_thumbnail
from curation.report.rows import read_rows
from curation.report.web import Ended, Handler, Server, Server6, as_json
from curation.report.write import summary

MOST_ROWS = 60
"""Rows of one answer."""
_MOST_OFFSET = 1_000_000
_MOST_WORDS = 8
_MOST_CHARACTERS = 200
_KEPT_THUMBNAILS = 1000
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
    _thumbnails: OrderedDict[tuple[str, int], bytes | None] = field(default_factory=OrderedDict)
    _page: bytes = b""
    _ended: bool = False
    further: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[bool] = False

    @classmethod
    def over(cls, root: Root) -> Self:
        """Makes the page, and the table that is searched."""
        found = cls(root)
        found.fill()
        return found

    def fill(self, title: str = "", **more: Any) -> None:
        """Makes the page, with another title and more data, and the table that is searched."""
        choose_sample(self.root)
        members = figures.clusters(self.root)
        data = summary(self.root, members, address_of, served=True)
        data.pop("state")
        rows = read_rows(self.root, address_of)
        data |= {"rows": rows, "sample": {"rows": len(rows), "of": data["funnel"]["rows"]}, "changes": None, **more}
        self._page = render(title or title_of(self.root.name), data, served=True, further=self.further)
        list_everything(self.root)

    @property
    def page(self) -> bytes:
        """The page's HTML."""
        return self._page

    def rows(self, asked: dict[str, list[str]]) -> bytes:
        """The rows that fit a question, as JSON: ``found`` is the number of all, ``rows`` some of them."""
        where, values = _where(asked)
        limit = number_in(asked, "limit", MOST_ROWS, MOST_ROWS)
        offset = number_in(asked, "offset", 0, _MOST_OFFSET)
        with self.asking():
            connection = self.root.connection
            ((found,),) = connection.execute(f"SELECT count(*) FROM listed {where}", values).fetchall()  # noqa: S608
            connection.execute(_FIND.format(where=where, limit=limit, offset=offset), values)
            rows: list[Row] = read_rows(self.root, address_of)
        return as_json({"rows": rows, "found": found})

    def ask(self, name: str, asked: dict[str, list[str]]) -> Row | None:
        """The answer to a further question of the page; None where it has none of this name."""
        return None

    def post(self, name: str, said: Any) -> tuple[HTTPStatus, Row] | None:
        """Takes what the page sends, which is JSON; None where nothing of this name is taken."""
        return None

    def thumbnail(self, name: str, side: int = SIDE) -> bytes | None:
        """The thumbnail of this name, at most so many pixels a side; None where no image of the root has it."""
        if not is_name(name) or not self.root.has("images"):
            return None
        key = name, side
        with self.asking():
            if key in self._thumbnails:
                self._thumbnails.move_to_end(key)
                return self._thumbnails[key]
            start = name.removesuffix(".jpg")
            found = self.root.ask(_PLACE, [start, start + "g"])  # g follows the last hex digit
        stored = Stored.of(found[0]) if found else None
        data = None
        if stored is not None:
            with open_images(self.root.store, stored.shard) as read:
                data = read_thumbnail(read, stored, side)
        with self._lock:
            self._thumbnails[key] = data
            while len(self._thumbnails) > _KEPT_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        return data

    def end(self) -> None:
        """Waits for the question that is being answered; later ones are turned away."""
        with self._lock:
            self._ended = True

    @contextmanager
    def asking(self) -> Iterator[None]:
        """One question at a time. Raises ``Ended``."""
        with self._lock:
            if self._ended:
                raise Ended
            yield


def address_of(stored: Stored) -> str:
    """Where the page finds a stored image's thumbnail."""
    return f"{FOLDER}/{stored.name}"


def _where(asked: dict[str, list[str]]) -> tuple[str, list[str]]:
    """The filter as SQL, with its values apart: no text of a question gets into a statement."""
    given = {name: asked[name][0] for name in _FILTERS if asked.get(name) and asked[name][0]}
    words = (asked.get("q") or [""])[0][:_MOST_CHARACTERS].lower().split()[:_MOST_WORDS]
    rules = [f"{name} = ?" for name in given] + [f"contains({_TEXT}, ?)" for _ in words]
    return (f"WHERE {' AND '.join(rules)}" if rules else ""), [*given.values(), *words]


def number_in(asked: dict[str, list[str]], name: str, default: int, most: int) -> int:
    """A number of a question, at most ``most``; the default where it is none."""
    text = (asked.get(name) or [""])[0]
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 10 else default


@dataclass(frozen=True)
class Served:
    """A server that answers until it is closed. ``url`` is what to open."""

    url: str
    server: Server
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


def serve(url: str, host: str = "127.0.0.1", port: int = 0, over: Callable[[Root], Answers] = Answers.over) -> Served:
    """Starts the server of a root's page; ``over`` makes what it answers.

    Raises ``RootError`` for what is no root, ``OSError`` for the address.
    """
    with ExitStack() as stack:
        root = stack.enter_context(opened(url))
        server = (Server6 if ":" in host else Server)((host, port), Handler)
        stack.callback(server.server_close)
        server.answers = over(root)
        server.token = secrets.token_urlsafe(24)
        # On an address of the outside world, the names by which others call this machine are theirs to choose.
        server.hosts = frozenset({host, "localhost", "[::1]"}) if _is_loopback(host) else frozenset()
        thread = threading.Thread(target=server.serve_forever, name="lapidary report", daemon=True)
        thread.start()
        shown = f"[{host}]" if ":" in host else host
        return Served(f"http://{shown}:{server.server_port}/{server.token}/", server, thread, stack.pop_all())


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
