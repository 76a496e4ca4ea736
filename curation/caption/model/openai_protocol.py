"""Sends requests to an OpenAI-compatible server and fetches its answers.

Answers are read up to a limit: a server may send anything, a gateway's HTML page included. Wherever one quotes the
API key, the key is cut out here, before anybody else sees the answer.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx2
from pydantic import BaseModel, ValidationError

from curation.caption.model.chat import ChatReply, ChatRequest, reply_schema
from curation.caption.model.completions import Filtered, Unusable, read_completion
from curation.caption.model.connection import Connection, hide, hide_bytes, shown
from curation.caption.model.retrying import Refused, error_in, error_of_body, retry_after
from curation.images.sniff import exported_format
from schemas.chat import Parameters

MAX_REPLY_BYTES = 4 * 1024 * 1024
# A reply may hold any word; a key as short as one is not cut out of it.
_LEAST_KEY_IN_A_REPLY = 16
_LEAST_KEY = 4
_TOP_TOKENS = 10  # of the places of a reply to a yes-or-no question; servers give 20 at most
_CHAT, _MODELS = "/chat/completions", "/models"
_HERE = secrets.token_hex(16)  # nothing that a request says can hold it
_NO_LIST = "its /models is not an OpenAI-compatible list of models"
NO_PARAMETERS = Parameters()


class Served(BaseModel):
    """A model that a server offers. ``created`` is left out: vLLM puts the present time there."""

    id: str
    root: str | None = None
    max_model_len: int | None = None  # vLLM says it; tokens of prompt, image and reply together


async def ask(client: Connection, request: ChatRequest, body: bytes) -> ChatReply:
    """One chat completion; ``body`` is what ``encode`` made of the request.

    Raises ``Refused``, ``Filtered``, ``Unusable`` and ``httpx2.HTTPError``.
    """
    key = client.api_key
    response, raw = await _answer_of(client, _CHAT, body)
    if response.status_code != 200:
        raise Unusable(f"HTTP {response.status_code} where an answer was expected", transient=True)
    streamed = response.headers.get("content-type", "").startswith("text/event-stream")
    most = request.sampling.max_tokens
    try:
        found = hide_bytes(raw, key, _LEAST_KEY_IN_A_REPLY)
        return read_completion(request.key, found, most, streamed=streamed, keyed=client.has_key)
    except (Refused, Filtered, Unusable):
        # Its message quotes the answer, so that no key is too short to be cut out.
        found = hide_bytes(raw, key, _LEAST_KEY)
    try:
        return read_completion(request.key, found, most, streamed=streamed, keyed=client.has_key)
    except Refused as error:
        error.wait = max(retry_after(response.headers), error.wait)
        raise


async def _answer_of(client: Connection, path: str, body: bytes | None = None) -> tuple[httpx2.Response, bytes]:
    """What a server answers with a status of success, and its bytes. Raises ``Refused`` for another status."""
    raw = bytearray()
    async with client.answer(path, body) as response:
        try:
            async for part in response.aiter_bytes():
                raw += part
                if len(raw) > MAX_REPLY_BYTES:
                    if response.is_success:
                        raise Unusable(f"an answer of more than {MAX_REPLY_BYTES} bytes", transient=False)
                    break
        except httpx2.HTTPError:
            if response.is_success:
                raise  # what came of an error's words will do
    if response.is_success:
        return response, bytes(raw)
    raise Refused(
        response.status_code,
        error_of_body(hide_bytes(bytes(raw[:MAX_REPLY_BYTES]), client.api_key, _LEAST_KEY)),
        wait=retry_after(response.headers),
        location=hide(shown(response.headers.get("location", "")), client.api_key),
        keyed=client.has_key,
    )


async def served(client: Connection) -> list[Served]:
    """The models that a server offers. Raises ``Refused``, ``Unusable``, ``httpx2.HTTPError``."""
    _, raw = await _answer_of(client, _MODELS)
    try:
        answer = json.loads(hide_bytes(raw, client.api_key, _LEAST_KEY))
    except (ValueError, RecursionError) as error:
        raise Unusable(_NO_LIST, transient=True) from error
    if (found := error_in(answer)) is not None:
        raise Refused(200, found, keyed=client.has_key)
    models = answer
    if isinstance(answer, dict):
        models = next((answer[name] for name in ("data", "models") if isinstance(answer.get(name), list)), None)
    if not isinstance(models, list):
        raise Unusable(_NO_LIST, transient=True)
    try:
        return [_served(model) for model in models]
    except ValidationError as error:
        raise Unusable(_NO_LIST, transient=True) from error


async def server_date(client: Connection) -> str | None:
    """What a server's header says of the time. Raises ``Refused``, ``Unusable`` and ``httpx2.HTTPError``."""
    date = (await _answer_of(client, _MODELS))[0].headers.get("date")
    return None if date is None else str(date)


def _served(model: Any) -> Served:
    if isinstance(model, str):
        return Served(id=model)
    if isinstance(model, Mapping) and "id" not in model:
        return Served.model_validate({**model, "id": model.get("name") or model.get("model")})
    return Served.model_validate(model)


def encode(model: str, request: ChatRequest, parameters: Parameters = NO_PARAMETERS) -> bytes:
    """A request's body. Made ahead of its turn, so that a server that is free gets it at once.

    ``parameters``: which fields the recipe drops, renames and adds.
    """
    content: list[dict[str, Any]] = []
    if request.image is not None:
        content.append({"type": "image_url", "image_url": {"url": _HERE}})
    content.append({"type": "text", "text": request.user})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.correction is not None:
        messages += [
            {"role": "assistant", "content": request.correction.said},
            {"role": "user", "content": request.correction.message},
        ]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    body: dict[str, Any] = {"model": model, "messages": messages}
    for name, value in fields_of(request).items():
        if name not in parameters.drop:
            body[parameters.rename.get(name, name)] = value
    body |= parameters.add
    text = json.dumps(body).encode()
    # Put in afterwards, so that a picture is encoded once for all that is asked about it.
    return text if request.image is None else text.replace(_HERE.encode(), _data_url(request.image), 1)


@lru_cache(maxsize=8)  # a few shards may be in work at once
def _data_url(image: bytes) -> bytes:
    return f"data:image/{exported_format(image)};base64,".encode() + base64.b64encode(image)


def fields_of(request: ChatRequest) -> dict[str, Any]:
    """The fields of a request besides model and messages, by the names that vLLM gives them."""
    sampling = request.sampling
    fields: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": request.seed,
    }
    if sampling.repetition_penalty != 1.0:
        fields["repetition_penalty"] = sampling.repetition_penalty  # vLLM's, not OpenAI's
    if request.yes_no:
        fields |= {"logprobs": True, "top_logprobs": _TOP_TOKENS}
    schema = reply_schema(request.reply_type)
    if schema is not None and request.reply_type is not None:
        named = {"name": request.reply_type.__name__, "schema": schema, "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": named}
    return fields


def cause_message(error: BaseException) -> str:
    """The innermost reason of a failed connection, on one line, and what to do about an untrusted certificate."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({cause.verify_message}); name the certificates of its authority "
                "in ca_bundle, or in the environment variable SSL_CERT_FILE"
            )
        cause = cause.__cause__ or cause.__context__
    cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__ or error
    return " ".join(f"{type(cause).__name__}: {cause}".split())[:200]


def never_connected(error: BaseException) -> bool:
    """Whether no connection to the server came about, so that no request can be the reason of the failure."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (ConnectionRefusedError, httpx2.ConnectError, httpx2.ConnectTimeout)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
