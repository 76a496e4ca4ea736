"""Ask a language model about a caption without its image, and read its replies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

from pydantic import BaseModel

from curation.caption.model.chat import ChatModel, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.probe_request import Need, typical_alt_text
from curation.caption.prompts import Prompt
from curation.core.errors import EndpointsGone
from curation.news.spans import Span
from schemas.reasons import Reason
from schemas.recipe import Chat
from schemas.replies import NamedEntities


def text_need(prompt: Prompt, max_tokens: int, reply_type: type[BaseModel]) -> Need:
    """The longest question about a caption alone; a prompt cuts longer captions."""
    return Need(prompt.name, prompt.system, prompt.render(typical_alt_text(), {}), max_tokens, reply_type)


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
    user = prompt.render(caption, {})
    arithmetic: dict[str, str | int] = {} if model.batch is None else {"dtype": chat.dtype, "batch": model.batch}
    key = reply_key(
        "", identity, system=prompt.system, user=user, sampling=sampling, reply_type=reply_type, arithmetic=arithmetic
    )
    return ChatRequest(key, user, prompt.system, None, "image/jpeg", sampling, reply_type, limit_key)


def entity_request(
    identity: ModelIdentity, model: ChatModel, chat: Chat, prompt: Prompt, caption: str, max_tokens: int
) -> ChatRequest:
    """The question for the named entities of a caption; always greedy, since there is one right answer."""
    sampling = Sampling(max_tokens, 0.0, 1.0, chat.repetition_penalty, chat.seed)
    return text_request(identity, model, chat, prompt, caption, sampling, NamedEntities, "entities.max_tokens")


def placed(caption: str, reply: NamedEntities) -> list[Span]:
    """The spans of the entities that a model named, each at its next occurrence; others are dropped."""
    spans: list[Span] = []
    at = 0
    for entity in reply.entities:
        word = re.compile(rf"(?<!\w){re.escape(entity.text)}(?!\w)")
        found = word.search(caption, at) or word.search(caption)
        if found is None or any(s.start < found.end() and found.start() < s.end for s in spans):
            continue
        start, end = found.span()
        spans.append(Span(start, end, entity.label))
        at = end
    return sorted(spans, key=lambda s: s.start)


@dataclass
class AskingRecogniser:
    """A language model as a recogniser, without a journal; a reply that cannot be used finds nothing.

    ``unusable`` counts the captions without a usable reply by the reason, over all calls.
    """

    model: ChatModel
    chat: Chat
    prompt: Prompt
    max_tokens: int
    unusable: Counter[str] = field(default_factory=Counter)

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        """As every recogniser. Raises ``EndpointsGone`` where no server replies any more."""
        asked = [
            entity_request(self.model.identity, self.model, self.chat, self.prompt, text, self.max_tokens)
            for text in captions
        ]
        unique = {request.key: request for request in asked}
        try:
            replies = {reply.key: reply for reply in self.model.complete(unique.values())}
        except CancelledError as error:
            raise EndpointsGone(
                "the model server closed the requests before it replied (it may be busy): lower llm.concurrency or "
                "raise llm.timeout, and repeat the command"
            ) from error
        for caption, request in zip(captions, asked, strict=True):
            reply = replies[request.key]
            if reply.text is None:
                self.unusable[str(reply.reason or Reason.MODEL_ERROR)] += 1
                yield []
            else:
                yield placed(caption, NamedEntities.model_validate_json(reply.text))
