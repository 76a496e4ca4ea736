"""Reads what a server answered to a chat request: one JSON object, or the events of a stream.

Raises ``Refused`` for an error object, ``Filtered`` for an answer that a content filter withheld, and ``Unusable``
for anything else that is no finished reply.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from curation.caption.model.chat import ChatReply, Finish, encodable
from curation.caption.model.retrying import ErrorObject, Refused, error_in
from curation.caption.model.thinking import split_thinking
from curation.caption.model.yes_no import probability_of_yes
from curation.core.printable import printable

_FINISHED = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "complete", "completed"})
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "max_length"})
_FILTERED = frozenset(
    {
        *("content_filter", "content_filtered", "content_filter_error", "safety", "recitation", "prohibited_content"),
        *("blocklist", "spii", "image_safety", "refusal", "sensitive", "guardrail_intervened", "moderation"),
    }
)
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thought")
_SHOWN = 60


class _Message(BaseModel):
    model_config = {"extra": "allow"}

    content: str | list[Any] | dict[str, Any] | None = None
    refusal: Any = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None  # of a gateway that lost its upstream after it had begun to answer


class _Completion(BaseModel):
    """The part of a chat completion that is used; anything else in it is ignored."""

    choices: list[_Choice]
    usage: Any = None
    error: Any = None


class Unusable(Exception):
    """An answer that is no finished reply.

    ``transient``: it says nothing about the sample, and may well be another answer next time. ``thought``: it holds
    thinking alone, which depends on settings, so that another try with the same ones is not worth its cost.
    """

    def __init__(self, message: str, *, transient: bool, thought: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.thought = thought


class Filtered(Exception):
    """A content filter withheld the reply."""


def read_completion(key: str, raw: bytes, max_tokens: int, *, streamed: bool = False, keyed: bool = True) -> ChatReply:
    """The reply in an answer with status 200. ``max_tokens`` is what was asked for; ``streamed`` what its type says."""
    read = _stream if streamed or raw.startswith((b"data:", b"event:", b":")) else _object
    completion = read(raw, keyed=keyed)
    if not completion.choices:
        raise Unusable("an answer without a choice", transient=True)
    choice = completion.choices[0]
    text, thinking, unfinished = _texts(choice.message)
    tokens_in, tokens_out = (_count(completion.usage, name) for name in ("prompt_tokens", "completion_tokens"))
    if choice.error and (choice.finish_reason or "").lower() not in _FINISHED | _CUT:
        raise Refused(200, error_in({"error": choice.error}) or ErrorObject(""), keyed=keyed)
    finish = _finish(choice.finish_reason)
    if not text:
        if choice.message.refusal:
            raise Unusable(f"the model refused: {printable(choice.message.refusal)}", transient=False)
        if thinking or unfinished:
            why = _only_thought(choice.message, finish, tokens_out or max_tokens)
            raise Unusable(why, transient=True, thought=True)
    yes = probability_of_yes(choice.logprobs, text)
    return ChatReply(key, text, None, None, finish, tokens_in, tokens_out, probability=yes)


def _count(usage: Any, name: str) -> int | None:
    """A number of tokens, where the server gives one that can be believed: usage only informs, so it may be odd."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _only_thought(message: _Message, finish: Finish, tokens: int) -> str:
    where = next((name for name in _REASONING if getattr(message, name, None)), "")
    place = f"in {where}" if where else "between thinking markers"
    if finish == "length":
        return (
            f"the model spent all {tokens} tokens on thinking ({place}) and gave no answer; raise max_tokens, or "
            "switch thinking (reasoning) off, for example with "
            "parameters.add.chat_template_kwargs = {enable_thinking = false}"
        )
    return (
        f"the model gave thinking (reasoning, {place}) and no answer; switch thinking off, for example with "
        "parameters.add.chat_template_kwargs = {enable_thinking = false}, or correct the server's reasoning parser"
    )


def _object(raw: bytes, *, keyed: bool) -> _Completion:
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        completion = _Completion.model_validate_json(raw)
        if completion.choices and completion.error is None:
            return completion
    except ValidationError:
        pass
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"an answer that is no JSON: {_start(raw)!r}", transient=True) from error
    return _validated(answer, raw, keyed=keyed)


def _validated(answer: Any, raw: bytes, *, keyed: bool) -> _Completion:
    found = error_in(answer)
    if found is not None:
        raise Refused(200, found, keyed=keyed)
    try:
        # JSON may spell half a surrogate pair, which no strict parser lets through: U+FFFD in its place.
        return _Completion.model_validate_json(encodable(json.dumps(answer, ensure_ascii=False)))
    except ValidationError as error:
        raise Unusable(f"an answer that is no chat completion: {_start(raw)!r}", transient=True) from error


def _stream(raw: bytes, *, keyed: bool) -> _Completion:
    """The completion that the events of a stream add up to."""
    parts: dict[str, Any] = {}
    finish: str | None = None
    usage: Any = None
    tokens: list[Any] = []
    for event in _events(raw):
        found = error_in(event)
        if found is not None:
            raise Refused(200, found, keyed=keyed)
        usage = event.get("usage") or usage
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            continue
        delta = choice.get("delta") or choice.get("message")
        for name in ("content", "refusal", *_REASONING):
            if isinstance(delta, dict) and delta.get(name):
                parts[name] = _added(parts.get(name), delta[name])
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            tokens += logprobs["content"]
        finish = choice.get("finish_reason") or finish
    if finish is None:
        raise Unusable(
            f"an event stream that does not say how the reply ended (no finish_reason): {_start(raw)!r}", transient=True
        )
    whole = {"message": parts, "finish_reason": finish, "logprobs": {"content": tokens}}
    return _validated({"choices": [whole], "usage": usage}, raw, keyed=keyed)


def _events(raw: bytes) -> Iterator[dict[str, Any]]:
    for block in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:"))
        if not data or data == b"[DONE]":
            continue
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Unusable(
                f"an event stream with an event that is no JSON: {_start(data)!r}", transient=True
            ) from error
        if not isinstance(event, dict):
            raise Unusable(f"an event stream with an event that is no object: {_start(data)!r}", transient=True)
        yield event


def _added(before: Any, more: Any) -> Any:
    if before is None:
        return more
    if isinstance(before, str) and isinstance(more, str):
        return before + more
    return [*(before if isinstance(before, list) else [before]), *(more if isinstance(more, list) else [more])]


def _texts(message: _Message) -> tuple[str, bool, bool]:
    """The answer; whether there was thinking beside it; whether the text ended inside its thinking."""
    text, thought = _content(message.content)
    split = split_thinking(text)
    beside = thought or bool(split.thinking) or any(getattr(message, name, None) for name in _REASONING)
    return split.answer.strip(), beside, split.unfinished


def _content(content: Any) -> tuple[str, bool]:
    """The text of a message's content, which may be a list of parts; whether a part is thinking."""
    if content is None or isinstance(content, str):
        return content or "", False
    texts: list[str] = []
    thought = False
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            if part.get("type") in ("thinking", "reasoning", "redacted_thinking"):
                thought = True
            elif isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif isinstance(part.get("content"), str):
                texts.append(part["content"])
    return "".join(texts), thought


def _finish(reason: str | None) -> Finish:
    """How the reply ended; only a known end is a good one."""
    name = (reason or "").strip().lower()
    if name in _FINISHED:
        return "stop"
    if name in _CUT:
        return "length"
    if name in _FILTERED:
        raise Filtered(f"the reply ended by {reason}")
    if not name:
        raise Unusable("a reply that does not say how it ended (no finish_reason)", transient=True)
    raise Unusable(f"a reply that ended by {reason!r}, not by stop or length", transient=True)


def _start(raw: bytes) -> str:
    return raw[:_SHOWN].decode("utf-8", "replace")
