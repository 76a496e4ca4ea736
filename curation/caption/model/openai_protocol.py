"""What an OpenAI-compatible server is sent and what it sends back.

Answers are read up to a limit and parsed here: a server may send anything, a gateway's HTML page included.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, RequestOptions
from pydantic import BaseModel, ValidationError

from curation.caption.model.chat import ChatReply, ChatRequest, Finish, encodable, reply_schema

MAX_REPLY_BYTES = 4 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_REPAIR = "This reply cannot be used: {wrong}. Answer again, with the JSON that was asked for and nothing else."
# The client's own sign for a response that is handed over unread (its with_streaming_response sets it).
_UNREAD: RequestOptions = {"headers": {"X-Stainless-Raw-Response": "stream", "Content-Type": "application/json"}}


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    """The part of a chat completion that is used; anything else in it is ignored."""

    choices: list[_Choice]
    usage: _Usage | None = None


class Served(BaseModel):
    """A model that a server offers. ``created`` is left out: vLLM puts the present time there."""

    id: str
    root: str | None = None
    max_model_len: int | None = None  # vLLM says it; tokens of prompt, image and reply together


class _ServedList(BaseModel):
    data: list[Served]


class Unusable(Exception):
    """An answer that is no chat completion; ``transient`` where another try may well bring one."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


def client_of(url: str, api_key: str, timeout: float) -> AsyncOpenAI:
    """A client that heeds no proxy of the environment, follows no redirect and retries nothing by itself."""
    # The caller holds the deadline; this one, a little later, only guards against its absence.
    limits = httpx2.Timeout(timeout + 5.0, connect=min(_CONNECT_SECONDS, timeout))
    return AsyncOpenAI(
        base_url=url.rstrip("/"),
        api_key=api_key or "none",
        max_retries=0,
        timeout=limits,
        http_client=DefaultAsyncHttpxClient(trust_env=False, follow_redirects=False, timeout=limits),
    )


async def ask(client: AsyncOpenAI, request: ChatRequest, body: bytes) -> ChatReply:
    """One chat completion; ``body`` is what ``encode`` made of the request.

    Raises ``Unusable``, ``openai.APIError`` and ``httpx2.HTTPError``.
    """
    raw = bytearray()
    response: Any = await client.post("/chat/completions", content=body, cast_to=object, options=_UNREAD)
    try:
        async for part in response.iter_bytes():
            raw += part
            if len(raw) > MAX_REPLY_BYTES:
                raise Unusable(f"an answer of more than {MAX_REPLY_BYTES} bytes", transient=False)
        if response.status_code != 200:
            raise Unusable(f"HTTP {response.status_code} where an answer was expected", transient=True)
    finally:
        await response.close()
    completion = _parse(bytes(raw))
    if not completion.choices:
        raise Unusable("an answer without a choice", transient=False)
    choice = completion.choices[0]
    if choice.message.content is None and choice.message.refusal:
        raise Unusable(f"the model refused: {choice.message.refusal}", transient=False)
    finish: Finish = "length" if choice.finish_reason == "length" else "stop"
    usage = completion.usage or _Usage()
    text = (choice.message.content or "").strip()
    return ChatReply(request.key, text, None, None, finish, usage.prompt_tokens, usage.completion_tokens)


def _parse(raw: bytes) -> _Completion:
    try:
        try:
            return _Completion.model_validate_json(raw)
        except ValidationError:
            # JSON may spell half a surrogate pair, which no strict parser lets through: U+FFFD in its place.
            return _Completion.model_validate_json(encodable(json.dumps(json.loads(raw), ensure_ascii=False)))
    except ValidationError as error:
        raise Unusable(f"an answer that is no chat completion: {_start(raw)!r}", transient=False) from error
    except (ValueError, RecursionError) as error:
        raise Unusable(f"an answer that is no JSON: {_start(raw)!r}", transient=True) from error


def _start(raw: bytes) -> str:
    return raw[:60].decode("utf-8", "replace")


async def served(client: AsyncOpenAI) -> list[Served]:
    """The models that a server offers. Raises ``Unusable``, ``openai.APIError`` and ``httpx2.HTTPError``."""
    raw = await client.models.with_raw_response.list()
    try:
        return _ServedList.model_validate_json(raw.content).data
    except ValidationError as error:
        raise Unusable("its /models is not an OpenAI-compatible list of models", transient=True) from error


def error_message(error: APIStatusError) -> str:
    """What the server said went wrong."""
    body = error.body
    return str(body.get("message") or body) if isinstance(body, dict) else error.message


def cause_message(error: BaseException) -> str:
    """The innermost reason of a failed connection, on one line."""
    cause = error.__cause__ or error
    return " ".join(f"{type(cause).__name__}: {cause}".split())[:200]


def encode(model: str, request: ChatRequest, unusable: tuple[str, str] | None = None) -> bytes:
    """A request's body. Made ahead of its turn, so that a server that is free gets it at once.

    ``unusable``: the model's earlier reply and what is wrong with it, which it is told to have it repaired.
    """
    content: list[dict[str, Any]] = []
    if request.image is not None:
        data = base64.b64encode(request.image).decode()
        content.append({"type": "image_url", "image_url": {"url": f"data:{request.mime};base64,{data}"}})
    content.append({"type": "text", "text": request.user})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if unusable is not None:
        said, wrong = unusable
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": _REPAIR.format(wrong=wrong)}]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": request.seed,
    }
    if sampling.repetition_penalty != 1.0:
        body["repetition_penalty"] = sampling.repetition_penalty  # vLLM's, not OpenAI's
    schema = reply_schema(request.reply_type)
    if schema is not None and request.reply_type is not None:
        named = {"name": request.reply_type.__name__, "schema": schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return json.dumps(body).encode()
