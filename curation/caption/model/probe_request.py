"""What a stage will ask of a model, declared before the first request."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from curation.caption.model.chat import Sampling
from curation.caption.model.untrusted import LIMIT

_ALT_TEXT = "a red ball on a wooden floor beside two books, "


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """The longest request of a kind: its turns, with an alt text of full length, and how the reply is sampled.

    ``reply_type`` is what the reply must parse as, where it is data. Without ``sampling`` the reply is greedy, and
    only its limit, ``max_tokens``, is that of the run. ``yes_no``: as in ``ChatRequest``. ``sees``: whether an image
    goes with it, where the model looks at images.
    """

    kind: str
    system: str
    user: str
    max_tokens: int
    reply_type: type[BaseModel] | None = None
    sampling: Sampling | None = None
    yes_no: bool = False
    sees: bool = True


def typical_alt_text() -> str:
    """An alt text of as many characters as a prompt lets in."""
    return (_ALT_TEXT * (LIMIT // len(_ALT_TEXT) + 1))[:LIMIT]
