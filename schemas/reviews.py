"""What people decided about samples: one row a decision, never changed, only followed by another one."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, ClassVar

from schemas.arrow import Int32, Record


class Action(enum.StrEnum):
    """What a decision does."""

    KEEP = "keep"  # it may be released as it was seen; sets aside what judgement may override
    REJECT = "reject"  # it leaves the release
    EDIT = "edit"  # it is released with another caption
    UNDO = "undo"  # another decision counts no more
    AUDIT = "audit"  # two questions were answered; the sample's fate stays what it is


@dataclasses.dataclass(frozen=True, slots=True)
class Review(Record):
    """A person's decision about a sample, as the files in ``reviews/`` have it."""

    table: ClassVar[str] = "reviews"

    review_id: Annotated[str, "when it was made (UTC, to the microsecond), and a random part: later ones sort behind"]
    sample_id: Annotated[str, "as in rows"]
    at: Annotated[str, "when it was made, as 2026-01-31T12:00:00.000000Z"]
    who: Annotated[str, "the name that the person gave"]
    action: Annotated[Action, "keep, reject, edit, undo or audit"]
    reason: Annotated[str | None, "why it was rejected; null for other actions"]
    note: Annotated[str | None, "what the person wrote beside it"]
    kind: Annotated[str | None, "the kind of the caption that was seen"]
    fate_before: Annotated[str | None, "the sample's fate that was seen"]
    reason_before: Annotated[str | None, "the reason of that fate, if any"]
    before: Annotated[str | None, "the caption that was seen"]
    after: Annotated[str | None, "the caption that goes out: another one of an edit, the one that was seen of a keep"]
    undoes: Annotated[str | None, "the review_id that an undo takes back"]
    audit: Annotated[str | None, "the random sample that was audited: its seed"]
    anything_false: Annotated[bool | None, "an audit's first answer: does the caption say anything false?"]
    subject_missing: Annotated[bool | None, "its second answer: is the main subject missing from the caption?"]
    words: Annotated[int | None, Int32, "in after"]
    clip_tokens: Annotated[int | None, Int32, "CLIP tokens of after, without start and end"]
    sentence_end_77: Annotated[int | None, Int32, "as in caption_checks, of after"]
