"""The guarded fetcher against ``urllib.request.urlopen``, which img2dataset fetches with.

The same 60 kB bodies from a server in a process of its own, on 32 threads; once from a server that keeps
connections open, once from one that closes each of them, which is what a list of many hosts amounts to.
The figures are the client's CPU time a request (user and system), since the network costs nothing here.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

from curation.fetch.http import Fetcher
from schemas.recipe import Download

_SIZE = 60_000
_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Fri, 20 Nov 2026 09:00:00 GMT\r\nContent-Type: image/jpeg\r\n"
    b"Last-Modified: Fri, 20 Nov 2026 09:00:00 GMT\r\nAccept-Ranges: bytes\r\nContent-Length: %d\r\n" % _SIZE
)
_BODY = b"\r\n" + b"x" * _SIZE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    settings = Download(allow_private_hosts=["127.0.0.1"], per_host=arguments.threads, threads=arguments.threads)
    for name, close in (("fetch_cpu_kept_open", False), ("fetch_cpu_closed_each_time", True)):
        with _server(close) as base, Fetcher(settings) as fetcher, ThreadPoolExecutor(arguments.threads) as pool:
            urls = [f"{base}/{n}.jpg" for n in range(arguments.requests)]

            def fetch(url: str, fetcher: Fetcher = fetcher) -> int:
                return len(fetcher.fetch(url).data)

            ours, theirs = [], []
            for index in range(arguments.rounds + 1):
                theirs.append(_cpu(pool, _urlopen, urls))
                ours.append(_cpu(pool, fetch, urls))
                if index == 0:  # warms threads and imports
                    ours, theirs = [], []
        mine, plain = statistics.median(ours), statistics.median(theirs)
        print(f"{name} ratio={plain / mine:.2f} ours={mine * 1e6:.0f}us theirs={plain * 1e6:.0f}us")


def _cpu(pool: ThreadPoolExecutor, fetch: Callable[[str], int], urls: list[str]) -> float:
    """CPU seconds a request of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    for size in pool.map(fetch, urls):
        if size != _SIZE:
            raise SystemExit(f"{size} bytes came of {_SIZE}")
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(urls)


def _urlopen(url: str) -> int:
    request = urllib.request.Request(url, headers={"User-Agent": "lapidary"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return len(response.read())


@contextmanager
def _server(close: bool) -> Iterator[str]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, close), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, close: bool) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Image(close), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


class _Image(asyncio.Protocol):
    """Answers every request with the same body."""

    def __init__(self, close: bool) -> None:
        self._close = close
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            request, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            close = self._close or b"connection: close" in request.lower()
            self._transport.write(_HEAD + (b"Connection: close\r\n" if close else b"") + _BODY)  # type: ignore[attr-defined]
            if close:
                self._transport.close()
                return


if __name__ == "__main__":
    main()
