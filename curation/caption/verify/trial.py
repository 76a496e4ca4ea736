"""Checks before any work that a model can verify: a few statements about drawn pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest, Sampling
from curation.caption.model.images import square
from curation.caption.prompts import Prompt
from curation.core.errors import ModelError
from schemas.reasons import Reason

_SIDE = 256  # pixels
# Colour of the square and of the ground, what a statement says is there, and whether it is true.
_STATEMENTS = (
    ("red", "white", "a red square on a white background", True),
    ("red", "white", "a green bicycle on a brick wall", False),
    ("blue", "yellow", "a blue square on a yellow background", True),
    ("blue", "yellow", "a red dog on short green grass", False),
)


def try_out(model: ChatModel, prompt: Prompt, sampling: Sampling, threshold: float, table: str) -> None:
    """Asks about the pictures, by statements or by questions as the prompt wants.

    ``table`` is the recipe's table that names the model, for the message.
    Raises ``ModelError`` for a model that does not answer yes or no, says the same to everything, or is wrong more
    often than it is right.
    """
    form = "Is there {}?" if prompt.about == "question" else "There is {}."
    requests = [
        ChatRequest(
            f"trial-{number}",
            prompt.render("", {}, form.format(thing)),
            prompt.system,
            square(_SIDE, ground, middle),
            sampling=sampling,
            limit_key="verify.max_tokens",
            yes_no=True,
        )
        for number, (middle, ground, thing, _) in enumerate(_STATEMENTS)
    ]
    replies = {reply.key: reply for reply in model.complete(requests)}
    _judge([replies[r.key] for r in requests], model.identity.name, threshold, table)


def _judge(replies: Sequence[ChatReply], name: str, threshold: float, table: str) -> None:
    failed = next((r for r in replies if r.probability is None), None)
    if failed is not None:
        what = "answers neither yes nor no" if failed.reason is Reason.INVALID_REPLY else "does not answer"
        raise ModelError(
            f"{table}.model {name!r} cannot verify: it {what} to a statement about a drawn picture ({failed.detail}); "
            "name a vision-language model that follows instructions, or raise verify.max_tokens for one that thinks"
        )
    said = [r.probability is not None and r.probability >= threshold for r in replies]
    if len(set(said)) == 1:
        word = "yes" if said[0] else "no"
        raise ModelError(
            f"{table}.model {name!r} cannot verify: it says {word} to true and to false statements about drawn "
            "pictures alike; name another model, or another verify.threshold"
        )
    right = sum(s == true for s, (*_, true) in zip(said, _STATEMENTS, strict=True))
    if 2 * right <= len(_STATEMENTS):
        raise ModelError(
            f"{table}.model {name!r} cannot verify: it is right about {right} of {len(_STATEMENTS)} statements about "
            "drawn pictures; name another model"
        )
