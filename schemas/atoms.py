"""The record of the atoms into which captions are taken apart."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Int32, Record
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Atom(Record):
    """An atom of a caption, in the form of a Davidsonian scene graph. Keyed by (sample_id, kind, index).

    A caption that was not taken apart has one row that says why; its statements are verified instead.
    """

    table: ClassVar[str] = "atoms"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions"]
    index: Annotated[int | None, Int32, "place among the caption's atoms, from 1; null where there are none"]
    parents: Annotated[list[int], "indices of the atoms that must be true before this one means anything"]
    category: Annotated[str | None, "entity, attribute, relation, count, text (written words) or global"]
    detail: Annotated[str | None, "the finer category, such as color or spatial"]
    elements: Annotated[list[str], "what it is made of, such as dog, brown"]
    start: Annotated[int | None, Int32, "characters of caption_checks.caption before its words; null where it has none"]
    end: Annotated[int | None, Int32, "the same to their end"]
    question: Annotated[str | None, "what is asked about the image"]
    answer: Annotated[str | None, "the answer of an image that the caption is true of: yes, a number, or written words"]
    reason: Annotated[Reason | None, "why there are no atoms; null where there are"]
    fault: Annotated[str | None, "what was found instead"]
    model: Annotated[str, "as the endpoint or the checkpoint names itself"]
    model_revision: Annotated[str, "revision or content hash of the weights"]
    prompt: Annotated[str, "name@version of the prompt file"]
    reply_key: Annotated[str, "hash of all that the reply depends on, hex; empty where the model was not asked"]
