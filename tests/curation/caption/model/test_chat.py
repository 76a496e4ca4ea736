"""Keys tell apart what may be answered differently, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from curation.caption.model.chat import (
    MAX_REPLY_CHARACTERS,
    ChatReply,
    ChatRequest,
    ModelIdentity,
    Sampling,
    accept,
    corrected,
    failure,
    reply_key,
    together,
)
from curation.caption.model.open import check_model
from curation.caption.model.scripted import ScriptedModel, plain_english
from curation.core.errors import ModelError
from schemas.chat import Captioning
from schemas.reasons import Reason


class Answer(BaseModel):
    """What the reply must be."""

    words: list[str]


BASE: dict[str, Any] = {"image_sha256": "a", "model": ModelIdentity("m", "1"), "system": "", "user": "u"}
SAMPLING = Sampling()


def key(**changes: Any) -> str:
    fields = BASE | {"sampling": SAMPLING} | changes
    return reply_key(fields.pop("image_sha256"), fields.pop("model"), **fields)


def test_a_key_changes_with_all_that_a_reply_depends_on() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"image_sha256": "b"},
        {"model": ModelIdentity("m", "2")},
        {"model": ModelIdentity("n", "1")},
        {"system": "u", "user": ""},
        {"user": "v"},
        {"sampling": replace(SAMPLING, max_tokens=1)},
        {"sampling": replace(SAMPLING, temperature=1.0)},
        {"sampling": replace(SAMPLING, top_p=0.5)},
        {"sampling": replace(SAMPLING, repetition_penalty=2.0)},
        {"sampling": replace(SAMPLING, seed=1)},
        {"reply_type": Answer},
        {"arithmetic": {"batch": 1}},
        {"arithmetic": {"batch": 2}},
    ]
    keys = [key(**c) for c in changes]
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 64 for k in keys)
    assert key() == key(arithmetic={})


def test_seeds_follow_the_key_and_the_recipes_seed() -> None:
    seeds = {ChatRequest(k, "u", sampling=Sampling(seed=s)).seed for k in "abcdefgh" for s in range(4)}
    assert len(seeds) == 32
    assert all(0 <= s < 2**31 for s in seeds)
    assert ChatRequest("a", "u").seed == ChatRequest("a", "other words").seed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"words": ["a"]}', None),
        ('{"words": "a"}', Reason.INVALID_REPLY),
        ('{"words": ["a"]', Reason.INVALID_REPLY),
        ('```json\n{"words": []}\n```', None),
        ('<think>{"words": ["draft"]}</think>{"words": []}', None),
        (" \n", Reason.INVALID_REPLY),
        ("x" * (MAX_REPLY_CHARACTERS + 1), Reason.INVALID_REPLY),
    ],
)
def test_a_reply_is_what_was_asked_for_or_none(text: str, reason: Reason | None) -> None:
    request = ChatRequest("k", "u", reply_type=Answer)
    reply = accept(request, ChatReply("k", text))
    assert reply.reason is reason
    assert (reply.text is None) == (reason is not None)


def test_an_unusable_reply_keeps_what_was_paid_for_and_says_what_the_model_said() -> None:
    request = ChatRequest(
        "k", "u", sampling=Sampling(max_tokens=16), reply_type=Answer, limit_key="entities.max_tokens"
    )
    came = ChatReply("k", "Sure!\nThe words are a and b." + " b" * 4000, finish="stop", tokens_in=7, tokens_out=9)
    reply = accept(request, came)
    assert (reply.text, reply.reason, reply.tokens_in, reply.tokens_out) == (None, Reason.INVALID_REPLY, 7, 9)
    assert "Sure! The words are a and b." in (reply.detail or "") and "not a Answer" in (reply.detail or "")
    assert len(reply.detail or "") <= 300 and len(reply.said or "") <= 4000
    assert "max_tokens" not in (reply.detail or "")


@pytest.mark.parametrize("text", ['{"words": ["a", ', "", "<think>I must think about"])
def test_a_reply_that_was_cut_says_so_and_names_the_setting(text: str) -> None:
    request = ChatRequest(
        "k", "u", sampling=Sampling(max_tokens=16), reply_type=Answer, limit_key="entities.max_tokens"
    )
    reply = accept(request, ChatReply("k", text, finish="length", tokens_in=7, tokens_out=16))
    assert (reply.detail or "").startswith("cut at its limit of 16 tokens, raise entities.max_tokens: ")
    again = corrected(request, reply)
    assert again.sampling.max_tokens == 32 and again.key == "k"
    assert again.correction is not None and again.correction.said == text
    whole = accept(request, ChatReply("k", "no JSON", finish="stop"))
    assert corrected(request, whole).sampling.max_tokens == 16


def test_the_tokens_of_two_requests_add_up() -> None:
    first, second = ChatReply("k", None, tokens_in=3, tokens_out=16, seconds=1.5), ChatReply("k", "a", seconds=0.5)
    assert together(first, second) == ChatReply("k", "a", tokens_in=3, tokens_out=16, seconds=2.0)
    assert together(second, replace(first, text="b")).tokens_out == 16
    assert together(second, second).tokens_in is None


def test_a_detail_is_one_short_line_that_can_be_stored() -> None:
    found = failure(ChatRequest("k", "u"), Reason.MODEL_ERROR, "a\n\nb \ud800" + "x" * 1000).detail or ""
    assert found.startswith("a b \ufffdx")
    assert len(found) == 300
    found.encode()


def test_scripted_captions_are_english_paragraphs_that_differ_by_image() -> None:
    images = [bytes([i]) * 40 for i in range(50)]
    texts = [plain_english(ChatRequest("k", "u", image=i)) for i in images]
    assert len(set(texts)) == 50
    assert all(len(t.split()) > 50 and t.endswith(".") for t in texts)
    short = plain_english(ChatRequest("k", "u", image=images[0], sampling=Sampling(max_tokens=40)))
    assert short.count(".") == 1
    assert texts[0].startswith(short)


def test_the_scripted_model_counts_and_fails_when_told() -> None:
    model = ScriptedModel(raise_at=3, error=ValueError("as told"))
    replies = model.complete(ChatRequest(str(i), "u") for i in range(5))
    assert [next(replies).key, next(replies).key] == ["0", "1"]
    with pytest.raises(ValueError, match="as told"):
        next(replies)
    assert len(model.asked) == 3


def test_a_missing_api_key_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    captioning = Captioning(backend="server", model="m", endpoints=["http://127.0.0.1:1/v1"], api_key_env="NO_SUCH_KEY")
    with pytest.raises(ModelError, match="NO_SUCH_KEY"):
        check_model(captioning)
