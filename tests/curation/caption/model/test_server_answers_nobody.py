"""A server that answers nobody ends the run, or is waited for; it costs no sample its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity
from curation.caption.model.server import ServerModel
from curation.core.errors import EndpointsGone
from schemas.reasons import Reason
from tests.support.chat_server import MODEL, ChatServer, Fault, chat_server

REFUSALS = ("401", "402", "403", "404", "405", "407")


def questions(count: int, image: bytes | None = None) -> list[ChatRequest]:
    return [ChatRequest(str(i), f"question {i}", image=image) for i in range(count)]


def text_of(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"][-1]["text"])


def ask(
    urls: Sequence[str], count: int, image: bytes | None = None, **settings: Any
) -> tuple[dict[str, ChatReply], EndpointsGone | None]:
    """The replies, and what ended the run before all had come."""
    model = ServerModel(urls, ModelIdentity(MODEL, "main"), **({"concurrency": 4, "timeout": 5.0} | settings))
    found: dict[str, ChatReply] = {}
    try:
        for reply in model.complete(questions(count, image)):
            found[reply.key] = reply
    except EndpointsGone as error:
        return found, error
    finally:
        model.close()
    return found, None


def after(first: int, fault: str) -> Fault:
    return lambda number, _: None if number < first else fault


@pytest.mark.parametrize("status", [*REFUSALS, "429"])
def test_a_status_for_everybody_ends_the_run_and_rejects_no_sample(status: str) -> None:
    with chat_server(fault=after(8, status)) as server:
        found, gone = ask([server.url], 100, patience=1.0, timeout=0.5, retries=1)
    assert gone is not None and f"HTTP {status}: as told (" in str(gone) and server.url in str(gone)
    assert "\n" not in str(gone) and "repeat the command" in str(gone)
    assert len(found) == 8 and all(r.text for r in found.values())


def test_a_server_that_asks_to_wait_for_ever_ends_the_run_too() -> None:
    with chat_server(fault=after(4, "429-wait")) as server:
        found, gone = ask([server.url], 20, timeout=0.5, retries=1)
    assert gone is not None and "HTTP 429" in str(gone)
    assert len(found) == 4 and all(r.text for r in found.values())


def test_the_last_request_of_all_is_not_to_blame_either() -> None:
    with chat_server(fault=after(0, "429")) as server:
        assert ask([server.url], 1, timeout=0.5, retries=1, concurrency=32)[0] == {}


@pytest.mark.parametrize("status", REFUSALS)
def test_where_one_server_refuses_another_answers(status: str) -> None:
    with chat_server(fault=after(0, status)) as revoked, chat_server(delay=0.01) as other:
        found, gone = ask([revoked.url, other.url], 60)
    assert gone is None and len(found) == 60 and all(r.text for r in found.values())
    assert len(revoked.asked) <= 4 + 3  # those in flight when it began, and a word now and then


@pytest.mark.parametrize("patience", [1.0, 5.0])
def test_a_server_that_knows_the_key_again_loses_nothing(patience: float) -> None:
    began = time.monotonic()
    with chat_server(fault=lambda *_: "401" if time.monotonic() - began < 1.5 else None) as server:
        found, gone = ask([server.url], 30, retries=0, patience=patience)
    assert gone is None and len(found) == 30 and all(r.text for r in found.values())


def test_nobody_is_given_up_who_is_being_looked_at() -> None:
    with chat_server(fault=lambda number, _: "404" if 4 <= number < 8 else None, delay=0.4) as server:
        found, gone = ask([server.url], 12, patience=0.1)
    assert gone is None and len(found) == 12 and all(r.text for r in found.values())


def test_a_quota_that_is_renewed_after_the_patience_for_silence_loses_nothing() -> None:
    used_up: list[float] = []

    def quota(number: int, _: dict[str, Any]) -> str | None:
        if number >= 8:
            used_up.append(time.monotonic())
        return "429" if used_up and time.monotonic() - used_up[0] < 2.8 else None

    with chat_server(fault=quota) as server:
        found, gone = ask([server.url], 20, timeout=2.5)
    assert gone is None and len(found) == 20 and all(r.text for r in found.values())


@pytest.mark.parametrize(("answered", "status"), [(8, "500"), (8, "503"), (0, "500"), (0, "408")])
def test_a_model_that_cannot_do_without_an_image_is_known_to_be_well(answered: int, status: str) -> None:
    def picky(number: int, body: dict[str, Any]) -> str | None:
        if len(body["messages"][-1]["content"]) == 1:
            return status
        return "404" if answered <= number < answered + 4 else None

    with chat_server(fault=picky) as server:
        found, gone = ask([server.url], 40, image=b"\xff\xd8 jpeg", patience=1.0)
    assert gone is None and len(found) == 40 and all(r.text for r in found.values())


@dataclass
class Moderated(ChatServer):
    """Refuses one question in fifty, ``early`` before it computes."""

    early: bool = False

    async def _chat(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        if self.early and text_of(body).endswith(("10", "60")):
            self.asked.append(body)
            await self._answer(writer, body, "403")
        else:
            await super()._chat(writer, body)


@pytest.mark.parametrize("early", [False, True])
def test_who_refuses_single_samples_goes_on_answering_all_others(early: bool) -> None:
    server = Moderated(
        fault=lambda _, body: "403" if text_of(body).endswith(("10", "60")) else None, early=early, delay=0.05
    )
    server.start()
    try:
        found, gone = ask([server.url], 600, retries=1, concurrency=32)
    finally:
        server.stop()
    refused = {k for k, r in found.items() if r.reason is Reason.MODEL_REFUSED_REQUEST}
    assert gone is None and len(found) == 600
    assert refused == {k for k in found if k.endswith(("10", "60"))}
    asked = [text_of(body) for body in server.asked]
    before_the_last = asked[: asked.index("question 599")]
    # Whoever is taken out is asked for a word before it is used again.
    assert sum(not text.startswith("question") for text in before_the_last) <= 1


@pytest.mark.parametrize("count", [1, 12])
def test_what_one_request_alone_is_refused_is_its_own_status(count: int) -> None:
    with chat_server(fault=lambda _, body: "403" if text_of(body) == "question 0" else None) as server:
        found, gone = ask([server.url], count, retries=1)
    assert gone is None and len(found) == count
    assert {k: r.reason for k, r in found.items() if r.text is None} == {"0": Reason.MODEL_REFUSED_REQUEST}


@pytest.mark.parametrize("status", ["400", "413", "415", "422"])
def test_a_refusal_of_what_was_asked_is_that_samples_at_once(status: str) -> None:
    with chat_server(fault=lambda _, body: status if text_of(body) == "question 2" else None) as server:
        found, gone = ask([server.url], 5)
    assert gone is None and len(server.asked) == 5
    assert {k: r.reason for k, r in found.items() if r.text is None} == {"2": Reason.MODEL_REFUSED_REQUEST}


def test_patience_begins_with_a_question_and_not_in_the_idle_time_before() -> None:
    with chat_server(fault=lambda number, _: "401" if 1 <= number <= 3 else None) as server:
        model = ServerModel([server.url], ModelIdentity(MODEL, "main"), patience=2.0)
        first = list(model.complete(questions(1)))
        time.sleep(2.1)
        second = list(model.complete(questions(1)))
        model.close()
    assert [r.text for r in second] == [r.text for r in first] and first[0].text


@dataclass
class SlowOne(ChatServer):
    """Takes its time for one question."""

    async def _chat(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        if text_of(body) == "question 1":
            self.asked.append(body)
            await asyncio.sleep(1.5)
            await self._answer(writer, body, None)
        else:
            await super()._chat(writer, body)


def test_what_comes_while_the_run_ends_is_handed_over() -> None:
    server = SlowOne(fault=lambda _, body: None if text_of(body) == "question 0" else "401")
    server.start()
    model = ServerModel([server.url], ModelIdentity(MODEL, "main"), concurrency=4, patience=0.5)
    replies = model.complete(questions(8))
    try:
        assert next(replies).key == "0"
        time.sleep(2.5)  # the caller writes its journal, say
        assert next(replies).key == "1"
        with pytest.raises(EndpointsGone):
            next(replies)
    finally:
        model.close()
        server.stop()
