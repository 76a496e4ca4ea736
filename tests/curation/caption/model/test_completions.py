"""Every form in which servers send a reply, an error or half a reply is read as what it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curation.caption.model.completions import Filtered, Unusable, read_completion
from curation.caption.model.retrying import Fault, Refused, error_of_body, retry_after
from tests.support.chat_server import Answer, completion, events

TEXT = "A red circle lies on a green floor."


def read(answer: Any, max_tokens: int = 256) -> str:
    answer = answer if isinstance(answer, Answer) else Answer(answer)
    reply = read_completion("k", answer.text.encode(), max_tokens, streamed=answer.kind == "text/event-stream")
    assert reply.key == "k" and reply.reason is None
    return reply.text or ""


@pytest.mark.parametrize(
    ("answer", "status", "fault"),
    [
        ({"error": {"message": "Rate limit exceeded", "code": 429}, "user_id": "u"}, 429, "busy"),
        ({"error": {"message": "m", "code": "429"}}, 429, "busy"),
        ({"error": {"message": "m", "type": "rate_limit_error", "code": None}}, 429, "busy"),
        ({"error": {"message": "m", "type": "insufficient_quota", "param": None}}, 429, "busy"),
        ({"error": {"message": "m", "type": "throttling_error", "code": "429"}}, 429, "busy"),
        ({"error": {"message": "m", "code": "rate_limit_exceeded"}}, 429, "busy"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 429, "busy"),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, 429, "busy"),
        ([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}], 429, "busy"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "m"}}, 429, "busy"),
        ({"code": "Throttling.RateQuota", "message": "m", "request_id": "r"}, 429, "busy"),
        ({"error": "You exceeded your quota, please wait"}, 429, "busy"),
        ({"object": "error", "message": "m", "type": "TooManyRequests", "code": 429}, 429, "busy"),
        ({"object": "error", "message": "m", "type": "InternalServerError", "code": 500}, 500, "unwell"),
        ({"error": {"message": "m", "type": "server_error"}}, 500, "unwell"),
        ({"error": {"message": "m", "code": "model_not_ready"}}, 503, "unwell"),
        ({"error": {"message": "upstream timed out", "type": "timeout"}}, 504, "unwell"),
        ({"detail": "Service Unavailable", "status": 503}, 503, "unwell"),
        ({"detail": "something went wrong"}, 500, "unwell"),
        ({"error": True, "message": "something went wrong"}, 500, "unwell"),
        ({"error": "something went wrong"}, 500, "unwell"),
        ({"errors": [{"message": "m", "code": 502}], "success": False}, 502, "unwell"),
        ({"message": "m", "status_code": 503}, 503, "unwell"),
        ({"message": "m", "statusCode": "500"}, 500, "unwell"),
        ({"error": {"message": "m", "code": 401}}, 401, "server"),
        ({"error": {"message": "m", "type": "authentication_error"}}, 401, "server"),
        ({"error": {"message": "m", "code": "invalid_api_key"}}, 401, "server"),
        ({"error": {"message": "no credits", "code": 402}}, 402, "server"),
        ({"error": {"message": "m", "type": "insufficient_balance"}}, 402, "server"),
        ({"error": {"message": "m", "code": "model_not_found"}}, 404, "server"),
        ({"error": {"message": "m", "code": "context_length_exceeded"}}, 400, "request"),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, 400, "request"),
        ({"error": {"code": 429, "message": "m"}, "choices": []}, 429, "busy"),
        ({"error": {"code": 502, "message": "m"}, "choices": [{"message": {"content": "half"}}]}, 502, "unwell"),
        ({"choices": [{"error": {"code": 429}, "message": {"content": "x"}, "finish_reason": "error"}]}, 429, "busy"),
        (Answer('data: {"error": {"message": "m", "code": 429}}\n\n', kind="text/event-stream"), 429, "busy"),
        (Answer('data: {"object": "error", "code": 503, "message": "m"}\n\ndata: [DONE]\n\n'), 503, "unwell"),
    ],
)
def test_an_error_inside_a_200_is_the_status_that_it_names(answer: Any, status: int, fault: Fault) -> None:
    with pytest.raises(Refused) as found:
        read(answer)
    assert (found.value.status, found.value.fault, found.value.sent) == (status, fault, 200)
    assert f"means {status}" in found.value.text and "\n" not in found.value.text


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "m", "code": "content_filter"}},
        {"error": {"message": "m", "type": "content_policy_violation", "code": 400}},
        {"code": "data_inspection_failed", "message": "m"},
    ],
)
def test_an_error_of_a_content_filter_is_told_apart(answer: Any) -> None:
    with pytest.raises(Refused) as found:
        read(answer)
    assert found.value.filtered


@pytest.mark.parametrize(
    ("sent", "body", "status"),
    [
        (400, {"error": {"message": "m", "type": "rate_limit_exceeded"}}, 429),
        (400, {"error": {"message": "Provider returned error", "code": 400}}, 400),
        (400, {"code": "Arrearage", "message": "m"}, 402),
        (500, {"error": {"message": "m", "code": 400}}, 500),
        (404, {"detail": "Not Found"}, 404),
        (503, "<html>busy</html>", 503),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}, 422),
    ],
)
def test_a_status_counts_unless_a_bad_request_is_an_overload_passed_on(sent: int, body: Any, status: int) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    refused = Refused(sent, error_of_body(raw))
    assert refused.status == status and refused.message


@pytest.mark.parametrize(
    ("finish", "cut"),
    [
        *((name, False) for name in ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "STOP", "COMPLETE")),
        *((name, True) for name in ("length", "max_tokens", "MAX_TOKENS", "model_context_window_exceeded")),
    ],
)
def test_a_known_end_is_a_reply(finish: str, cut: bool) -> None:
    reply = read_completion("k", json.dumps(completion(TEXT, finish)).encode(), 9)
    assert (reply.text, reply.finish) == (TEXT, "length" if cut else "stop")


@pytest.mark.parametrize(
    "finish",
    ["abort", "error", "network_error", "insufficient_system_resource", "cancelled", "tool_calls", "", None, "?"],
)
def test_an_unknown_end_is_never_a_good_one(finish: str | None) -> None:
    with pytest.raises(Unusable) as found:
        read(completion(TEXT, finish))
    assert (found.value.transient and "finish_reason" in str(found.value)) or repr(finish) in str(found.value)


@pytest.mark.parametrize("finish", ["content_filter", "SAFETY", "RECITATION", "sensitive", "guardrail_intervened"])
def test_an_end_by_a_content_filter_has_its_own_name(finish: str) -> None:
    with pytest.raises(Filtered, match=finish):
        read(completion(TEXT, finish))


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        [{"type": "text", "text": TEXT}],
        [{"type": "text", "text": "A red circle "}, {"type": "text", "text": "lies on a green floor."}],
        [{"type": "output_text", "text": TEXT}],
        [TEXT],
        {"type": "text", "text": TEXT},
        [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}, {"type": "text", "text": TEXT}],
        f"<think>so</think>{TEXT}",
    ],
)
def test_content_may_be_a_text_or_a_list_of_parts(content: Any) -> None:
    assert read(completion(content)) == TEXT


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking", "reasoning_details"])
def test_thinking_in_a_field_of_its_own_is_no_part_of_the_reply(field: str) -> None:
    assert read(completion(TEXT, **{field: "so, a circle"})) == TEXT


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (completion(None, "length", reasoning_content="Okay, so"), "reasoning_content"),
        (completion("", "length", reasoning="Okay, so"), "reasoning"),
        (completion(None, "length", reasoning_details=[{"text": "Okay"}]), "reasoning_details"),
        (completion("<think>Okay, so", "length"), "thinking markers"),
        (completion([{"type": "thinking", "thinking": "Okay"}], "length"), "thinking markers"),
        (completion("<|channel|>analysis<|message|>Okay", "length"), "thinking markers"),
        (events({"reasoning_content": "Okay"}, {"reasoning_content": ", so"}, finish="length"), "reasoning_content"),
    ],
)
def test_thinking_that_uses_up_the_reply_is_told_with_the_settings(answer: Any, names: str) -> None:
    with pytest.raises(Unusable) as found:
        read(answer)
    actual = str(found.value)
    assert names in actual and "max_tokens" in actual and "enable_thinking" in actual
    assert found.value.transient and found.value.thought


def test_thinking_without_an_answer_is_told_too() -> None:
    with pytest.raises(Unusable, match=r"no answer.*reasoning parser") as found:
        read(completion(None, "stop", reasoning_content="A red circle."))
    assert found.value.transient and found.value.thought


@pytest.mark.parametrize(
    "answer",
    [
        events("A red circle ", "lies on ", "a green floor."),
        events({"role": "assistant"}, TEXT, {}),
        events({"reasoning_content": "so"}, TEXT),
        events("<think>so</think>", TEXT),
        events({"content": [{"type": "text", "text": TEXT}]}),
        events(TEXT, done=False),
        Answer(events(TEXT).text.replace("\n", "\r\n"), kind="text/event-stream"),
        Answer(": keep-alive\n\n" + events(TEXT).text),
        Answer(events(TEXT).text.replace("data: ", "event: message\ndata:")),
    ],
)
def test_a_stream_of_events_adds_up_to_its_reply(answer: Answer) -> None:
    assert read(answer) == TEXT


@pytest.mark.parametrize(
    "answer", [events("half a", finish=None), Answer("data: nonsense\n\n"), Answer("data: [DONE]\n\n")]
)
def test_a_stream_that_breaks_off_is_no_reply(answer: Answer) -> None:
    with pytest.raises(Unusable, match="stream") as found:
        read(answer)
    assert found.value.transient


@pytest.mark.parametrize(
    "answer",
    [Answer("<html>"), Answer(""), Answer("[]"), Answer('"text"'), {"answer": 42}, {"choices": []}, {"choices": [{}]}],
)
def test_what_is_no_completion_says_nothing_about_the_sample(answer: Any) -> None:
    with pytest.raises((Unusable, Refused)) as found:
        read(answer)
    assert found.value.transient if isinstance(found.value, Unusable) else found.value.fault == "unwell"


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": {"text": 5}}, {"prompt_tokens": -1}, {"prompt_tokens": "x"}]
)
def test_an_odd_usage_costs_no_reply(usage: Any) -> None:
    reply = read_completion("k", json.dumps({**completion(TEXT), "usage": usage}).encode(), 9)
    assert (reply.text, reply.tokens_in) == (TEXT, None)


def test_a_byte_order_mark_and_blanks_before_json_are_no_fault() -> None:
    raw = b"\xef\xbb\xbf" + json.dumps(completion(TEXT)).encode()
    assert read_completion("k", raw, 9).text == TEXT
    assert read_completion("k", b"\n \n" + raw[3:], 9).text == TEXT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.2"}, 0.2),
        ({"retry-after": "100000"}, 60.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}, 60.0),
        ({"retry-after": "Fri, 01 Jan 1999 00:00:00 GMT"}, 0.0),
        ({}, 0.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds
