"""Shards that are in flight together share a server's places: none stays empty while any of them has a question."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curation.caption.model.chat import ChatRequest, ModelIdentity
from curation.caption.model.endpoints import Endpoint, Endpoints
from curation.caption.model.server import ServerModel
from curation.caption.recaption_stage import RecaptionStage
from curation.core.stage import Shard
from curation.core.store import Store
from schemas.arrow import rows_of
from schemas.captions import Caption
from schemas.chat import Captioning, CaptionKind
from tests.support.chat_server import MODEL, Answer, ChatServer, chat_server
from tests.support.keepers import root_with_keepers

BATCH = 4
KINDS = [CaptionKind(kind="dense", prompt="dense"), CaptionKind(kind="short", prompt="short", max_tokens=64)]


@dataclass
class FullBatches(ChatServer):
    """Answers its oldest request whenever its batch is full; all, once all that it expects have come."""

    expected: int = 0
    held: deque[int] = field(default_factory=deque)

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, Any], fault: str | Answer | None) -> None:
        self.held.append(mine := id(body))
        while self.held[0] != mine or (len(self.held) < BATCH and len(self.asked) < self.expected):
            await asyncio.sleep(0.002)
        self.held.popleft()
        await super()._answer(writer, body, fault)


def caption(url: str, shards: list[Shard], kinds: list[CaptionKind]) -> list[list[Caption]]:
    """The rows of each shard, as a worker with its overlap makes them."""
    recipe = Captioning(
        backend="server", model=MODEL, endpoints=[url], kinds=kinds, concurrency=BATCH, timeout=10.0, retries=0
    )
    stage = RecaptionStage.of(recipe)
    with stage.open() as work, ThreadPoolExecutor(stage.resources.overlap) as threads:
        return [list(rows_of(Caption, table)) for table in threads.map(work, shards)]


def test_the_end_of_a_shard_and_the_beginning_of_the_next_leave_no_place_empty(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    shards = [root_with_keepers(store, ["a red ball"] * 9, shard=f"s-{n}") for n in range(4)]
    server = FullBatches(expected=4 * 9 * 2)
    server.start()
    try:
        found = caption(server.url, shards, KINDS)
    finally:
        server.stop()
    # A place that stays empty while there are questions keeps all others waiting, until their time is up.
    assert [len(rows) for rows in found] == [18] * 4
    assert {c.reason for rows in found for c in rows} == {None}
    assert server.most == BATCH


def test_what_is_written_does_not_depend_on_what_else_is_in_flight(tmp_path: Path) -> None:
    def said(body: dict[str, Any]) -> str:
        return f"A caption of {len(body['messages'][-1]['content'][0]['image_url']['url'])} characters."

    with chat_server(reply=said, delay=0.005) as server:
        apart = [
            caption(server.url, [root_with_keepers(Store(str(tmp_path / "a")), ["a"] * 12, shard=f"s-{n}")], KINDS)[0]
            for n in range(3)
        ]
        shards = [root_with_keepers(Store(str(tmp_path / "b")), ["a"] * 12, shard=f"s-{n}") for n in range(3)]
        assert caption(server.url, shards, KINDS) == apart
    assert server.most <= BATCH


def test_a_model_in_the_worker_itself_has_one_shard_at_a_time() -> None:
    assert RecaptionStage.of(Captioning(backend="scripted")).resources.overlap == 1


def test_the_shard_that_began_first_comes_first() -> None:
    async def run() -> list[int]:
        endpoints = Endpoints([Endpoint("http://127.0.0.1/v1", None)], 1, 60.0, lambda _: asyncio.sleep(0, True))
        held = await endpoints.take()
        served: list[int] = []

        async def ask(number: int, turn: int) -> None:
            endpoint = await endpoints.take(turn)
            served.append(number)
            endpoints.give_back(endpoint)

        tasks = [asyncio.create_task(ask(number, turn)) for number, turn in enumerate((1, 2, 1, 0, 2, 0))]
        await asyncio.sleep(0)
        tasks[3].cancel()
        endpoints.give_back(held)
        await asyncio.gather(*tasks, return_exceptions=True)
        return served

    assert asyncio.run(run()) == [5, 0, 2, 1, 4]


def test_one_that_gives_up_waiting_passes_its_place_on() -> None:
    async def run() -> None:
        endpoints = Endpoints([Endpoint("http://127.0.0.1/v1", None)], 1, 60.0, lambda _: asyncio.sleep(0, True))
        held = await endpoints.take()
        first, second = (asyncio.create_task(endpoints.take(turn)) for turn in (0, 1))
        await asyncio.sleep(0)
        endpoints.give_back(held)
        first.cancel()  # it was woken, but has not run yet
        for _ in range(10):  # turns of the loop; without the passing on, the second looks by itself after a second
            await asyncio.sleep(0)
        assert second.done()

    asyncio.run(run())


def test_two_callers_share_one_limit() -> None:
    with chat_server(delay=0.01) as server:
        model = ServerModel([server.url], ModelIdentity(MODEL, "main"), concurrency=3)
        asked = [[ChatRequest(f"{caller}-{i}", f"question {caller} {i}") for i in range(30)] for caller in range(2)]
        with ThreadPoolExecutor(2) as threads:
            replies = list(threads.map(lambda requests: [r.key for r in model.complete(requests)], asked))
        model.close()
    assert [sorted(keys) for keys in replies] == [sorted(r.key for r in requests) for requests in asked]
    assert server.most == 3
