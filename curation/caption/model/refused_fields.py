"""Finds the field of a request that a server refuses, by leaving fields out: error messages differ between servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from curation.caption.model.chat import ChatRequest
from curation.caption.model.completions import Filtered, Unusable
from curation.caption.model.connection import Connection
from curation.caption.model.openai_protocol import ask
from curation.caption.model.retrying import Refused

Body = dict[str, Any]
Takes = Callable[[Body], Awaitable[bool]]
_LIMITS = ("max_tokens", "max_completion_tokens")
_FEW = 16  # reply tokens; some servers refuse fewer


async def explain(accepts: Takes, body: Body, kind: str) -> str:
    """What the server refuses in a body, and which setting mends it; empty where that does not become clear."""
    limited = next((name for name in _LIMITS if name in body), "")
    bare = {name: body[name] for name in ("model", "messages")}
    limit = await _accepted_limit(accepts, bare)
    if limit is None:
        return await _explain_messages(accepts, bare, kind)
    base = bare | ({limit: _FEW} if limit else {})
    refused = [
        name
        for name in body
        if name not in base and name not in _LIMITS and not await accepts({**base, name: body[name]})
    ]
    settings = []
    if refused:
        quoted = ", ".join(f'"{name}"' for name in refused)
        settings.append(f"caption.parameters.drop = [{quoted}]")
    if limited and limited != limit:
        refused.insert(0, limited)
        settings.append(
            f'caption.parameters.rename = {{max_tokens = "{limit}"}}'
            if limit
            else 'caption.parameters.drop = ["max_tokens"]'
        )
    if refused == ["response_format"]:
        return "refuses replies by JSON Schema; switch structured outputs on there"
    if refused:
        return f"refuses the request's {', '.join(refused)}; set {' and '.join(settings)}"
    if limited and not await accepts(bare | {limited: body[limited]}):
        return (
            f"refuses {body[limited]} reply tokens ({limited}) after the prompt of kind {kind!r}; raise its context "
            "(--max-model-len), or lower max_tokens or caption.image_size"
        )
    return ""


async def _accepted_limit(accepts: Takes, bare: Body) -> str | None:
    """The name under which a limit of the reply is accepted; empty for none, None where nothing is accepted."""
    for limit in _LIMITS:
        if await accepts({**bare, limit: _FEW}):
            return limit
    return "" if await accepts(bare) else None


async def _explain_messages(accepts: Takes, bare: Body, kind: str) -> str:
    messages = bare["messages"]
    if await accepts({**bare, "stream": True}):
        return "answers with streams of events only; set caption.parameters.add = {stream = true}"
    if messages[0]["role"] == "system" and await accepts({**bare, "messages": messages[1:], "max_tokens": _FEW}):
        return f"refuses the system turn of kind {kind!r}; use a prompt that has none"
    parts = [{**p, "text": "Describe."} if p["type"] == "text" else p for p in messages[-1]["content"]]
    short = [{"role": "user", "content": parts}]
    if await accepts({**bare, "messages": short, "max_tokens": _FEW}):
        return (
            f"refuses the longest prompt of kind {kind!r} but takes a short one; raise its context (--max-model-len), "
            "or use a shorter prompt or a smaller caption.image_size"
        )
    return ""


async def takes(client: Connection, request: ChatRequest, body: Body, seconds: float) -> bool:
    """Whether a server accepts a body, whatever it replies."""
    try:
        async with asyncio.timeout(seconds):
            await ask(client, request, json.dumps(body).encode())
    except (Unusable, Filtered):
        return True
    except (Refused, httpx2.HTTPError, TimeoutError, OSError):
        return False
    return True
