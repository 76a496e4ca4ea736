"""Whatever a server does, every request gets exactly one reply, and the run an end."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity, Sampling
from curation.caption.model.probe import probe
from curation.caption.model.server import ServerModel
from curation.core.errors import EndpointsGone, ModelError
from schemas.reasons import Reason
from tests.support.chat_server import MODEL, Answer, ChatServer, chat_server, completion, events

IDENTITY = ModelIdentity(MODEL, "main")


class Animal(BaseModel):
    name: str
    legs: int


def questions(count: int, **more: Any) -> list[ChatRequest]:
    return [ChatRequest(str(i), f"question {i}", image=b"\xff\xd8 jpeg %d" % i, **more) for i in range(count)]


def ask(urls: str | list[str], requests: Iterable[ChatRequest], **settings: Any) -> dict[str, ChatReply]:
    settings = {"concurrency": 4, "timeout": 5.0, "retries": 4} | settings
    model = ServerModel([urls] if isinstance(urls, str) else urls, IDENTITY, **settings)
    try:
        replies = list(model.complete(requests))
    finally:
        model.close()
    assert len({r.key for r in replies}) == len(replies)
    return {r.key: r for r in replies}


def text_of(body: dict[str, Any]) -> str:
    question = next(m["content"] for m in body["messages"] if isinstance(m["content"], list))
    return str(next(p["text"] for p in question if p["type"] == "text"))


def closed_port() -> str:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe_socket.getsockname()[1]}/v1"


def first_times(fault: str, times: int = 1) -> Callable[[int, dict[str, Any]], str | None]:
    """The fault for the first tries of each question."""
    seen: dict[str, int] = {}

    def decide(_: int, body: dict[str, Any]) -> str | None:
        seen[text_of(body)] = seen.get(text_of(body), 0) + 1
        return fault if seen[text_of(body)] <= times else None

    return decide


def test_every_request_gets_its_own_reply() -> None:
    with chat_server(reply=lambda body: f"to {text_of(body)}") as server:
        replies = ask(server.url, questions(50))
    assert {k: r.text for k, r in replies.items()} == {str(i): f"to question {i}" for i in range(50)}
    assert {(r.finish, r.tokens_in, r.tokens_out) for r in replies.values()} == {("stop", 11, 7)}
    assert len(server.asked) == 50


def test_images_travel_inside_the_request_and_never_as_links() -> None:
    with chat_server() as server:
        ask(server.url, questions(3))
    assert sorted(server.image_urls) == [
        "data:image/jpeg;base64,/9gganBlZyAw",
        "data:image/jpeg;base64,/9gganBlZyAx",
        "data:image/jpeg;base64,/9gganBlZyAy",
    ]


def test_sampling_and_seed_are_said() -> None:
    sampling = Sampling(max_tokens=9, temperature=0.5, top_p=0.9, repetition_penalty=1.2, seed=3)
    with chat_server() as server:
        ask(server.url, questions(2, sampling=sampling, system="be brief"))
    for body in server.asked:
        found = [body[k] for k in ("model", "max_tokens", "temperature", "top_p", "repetition_penalty")]
        assert found == [MODEL, 9, 0.5, 0.9, 1.2]
        assert body["messages"][0] == {"role": "system", "content": "be brief"}
    assert len({b["seed"] for b in server.asked}) == 2


def test_no_more_requests_are_in_flight_than_asked_for_and_no_fewer() -> None:
    with chat_server(delay=0.03) as server:
        ask(server.url, questions(40), concurrency=5)
    assert server.most == 5


def test_requests_are_pulled_only_as_room_frees() -> None:
    pulled: list[int] = []

    def source() -> Iterable[ChatRequest]:
        for i, request in enumerate(questions(1000)):
            pulled.append(i)
            yield request

    with chat_server() as server:
        model = ServerModel([server.url], IDENTITY, concurrency=4)
        replies = model.complete(source())
        for _ in range(10):
            next(replies)
        assert len(pulled) <= 10 + 2 * 4
        replies.close()  # type: ignore[attr-defined]
        model.close()
    assert len(server.asked) < 100


@pytest.mark.parametrize("fault", ["429", "429-wait", "500", "503", "reset", "half", "html"])
def test_a_passing_fault_is_tried_again(fault: str) -> None:
    with chat_server(fault=first_times(fault)) as server:
        replies = ask(server.url, questions(6), concurrency=8)
    assert all(r.text for r in replies.values())
    assert len(server.asked) == 12


def test_429_and_500_by_turns_lose_nothing() -> None:
    with chat_server(fault=lambda n, _: ("429-wait", "500", None, None)[n % 4]) as server:
        replies = ask(server.url, questions(20))
    assert all(r.text for r in replies.values())


def test_a_late_reply_is_asked_for_again() -> None:
    with chat_server(fault=first_times("hang")) as server:
        replies = ask(server.url, questions(3), timeout=0.3)
    assert all(r.text for r in replies.values())
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("fault", "reason", "tries"),
    [
        ("400", Reason.MODEL_REFUSED_REQUEST, 1),
        ("no_choice", Reason.MODEL_ERROR, 2),
        ("empty", Reason.INVALID_REPLY, 2),
        ("refusal", Reason.INVALID_REPLY, 2),
        ("schema", Reason.MODEL_ERROR, 2),
        ("huge", Reason.INVALID_REPLY, 2),
        ("html", Reason.MODEL_ERROR, 2),
        ("500", Reason.MODEL_ERROR, 2),
        ("half", Reason.MODEL_ERROR, 2),
        ("hang", Reason.MODEL_ERROR, 2),
    ],
)
def test_a_lasting_fault_is_that_samples_status_and_no_others(fault: str, reason: Reason, tries: int) -> None:
    def bad(_: int, body: dict[str, Any]) -> str | None:
        return fault if text_of(body) == "question 2" else None

    with chat_server(fault=bad) as server:
        replies = ask(server.url, questions(5), retries=1, timeout=1.0)
        tried = [b for b in server.asked if text_of(b) == "question 2"]
    assert {k for k, r in replies.items() if r.text is None} == {"2"}
    assert replies["2"].reason is reason
    assert replies["2"].detail
    assert len(tried) == tries


@pytest.mark.parametrize(
    "fault",
    [
        Answer({"error": {"message": "free-models-per-day", "code": 429}}),
        Answer({"error": "overloaded", "error_type": "overloaded"}),
        Answer({"object": "error", "message": "m", "code": 503}),
        Answer({"detail": "something"}),
        Answer(completion("half a reply", "abort")),
        Answer(completion("half a reply", "error")),
        Answer(completion("half a reply", None)),
        events("half a", finish=None),
        events("half a", finish="abort"),
    ],
)
def test_an_error_inside_a_200_and_half_a_reply_are_tried_again(fault: Answer) -> None:
    seen: set[str] = set()

    def once(_: int, body: dict[str, Any]) -> Answer | None:
        new = text_of(body) not in seen
        seen.add(text_of(body))
        return fault if new else None

    with chat_server(fault=once) as server:
        replies = ask(server.url, questions(3))
    assert {r.text for r in replies.values()} == {"A plain reply of the server."}
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "fault",
    [
        Answer(completion("half a reply", "content_filter")),
        Answer(completion(None, "SAFETY")),
        Answer({"error": {"message": "m", "code": "content_filter"}}, 400),
        Answer({"error": {"message": "m", "code": "content_filter"}}),
    ],
)
def test_what_a_content_filter_withholds_is_rejected_by_that_name_at_once(fault: Answer) -> None:
    with chat_server(fault=lambda _, body: fault if text_of(body) == "question 1" else None) as server:
        replies = ask(server.url, questions(3))
    assert {k: r.reason for k, r in replies.items() if r.text is None} == {"1": Reason.CONTENT_FILTER}
    assert len(server.asked) == 3


@pytest.mark.parametrize("fault", ["500", "hang", "reset", "half", "html", "no_choice", "schema", "408"])
def test_a_failure_that_passes_is_never_a_verdict(fault: str) -> None:
    with chat_server(fault=lambda _, body: fault if text_of(body) == "question 1" else None) as server:
        replies = ask(server.url, questions(4), retries=1, timeout=0.5)
    assert {k: r.reason for k, r in replies.items() if r.text is None} == {"1": Reason.MODEL_ERROR}


def test_thinking_alone_is_asked_for_once_and_names_its_cause() -> None:
    thinking = Answer(completion(None, "length", reasoning_content="Okay, so"))
    with chat_server(fault=lambda *_: thinking) as server:
        reply = ask(server.url, questions(1))["0"]
    assert reply.reason is Reason.MODEL_ERROR and "reasoning_content" in (reply.detail or "")
    assert len(server.asked) == 1


def test_a_reply_that_was_cut_is_corrected_with_more_tokens() -> None:
    def reply(_: int, body: dict[str, Any]) -> Answer | None:
        text = '{"name": "cow", "legs": 4}'
        return Answer(completion(text) if body["max_tokens"] > 9 else completion(text[:12], "length"))

    with chat_server(fault=reply) as server:
        found = ask(server.url, questions(1, reply_type=Animal, sampling=Sampling(max_tokens=9)))["0"]
    assert found.text and [body["max_tokens"] for body in server.asked] == [9, 18]
    assert found.tokens_out == 14  # both replies were paid for


def test_a_reply_cut_at_the_limit_says_so() -> None:
    with chat_server(fault=lambda *_: "length") as server:
        assert ask(server.url, questions(1))["0"].finish == "length"


def test_a_lone_surrogate_is_replaced() -> None:
    with chat_server(fault=lambda *_: "surrogate") as server:
        reply = ask(server.url, questions(1))["0"]
    assert reply.text == "a lone \ufffd surrogate"


def test_a_schema_is_sent_and_the_reply_checked_all_the_same() -> None:
    def reply(body: dict[str, Any]) -> str:
        return json.dumps({"name": "cow", "legs": 4 if text_of(body) == "question 0" else "many"})

    with chat_server(reply=reply) as server:
        replies = ask(server.url, questions(2, reply_type=Animal))
    sent = server.asked[0]["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == Animal.model_json_schema()
    assert Animal.model_validate_json(replies["0"].text or "") == Animal(name="cow", legs=4)
    assert replies["1"].reason is Reason.INVALID_REPLY
    assert "legs" in (replies["1"].detail or "")


def test_a_reply_that_is_not_what_was_asked_for_is_repaired_once() -> None:
    def reply(body: dict[str, Any]) -> str:
        return '{"name": "cow", "legs": 4}' if len(body["messages"]) > 1 else '{"name": "cow", "legs": "many"}'

    with chat_server(reply=reply) as server:
        replies = ask(server.url, questions(1, reply_type=Animal))
    assert Animal.model_validate_json(replies["0"].text or "") == Animal(name="cow", legs=4)
    first, second = server.asked
    question, said, found = second["messages"]
    assert [question] == first["messages"] and second["response_format"] == first["response_format"]
    assert said == {"role": "assistant", "content": '{"name": "cow", "legs": "many"}'}
    assert found["role"] == "user" and "legs" in found["content"]


def test_a_repair_that_a_server_refuses_leaves_an_unusable_reply() -> None:
    with chat_server(fault=lambda _, body: "400" if len(body["messages"]) > 1 else None) as server:
        reply = ask(server.url, questions(1, reply_type=Animal))["0"]
    assert reply.reason is Reason.INVALID_REPLY and "Animal" in (reply.detail or "")
    assert len(server.asked) == 2


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, closed_port())
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with chat_server() as server:
        assert ask(server.url, questions(2))["0"].text
        assert probe([server.url], MODEL, "main") == IDENTITY


def test_two_servers_share_the_work() -> None:
    with chat_server(delay=0.02) as one, chat_server(delay=0.02) as other:
        ask([one.url, other.url], questions(60))
    assert len(one.asked) + len(other.asked) == 60
    assert 20 <= len(one.asked) <= 40


def test_the_least_busy_server_is_asked_first_where_there_is_no_picture() -> None:
    with chat_server(delay=0.3) as one, chat_server(delay=0.3) as other:
        ask([one.url, other.url], [replace(q, image=None) for q in questions(4)])
    assert (len(one.asked), len(other.asked)) == (2, 2)


def test_a_dying_server_loses_no_request_and_gets_no_more() -> None:
    with chat_server(delay=0.01) as one, chat_server(delay=0.01) as other:
        replies: dict[str, ChatReply] = {}
        model = ServerModel([one.url, other.url], IDENTITY, concurrency=4, timeout=5.0)
        for reply in model.complete(questions(200)):
            replies[reply.key] = reply
            if len(replies) == 40:
                one.stop()
        model.close()
    assert len(replies) == 200
    assert all(r.text for r in replies.values())
    assert len(one.asked) + len(other.asked) <= 200 + 2 * 4


def test_a_server_that_comes_back_is_used_again() -> None:
    with chat_server(delay=0.01) as one, chat_server(delay=0.05) as other:
        again = ChatServer(port=one.port, delay=0.01)
        model = ServerModel([one.url, other.url], IDENTITY, concurrency=2, timeout=5.0)
        for done, reply in enumerate(model.complete(questions(150)), 1):
            assert reply.text
            if done == 10:
                one.stop()
                again.start()
        model.close()
        again.stop()
    assert len(again.asked) > 50


def test_a_restarted_only_server_loses_nothing() -> None:
    with chat_server(delay=0.01) as one:
        again = ChatServer(port=one.port)
        model = ServerModel([one.url], IDENTITY, concurrency=8, timeout=20.0, retries=1)
        replies: dict[str, ChatReply] = {}
        for reply in model.complete(questions(100)):
            replies[reply.key] = reply
            if len(replies) == 30:
                one.stop()
                threading.Timer(1.5, again.start).start()
        model.close()
        again.stop()
    assert len(replies) == 100
    assert all(r.text for r in replies.values())


def test_tries_that_find_nobody_listening_do_not_count() -> None:
    port = int(closed_port().rsplit(":", 1)[1].split("/")[0])
    late = ChatServer(port=port)
    threading.Timer(0.5, late.start).start()
    replies = ask(late.url, questions(5), retries=0)
    late.stop()
    assert all(r.text for r in replies.values())


def test_when_all_servers_are_gone_the_run_ends_in_one_line_before_the_other_questions_are_lost() -> None:
    with chat_server() as one:
        got: list[ChatReply] = []
        model = ServerModel([one.url], IDENTITY, concurrency=4, timeout=1.0)
        with pytest.raises(EndpointsGone) as gone:
            for reply in model.complete(questions(10_000)):
                got.append(reply)
                if len(got) == 20:
                    one.stop()
        model.close()
    assert "\n" not in str(gone.value)
    assert one.url in str(gone.value)
    assert all(r.text for r in got) and 20 <= len(got) <= len(one.asked) < 100


def test_a_server_that_only_fails_ends_the_run_too() -> None:
    with chat_server(fault=lambda *_: "503") as server, pytest.raises(EndpointsGone):
        ask(server.url, questions(500), timeout=1.0, concurrency=4)


def test_the_probe_names_what_is_wrong() -> None:
    with chat_server(model="other") as server, pytest.raises(ModelError, match=r"serves other, not 'tiny'"):
        probe([server.url], MODEL, "main")
    with chat_server(models_body="<html>") as server, pytest.raises(ModelError, match="not an OpenAI-compatible"):
        probe([server.url], MODEL, "main")
    with pytest.raises(ModelError, match="no model server can be used") as error:
        probe([closed_port()], MODEL, "main")
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="not a http"):
        probe(["127.0.0.1:8000"], MODEL, "main")


def test_the_probe_works_where_an_event_loop_runs() -> None:
    async def notebook() -> ModelIdentity:
        return probe([server.url], MODEL, "main")

    with chat_server() as server:
        assert asyncio.run(notebook()) == IDENTITY


def test_the_probe_needs_one_server_of_several() -> None:
    with chat_server() as server:
        assert probe([closed_port(), server.url], MODEL, "main") == IDENTITY


def test_the_revision_outlives_a_restart_and_tells_models_apart() -> None:
    with chat_server(root="org/weights-7b") as server:
        one = probe([server.url], MODEL, "v1")
    with chat_server(root="org/weights-7b") as server:
        assert probe([server.url], MODEL, "v1") == one
    with chat_server(root="org/weights-8b") as server:
        other = probe([server.url], MODEL, "v1")
    assert one.revision != other.revision
    with chat_server(root="/data/models/weights") as server, chat_server(root="/mnt/weights") as moved:
        assert probe([server.url], MODEL, "v1") == probe([moved.url], MODEL, "v1")
    with chat_server(root="a") as server, chat_server(root="b") as second, pytest.raises(ModelError, match="different"):
        probe([server.url, second.url], MODEL, "v1")


PAGE = (
    "<!DOCTYPE html>\n<html><head><title>404 Not Found</title><style>body { color: red }</style></head>\n"
    "<body><h1>\x1b[31mNot Found\x1b[0m</h1><script>alert('x')</script><!-- nginx --><p>" + "No such page. " * 400
)


@pytest.mark.parametrize("status", [400, 404, 418, 500, 503])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PAGE, "404 Not Found [31mNot Found [0m No such page."),
        ("\n  " + PAGE.replace("<!DOCTYPE html>", ""), "404 Not Found [31mNot Found"),
        ("plain words\r\n\x1b]0;title\x07 and <more> of \u202ethem", "plain words ]0;title and <more> of them"),
        ('{"error": {"message": "first\\n\\u001b[2Jsecond"}}', "first [2Jsecond"),
    ],
)
def test_the_page_of_a_wrong_server_is_its_first_words_on_one_line(status: int, body: str, said: str) -> None:
    page = Answer(body, status=status, kind="text/html")
    with chat_server(models=page, fault=lambda *_: page) as server, pytest.raises(ModelError) as found:
        probe([server.url], MODEL, "main")
    line = str(found.value)
    assert f"HTTP {status}: {said}" in line
    assert line.isprintable() and len(line) < 600
    assert not [markup for markup in ("html", "<p>", "color", "alert", "nginx") if markup in line]


def test_the_names_that_a_server_lists_cannot_steer_the_terminal() -> None:
    with chat_server(model="other\x1b[2J") as server, pytest.raises(ModelError, match=r"serves other \[2J") as found:
        probe([server.url], MODEL, "main")
    assert str(found.value).isprintable()
