"""Ask a language model about a caption without its image, and read its replies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

from curation.caption.model.chat import ChatModel, ChatRequest, ModelIdentity, Sampling
from curation.caption.prompts import Prompt
from curation.caption.text_request import text_request
from curation.core.errors import EndpointsGone
from curation.news.spans import Span
from schemas.chat import Chat
from schemas.reasons import Reason
from schemas.replies import NamedEntities


def entity_sampling(chat: Chat, max_tokens: int) -> Sampling:
    """Entities are always asked for greedily, because there is one right answer."""
    return Sampling(max_tokens, 0.0, 1.0, chat.repetition_penalty, chat.seed)


def entity_request(
    identity: ModelIdentity, model: ChatModel, chat: Chat, prompt: Prompt, caption: str, max_tokens: int
) -> ChatRequest:
    """The question for the named entities of a caption."""
    sampling = entity_sampling(chat, max_tokens)
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
