"""What is asked about one picture is asked of one server, as long as that server is well."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity
from curation.caption.model.endpoints import Endpoint
from curation.caption.model.homes import Homes, PictureKeys
from curation.caption.model.server import ServerModel
from tests.support.chat_server import MODEL, Answer, ChatServer, chat_server

QUESTIONS = 6  # about each picture


def about(pictures: int, questions: int = QUESTIONS) -> list[ChatRequest]:
    """Questions about so many pictures, those about one in a row."""
    return [
        ChatRequest(f"{p}-{q}", f"question {q} of picture {p}", image=b"\xff\xd8 picture %d" % p)
        for p in range(pictures)
        for q in range(questions)
    ]


@contextmanager
def servers(count: int, **settings: Any) -> Iterator[list[ChatServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(chat_server(**settings)) for _ in range(count)]


def ask(running: Sequence[ChatServer], requests: Sequence[ChatRequest], **settings: Any) -> list[ChatReply]:
    model = ServerModel([s.url for s in running], ModelIdentity(MODEL, "1"), **({"concurrency": 4} | settings))
    try:
        return list(model.complete(requests))
    finally:
        model.close()


def pictures_of(server: ChatServer) -> list[str]:
    """The pictures that a server was asked about, one for each request."""
    return server.image_urls


def test_each_picture_s_questions_go_to_one_server_and_all_servers_have_pictures() -> None:
    with servers(3, delay=0.002) as running:
        replies = ask(running, about(40))
    assert len(replies) == 240 and all(r.text for r in replies)
    asked = [pictures_of(s) for s in running]
    assert sum(map(len, asked)) == 240
    of: dict[str, set[int]] = defaultdict(set)
    for number, pictures in enumerate(asked):
        for picture in pictures:
            of[picture].add(number)
    assert len(of) == 40 and all(len(numbers) == 1 for numbers in of.values())
    assert all(len(set(pictures)) >= 40 / 3 / 2 for pictures in asked)


def test_a_picture_has_the_same_home_in_every_run_where_the_servers_are_idle() -> None:
    def homes() -> list[str | None]:
        endpoints = [Endpoint(f"http://host-{n}/v1", None) for n in range(5)]
        found = Homes(endpoints, lambda e: True, lambda e: 4)
        return [at.url if (at := found.of(f"picture {n}")) is not None else None for n in range(50)]

    assert homes() == homes() and len(set(homes())) == 5


def test_a_server_that_dies_hands_its_pictures_to_the_others_and_nothing_is_lost() -> None:
    with servers(2, delay=0.005) as running:
        model = ServerModel([s.url for s in running], ModelIdentity(MODEL, "1"), concurrency=4, timeout=5.0)
        replies = []
        for reply in model.complete(about(40)):
            replies.append(reply)
            if len(replies) == 60:
                running[0].stop()
        model.close()
    assert len({r.key for r in replies}) == 240 and all(r.text for r in replies)
    # Twice at most what was in flight at the server that died; no reply that has come is asked for again.
    assert sum(len(s.asked) for s in running) <= 240 + 4
    first, second = (set(pictures_of(s)) for s in running)
    assert len(second - first) > 10 and len(first & second) <= 4


def test_a_server_that_is_down_from_the_start_costs_nothing() -> None:
    with servers(2) as running:
        running[0].stop()
        replies = ask(running, about(10), retries=0)
        assert all(r.text for r in replies) and len(running[1].asked) == 60


def test_a_server_that_fails_at_a_picture_is_not_asked_again_alone() -> None:
    with chat_server(fault=lambda _, __: "500") as bad, chat_server() as good:
        replies = ask([bad, good], about(12), retries=3, concurrency=2)
    assert all(r.text for r in replies) and len(good.asked) == 72


@dataclass
class Waits(ChatServer):
    """Answers nothing until the other server has been asked so many questions."""

    other: ChatServer = field(default_factory=ChatServer)
    until: int = 0

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, Any], fault: str | Answer | None) -> None:
        while len(self.other.asked) < self.until:
            await asyncio.sleep(0.002)
        await super()._answer(writer, body, fault)


def test_a_slow_server_holds_up_no_other() -> None:
    with chat_server() as quick:
        slow = Waits(other=quick, until=300)
        slow.start()
        try:
            # By the hash alone the slow one would hold all places at some time, and wait for ever.
            replies = ask([slow, quick], about(60), concurrency=2)
        finally:
            slow.stop()
    assert len(replies) == 360 == len(slow.asked) + len(quick.asked) and slow.asked
    assert not set(pictures_of(slow)) & set(pictures_of(quick))


@given(
    well=st.lists(st.booleans(), min_size=1, max_size=5),
    places=st.integers(1, 8),
    held=st.lists(st.integers(0, 30), max_size=60),
)
def test_a_home_is_a_server_that_is_well_and_not_overfull(well: list[bool], places: int, held: list[int]) -> None:
    endpoints = [Endpoint(f"http://host-{n}/v1", None) for n in range(len(well))]
    healthy = [e for e, fine in zip(endpoints, well, strict=True) if fine]
    homes = Homes(endpoints, lambda e: e in healthy, lambda e: places)
    load: dict[str, int] = defaultdict(int)
    with ExitStack() as stack:
        for number, requests in enumerate(held):
            picture = f"picture {number}"
            total = sum(load.values())
            for _ in range(requests):
                stack.enter_context(homes.asked_about(picture))
            found = homes.of(picture)
            assert (found is None) == (not healthy)
            if found is None:
                continue
            assert any(found is e for e in healthy)
            assert load[found.url] < max(places, 1.25 * total / len(healthy)) or not total
            assert homes.of(picture) is found or not requests
            load[found.url] += requests
    assert not homes._found


@pytest.mark.parametrize("image", [None, b"", b"\xff\xd8 a picture"])
def test_pictures_are_named_by_their_bytes(image: bytes | None) -> None:
    key = PictureKeys()
    again = None if image is None else bytes(bytearray(image))
    assert key(image) == key(image) == PictureKeys()(again)
    assert bool(key(image)) == (image is not None)
