"""What the last packing knows: which rows are kept, and which of them are so too by other settings of captions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from curation.caption.choice import Choice
from curation.core.reduced import is_finished
from curation.core.run import Barrier, Step, parts_of
from curation.core.sql import literals
from curation.what_if.judged import ROW
from curation.what_if.question import Question
from curation.what_if.views import STORED
from schemas.balance import ALT_TEXT
from schemas.captions import CaptionRepeat
from schemas.records import Placement

# Rows and samples are joined by hashes of 64 bits: a hash takes no copy of a text of 32 characters. Two of N samples
# share one with a chance of N²/2⁶⁵, 1 in 37 million at a million: a line of the answer then is off by one.
SAMPLE = "hash(sample_id)"
_PLACED = f'SELECT {ROW} AS "row", {{stays}} AS stays FROM {Placement.table}'  # noqa: S608  # our own
_NONE = 'SELECT NULL::UBIGINT AS "row", false AS stays WHERE false'


def placed(question: Question) -> str:
    """A query for the rows that the root's recipe keeps: ``row``, and whether it ``stays`` whatever captions are asked.

    None where the packing is not finished for what the root has, since a run was killed on its way there.
    """
    theirs = question.steps(question.theirs)
    packing = (s.reduce for s in theirs if isinstance(s, Barrier) and s.reduce.writes.table == Placement.table)
    if not all(is_finished(question.store, reduce) for reduce in packing):
        return _NONE
    stays = "true"
    if question.captions:
        before, after = _choice(theirs), _choice(question.steps(question.ours))
        stays = _stays(before, after) if before and after else "false"
    return _PLACED.format(stays=stays)


def _choice(steps: Sequence[Step]) -> Choice | None:
    choices = (getattr(part, "choice", None) for part in parts_of(steps))
    return next((choice for choice in choices if isinstance(choice, Choice)), None)


def _stays(before: Choice, after: Choice) -> str:
    """SQL over placements: whether a sample that the choice ``before`` has placed surely passes by ``after``.

    It does if one of its captions still may be released, and if ``after`` looks at no caption that ``before`` did not
    look at: such a one may not be checked or scored yet. Of captions beside the chosen one the placement does not say
    how like the image they are.
    """
    if set(after.prefer) - set(before.prefer) or after.alt_text_fallback > before.alt_text_fallback:
        return "false"
    kinds = [*after.prefer, *([ALT_TEXT] if after.alt_text_fallback else [])]
    fitting = f"list_contains({literals(kinds)}, caption_kind) AND {after.similar('similarity')}"
    lowest = -math.inf if before.min_similarity is None else before.min_similarity
    if after.min_similarity is None or after.min_similarity <= lowest:
        fitting = f"({fitting} OR list_has_any(json_keys(captions), {literals(after.prefer)}))"
    if after.repeats_reject and not before.repeats_reject:
        repeated = f"SELECT {SAMPLE} FROM {STORED}{CaptionRepeat.table}"  # noqa: S608  # our own
        fitting += f" AND {SAMPLE} NOT IN ({repeated})"
    return fitting
