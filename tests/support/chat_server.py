"""An OpenAI-like server on 127.0.0.1 that misbehaves as a test says, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An answer: ``body`` is text, or an object that becomes JSON; ``head`` more header lines."""

    body: Any
    status: int = 200
    head: str = ""
    kind: str = "application/json"

    @property
    def text(self) -> str:
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


# What to do with the request of this number, from 0: a fault's name, an answer, or None to answer as usual.
Fault = Callable[[int, dict[str, Any]], str | Answer | None]

MODEL = "tiny"
HTML = "<!doctype html><html><body>Bad gateway</body></html>"


def never(_: int, __: dict[str, Any]) -> str | Answer | None:
    return None


@dataclass
class ChatServer:
    """``fault`` may return an ``Answer``, an HTTP status such as 400, or one of 429-wait, hang, reset, half, html,
    no_choice, empty, refusal, schema, huge, surrogate and length; ``reply`` makes the text; ``delay`` is the seconds an
    answer takes, and ``batch`` how many are computed at once, 0 for all (``computing`` holds how many were, and when).

    ``models`` answers the list of models, by default with ``model``, and ``head`` are more header lines of it; ``base``
    is the path under which everything is; ``tls`` makes it speak TLS."""

    fault: Fault = never
    reply: Callable[[dict[str, Any]], str] = lambda body: "A plain reply of the server."
    delay: float = 0.0
    batch: int = 0
    head: str = ""
    model: str = MODEL
    root: str | None = None
    models_body: str | None = None
    models: Answer | None = None
    base: str = "/v1"
    tls: ssl.SSLContext | None = None
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    headers_of_models: list[str] = field(default_factory=list)
    other_paths: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    computing: list[tuple[float, float]] = field(default_factory=list)
    _now_computing: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}{self.base}"

    @property
    def image_urls(self) -> list[str]:
        parts = [p for body in self.asked for m in body["messages"] for p in m["content"] if isinstance(p, dict)]
        return [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Closes the port and every connection at once, as a killed server does."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._places = asyncio.Semaphore(self.batch) if self.batch else contextlib.nullcontext()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(
                    (
                        int(line.split(":")[1])
                        for line in head.splitlines()
                        if line.lower().startswith("content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                path = head.split(" ", 2)[1]
                if path == f"{self.base}/models":
                    self.headers_of_models.append(head)
                    listed = self.models or Answer(self._models())
                    self._send(writer, listed.status, listed.text, self.head + listed.head, listed.kind)
                elif path == f"{self.base}/chat/completions":
                    self.headers.append(head)
                    await self._chat(writer, json.loads(body))
                else:
                    self.other_paths.append(path)
                    self._send(writer, 404, '{"error": {"message": "no such path"}}')
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _chat(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        number = len(self.asked)
        self.asked.append(body)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            async with self._places:
                self._note(1)
                await asyncio.sleep(self.delay)
                self._note(-1)
            await self._answer(writer, body, self.fault(number, body))
        finally:
            self.now -= 1

    def _note(self, change: int) -> None:
        self._now_computing += change
        self.computing.append((time.perf_counter(), self._now_computing))

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, Any], fault: str | Answer | None) -> None:
        error = '{"error": {"message": "as told", "type": "x", "code": 1}}'
        match fault:
            case None:
                self._send(writer, 200, self._completion(self.reply(body), tokens_in=_tokens_in(body)))
            case Answer():
                self._send(writer, fault.status, fault.text, fault.head, fault.kind)
            case "429-wait":
                self._send(writer, 429, error, "Retry-After: 0.2\r\n")
            case str() if fault.isdigit():
                self._send(writer, int(fault), error)
            case "hang":
                await asyncio.sleep(3600)
            case "reset":
                raise ConnectionError
            case "half":
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"cho')
                await writer.drain()
                raise ConnectionError
            case "html":
                self._send(writer, 200, HTML, kind="text/html")
            case "no_choice":
                self._send(writer, 200, '{"id": "x", "object": "chat.completion", "choices": []}')
            case "empty":
                self._send(writer, 200, self._completion("  "))
            case "refusal":
                self._send(writer, 200, self._completion(None, refusal="I cannot"))
            case "schema":
                self._send(writer, 200, '{"answer": 42}')
            case "huge":
                self._send(writer, 200, self._completion("word " * 2_000_000))
            case "surrogate":
                self._send(writer, 200, self._completion("a lone \ud800 surrogate"))
            case "length":
                self._send(writer, 200, self._completion("cut at the", finish="length"))
            case _:
                raise ValueError(fault)

    def _models(self) -> str:
        if self.models_body is not None:
            return self.models_body
        ours = {"id": self.model, "object": "model", "created": 1, "owned_by": "x", "root": self.root or self.model}
        return json.dumps({"object": "list", "data": [ours]})

    def _completion(
        self, text: str | None, finish: str = "stop", refusal: str | None = None, tokens_in: int = 11
    ) -> str:
        return json.dumps(completion(text, finish, tokens_in=tokens_in, model=self.model, refusal=refusal))

    @staticmethod
    def _send(
        writer: asyncio.StreamWriter, status: int, body: str, more: str = "", kind: str = "application/json"
    ) -> None:
        data = body.encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
        writer.write(head.encode() + data)


def completion(
    text: Any, finish: str | None = "stop", *, tokens_in: int = 11, model: str = MODEL, **message: Any
) -> dict[str, Any]:
    """A chat completion with one choice; ``message`` are more fields of its message."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": tokens_in, "completion_tokens": 7, "total_tokens": tokens_in + 7}
    return {"id": "x", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


def events(*parts: Any, finish: str | None = "stop", done: bool = True) -> Answer:
    """A stream of events whose deltas are the parts (a string is content), with ``finish`` in the last."""
    deltas = [{"content": part} if isinstance(part, str) else part for part in parts]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices[-1]["finish_reason"] = finish
    chunks = [{"object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    lines = [f"data: {json.dumps(chunk)}" for chunk in chunks] + (["data: [DONE]"] if done else [])
    return Answer("\n\n".join(lines) + "\n\n", kind="text/event-stream")


def _tokens_in(body: dict[str, Any]) -> int:
    parts = [p for m in body["messages"] for p in m["content"] if isinstance(p, dict)]
    return 11 if any(p["type"] == "image_url" for p in parts) else 6


@contextmanager
def chat_server(**settings: Any) -> Iterator[ChatServer]:
    """A running server; see ``ChatServer`` for the settings."""
    server = ChatServer(**settings)
    server.start()
    try:
        yield server
    finally:
        if not server._loop.is_closed():
            server.stop()
