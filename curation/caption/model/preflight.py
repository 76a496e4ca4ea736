"""Whether a model server can do what a run will ask of it: a few one-token requests before any work."""

from __future__ import annotations

import asyncio
import email.utils
import io
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import httpx2
from openai import APIError, APIStatusError, AsyncOpenAI
from PIL import Image
from pydantic import BaseModel, ConfigDict

from curation.caption.model.chat import ChatReply, ChatRequest, Sampling
from curation.caption.model.openai_protocol import Unusable, ask, cause_message, client_of, encode, served
from curation.caption.model.probe_request import Need
from curation.caption.model.retrying import GATEWAY, backoff, fault_of, retry_after, told_of
from curation.core.errors import ModelError

# A model that has just started compiles or warms up at its first request.
_SECONDS = 120.0
_CLOCK_SECONDS = 300.0
_TRIES = 4
# No word about images: nobody is answered so, or the body is too large, or it takes too long. Servers have been seen
# to turn an image away with almost any other status, 404 and 500 included.
_NOT_ABOUT_IMAGES = frozenset({401, 402, 407, 408, 413, 429}) | GATEWAY
_ORDER = "Write the word hello."

log = logging.getLogger(__name__)


class _Honoured(BaseModel):
    """No free answer to the probe's question is this, and nothing more may be in it."""

    model_config = ConfigDict(extra="forbid")

    honoured: Literal[True]


_SPELLED = '{"honoured":true}'


def check_fitness(
    endpoints: Sequence[str],
    model: str,
    needs: Sequence[Need],
    *,
    image_side: int,
    api_key: str = "",
) -> None:
    """Asks every server that can be reached. ``image_side`` in pixels; 0 asks without an image.

    Raises ``ModelError`` in one line where the model takes no images, the context is too short for prompt,
    image and reply, a JSON Schema is ignored that one of the ``needs`` has for its replies, or the server is still
    busy or unwell after a few tries. A clock that is off is only warned of: no result depends on it.
    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _check_all(endpoints, model, needs, image_side, api_key)).result()


async def _check_all(
    endpoints: Sequence[str], model: str, needs: Sequence[Need], image_side: int, api_key: str
) -> None:
    jobs = (_check(url, model, needs, image_side, api_key) for url in endpoints)
    # All are heard out, so that the first error does not leave requests of the others behind.
    for found in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found


async def _check(url: str, model: str, needs: Sequence[Need], image_side: int, api_key: str) -> None:
    async with client_of(url, api_key, _SECONDS) as client:
        try:
            context = next((m.max_model_len for m in await served(client) if m.id == model), None)
            await _look_at_clock(client, url)
        except (APIError, httpx2.HTTPError, Unusable, OSError):
            return  # a server that does not answer is the probe's and the client's business
        for need in needs:
            await _fits(client, url, model, need, image_side, context)
        if any(need.reply_type is not None for need in needs):
            await _honours_schema(client, url, model)


async def _fits(client: AsyncOpenAI, url: str, model: str, need: Need, image_side: int, context: int | None) -> None:
    image = _picture(image_side) if image_side else None
    request = ChatRequest("fitness", need.user, need.system, image, sampling=Sampling(max_tokens=1))
    try:
        told = await _one(client, model, request)
    except APIStatusError as error:
        why = told_of(error)
        picky = image is not None and error.status_code not in _NOT_ABOUT_IMAGES
        if picky and await _answers(client, model, replace(request, image=None)):
            raise ModelError(f"{url}: {model!r} takes no images ({why}); serve an image-text-to-text model") from error
        raise _refusal(url, f"the prompt of kind {need.kind!r}", error) from error
    except (APIError, httpx2.HTTPError, Unusable, TimeoutError, OSError) as error:
        raise ModelError(f"{url} lists {model!r} but does not answer for it: {cause_message(error)}") from error
    if told.tokens_in is None:
        return
    if image is not None:
        bare = await _tokens_in(client, model, replace(request, image=None))
        if bare is not None and bare >= told.tokens_in:
            raise ModelError(f"{url}: {model!r} ignores images (a prompt has {bare} tokens with and without one)")
    if context is not None and told.tokens_in + need.max_tokens > context:
        raise ModelError(
            f"{url}: kind {need.kind!r} wants {told.tokens_in} tokens of prompt and image and {need.max_tokens} of "
            f"reply, but the context holds {context}; raise --max-model-len or lower "
            f"{'caption.image_size or ' if image_side else ''}max_tokens"
        )


async def _honours_schema(client: AsyncOpenAI, url: str, model: str) -> None:
    """One token tells: free text would answer the order, only a guided reply begins with a brace. Models that were
    taught to answer with JSON begin so by themselves, hence a few more tokens, which they cannot guess."""
    for tokens in (1, 12):
        request = ChatRequest("fitness", _ORDER, sampling=Sampling(max_tokens=tokens), reply_type=_Honoured)
        try:
            told = (await _one(client, model, request)).text or ""
        except APIStatusError as error:
            raise _refusal(url, "replies by JSON Schema", error) from error
        except (APIError, httpx2.HTTPError, Unusable, TimeoutError, OSError) as error:
            raise ModelError(f"{url} does not answer a request with a JSON Schema: {cause_message(error)}") from error
        bare = "".join(told.split())
        if not bare or not (_SPELLED.startswith(bare) or bare.startswith(_SPELLED)):
            raise ModelError(
                f"{url} ignores response_format json_schema (it began its reply with {told[:20]!r}); "
                "switch structured outputs on there"
            )


def _refusal(url: str, what: str, error: APIStatusError) -> ModelError:
    """Only a refusal of what was asked says anything about it."""
    match fault_of(error.status_code):
        case "request":
            return ModelError(f"{url} refuses {what}: {told_of(error)}")
        case "server":
            return ModelError(f"{url} lists the model but answers nobody: {told_of(error)}")
        case fault:
            return ModelError(f"{url} is {fault}: {told_of(error)}; repeat the command when it is well")


async def _one(client: AsyncOpenAI, model: str, request: ChatRequest) -> ChatReply:
    body, tries = encode(model, request), 1
    while True:
        try:
            async with asyncio.timeout(_SECONDS):
                return await ask(client, request, body)
        except APIStatusError as error:
            if fault_of(error.status_code) not in ("busy", "unwell") or tries == _TRIES:
                raise
            await asyncio.sleep(retry_after(error) or backoff(tries))
            tries += 1


async def _answers(client: AsyncOpenAI, model: str, request: ChatRequest) -> bool:
    try:
        await _one(client, model, request)
    except (APIError, httpx2.HTTPError, Unusable, TimeoutError, OSError):
        return False
    return True


async def _tokens_in(client: AsyncOpenAI, model: str, request: ChatRequest) -> int | None:
    try:
        return (await _one(client, model, request)).tokens_in
    except (APIError, httpx2.HTTPError, Unusable, TimeoutError, OSError):
        return None  # a model that must have an image sees it


async def _look_at_clock(client: AsyncOpenAI, url: str) -> None:
    response = await client.models.with_raw_response.list()
    told = response.headers.get("date")
    try:
        apart = abs(email.utils.parsedate_to_datetime(told).timestamp() - time.time()) if told else 0.0
    except ValueError:
        return
    if apart > _CLOCK_SECONDS:
        log.warning("the clocks of this machine and of %s are %.0f s apart; set the one that is wrong", url, apart)


def _picture(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (120, 130, 140)).save(out, "JPEG")
    return out.getvalue()
