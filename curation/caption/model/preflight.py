"""Checks with a few requests before any work that a model server can do what a run needs."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx2
from pydantic import BaseModel, ConfigDict

from curation.caption.model.chat import ChatReply, ChatRequest, Sampling
from curation.caption.model.completions import Filtered, Unusable
from curation.caption.model.connection import Connection, client_of, shown
from curation.caption.model.images import square
from curation.caption.model.openai_protocol import NO_PARAMETERS, ask, cause_message, encode, served, server_date
from curation.caption.model.probe_request import ProbeRequest
from curation.caption.model.refused_fields import explain, takes
from curation.caption.model.retrying import GATEWAY, Refused, backoff
from curation.core.errors import ModelError
from schemas.chat import Parameters

# A model that has just started compiles or warms up at its first request.
_SECONDS = 120.0
_CLOCK_SECONDS = 300.0
_TRIES = 4
# These statuses say nothing about images: no request is answered so, or the body is too large, or it takes too long.
# Servers have been seen to turn an image away with almost any other status, 404 and 500 included.
_NOT_ABOUT_IMAGES = frozenset({401, 402, 407, 408, 413, 429}) | GATEWAY
_ORDER = "Write the word hello."
_LOOK = "Which colour is the large square in the picture, and what is in its middle? Answer in a few words."
_FAILED = (httpx2.HTTPError, Unusable, Filtered, Refused, TimeoutError, OSError)

log = logging.getLogger(__name__)


class _Honoured(BaseModel):
    """No free answer to the probe's question is this, and nothing more may be in it."""

    model_config = ConfigDict(extra="forbid")

    honoured: Literal[True]


_SPELLED = '{"honoured":true}'


def preflight(
    endpoints: Sequence[str],
    model: str,
    probes: Sequence[ProbeRequest],
    *,
    image_side: int,
    api_key: str = "",
    parameters: Parameters = NO_PARAMETERS,
    ca_bundle: str = "",
    timeout: float = _SECONDS,
) -> None:
    """Sends every server that can be reached the longest request of each kind, as the run will send it.

    ``image_side`` in pixels; 0 asks without an image. ``timeout`` is the deadline of a reply in the run, in seconds.
    Raises ``ModelError`` in one line where the model takes no images, a field of the request is refused, the context
    is too short for prompt, image and reply, thinking uses up the reply, a JSON Schema is ignored that one of the
    ``probes`` has for its replies, or the server is still busy or unwell after a few tries. A clock that is off is
    only warned of: no result depends on it.
    """
    seconds = max(_SECONDS, timeout)

    async def check_all() -> None:
        jobs = (
            _Check(url, model, image_side, client_of(url, api_key, seconds, ca_bundle), parameters, seconds).run(probes)
            for url in endpoints
        )
        # All are waited for, so that the first error does not leave requests of the others behind.
        for found in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, check_all()).result()


@dataclass(frozen=True)
class _Check:
    """The check of one server."""

    url: str
    model: str
    image_side: int
    client: Connection
    parameters: Parameters
    seconds: float

    @property
    def where(self) -> str:
        return shown(self.url)

    async def run(self, probes: Sequence[ProbeRequest]) -> None:
        async with self.client:
            context = None
            try:
                context = next((m.max_model_len for m in await served(self.client) if m.id == self.model), None)
                await self._check_clock()
            except (Refused, Unusable):
                pass  # it lists no models; whether it answers is seen below
            except (httpx2.HTTPError, OSError):
                return  # a server that is not there is left to the probe and the client
            if any(probe.reply_type is not None for probe in probes):
                await self._check_schema()
            for probe in probes:
                await self._check_probe(probe, context)

    async def _check_probe(self, probe: ProbeRequest, context: int | None) -> None:
        image = square(self.image_side) if self.image_side and probe.sees else None
        sampling = probe.sampling or Sampling(probe.max_tokens)
        request = ChatRequest(
            "preflight",
            probe.user,
            probe.system,
            image,
            sampling=sampling,
            reply_type=probe.reply_type,
            yes_no=probe.yes_no,
        )
        try:
            reply = await self._ask(request)
        except Refused as error:
            await self._explain(request, probe, error)
            raise _refusal(self.where, f"the prompt of kind {probe.kind!r}", error) from None
        except Filtered as error:
            log.warning("%s filtered the reply to a test picture (kind %r): %s", self.where, probe.kind, error)
            return
        except Unusable as error:
            if not error.thought:
                raise ModelError(f"{self.where} gives no usable reply to kind {probe.kind!r}: {error}") from None
            # About a real picture it may think less: its run stops by itself where it does not.
            log.warning("%s: kind %r: %s", self.where, probe.kind, error)
            return
        except TimeoutError as error:
            raise ModelError(
                f"{self.where} lists {self.model!r} but does not answer for it: no reply to kind {probe.kind!r} "
                f"within {self.seconds:g} s; raise timeout, or lower max_tokens"
            ) from error
        except (httpx2.HTTPError, OSError) as error:
            raise ModelError(
                f"{self.where} lists {self.model!r} but does not answer for it: {cause_message(error)}"
            ) from error
        await self._check_tokens(probe, request, reply, context)

    async def _explain(self, request: ChatRequest, probe: ProbeRequest, error: Refused) -> None:
        """Finds out by further requests what was refused. Raises ``ModelError`` where that becomes clear."""
        if error.status in _NOT_ABOUT_IMAGES - {413}:
            return
        bare = replace(request, image=None)
        if request.image is not None and error.status not in _NOT_ABOUT_IMAGES and await self._answers(bare):
            small = ChatRequest("preflight", "Describe.", "", request.image, sampling=Sampling(max_tokens=16))
            if not await self._answers(small):
                raise ModelError(
                    f"{self.where}: {self.model!r} takes no images ({error.text}); serve an image-text-to-text model"
                ) from None
            raise ModelError(
                f"{self.where}: prompt, image and {probe.max_tokens} reply tokens of kind {probe.kind!r} do not fit "
                f"({error.text}); raise the server's context (--max-model-len), or lower caption.image_size or "
                "max_tokens"
            ) from None
        body = json.loads(encode(self.model, request, self.parameters))
        found = await explain(lambda changed: self._takes(request, changed), body, probe.kind)
        if found:
            raise ModelError(f"{self.where} {found} ({error.text})") from None

    async def _check_tokens(
        self, probe: ProbeRequest, request: ChatRequest, reply: ChatReply, context: int | None
    ) -> None:
        if reply.tokens_in is None:
            return
        if request.image is not None:
            bare = await self._tokens_in(replace(request, image=None))
            if bare is not None and bare >= reply.tokens_in and not await self._sees():
                raise ModelError(
                    f"{self.where}: {self.model!r} ignores images (a prompt has {bare} tokens with and without one, "
                    "and two different pictures get the reply that none gets); serve an image-text-to-text model"
                )
        if context is not None and reply.tokens_in + probe.max_tokens > context:
            raise ModelError(
                f"{self.where}: kind {probe.kind!r} needs {reply.tokens_in} tokens for prompt and image and "
                f"{probe.max_tokens} for the reply, but the context holds {context}; raise --max-model-len or lower "
                f"{'caption.image_size or ' if self.image_side else ''}max_tokens"
            )

    async def _sees(self) -> bool:
        """Whether the reply depends on the picture. Usage is no proof: some servers count no image tokens."""
        replies = set()
        for colours in (("red", "white"), ("blue", "yellow"), None):
            image = None if colours is None else square(max(64, self.image_side), *colours)
            try:
                reply = await self._ask(ChatRequest("preflight", _LOOK, "", image, sampling=Sampling(max_tokens=256)))
            except _FAILED:
                if image is None:
                    return True  # a model that must have an image sees it
                continue
            replies.add(" ".join((reply.text or "").split()))
        return len(replies) != 1

    async def _check_schema(self) -> None:
        """One token shows it: free text would follow the order, only a guided reply begins with a brace. Models that
        were trained to answer with JSON begin so by themselves, hence a few more tokens, which they cannot guess."""
        for tokens in (1, 12):
            request = ChatRequest("preflight", _ORDER, sampling=Sampling(max_tokens=tokens), reply_type=_Honoured)
            try:
                text = (await self._ask(request)).text or ""
            except Refused as error:
                raise _refusal(self.where, "replies by JSON Schema", error) from None
            except Unusable as error:
                if error.thought:
                    return  # it thinks first, so that few tokens show nothing
                raise ModelError(f"{self.where} does not answer a request with a JSON Schema: {error}") from None
            except (httpx2.HTTPError, Filtered, TimeoutError, OSError) as error:
                raise ModelError(
                    f"{self.where} does not answer a request with a JSON Schema: {cause_message(error)}"
                ) from error
            bare = "".join(text.split())
            if not bare or not (_SPELLED.startswith(bare) or bare.startswith(_SPELLED)):
                raise ModelError(
                    f"{self.where} ignores response_format json_schema (it began its reply with {text[:20]!r}); "
                    "switch structured outputs on there"
                )

    async def _ask(self, request: ChatRequest) -> ChatReply:
        """The reply; busy and unwell servers, and replies that broke off, are asked again."""
        body, tries = encode(self.model, request, self.parameters), 1
        while True:
            wait = 0.0
            try:
                async with asyncio.timeout(self.seconds):
                    return await ask(self.client, request, body)
            except Refused as error:
                if error.fault not in ("busy", "unwell") or tries == _TRIES:
                    raise
                wait = error.wait
            except Unusable as error:
                if not error.transient or error.thought or tries == _TRIES:
                    raise
            await asyncio.sleep(wait or backoff(tries))
            tries += 1

    async def _takes(self, request: ChatRequest, body: dict[str, Any]) -> bool:
        return await takes(self.client, request, body, self.seconds)

    async def _answers(self, request: ChatRequest) -> bool:
        try:
            await self._ask(request)
        except Unusable as error:
            return error.thought or not error.transient
        except Filtered:
            return True
        except _FAILED:
            return False
        return True

    async def _tokens_in(self, request: ChatRequest) -> int | None:
        few = replace(request, sampling=replace(request.sampling, max_tokens=1), reply_type=None)
        try:
            return (await self._ask(few)).tokens_in
        except _FAILED:
            return None  # a model that must have an image sees it

    async def _check_clock(self) -> None:
        date = await server_date(self.client)
        try:
            apart = abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) if date else 0.0
        except ValueError:
            return
        if apart > _CLOCK_SECONDS:
            log.warning(
                "the clocks of this machine and of %s are %.0f s apart; set the one that is wrong", self.where, apart
            )


def _refusal(url: str, what: str, error: Refused) -> ModelError:
    """Only a refusal of the request says anything about ``what`` was asked."""
    match error.fault:
        case "request":
            return ModelError(f"{url} refuses {what}: {error.text}")
        case "server":
            return ModelError(f"{url} lists the model but answers no request: {error.text}")
        case fault:
            return ModelError(f"{url} is {fault}: {error.text}; repeat the command when it is well")
