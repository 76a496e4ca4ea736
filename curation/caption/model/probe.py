"""Looks at model servers before any work, so that a wrong address or name costs one line and no time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2
from openai import APIError, APIStatusError

from curation.caption.model.chat import ModelIdentity
from curation.caption.model.openai_protocol import Served, Unusable, cause_message, client_of, error_message, served
from curation.core.errors import ModelError

_SECONDS = 10.0

log = logging.getLogger(__name__)


def probe(endpoints: Sequence[str], model: str, revision: str, api_key: str = "") -> ModelIdentity:
    """Asks the servers whether they serve the model; at least one must answer.

    The revision is the recipe's, with the name under which the server loaded the model (its ``root``)
    before it where that differs from the served name. Raises ``ModelError`` in one line.
    """
    # In a thread of its own, because a notebook or a flow may have an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(asyncio.run, _ask_all(endpoints, api_key)).result()
    up = {url: told for url, told in answers.items() if not isinstance(told, str)}
    if not up:
        told = "; ".join(f"{url}: {error}" for url, error in answers.items())
        raise ModelError(f"no model server can be used ({told}); start one, or correct caption.endpoints")
    roots: dict[str, str] = {}
    for url, models in up.items():
        ours = [m for m in models if m.id == model]
        if not ours:
            names = ", ".join(sorted(m.id for m in models)[:20]) or "nothing"
            raise ModelError(f"{url} serves {names}, not {model!r}; set caption.model to what it serves")
        roots[url] = _root(ours[0])
    for url in answers.keys() - up.keys():
        log.warning("model server %s does not answer yet: %s", url, answers[url])
    if len(set(roots.values())) > 1:
        raise ModelError(f"caption.endpoints serve different models as {model!r}: {roots}; name servers of one model")
    root = next(iter(roots.values()))
    return ModelIdentity(model, revision if root == model else f"{root}@{revision}")


async def _ask_all(endpoints: Sequence[str], api_key: str) -> dict[str, list[Served] | str]:
    return dict(zip(endpoints, await asyncio.gather(*(_ask(u, api_key) for u in endpoints)), strict=True))


async def _ask(url: str, api_key: str) -> list[Served] | str:
    if not url.startswith(("http://", "https://")):
        return "not a http:// or https:// URL"
    try:
        async with client_of(url, api_key, _SECONDS) as client, asyncio.timeout(_SECONDS):
            return await served(client)
    except Unusable as error:
        return str(error)
    except APIStatusError as error:
        return f"HTTP {error.status_code}: {error_message(error)}"
    except TimeoutError:
        return f"no answer within {_SECONDS:g} s"
    except (APIError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return cause_message(error)


def _root(model: Served) -> str:
    """The name a model was loaded under; of a folder the last part, which survives a move."""
    root = model.root or model.id
    return root.rstrip("/").rsplit("/", 1)[-1] if root.startswith(("/", ".", "~")) else root
