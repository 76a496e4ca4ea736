"""Questions about a text alone, without its image."""

from __future__ import annotations

from pydantic import BaseModel

from curation.caption.model.chat import ChatModel, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.open import arithmetic
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import CAPTION_LIMIT, Prompt
from schemas.chat import Chat


def text_probe(prompt: Prompt, sampling: Sampling, reply_type: type[BaseModel]) -> ProbeRequest:
    """The longest question about a caption alone; a caption is no longer than a prompt lets in."""
    text = typical_alt_text()
    user = prompt.render(text, {}, (text * (CAPTION_LIMIT // len(text) + 1))[:CAPTION_LIMIT])
    return ProbeRequest(prompt.name, prompt.system, user, sampling.max_tokens, reply_type, sampling)


def text_request(
    identity: ModelIdentity,
    model: ChatModel,
    chat: Chat,
    prompt: Prompt,
    caption: str,
    sampling: Sampling,
    reply_type: type[BaseModel],
    limit_key: str,
) -> ChatRequest:
    """A question about a caption alone, without an image, with the key of its reply.

    ``limit_key`` is the recipe's name for the limit of the reply's tokens.
    """
    user = prompt.render(caption, {}, caption)
    key = reply_key(
        "",
        identity,
        system=prompt.system,
        user=user,
        sampling=sampling,
        reply_type=reply_type,
        arithmetic=arithmetic(chat, model.batch),
    )
    return ChatRequest(key, user, prompt.system, None, sampling, reply_type, limit_key)
