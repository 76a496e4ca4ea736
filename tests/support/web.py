"""A plain, fast web server on loopback, in a process of its own, that serves what it is given from memory."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """What a path answers, ``delay`` seconds late. ``hang`` never answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False

    def wire(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Reason", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Web:
    """``with Web({"/a.jpg": Reply(data)}) as web: web.url("/a.jpg")``. Unknown paths answer 404, queries count not."""

    def __init__(self, replies: dict[str, Reply]) -> None:
        self._replies = replies
        self.port = 0

    @property
    def host(self) -> str:
        """As ``download.allow_private_hosts`` wants it."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        plain = {path: (r.wire(), r.delay, r.hang) for path, r in self._replies.items()}
        pickle.dump(plain, self._process.stdin)
        self._process.stdin.flush()
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)


class _Answers(asyncio.Protocol):
    def __init__(self, replies: dict[str, tuple[bytes, float, bool]]) -> None:
        self._replies = replies
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 24)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode("latin-1").split("?", 1)[0]
            close = b"connection: close" in head.lower()
            wire, delay, hang = self._replies.get(path, (Reply(status=404).wire(), 0.0, False))
            if hang:
                return
            if delay:
                asyncio.get_running_loop().call_later(delay, self._answer, wire, close)
            else:
                self._answer(wire, close)

    def _answer(self, wire: bytes, close: bool) -> None:
        if not self._transport.is_closing():
            self._transport.write(wire)
            if close:
                self._transport.close()


async def _serve() -> None:
    replies = pickle.load(sys.stdin.buffer)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answers(replies), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The end of our input is the end of whoever started us.
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
