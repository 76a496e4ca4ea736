"""What is promised of the client holds with the real vLLM: every request its own reply, whatever happens between."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity, Sampling
from curation.caption.model.preflight import preflight
from curation.caption.model.probe import probe
from curation.caption.model.probe_request import ProbeRequest
from curation.caption.model.server import ServerModel
from curation.caption.model.vllm_server import VllmServer
from curation.caption.prompts import load
from curation.core.errors import ModelError
from curation.demo.news import news_caption
from curation.demo.render import jpeg
from curation.demo.truth import generator
from curation.demo.world import scene
from schemas.reasons import Reason
from schemas.replies import NamedEntities, SubjectWeights
from tests.support.chat_server import chat_server
from tests.support.fault_proxy import FaultProxy, fault_proxy, spelled
from tests.support.injections import HOSTILE
from tests.support.vllm import BATCH, checkpoint, kill_api_process, real_server

pytestmark = pytest.mark.vllm

Fault = Callable[[int, dict[str, Any]], str | None]


class Scene(BaseModel):
    """A reply with a bit of everything that a schema can ask."""

    model_config = ConfigDict(extra="forbid")

    subject: str = Field(min_length=1, max_length=12)
    colour: str = Field(pattern="^(red|green|blue)$")
    number: int = Field(ge=0, le=9)
    words: list[Annotated[str, Field(max_length=8)]] = Field(min_length=1, max_length=2)


def picture(number: int) -> bytes:
    return jpeg(scene(78, number, "train"))


def questions(number: int, tokens: int = 24, **more: Any) -> list[ChatRequest]:
    sampling = Sampling(max_tokens=tokens)
    return [
        ChatRequest(str(i), f"What is picture {i}?", image=picture(i), sampling=sampling, **more) for i in range(number)
    ]


def ask(urls: list[str], requests: list[ChatRequest], **settings: Any) -> dict[str, ChatReply]:
    model = ServerModel(urls, ModelIdentity(checkpoint().name, "main"), **({"concurrency": BATCH} | settings))
    try:
        replies = list(model.complete(requests))
    finally:
        model.close()
    assert len({r.key for r in replies}) == len(replies) == len(requests)
    return {r.key: r for r in replies}


@pytest.fixture(scope="module")
def quiet(vllm_server: VllmServer) -> dict[str, ChatReply]:
    """The replies to 64 questions when nothing goes wrong."""
    return ask([vllm_server.url], questions(64), concurrency=64)


def same_texts(found: dict[str, ChatReply], quiet: dict[str, ChatReply]) -> int:
    return sum(found[k].text == quiet[k].text for k in found)


def test_64_requests_at_once_get_64_replies(quiet: dict[str, ChatReply]) -> None:
    assert {r.reason for r in quiet.values()} == {None}
    assert all(r.tokens_out and r.tokens_in and r.seconds > 0 for r in quiet.values())
    assert len({r.text for r in quiet.values()}) > 32, "the pictures are looked at"


def test_replies_by_schema_are_valid_64_of_64(vllm_server: VllmServer) -> None:
    found = ask([vllm_server.url], questions(64, tokens=200, reply_type=Scene), concurrency=64)
    assert {r.detail for r in found.values() if r.reason is not None} == set()
    for reply in found.values():
        Scene.model_validate_json(reply.text or "")


def test_the_probe_finds_the_model_and_the_fitness_check_finds_it_fit(vllm_server: VllmServer) -> None:
    name = checkpoint().name
    assert probe([vllm_server.url], name, "abc") == ModelIdentity(name, "abc")
    preflight([vllm_server.url], name, [ProbeRequest("dense", "", "Describe.", 256, Scene)], image_side=512)
    with pytest.raises(ModelError, match=r"context.*--max-model-len"):
        preflight([vllm_server.url], name, [ProbeRequest("dense", "", "Describe.", 4090)], image_side=512)
    with pytest.raises(ModelError, match="refuses the longest prompt of kind 'dense'"):
        preflight([vllm_server.url], name, [ProbeRequest("dense", "", "word " * 9000, 10)], image_side=0)
    with pytest.raises(ModelError, match="serves"):
        probe([vllm_server.url], "another", "main")


def test_a_schema_that_is_ignored_is_told_from_one_that_is_honoured(vllm_server: VllmServer) -> None:
    """A gateway that drops response_format, as an older server does, answers 200 and free text."""

    class Forgetful(FaultProxy):
        async def _answer(self, writer: Any, body: dict[str, Any], fault: str | None) -> None:
            body.pop("response_format", None)
            await super()._answer(writer, body, fault)

    proxy = Forgetful(upstream=vllm_server.url)
    proxy.start()
    try:
        with pytest.raises(ModelError, match="ignores response_format"):
            preflight(
                [proxy.url], checkpoint().name, [ProbeRequest("scene", "", "Describe.", 256, Scene)], image_side=0
            )
    finally:
        proxy.stop()


def test_a_model_that_does_not_look_is_refused() -> None:
    with chat_server() as server, pytest.raises(ModelError, match=r"takes no images|ignores images"):
        server.fault = lambda _, body: "400" if "image_url" in spelled(body) else None
        preflight([server.url], server.model, [ProbeRequest("dense", "", "Describe.", 9)], image_side=64)


def in_turns(*faults: str | None) -> Fault:
    """The faults one after the other, over and over."""
    numbers = count()
    return lambda *_: faults[next(numbers) % len(faults)]


def once_each(fault: str) -> Fault:
    """The fault at the first try of every request."""
    seen: set[str] = set()

    def decide(_: int, body: dict[str, Any]) -> str | None:
        first = spelled(body) not in seen
        seen.add(spelled(body))
        return fault if first else None

    return decide


@pytest.mark.parametrize("fault", ["half", "html", "hang", "no_choice", "huge", "429-wait"])
def test_a_fault_that_passes_loses_nothing(fault: str, vllm_server: VllmServer, quiet: dict[str, ChatReply]) -> None:
    with fault_proxy(vllm_server.url, fault=once_each(fault)) as proxy:
        found = ask([proxy.url], questions(8), timeout=3.0 if fault == "hang" else 60.0)
    assert {r.reason for r in found.values()} == {None}
    assert same_texts(found, quiet) >= 7
    assert max(proxy.questions.values()) == 2, "a reply that came was asked for again"


def test_429_and_500_by_turns_lose_nothing(vllm_server: VllmServer, quiet: dict[str, ChatReply]) -> None:
    with fault_proxy(vllm_server.url, fault=in_turns("429", None, "500", None)) as proxy:
        found = ask([proxy.url], questions(24), concurrency=4, retries=12)
    assert {r.reason for r in found.values()} == {None}
    assert same_texts(found, quiet) >= 22
    assert len(proxy.delivered) == len(set(proxy.delivered)) == 24


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("no_choice", Reason.MODEL_ERROR), ("huge", Reason.INVALID_REPLY), ("schema", Reason.MODEL_ERROR)],
)
def test_a_fault_that_stays_is_its_samples_status_and_no_others(
    fault: str, reason: Reason, vllm_server: VllmServer
) -> None:
    asked = questions(8, tokens=200, reply_type=Scene)
    with fault_proxy(vllm_server.url, fault=lambda _, body: fault if "picture 3?" in spelled(body) else None) as proxy:
        found = ask([proxy.url], asked)
    assert {k: r.reason for k, r in found.items()} == {str(i): reason if i == 3 else None for i in range(8)}


def test_of_two_engines_one_killed_the_other_takes_over(
    vllm_server: VllmServer, quiet: dict[str, ChatReply], tmp_path: Path
) -> None:
    """The proxies only count; what is killed is a server, and it stays dead."""
    with (
        real_server(tmp_path / "second.log", restarts=0) as engine,
        fault_proxy(vllm_server.url) as first,
        fault_proxy(engine.url) as second,
    ):
        model = ServerModel([first.url, second.url], ModelIdentity(checkpoint().name, "main"), concurrency=4)
        ask([engine.url], questions(1))  # a first request takes many times as long
        found: dict[str, ChatReply] = {}
        killed = False
        for reply in model.complete(questions(48)):
            found[reply.key] = reply
            if not killed and len(second.delivered) >= 4:
                kill_api_process(engine)
                killed = True
        model.close()
        assert killed and engine.restarted == 0
    assert len(found) == 48
    assert {r.reason for r in found.values()} == {None}
    assert len(second.delivered) > 0 and len(first.delivered) > len(second.delivered)
    assert len({*first.delivered, *second.delivered}) == len(first.delivered) + len(second.delivered) == 48
    assert same_texts(found, quiet) >= 46


@pytest.mark.parametrize("kind", [NamedEntities, SubjectWeights])
def test_the_shipped_captioners_data_is_valid_64_of_64(vllm_server: VllmServer, kind: type[BaseModel]) -> None:
    prompt = load("entities" if kind is NamedEntities else "subjects")
    captions = [news_caption(scene(77, i, "heldout"), generator(77, 1, i)).text for i in range(64)]
    sampling = Sampling(max_tokens=512)
    asked = [
        ChatRequest(str(i), prompt.render(text, {}), sampling=sampling, reply_type=kind)
        for i, text in enumerate(captions)
    ]
    found = ask([vllm_server.url], asked, concurrency=64)
    assert {r.detail for r in found.values() if r.reason is not None} == set()
    actual = [kind.model_validate_json(r.text or "") for r in found.values()]
    assert len({t.model_dump_json() for t in actual}) > 16, "they are about their captions"


def test_hostile_alt_texts_change_no_replys_form(vllm_server: VllmServer) -> None:
    prompt = load("dense")
    sampling = Sampling(max_tokens=120)
    asked = [
        ChatRequest(str(i), prompt.render(text, {}), image=picture(i), sampling=sampling, reply_type=Scene)
        for i, text in enumerate(HOSTILE)
    ]
    found = ask([vllm_server.url], asked, concurrency=64)
    assert {r.detail for r in found.values() if r.reason is not None} == set()
