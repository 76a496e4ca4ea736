"""A web of pictures, each unlike the others, that counts its requests."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.support.counting_web import HOST_FILES
from tests.support.images import jpeg, natural


class PictureWeb:
    """Serves ``/0.jpg`` … on loopback; ``requests`` counts pictures by path, and paths in ``missing`` answer 404.

    Those of ``redirects`` lead to another address.
    """

    def __init__(self, pictures: int) -> None:
        self.requests: Counter[str] = Counter()
        self.missing: set[str] = set()
        self.redirects: dict[str, str] = {}
        self._bodies = {f"/{n}.jpg": jpeg(natural(224, 208, n)) for n in range(pictures)}

    @property
    def host(self) -> str:
        """As ``download.allow_private_hosts`` wants it."""
        return f"127.0.0.1:{self._server.server_port}"

    def url(self, picture: int) -> str:
        return f"http://{self.host}/{picture}.jpg"

    def picture(self, number: int) -> bytes:
        return self._bodies[f"/{number}.jpg"]

    def serve(self, path: str, body: bytes) -> str:
        """Serves these bytes at a path of their own; returns the url."""
        self._bodies[path] = body
        return f"http://{self.host}{path}"

    def __enter__(self) -> Self:
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path not in HOST_FILES:
                    web.requests[self.path] += 1
                body = b"" if self.path in web.missing else web._bodies.get(self.path, b"")
                to = web.redirects.get(self.path)
                self.send_response(302 if to else 200 if body else 404)
                if to:
                    self.send_header("Location", to)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
