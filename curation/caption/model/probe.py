"""Looks at model servers before any work, so that a wrong address or name costs one line and no time."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2

from curation.caption.model.chat import ChatRequest, ModelIdentity, Sampling
from curation.caption.model.completions import Unusable
from curation.caption.model.connection import Connection, address_fault, base_url, client_of, shown
from curation.caption.model.openai_protocol import NO_PARAMETERS, Served, cause_message, encode, served
from curation.caption.model.refused_fields import takes
from curation.caption.model.retrying import Refused
from curation.core.errors import ModelError
from curation.core.printable import printable
from schemas.chat import Parameters

_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_NO_LIST = frozenset({404, 405, 501})
_WORD = ChatRequest("probe", "Write the word hello.", sampling=Sampling(max_tokens=16))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """A server that answers: the models that it lists, and whether it answers for ours although it is not listed."""

    models: list[Served] = field(default_factory=list)
    unlisted: bool = False


@dataclass(frozen=True)
class _Probe:
    model: str
    api_key: str
    ca_bundle: str
    parameters: Parameters

    async def all(self, endpoints: Sequence[str]) -> dict[str, _Found | str]:
        """What each server offers, or why it cannot be used."""
        return dict(zip(endpoints, await asyncio.gather(*map(self.one, endpoints)), strict=True))

    async def one(self, url: str) -> _Found | str:
        try:
            async with client_of(url, self.api_key, _SECONDS, self.ca_bundle) as client:
                return await self._look(client, url)
        except (Refused, Unusable) as error:
            text = error.text if isinstance(error, Refused) else str(error)
            if isinstance(error, Unusable) or error.status in _NO_LIST:
                text += await self._advice(url)
            return text
        except TimeoutError:
            return f"no answer within {_SECONDS:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return cause_message(error)

    async def _look(self, client: Connection, url: str) -> _Found:
        try:
            async with asyncio.timeout(_SECONDS):
                models = await served(client)
        except Refused as error:
            if error.status in _NO_LIST and await self._distinguishes(client):
                log.warning("%s lists no models, but answers for %r", shown(url), self.model)
                return _Found(unlisted=True)
            raise
        listed = any(m.id == self.model for m in models)
        pattern = any("*" in m.id and fnmatch.fnmatchcase(self.model, m.id) for m in models)
        return _Found(models, unlisted=not listed and (pattern or await self._distinguishes(client)))

    async def _distinguishes(self, client: Connection) -> bool:
        """Whether it answers for our model and refuses a made-up one: some answer for any name with what they have."""
        made_up = f"no-such-model-{secrets.token_hex(4)}"
        return await self._answers(client, self.model) and not await self._answers(client, made_up)

    async def _answers(self, client: Connection, model: str) -> bool:
        body = json.loads(encode(model, _WORD, self.parameters))
        return await takes(client, _WORD, body, _ANSWER_SECONDS)

    async def _advice(self, url: str) -> str:
        """Where the list of models is, if it is one step away from the address."""
        base = base_url(url)
        other = base.removesuffix("/v1") if base.endswith("/v1") else f"{base}/v1"
        try:
            async with client_of(other, self.api_key, _SECONDS, self.ca_bundle) as client, asyncio.timeout(_SECONDS):
                await served(client)
        except (Refused, Unusable, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError):
            return ""
        return f"; its models are at {shown(other)}: set caption.endpoints to that"


def probe(
    endpoints: Sequence[str],
    model: str,
    revision: str,
    api_key: str = "",
    *,
    ca_bundle: str = "",
    parameters: Parameters = NO_PARAMETERS,
) -> ModelIdentity:
    """Asks the servers whether they serve the model; at least one must answer.

    The revision is the recipe's, with the name under which the server loaded the model (its ``root``)
    before it where that differs from the served name. Raises ``ModelError`` in one line.
    """
    for url in endpoints:
        if fault := address_fault(url):
            raise ModelError(f"caption.endpoints: {shown(url)}: {fault}; correct it")
    looking = _Probe(model, api_key, ca_bundle, parameters)
    # In a thread of its own, because a notebook or a flow may have an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(asyncio.run, looking.all(endpoints)).result()
    up = {url: found for url, found in answers.items() if isinstance(found, _Found)}
    if not up:
        faults = "; ".join(f"{shown(url)}: {error}" for url, error in answers.items())
        raise ModelError(f"no model server can be used ({faults}); start one, or correct caption.endpoints")
    roots: dict[str, str] = {}
    for url, found in up.items():
        ours = [m for m in found.models if m.id == model]
        if not ours and not found.unlisted:
            names = ", ".join(sorted(printable(m.id) for m in found.models)[:20]) or "nothing"
            raise ModelError(f"{shown(url)} serves {names}, not {model!r}; set caption.model to what it serves")
        roots[shown(url)] = _root(ours[0]) if ours else model
    for url in answers.keys() - up.keys():
        log.warning("model server %s does not answer yet: %s", shown(url), answers[url])
    if len(set(roots.values())) > 1:
        raise ModelError(f"caption.endpoints serve different models as {model!r}: {roots}; name servers of one model")
    root = next(iter(roots.values()))
    return ModelIdentity(model, revision if root == model else f"{root}@{revision}")


def _root(model: Served) -> str:
    """The name a model was loaded under; of a folder the last part, which survives a move."""
    root = model.root or model.id
    return root.rstrip("/").rsplit("/", 1)[-1] if root.startswith(("/", ".", "~")) else root
