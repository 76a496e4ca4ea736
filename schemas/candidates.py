"""The records of candidates: several captions of one kind for each image, of which the best is kept.

The tables of candidates are those of captions, except that ``kind`` names the candidate too: ``dense.0``, ``dense.1``.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Int32, Record
from schemas.atoms import Atom
from schemas.captions import Caption, CaptionCheck, Statement
from schemas.reasons import Reason

_MARK = "."  # no kind of a recipe has one


def candidate_kind(kind: str, number: int) -> str:
    """The kind of the candidate of this number, from 0."""
    return f"{kind}{_MARK}{number}"


def plain_kind(kind: str) -> str:
    """The kind of caption that a candidate's kind belongs to; any other kind as it is."""
    return kind.partition(_MARK)[0]


def candidate_number(kind: str) -> int:
    """The number of a candidate, from 0; 0 for a kind that names none."""
    return int(kind.partition(_MARK)[2] or 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate(Caption):
    """A model's reply that may become a caption, as it came. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "candidates"

    kind: Annotated[str, "kind of caption and number of the candidate, such as dense.0"]


@dataclasses.dataclass(frozen=True, slots=True)
class CandidateCheck(CaptionCheck):
    """The verdict on a candidate by its text. Keyed by (sample_id, kind)."""

    table: ClassVar[str] = "candidate_checks"

    kind: Annotated[str, "as in candidates; alt_text for the counts of the alt text itself"]


@dataclasses.dataclass(frozen=True, slots=True)
class CandidateAtom(Atom):
    """An atom of a candidate. Keyed by (sample_id, kind, index)."""

    table: ClassVar[str] = "candidate_atoms"

    kind: Annotated[str, "as in candidates"]
    start: Annotated[int | None, Int32, "characters of candidate_checks.caption before its words; null where none"]


@dataclasses.dataclass(frozen=True, slots=True)
class CandidateStatement(Statement):
    """A statement of a candidate and whether a model that looks at the image holds it true.

    Keyed by (sample_id, kind, index).
    """

    table: ClassVar[str] = "candidate_statements"

    kind: Annotated[str, "as in candidates"]
    start: Annotated[int, Int32, "characters from the start of candidate_checks.caption to the statement"]


@dataclasses.dataclass(frozen=True, slots=True)
class RankedCandidate(Record):
    """Where a candidate stands among those of its sample and kind. Keyed by (sample_id, kind, candidate)."""

    table: ClassVar[str] = "ranked_candidates"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions"]
    candidate: Annotated[int, Int32, "its number, from 0"]
    rank: Annotated[int, Int32, "0 for the one that became the caption"]
    passed: Annotated[bool, "whether it might be released: by its text, and by verify.policy"]
    reason: Annotated[Reason | None, "why not"]
    statements: Annotated[int, Int32, "statements that it has; 0 where its text did not pass"]
    asked: Annotated[int, Int32, "of these, statements that were verified"]
    true_statements: Annotated[int, Int32, "statements that nothing was found against, those not asked about included"]
    words: Annotated[int, Int32, "in caption"]
    caption: Annotated[str | None, "its text after repairs and verification; null when nothing usable is left"]


CANDIDATES: dict[type[Record], type[Record]] = {
    Caption: Candidate,
    CaptionCheck: CandidateCheck,
    Atom: CandidateAtom,
    Statement: CandidateStatement,
}
"""The record of candidates for each record of captions."""
