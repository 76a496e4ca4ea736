"""A web of drawn pictures that counts every request, and can be made to wait."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.images import jpeg, natural

HOST_FILES = ("/robots.txt", "/.well-known/tdmrep.json")


class CountingWeb:
    """Serves ``/0.jpg`` … and counts; ``missing`` are paths that answer 404. ``delay`` seconds pass before a reply.

    The two files by which a host speaks of rights are counted in ``asked``; they are those in ``files``, or missing.
    """

    def __init__(self, pictures: int, *, delay: float = 0.0, missing: frozenset[str] = frozenset()) -> None:
        self.requests: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}  # of some paths
        self.bodies = {f"/{n}.jpg": jpeg(natural(240 + n, 220, seed=n)) for n in range(pictures)}
        self.delay = delay
        self.missing = missing
        self._counting = threading.Lock()
        self._wake = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def write_list(self, folder: Path) -> str:
        """A list of all pictures in LAION's columns."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = list(self.bodies)
        texts = [f"picture number {n} of a list" for n in range(len(paths))]
        table = pa.table({"URL": [f"http://{self.host}{p}" for p in paths], "TEXT": texts})
        pq.write_table(table, folder / "list.parquet")
        return str(folder / "list.parquet")

    def __enter__(self) -> Self:
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                of_host = self.path in HOST_FILES
                with web._counting:
                    (web.asked if of_host else web.requests)[self.path] += 1
                if not of_host:
                    web._wake.wait(web.delay)
                missing = self.path in web.missing or (of_host and self.path not in web.files)
                body = b"" if missing else (web.files if of_host else web.bodies)[self.path]
                self.send_response(404 if missing else 200)
                self.send_header("Content-Length", str(len(body)))
                for name, value in web.headers.get(self.path, {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def web_of_pictures(count: int) -> Iterator[CountingWeb]:
    """A web of so many different pictures, none of which looks like another."""
    with CountingWeb(count) as found:
        for n in range(count):
            found.bodies[f"/{n}.jpg"] = jpeg(natural(260 + n, 240, seed=n), 90)
        yield found
