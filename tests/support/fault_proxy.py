"""A proxy before a real model server that misbehaves as a test says, and remembers what passed through it."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.support.chat_server import Answer, ChatServer


@dataclass
class FaultProxy(ChatServer):
    """Forwards to ``upstream`` (a base URL that ends in /v1) what ``fault`` lets through; see ``ChatServer``.

    A server that is not there is passed on as what it is: a connection that breaks.
    """

    upstream: str = ""
    delivered: list[str] = field(default_factory=list)
    _client: httpx2.AsyncClient | None = None

    @property
    def questions(self) -> Counter[str]:
        """How often each request was sent."""
        return Counter(spelled(body) for body in self.asked)

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, Any], fault: str | Answer | None) -> None:
        if fault is not None:
            await super()._answer(writer, body, fault)
            return
        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=300, trust_env=False, limits=httpx2.Limits(max_connections=256))
        try:
            reply = await self._client.post(f"{self.upstream}/chat/completions", json=body)
        except httpx2.HTTPError as error:
            raise ConnectionError(str(error)) from error
        self._send(writer, reply.status_code, reply.text)
        await writer.drain()
        if reply.status_code == 200:
            self.delivered.append(spelled(body))

    def _models(self) -> str:
        address = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=2)
        try:
            connection.request("GET", f"{address.path}/models")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    async def _close(self) -> None:
        await super()._close()
        if self._client is not None:
            await self._client.aclose()


def spelled(body: dict[str, Any]) -> str:
    """A request, to compare it with others."""
    return json.dumps(body, sort_keys=True)


@contextmanager
def fault_proxy(upstream: str, **settings: Any) -> Iterator[FaultProxy]:
    """A running proxy; see ``FaultProxy`` for the settings."""
    proxy = FaultProxy(upstream=upstream, **settings)
    proxy.start()
    try:
        yield proxy
    finally:
        if not proxy._loop.is_closed():
            proxy.stop()
