"""A decision from what a page sends: limits, characters, and what may follow what. Requests are hostile.

An edited caption goes into releases as it is written here, and is shown to other reviewers: it has one line, no
characters that steer a reader or a terminal, and a length that a caption may have.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curation.core.errors import LapidaryError
from schemas.reasons import Reason
from schemas.reviews import Action

MOST_CAPTION = 8000
"""Characters of an edited caption."""
MOST_NOTE = 2000
MOST_NAME = 80
_MOST_ID = 200
_KEYS = frozenset(("sample_id", "action", "who", "reason", "note", "caption", "kind", "undoes", "last")) | {
    "audit",
    "anything_false",
    "subject_missing",
}
REASONS: dict[str, str] = {
    Reason.JUDGED_FALSE: "a person says: the caption states what the picture does not show",
    Reason.JUDGED_INCOMPLETE: "a person says: the caption leaves out the main subject",
    Reason.JUDGED_BADLY_WRITTEN: "a person says: the caption is badly written",
    Reason.JUDGED_POOR_IMAGE: "a person says: the picture is of poor quality",
    Reason.JUDGED_OFF_TOPIC: "a person says: the picture does not belong in this dataset",
    Reason.JUDGED_UNSAFE: "a person says: the picture or its text is unsafe",
    Reason.JUDGED_PRIVATE: "a person says: the picture shows what is private",
    Reason.JUDGED_OTHERWISE: "a person says: it does not belong in the release for another reason",
}
"""Why a person rejects, with a line of help each."""


class Refused(LapidaryError):
    """A decision that is not taken; says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Asked:
    """A decision as it was asked for, in its form right. ``last`` is the last decision that the person had seen."""

    sample_id: str
    action: Action
    who: str
    reason: str | None = None
    note: str | None = None
    caption: str | None = None
    kind: str | None = None
    undoes: str | None = None
    last: str = ""
    audit: str | None = None
    anything_false: bool | None = None
    subject_missing: bool | None = None


def parsed(said: Any) -> Asked:
    """A decision from JSON. Raises ``Refused``."""
    if not isinstance(said, Mapping):
        raise Refused("found no JSON object; expected one with sample_id, action and who")
    if unknown := said.keys() - _KEYS:
        raise Refused(f"found the keys {', '.join(sorted(map(repr, unknown)))[:200]}; expected some of {_names()}")
    try:
        action = Action(str(said.get("action")))
    except ValueError:
        raise Refused(f"action is none of {', '.join(Action)}; send one of these") from None
    asked = Asked(
        sample_id=_line(said, "sample_id", _MOST_ID) or "",
        action=action,
        who=_line(said, "who", MOST_NAME) or "",
        reason=_line(said, "reason", _MOST_ID),
        note=_line(said, "note", MOST_NOTE),
        caption=_line(said, "caption", MOST_CAPTION),
        kind=_line(said, "kind", _MOST_ID),
        undoes=_line(said, "undoes", _MOST_ID),
        last=_line(said, "last", _MOST_ID) or "",
        audit=_line(said, "audit", _MOST_ID),
        anything_false=_answer(said, "anything_false"),
        subject_missing=_answer(said, "subject_missing"),
    )
    return _complete(asked)


def _names() -> str:
    return ", ".join(sorted(_KEYS))


def _complete(asked: Asked) -> Asked:
    """Raises ``Refused`` where the action lacks what it needs."""
    if not asked.sample_id:
        raise Refused("sample_id is missing; send the sample's id")
    if not asked.who:
        raise Refused("nobody is named; write your name into the field 'judging as'")
    match asked.action:
        case Action.REJECT if asked.reason not in REASONS:
            raise Refused(f"a reject needs one of the reasons {', '.join(REASONS)}")
        case Action.EDIT if not asked.caption:
            raise Refused("the caption is empty; write one, or reject the sample")
        case Action.UNDO if not asked.undoes:
            raise Refused("an undo names the decision that it takes back; send its review_id as undoes")
        case Action.AUDIT if not asked.audit or asked.anything_false is None or asked.subject_missing is None:
            raise Refused("an audit has two answers; send audit, anything_false and subject_missing")
    return asked


def _answer(said: Mapping[str, Any], key: str) -> bool | None:
    value = said.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{key} is {type(value).__name__}; expected true or false")
    return value


def _line(said: Mapping[str, Any], key: str, most: int) -> str | None:
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused(f"{key} is {type(value).__name__}; expected a text")
    # A line end is a blank: captions and tables have one line.
    text = " ".join(value.split())
    if len(text) > most:
        raise Refused(f"{key} has {len(text):,} characters; expected at most {most:,}: shorten it")
    if wrong := sorted({f"U+{ord(c):04X}" for c in text if _steers(c)}):
        raise Refused(
            f"{key} has characters that nobody sees and that steer what is shown ({', '.join(wrong[:5])}); remove them"
        )
    return text or None


def _steers(character: str) -> bool:
    """Controls, overrides of direction, tags, halves of pairs, and what is no character at all.

    Joiners (U+200C, U+200D) stay: Persian, Indic scripts and emoji are written with them.
    """
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp") or (kind == "Cf" and character not in "\u200c\u200d")
