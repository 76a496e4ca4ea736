"""The demo web's HTTP server: asyncio in a thread of its own, pictures made in a few more."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from curation.demo.files import Studio
from curation.demo.pages import Page

MAX_CONNECTIONS = 512
IDLE_SECONDS = 30.0
SLOW_SECONDS = 1.0
DRIP_SECONDS = 2.0
ENDLESS_SECONDS = 120.0
_HOPS = 3
_DRIPS = 10
_TEXT = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 410: "Gone",
         429: "Too Many Requests", 500: "Internal Server Error"}  # fmt: skip

sleep = asyncio.sleep  # a name of its own, so that tests can count the waits


@dataclass
class _Answer:
    """``pace`` is the seconds that sending the body takes; ``sent`` is the share of it that is sent, 0 to 1."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    kind: str = "text/plain"
    wait: float = 0.0
    pace: float = 0.0
    sent: float = 1.0
    endless: bool = False


class Server:
    """Listens between ``start`` and ``stop``; a second listener, the trap, plays the part of a private address."""

    def __init__(self, pages: Sequence[Page], studio: Studio, host: str, port: int) -> None:
        self._pages = {p.path: p for p in pages if p.trouble != "repeated row"}
        self._studio = studio
        self._host = host
        self._asked_port = port
        self._port = 0
        self._trap_port = 0
        self.trapped = 0
        self.hits: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: OSError | None = None

    @property
    def host_port(self) -> str:
        """host:port; the port is known once the server has started. Raises ``RuntimeError`` before."""
        if not self._port:
            raise RuntimeError("the demo web has not started: use it in a with statement")
        return f"{self._host}:{self._port}"

    def start(self) -> None:
        """Returns when connections are accepted. Raises ``OSError`` when the port is taken."""
        self._ready.clear()
        self.hits.clear()
        self.trapped = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="demo-web", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Ends every connection and returns when the port is free."""
        if self._thread and self._loop and self._end and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    async def _run(self) -> None:
        self._failure = None
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        with ThreadPoolExecutor(2, thread_name_prefix="demo-web-studio") as self._makers:
            try:
                async with self._listening():
                    self._ready.set()
                    await self._end.wait()
            except OSError as error:
                self._failure = error
            finally:
                self._ready.set()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, self._host, self._asked_port, backlog=1024)
        trap = await asyncio.start_server(self._spring, self._host, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._trap_port = trap.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            trap.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _spring(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trapped += 1
        writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            async with self._room:
                while await self._exchange(reader, writer):
                    pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, asyncio.CancelledError):
            pass  # the client went away, sent nonsense or the server stops
        finally:
            self._open.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection is to be closed."""
        async with asyncio.timeout(IDLE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3:
            await self._send(writer, _Answer(400), "GET", False)
            return False
        method, target, version = words
        headers = {
            k.strip().lower(): v.strip().lower() for k, _, v in (line.partition(":") for line in lines[1:] if line)
        }
        keep = version == "HTTP/1.1" and headers.get("connection") != "close" and "content-length" not in headers
        answer = await self._answer(target.split("?")[0]) if method in ("GET", "HEAD") else _Answer(405)
        if answer.wait:
            await sleep(answer.wait)
        keep = keep and answer.sent == 1.0 and not answer.endless
        await self._send(writer, answer, method, keep)
        return keep

    async def _send(self, writer: asyncio.StreamWriter, answer: _Answer, method: str, keep: bool) -> None:
        length = 10_000_000 if answer.endless else len(answer.body)
        head = [
            f"HTTP/1.1 {answer.status} {_TEXT[answer.status]}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {length}",
            f"Connection: {'keep-alive' if keep else 'close'}",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n")
        if method == "HEAD":
            await writer.drain()
            return
        data = answer.body[: round(len(answer.body) * answer.sent)]
        if answer.endless:
            for _ in range(round(ENDLESS_SECONDS / 0.25)):
                writer.write(data[:1])
                await writer.drain()
                await sleep(0.25)
        elif answer.pace:
            step = -(-len(data) // _DRIPS)
            for at in range(0, len(data), step):
                await sleep(answer.pace / _DRIPS)
                writer.write(data[at : at + step])
                await writer.drain()
        else:
            writer.write(data)
        await writer.drain()

    async def _answer(self, path: str) -> _Answer:
        self.hits[path] += 1
        if path == "/robots.txt":
            return _Answer(body=b"User-agent: *\nAllow: /\n")
        if path.startswith("/hop/"):
            left, _, rest = path.removeprefix("/hop/").partition("/")
            page = self._pages.get("/" + rest)
            if page is not None and left.isdigit():
                return await self._hop(page, int(left))
        page = self._pages.get(path)
        if page is None:
            return _Answer(404)
        return await self._trouble(page, self.hits[path])

    async def _hop(self, page: Page, left: int) -> _Answer:
        if left > 0:
            return _Answer(302, [("Location", f"/hop/{left - 1}{page.path}")])
        return await self._picture(page)

    async def _trouble(self, page: Page, asked: int) -> _Answer:
        match page.trouble:
            case "404" | "410":
                return _Answer(int(page.trouble))
            case "always 500":
                return _Answer(500)
            case "429 then fine" if asked == 1:
                return _Answer(429, [("Retry-After", "1")])
            case "500 then fine" if asked == 1:
                return _Answer(500)
            case "redirect chain":
                return _Answer(302, [("Location", f"/hop/{_HOPS - 1}{page.path}")])
            case "redirect loop":
                return _Answer(302, [("Location", page.path)])
            case "redirect to a private address":
                return _Answer(302, [("Location", self._private(page))])
            case _:
                return await self._picture(page)

    def _private(self, page: Page) -> str:
        trap = f"{self._host}:{self._trap_port}"
        return f"http://{('169.254.169.254', trap, '10.0.0.1')[page.number % 3]}/latest/meta-data/"

    async def _picture(self, page: Page) -> _Answer:
        data = self._studio.kept(page)
        if data is None:
            loop = asyncio.get_running_loop()
            data = await loop.run_in_executor(self._makers, self._studio.body, page)
        answer = _Answer(body=data, kind=mimetypes.guess_type(page.path)[0] or "application/octet-stream")
        match page.trouble:
            case "html":
                answer.kind = "text/html; charset=utf-8"
            case "slow":
                answer.wait = SLOW_SECONDS
            case "slow drip":
                answer.pace = DRIP_SECONDS
            case "endless":
                answer.endless = True
            case "truncated":
                answer.sent = 0.6
            case "noai header":
                answer.headers = [("X-Robots-Tag", "noai, noimageai")]
            case "tdm reservation":
                answer.headers = [("tdm-reservation", "1")]
        return answer
