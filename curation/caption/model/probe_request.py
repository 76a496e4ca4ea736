"""What a stage will ask of a model, told before the first request."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from curation.caption.model.untrusted import LIMIT

_ALT_TEXT = "a red ball on a wooden floor beside two books, "


@dataclass(frozen=True, slots=True)
class Need:
    """The longest prompt of a kind: its turns, with an alt text of full length, and the reply's limit in tokens.

    ``reply_type`` is what the reply must parse as, where it is data.
    """

    kind: str
    system: str
    user: str
    max_tokens: int
    reply_type: type[BaseModel] | None = None


def typical_alt_text() -> str:
    """An alt text of as many characters as a prompt lets in."""
    return (_ALT_TEXT * (LIMIT // len(_ALT_TEXT) + 1))[:LIMIT]
