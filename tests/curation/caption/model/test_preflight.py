"""A server is asked before any work whether it can do what the stages will want of it."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

import pytest
from pydantic import ValidationError

from curation.caption.model.chat import ModelIdentity
from curation.caption.model.preflight import preflight
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import load
from curation.caption.recaption_stage import RecaptionStage
from curation.core.errors import ModelError
from curation.news.entities_stage import EntitiesStage
from curation.news.subjects_stage import SubjectsStage
from schemas.anchor import BuildAnchor, Entities, Subjects
from schemas.recipe import Captioning, Chat, Serve
from tests.support.chat_server import MODEL, ChatServer, chat_server

IDENTITY = ModelIdentity(MODEL, "main")


def stages(server: ChatServer) -> list[EntitiesStage | SubjectsStage]:
    chat = Chat(backend="server", model=MODEL, endpoints=[server.url])
    return [
        EntitiesStage(Entities(recogniser="llm"), IDENTITY, chat, load("entities")),
        SubjectsStage(Subjects(), IDENTITY, chat, load("subjects")),
    ]


def guided(body: dict[str, Any]) -> str:
    return '{"' if "response_format" in body else "A reply in words."


@pytest.mark.parametrize("number", [0, 1])
def test_whoever_wants_data_finds_out_that_a_schema_is_ignored(number: int) -> None:
    with chat_server() as server, pytest.raises(ModelError, match="ignores response_format json_schema") as told:
        stages(server)[number].check()
    assert "\n" not in str(told.value)
    (probe,) = [body for body in server.asked if "response_format" in body]
    assert probe["max_tokens"] == 1


@pytest.mark.parametrize("number", [0, 1])
def test_a_model_that_answers_with_json_by_itself_is_found_out_too(number: int) -> None:
    def taught(body: dict[str, Any]) -> str:
        return "{" if body["max_tokens"] == 1 else '{"entities":[]}'

    with chat_server(reply=taught) as server, pytest.raises(ModelError, match="ignores response_format json_schema"):
        stages(server)[number].check()


@pytest.mark.parametrize("number", [0, 1])
def test_a_server_that_honours_schemas_is_fit_and_sees_the_longest_prompt(number: int) -> None:
    with chat_server(reply=guided) as server:
        stages(server)[number].check()
    assert any(typical_alt_text().strip() in json.dumps(body) for body in server.asked)
    assert [body["max_tokens"] for body in server.asked if "response_format" in body] == [1, 12, 512]
    assert server.image_urls == []


def test_what_answers_in_words_is_asked_for_no_schema() -> None:
    with chat_server() as server:
        RecaptionStage.of(Captioning(backend="server", model=MODEL, endpoints=[server.url])).check()
    assert server.asked and not any("response_format" in body for body in server.asked)


def test_a_news_recipe_too_may_have_a_server_started_but_not_beside_others() -> None:
    own = Serve(python="/srv/vllm/bin/python")
    assert BuildAnchor(llm=Chat(backend="server", serve=own)).llm.serve == own
    with pytest.raises(ValidationError, match=r"llm\.serve\.python starts a server"):
        BuildAnchor(llm=Chat(backend="server", serve=own, endpoints=["http://127.0.0.1:1/v1"]))


def test_rules_ask_no_server() -> None:
    EntitiesStage(Entities(), IDENTITY).check()
    SubjectsStage(Subjects(method="salience")).check()


@pytest.mark.parametrize(("hours", "said"), [(0, False), (2, True), (-48, True)])
def test_clocks_that_are_apart_are_told(hours: int, said: bool, caplog: pytest.LogCaptureFixture) -> None:
    date = email.utils.formatdate(time.time() + hours * 3600, usegmt=True)
    with chat_server(head=f"Date: {date}\r\n") as server:
        preflight([server.url], MODEL, [ProbeRequest("dense", "", "Describe.", 9)], image_side=0)
    assert ("clocks" in caplog.text) == said


def fitness(server: ChatServer, image_side: int = 64) -> None:
    preflight([server.url], MODEL, [ProbeRequest("dense", "", "Describe.", 9)], image_side=image_side)


@pytest.mark.parametrize("fault", ["429", "429-wait", "503", "500", "408"])
def test_a_server_that_is_busy_for_a_moment_is_fit(fault: str) -> None:
    with chat_server(fault=lambda number, _: fault if number == 0 else None) as server:
        fitness(server)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("429", "is busy: HTTP 429: as told"),
        ("503", "is unwell: HTTP 503: as told"),
        ("401", "answers nobody: HTTP 401: as told .*api_key_env"),
        ("413", "refuses the prompt of kind 'dense': HTTP 413"),
        ("415", "takes no images"),
        ("400", "takes no images"),
        ("404", r"takes no images \(HTTP 404: as told"),
        ("500", r"takes no images \(HTTP 500: as told"),
        ("408", "is unwell: HTTP 408"),
        ("502", "is unwell: HTTP 502"),
    ],
)
def test_only_a_refusal_of_images_says_that_a_model_takes_none(fault: str, said: str) -> None:
    def blind(_: int, body: dict[str, Any]) -> str | None:
        return fault if "image_url" in json.dumps(body) else None

    with chat_server(fault=blind) as server, pytest.raises(ModelError, match=said) as told:
        fitness(server)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("404", "answers nobody: HTTP 404"), ("500", "is unwell: HTTP 500"), ("400", "refuses the prompt")],
)
def test_what_is_refused_without_an_image_too_is_no_matter_of_images(fault: str, said: str) -> None:
    with chat_server(fault=lambda *_: fault) as server, pytest.raises(ModelError, match=said):
        fitness(server)


@pytest.mark.parametrize(("fault", "said"), [("503", "is unwell: HTTP 503"), ("400", "refuses replies by JSON Schema")])
def test_a_server_that_is_unwell_is_not_said_to_refuse_schemas(fault: str, said: str) -> None:
    def faulty(_: int, body: dict[str, Any]) -> str | None:
        return fault if "response_format" in body else None

    with chat_server(fault=faulty) as server, pytest.raises(ModelError, match=said):
        stages(server)[0].check()
