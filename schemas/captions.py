"""The records of captions: what a model wrote of an image, and what was found of it. Keyed by (sample_id, kind)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Float32, Int32, Record
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Caption(Record):
    """A model's reply for one kind of caption, as it came. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "captions"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "dense, short, or what the recipe names"]
    text: Annotated[str | None, "the reply, untouched; null when there is none"]
    reason: Annotated[Reason | None, "why there is none"]
    detail: Annotated[str | None, "what the model or server said instead"]
    finish: Annotated[str | None, "stop, or length when the reply was cut at the token limit"]
    prompt: Annotated[str, "name@version of the prompt file"]
    model: Annotated[str, "as the endpoint or the checkpoint names itself"]
    model_revision: Annotated[str, "revision or content hash of the weights"]
    reply_key: Annotated[str, "hash of all that the reply depends on, hex"]
    tokens_in: Annotated[int | None, Int32, "prompt tokens, image included"]
    tokens_out: Annotated[int | None, Int32, "reply tokens"]


@dataclasses.dataclass(frozen=True, slots=True)
class CaptionCheck(Record):
    """The verdict on a caption. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "caption_checks"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions; alt_text for the counts of the alt text itself"]
    passed: Annotated[bool, "whether the caption may be released"]
    reasons: Annotated[list[Reason], "everything found, also what was repaired"]
    repaired: Annotated[bool, "whether caption differs from the reply"]
    detail: Annotated[str | None, "the passages that were found"]
    caption: Annotated[str | None, "the caption after repairs; null when nothing usable is left"]
    words: Annotated[int, Int32, "in caption; characters where its language does not separate words"]
    clip_tokens: Annotated[int, Int32, "CLIP byte-pair tokens of caption, without start and end"]
    sentence_end_77: Annotated[int | None, Int32, "characters up to the last full sentence in CLIP's 77 tokens"]


@dataclasses.dataclass(frozen=True, slots=True)
class Statement(Record):
    """A statement of a caption and whether a model that looks at the image holds it true.

    Keyed by (sample_id, kind, index).
    """

    table: ClassVar[str] = "statements"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions"]
    index: Annotated[int, Int32, "0-based place among the caption's statements"]
    start: Annotated[int, Int32, "characters from the start of caption_checks.caption to the statement"]
    end: Annotated[int, Int32, "the same to its end"]
    text: Annotated[str, "the statement: a sentence, or a clause of one"]
    leans_on: Annotated[int | None, Int32, "index of the statement that it refers back to; null where it stands alone"]
    classes: Annotated[list[str], "count, colour, text (written words), relation, size; else other alone"]
    probability: Annotated[float | None, "that it is true of the image, 0..1; null where it was not asked"]
    verdict: Annotated[str, "true, false, not_asked, or no_answer where the model gave none that can be used"]
    detail: Annotated[str | None, "why it was not asked, or why there is no answer"]
    model: Annotated[str, "as the endpoint or the checkpoint names itself"]
    model_revision: Annotated[str, "revision or content hash of the weights"]
    prompt: Annotated[str, "name@version of the prompt file"]
    reply_key: Annotated[str, "hash of all that the reply depends on, hex; empty where it was not asked"]


@dataclasses.dataclass(frozen=True, slots=True)
class VerifiedCaption(Record):
    """What verification made of a caption that passed the check. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "verified_captions"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions"]
    passed: Annotated[bool, "whether the caption may be released"]
    reason: Annotated[Reason | None, "why not"]
    detail: Annotated[str | None, "the false statements, one a line"]
    caption: Annotated[str, "the caption without the statements that were dropped"]
    words: Annotated[int, Int32, "in caption"]
    clip_tokens: Annotated[int, Int32, "CLIP byte-pair tokens of caption, without start and end"]
    sentence_end_77: Annotated[int | None, Int32, "characters up to the last full sentence in CLIP's 77 tokens"]
    statements: Annotated[int, Int32, "of the caption before anything was dropped"]
    asked: Annotated[int, Int32, "of these, statements that were verified"]
    false_statements: Annotated[int, Int32, "of these, statements that are not true of the image"]
    dropped: Annotated[int, Int32, "statements that were cut out: the false ones and those that lean on them"]


@dataclasses.dataclass(frozen=True, slots=True)
class Score(Record):
    """Image-text similarity. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "scores"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "alt_text, or a kind of caption"]
    similarity: Annotated[float, Float32, "cosine of image and text embedding, -1..1"]
    model: Annotated[str, "name@revision of the checkpoint"]


@dataclasses.dataclass(frozen=True, slots=True)
class CaptionRepeat(Record):
    """A caption that too many different images share, whole or in its opening. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "caption_repeats"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions"]
    shared: Annotated[str, "caption where the whole text is shared, opening where its first eight words are"]
    text: Annotated[str, "what is shared, in lower case and without punctuation"]
    images: Annotated[int, "different images whose captions share it"]
