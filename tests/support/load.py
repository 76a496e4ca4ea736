"""What a benchmark of a model server needs: a bare load generator, and eyes on both sides of the wire."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity
from curation.caption.model.endpoints import Endpoint
from curation.caption.model.openai_protocol import NO_PARAMETERS, encode
from curation.caption.model.server import ServerModel
from curation.caption.model.vllm_server import HOST
from schemas.chat import Parameters


@dataclass
class Replies:
    """When replies came (seconds, in order), and how many tokens they had."""

    times: list[float] = field(default_factory=list)
    tokens: int = 0

    def steady(self) -> float:
        """Replies a second between the first and the last tenth of them: without the start and the end."""
        first, last = len(self.times) // 10, len(self.times) * 9 // 10
        return (last - first) / (self.times[last - 1] - self.times[first - 1])


def bare(url: str, bodies: Sequence[bytes], concurrency: int) -> Replies:
    """Sends ready-made bodies, so many at once, and throws the replies away but for their tokens."""
    seen = Replies()

    async def run() -> None:
        waiting = iter(bodies)
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx2.AsyncClient(timeout=600, trust_env=False, limits=limits) as client:

            async def worker() -> None:
                for body in waiting:
                    headers = {"Content-Type": "application/json"}
                    reply = await client.post(f"{url}/chat/completions", content=body, headers=headers)
                    reply.raise_for_status()
                    seen.tokens += int(re.findall(rb'"completion_tokens": ?(\d+)', reply.content)[-1])
                    seen.times.append(time.perf_counter())

            await asyncio.gather(*(worker() for _ in range(concurrency)))

    asyncio.run(run())
    return seen


@dataclass
class Watched:
    """A model that notes when its replies come."""

    model: ServerModel
    seen: Replies = field(default_factory=Replies)
    batch = None

    @property
    def identity(self) -> ModelIdentity:
        return self.model.identity

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        for reply in self.model.complete(requests):
            self.seen.times.append(time.perf_counter())
            self.seen.tokens += reply.tokens_out or 0
            yield reply

    def close(self) -> None:
        self.model.close()


@dataclass
class Recorder:
    """A model that remembers the bodies that would have been sent, and answers each with a sure yes."""

    identity: ModelIdentity
    bodies: list[bytes] = field(default_factory=list)
    parameters: Parameters = NO_PARAMETERS
    batch = None

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        for request in requests:
            self.bodies.append(encode(self.identity.name, request, self.parameters))
            yield ChatReply(request.key, "yes", probability=1.0)

    def close(self) -> None:
        pass


@dataclass
class Level:
    """A number as it changed: what it was, from each time (seconds) on."""

    seen: list[tuple[float, float]] = field(default_factory=list)

    def note(self, number: float) -> None:
        self.seen.append((time.perf_counter(), number))

    def share(self, enough: float) -> float:
        """The share of the time in which the number was enough, from the first to the last time that it was:
        before, the work begins, and after, it runs out."""
        return self._mean(enough, lambda n: float(n >= enough))

    def fill(self, most: float) -> float:
        """How much of ``most`` there was on average, likewise."""
        return self._mean(most, lambda n: n / most)

    def _mean(self, enough: float, value: Callable[[float], float]) -> float:
        good = [at for at, (_, n) in enumerate(self.seen) if n >= enough]
        if len(good) < 2:
            return 0.0
        between = itertools.pairwise(self.seen[good[0] : good[-1] + 1])
        spans = [(b[0] - a[0], value(a[1])) for a, b in between]
        return sum(s * v for s, v in spans) / sum(s for s, _ in spans)


@contextmanager
def in_flight(model: ServerModel) -> Iterator[Level]:
    """How many requests a client has at its servers, each change noted."""
    level, endpoints = Level(), model._endpoints
    take, give_back = endpoints.take, endpoints.give_back
    now = 0

    async def noted_take(turn: int = 0, picture: str = "") -> Endpoint:
        nonlocal now
        endpoint = await take(turn, picture)
        now += 1
        level.note(now)
        return endpoint

    def noted_give_back(endpoint: Endpoint) -> None:
        nonlocal now
        now -= 1
        level.note(now)
        give_back(endpoint)

    vars(endpoints).update(take=noted_take, give_back=noted_give_back)
    try:
        yield level
    finally:
        vars(endpoints).update(take=take, give_back=give_back)


def metrics(port: int) -> dict[str, float]:
    """vLLM's own counters and gauges now, summed over its engines."""
    found: dict[str, float] = {}
    for name, value in re.findall(r"^vllm:(\w+)\{[^}]*\} ([0-9.e+]+)$", _answer(port, "GET", "/metrics"), re.M):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def forget(port: int) -> None:
    """Empties vLLM's caches of prompts and images; wants its ``VLLM_SERVER_DEV_MODE``."""
    for cache in ("prefix", "mm", "encoder"):
        _answer(port, "POST", f"/reset_{cache}_cache")


def _answer(port: int, method: str, path: str) -> str:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: HTTP {response.status}")
        return response.read().decode()
    finally:
        connection.close()


@contextmanager
def running(port: int) -> Iterator[Level]:
    """How many requests vLLM computes at once, by its own gauge, read ten times a second."""
    level, stop = Level(), threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            if (found := metrics(port).get("num_requests_running")) is not None:
                level.note(found)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield level
    finally:
        stop.set()
        looking.join()
