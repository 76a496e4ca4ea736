"""Checks before any work that a language model finds contradictions: a few captions of which it is known."""

from __future__ import annotations

from curation.caption.model.chat import ChatModel, ChatRequest, Sampling
from curation.caption.prompts import Prompt
from curation.core.errors import ModelError
from schemas.expand import GLOBAL

_BEACH = "A wide sandy beach lies under a bright midday sun in summer, with a calm blue sea behind it."
_STREET = "A black-and-white photograph shows a narrow street of an old town on a rainy day."
# A global caption, a caption of a part, and whether that contradicts it.
_PAIRS = (
    (_BEACH, "A fir tree covered with thick snow stands under a black night sky.", True),
    (_BEACH, "A striped parasol stands beside two wooden chairs on the sand.", False),
    (_STREET, "A bright orange fish swims past a coral reef deep under water.", True),
    (_STREET, "A woman with an umbrella walks past the door of a shop.", False),
)


def try_out(model: ChatModel, prompt: Prompt, sampling: Sampling, threshold: float) -> None:
    """Asks about the captions.

    Raises ``ModelError`` for a model that answers neither yes nor no, or is wrong as often as it is right.
    """
    requests = [
        ChatRequest(
            f"trial-{number}",
            prompt.render("", {GLOBAL: whole}, part),
            prompt.system,
            sampling=sampling,
            limit_key="consistency.max_tokens",
            yes_no=True,
        )
        for number, (whole, part, _) in enumerate(_PAIRS)
    ]
    replies = {reply.key: reply for reply in model.complete(requests)}
    name = model.identity.name
    right = 0
    for request, (*_, contradicts) in zip(requests, _PAIRS, strict=True):
        reply = replies[request.key]
        if reply.probability is None:
            raise ModelError(
                f"llm.model {name!r} cannot find contradictions: it does not answer yes or no ({reply.detail}); name a "
                "model that follows instructions, raise consistency.max_tokens for one that thinks, or set "
                "consistency.ask to false"
            )
        right += (reply.probability >= threshold) == contradicts
    if 2 * right <= len(_PAIRS):
        raise ModelError(
            f"llm.model {name!r} cannot find contradictions: it is right about {right} of {len(_PAIRS)} pairs of "
            "captions; name another model, another consistency.threshold, or set consistency.ask to false"
        )
