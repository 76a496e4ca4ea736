"""A server is asked before any work whether it can do what the stages will want of it."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

import pytest
from pydantic import ValidationError

from curation.caption.model.chat import ChatRequest, ModelIdentity, Sampling
from curation.caption.model.preflight import preflight
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.model.server import ServerModel
from curation.caption.prompts import load
from curation.caption.recaption_stage import RecaptionStage
from curation.core.errors import ModelError
from curation.news.entities_stage import EntitiesStage
from curation.news.subjects_stage import SubjectsStage
from schemas.anchor import BuildAnchor, Entities, Subjects
from schemas.chat import Captioning, Chat, Parameters, Serve
from tests.support.chat_server import MODEL, Answer, ChatServer, Fault, chat_server, completion, events

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
    with chat_server() as server, pytest.raises(ModelError, match="ignores response_format json_schema") as error:
        stages(server)[number].check()
    assert "\n" not in str(error.value)
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
        ("401", "answers no request: HTTP 401: as told .*api_key_env"),
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

    with chat_server(fault=blind) as server, pytest.raises(ModelError, match=said) as error:
        fitness(server)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("404", "answers no request: HTTP 404"), ("500", "is unwell: HTTP 500"), ("400", "refuses the prompt")],
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


def whole(**more: Any) -> ProbeRequest:
    sampling = Sampling(max_tokens=77, temperature=0.4, top_p=0.9, repetition_penalty=1.2, seed=5)
    return ProbeRequest("dense", "Be brief.", "Describe " + typical_alt_text(), 77, sampling=sampling, **more)


def checked(server: ChatServer, probe: ProbeRequest | None = None, image_side: int = 64, **more: Any) -> None:
    preflight([server.url], MODEL, [probe or whole()], image_side=image_side, **more)


def test_a_server_is_sent_what_the_run_will_send() -> None:
    with chat_server() as server:
        checked(server)
    sent = server.asked[0]
    assert [sent[k] for k in ("max_tokens", "temperature", "top_p", "repetition_penalty")] == [77, 0.4, 0.9, 1.2]
    assert "seed" in sent and sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert typical_alt_text() in json.dumps(sent) and len(server.image_urls) == 1


def refuses(*fields: str, status: int = 400, body: Any = None) -> Fault:
    """Refuses requests with any of these fields, as servers do whose models or gateways do not know them."""
    answer = Answer(body or {"error": {"message": "unsupported", "type": "invalid_request_error"}}, status)
    return lambda _, sent: answer if any(field in sent for field in fields) else None


@pytest.mark.parametrize(
    ("fault", "setting"),
    [
        (refuses("seed"), 'drop = ["seed"]'),
        (refuses("repetition_penalty"), 'drop = ["repetition_penalty"]'),
        (refuses("repetition_penalty", status=422, body={"detail": [{"msg": "extra"}]}), "repetition_penalty"),
        (refuses("temperature"), 'drop = ["temperature"]'),
        (refuses("top_p", "temperature"), 'drop = ["temperature", "top_p"]'),
        (refuses("max_tokens"), 'rename = {max_tokens = "max_completion_tokens"}'),
        (
            refuses("max_tokens", "temperature", "top_p"),
            'drop = ["temperature", "top_p"] and caption.parameters.rename',
        ),
        (refuses("max_tokens", "max_completion_tokens"), 'drop = ["max_tokens"]'),
        (refuses("seed", status=500), 'drop = ["seed"]'),
        (refuses("seed", status=404), 'drop = ["seed"]'),
        (
            lambda _, sent: Answer({"error": {"message": "m", "code": 400}}) if "seed" in sent else None,
            'drop = ["seed"]',
        ),
    ],
)
def test_a_field_that_a_server_refuses_is_named_with_the_setting_that_mends_it(fault: Fault, setting: str) -> None:
    with chat_server(fault=fault) as server, pytest.raises(ModelError, match="refuses the request's") as error:
        checked(server)
    assert setting in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"drop": ["seed", "repetition_penalty"]}, refuses("seed", "repetition_penalty")),
        ({"rename": {"max_tokens": "max_completion_tokens"}}, refuses("max_tokens")),
        ({"add": {"stream": True}}, lambda _, sent: None if sent.get("stream") else Answer({}, 400)),
    ],
)
def test_a_server_whose_wishes_are_followed_is_fit(parameters: dict[str, Any], fault: Fault) -> None:
    with chat_server(fault=fault) as server:
        checked(server, parameters=Parameters(**parameters))
        model = ServerModel([server.url], IDENTITY, parameters=Parameters(**parameters))
        (reply,) = model.complete([ChatRequest("k", "u", sampling=Sampling(repetition_penalty=1.1))])
        model.close()
    assert reply.text
    sent = server.asked[-1]
    assert not set(parameters.get("drop", [])) & sent.keys() and parameters.get("add", {}).items() <= sent.items()


@pytest.mark.parametrize("named", ["model", "messages"])
@pytest.mark.parametrize("how", [{"drop": ["{}"]}, {"rename": {"{}": "x"}}, {"add": {"{}": 1}}])
def test_model_and_messages_are_no_parameters(named: str, how: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=named):
        Parameters.model_validate(json.loads(json.dumps(how).replace("{}", named)))


def tokens(body: dict[str, Any]) -> int:
    return len(json.dumps(body["messages"])) // 4


def context(size: int) -> Fault:
    full = Answer({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}, 400)
    return lambda _, sent: full if tokens(sent) + sent["max_tokens"] > size else None


@pytest.mark.parametrize(
    ("probe", "size", "image_side", "names"),
    [
        (ProbeRequest("dense", "", "Describe.", 4000), 1000, 0, "refuses 4000 reply tokens"),
        (ProbeRequest("dense", "", "word " * 9000, 100), 2000, 0, "refuses the longest prompt of kind 'dense'"),
        (ProbeRequest("dense", "", "word " * 900, 100), 1400, 64, "do not fit"),
    ],
)
def test_a_context_that_is_too_small_is_told(probe: ProbeRequest, size: int, image_side: int, names: str) -> None:
    with chat_server(fault=context(size)) as server, pytest.raises(ModelError, match=names) as error:
        checked(server, probe, image_side)
    assert "--max-model-len" in str(error.value) and "takes no images" not in str(error.value)


def test_a_template_without_a_system_turn_is_told() -> None:
    def fault(_: int, sent: dict[str, Any]) -> Answer | None:
        return Answer({"message": "m", "code": 400}, 400) if sent["messages"][0]["role"] == "system" else None

    with chat_server(fault=fault) as server, pytest.raises(ModelError, match="refuses the system turn of kind 'dense'"):
        checked(server)


def has_image(body: dict[str, Any]) -> bool:
    return "image_url" in json.dumps(body)


@pytest.mark.parametrize(
    ("with_image", "without"),
    [(44, 44), (1, 44), (0, 0)],
)
def test_usage_that_counts_no_image_is_no_proof_of_blindness(with_image: int, without: int) -> None:
    def sees(_: int, body: dict[str, Any]) -> Answer:
        count = with_image if has_image(body) else without
        return Answer(completion("A red square." if has_image(body) else "I see nothing.", tokens_in=count))

    def blind(_: int, body: dict[str, Any]) -> Answer:
        return Answer(completion("A red square.", tokens_in=with_image if has_image(body) else without))

    with chat_server(fault=sees) as server:
        checked(server)
    with chat_server(fault=blind) as server, pytest.raises(ModelError, match="ignores images"):
        checked(server)
    assert len(set(server.image_urls)) == 3  # the test picture, and two that differ


def test_a_model_that_only_thinks_about_the_test_picture_is_told_and_may_run(caplog: pytest.LogCaptureFixture) -> None:
    thinking = Answer(completion(None, "length", reasoning_content="Okay, so"))
    with chat_server(fault=lambda *_: thinking) as server:
        checked(server)
    assert "reasoning_content" in caplog.text and "max_tokens" in caplog.text and "enable_thinking" in caplog.text


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (events("half", finish=None), "stream"),
        (Answer(completion("half", "abort")), "abort"),
        (Answer(completion("half", None)), "finish_reason"),
        (Answer("<html>"), "no JSON"),
    ],
)
def test_a_server_that_never_finishes_a_reply_is_told(answer: Answer, names: str) -> None:
    with chat_server(fault=lambda *_: answer) as server, pytest.raises(ModelError, match=names):
        checked(server)


def test_a_server_that_wants_to_be_asked_for_a_stream_is_told_with_the_setting() -> None:
    with (
        chat_server(fault=lambda _, sent: None if sent.get("stream") else Answer({"detail": "m"}, 400)) as server,
        pytest.raises(ModelError, match=r"parameters\.add = \{stream = true\}"),
    ):
        checked(server)


def test_a_server_that_only_streams_is_fit() -> None:
    with chat_server(fault=lambda *_: events("A red", " square.")) as server:
        checked(server)
