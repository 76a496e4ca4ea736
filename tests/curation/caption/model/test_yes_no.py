"""A yes or no is read from what models write, and its probability from what servers say of their tokens."""

from __future__ import annotations

import math
from typing import Any

import pytest

from curation.caption.model.chat import ChatReply, ChatRequest, accept, reply_key
from curation.caption.model.ledger import Ledger
from curation.caption.model.scripted import ScriptedModel
from curation.caption.model.yes_no import meaning, probability_of_yes, read_yes_no
from curation.core.store import Store
from schemas.reasons import Reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", True),
        ("No.", False),
        ("**Yes**", True),
        ('"no"', False),
        ("Yes, the ball is red.", True),
        ('{"answer": "yes"}', True),
        ("Answer: no", False),
        ("The answer is yes", None),
        ("TRUE", True),
        ("False", False),
        ("Nothing of it is there", None),
        ("yesterday", None),
        ("The ball is red", None),
        ("", None),
        ("я не знаю", None),
    ],
)
def test_an_answer_begins_with_yes_or_no(text: str, said: bool | None) -> None:
    assert read_yes_no(text) is said


def place(token: str, logprob: Any, **tops: float) -> dict[str, Any]:
    others = [{"token": t.replace("_", " "), "logprob": p} for t, p in tops.items()]
    return {"token": token, "logprob": logprob, "top_logprobs": others}


@pytest.mark.parametrize(
    ("content", "probability"),
    [
        ([place("Yes", math.log(0.6), Yes=math.log(0.6), No=math.log(0.2), Maybe=math.log(0.2))], 0.75),
        ([place("no", math.log(0.5), no=math.log(0.5), _Yes=math.log(0.25), YES=math.log(0.25))], 0.5),
        ([place("Yes", -0.1), place("no", math.log(0.9), yes=math.log(0.1))], 0.1),  # the last one is the answer
        ([place("A", -0.1), place("ball", -0.2)], None),
        ([place("Yes", "high")], None),
        ([place("Yes", float("nan"), no=float("nan"))], None),
        ([{"token": "Yes", "logprob": -0.5, "top_logprobs": None}], 1.0),
        ([], None),
        ("content", None),
        (None, None),
        ([None, 3, "Yes"], None),
    ],
)
def test_probability_is_the_share_of_yes_where_the_answer_stands(content: Any, probability: float | None) -> None:
    found = probability_of_yes({"content": content})
    assert found == (None if probability is None else pytest.approx(probability))


def written(*tokens: str) -> dict[str, Any]:
    """Tokens of which each that says yes or no was nine times as likely as the other one."""
    likely, unlikely = math.log(0.9), math.log(0.1)
    other = {True: "no", False: "yes"}
    said = [(t, meaning(t)) for t in tokens]
    return {"content": [place(t, -0.1) if m is None else place(t, likely, **{other[m]: unlikely}) for t, m in said]}


@pytest.mark.parametrize(
    ("tokens", "answer", "probability"),
    [
        (("Yes", ",", " there", " is", " no", " dog", "."), "Yes, there is no dog.", 0.9),
        (("No", ",", " it", " says", " Yes", "."), "No, it says Yes.", 0.1),
        (("<think>", "no", "?", " yes", "</think>", "\n", "Yes", ".", " No", " doubt"), "Yes. No doubt", 0.9),
        (("**", "No", "**", " yes"), "**No** yes", 0.1),
        (("Yes", "\ufffd", " no"), "Yes, no", 0.1),  # the tokens do not add up to the answer
        (("Yes", " no"), "", 0.1),
        (("yes", " yes", " no"), "yes no", 0.9),
    ],
)
def test_what_is_explained_after_the_answer_does_not_count(
    tokens: tuple[str, ...], answer: str, probability: float
) -> None:
    assert probability_of_yes(written(*tokens), answer) == pytest.approx(probability)


@pytest.mark.parametrize("logprob", [10**400, -(10**400), float("inf"), float("-inf"), True, [], {"a": 1}, "nan", None])
def test_odd_numbers_of_a_server_break_nothing(logprob: Any) -> None:
    odd = {"content": [{"token": "yes", "logprob": logprob, "top_logprobs": [{"token": "no", "logprob": logprob}]}]}
    found = probability_of_yes(odd, "yes")
    assert found is None or 0 <= found <= 1
    beside = {"content": [{**odd["content"][0], "top_logprobs": [{"token": "no", "logprob": math.log(0.5)}]}]}
    found = probability_of_yes(beside, "yes")
    assert found is not None and 0 <= found <= 1


@pytest.mark.parametrize("logprobs", [None, [], "x", {"content": {}}, {"tokens": ["Yes"]}])
def test_a_server_that_says_nothing_of_its_tokens_is_believed_by_its_word(logprobs: Any) -> None:
    assert probability_of_yes(logprobs) is None
    request = ChatRequest("k", "?", yes_no=True)
    assert accept(request, ChatReply("k", "Yes.", finish="stop")).probability == 1.0
    assert accept(request, ChatReply("k", "no", finish="stop")).probability == 0.0


def test_prose_is_no_answer() -> None:
    reply = accept(ChatRequest("k", "?", yes_no=True), ChatReply("k", "The ball is red.", finish="stop"))
    assert (reply.text, reply.reason) == (None, Reason.INVALID_REPLY)
    assert "neither yes nor no" in (reply.detail or "") and "The ball is red." in (reply.detail or "")


def test_the_journal_keeps_the_probability(tmp_path: Any) -> None:
    store = Store(str(tmp_path))
    replies = [ChatReply("a", "yes", finish="stop", probability=0.75), ChatReply("b", "a caption", finish="stop")]
    with Ledger(store, "s") as ledger:
        ledger.add(replies)
    with Ledger(store, "s") as ledger:
        assert [ledger.get(key) for key in "ab"] == replies


def test_a_yes_no_question_has_a_key_of_its_own_and_other_keys_stay() -> None:
    asked: Any = {"system": "", "user": "?", "sampling": ChatRequest("", "").sampling}
    identity = ScriptedModel().identity
    plain = reply_key("i", identity, **asked)
    assert plain == reply_key("i", identity, **asked, yes_no=False) != reply_key("i", identity, **asked, yes_no=True)
