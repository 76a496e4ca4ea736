"""What the page of a review asks and sends: samples of the queue with what was decided, and decisions.

A decision is a file in the root before it is answered (``curation.reviews.journal``). Nothing is locked: several
people may judge at one server or at several, and while a run holds the root.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, ClassVar

from curation.core.errors import LapidaryError
from curation.core.lock import PENDING
from curation.report.asking import Root, Row
from curation.report.judging import Asking, fill_queue
from curation.report.rows import read_rows
from curation.report.seen import Sample, find, held_by, kept_for_good
from curation.report.serving import Answers, address_of, number_in
from curation.reviews.decision import REASONS, Asked, Refused, parsed
from curation.reviews.journal import Journal, new_id, write
from curation.sources.tombstones import OWN, Tombstones
from schemas.reviews import Action, Review

_MOST_ROWS = 12
_CHOSEN = """
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT (row_number() OVER (ORDER BY place))::INTEGER AS place, source_file, source_row
FROM queue WHERE place >= ? ORDER BY place LIMIT ?
"""
_ONE = """
CREATE OR REPLACE TEMP TABLE chosen AS SELECT 1 AS place, source_file, source_row
FROM listed WHERE sample_id = ? AND reason IS DISTINCT FROM 'repeated_row' ORDER BY ALL LIMIT 1
"""


class Conflict(LapidaryError):
    """Somebody else decided about the sample since it was looked at."""


@dataclass
class Judging(Answers):
    """The answers of a server that takes decisions. ``who`` is the name that the page begins with."""

    asked: Asking = field(default_factory=Asking)
    who: str = ""
    queued: tuple[str, ...] = ()  # sample_ids, by their place
    journal: Journal | None = None
    further: ClassVar[tuple[str, ...]] = ("review.css", "review.js", "review_keys.js")
    takes: ClassVar[bool] = True
    _deciding: threading.RLock = field(default_factory=threading.RLock)
    _stones: tuple[object, frozenset[str]] = (None, frozenset())

    @classmethod
    def of(cls, asked: Asking, who: str) -> Callable[[Root], Judging]:
        """What makes the answers over an opened root."""

        def over(root: Root) -> Judging:
            found = cls(root, asked=asked, who=who, journal=Journal(root.store))
            fill_queue(root, asked)
            rows = root.connection.execute("SELECT sample_id FROM queue ORDER BY place").fetchall()
            found.queued = tuple(str(sample) for (sample,) in rows)
            found.of_journal.refresh()
            doing = "an audit of the release" if asked.audit else "samples to judge"
            found.fill(f"{root.name}: {doing}", review=found._described())
            return found

        return over

    @property
    def of_journal(self) -> Journal:
        """The decisions, which there are once the root is opened."""
        assert self.journal is not None
        return self.journal

    def _described(self) -> Row:
        """What the page is told of the review."""
        return {
            "who": self.who,
            "reasons": [[str(reason), said.removeprefix("a person says: ")] for reason, said in REASONS.items()],
            "audit": self.asked.audit_name,
            "queue": self.asked.words(),
            "of": len(self.queued),
            "edits": self.root.product.name != "anchor",
        }

    # What the page asks

    def ask(self, name: str, asked: dict[str, list[str]]) -> Row | None:
        """The answer to a question of the page; None where it is no question of a review."""
        who = (asked.get("who") or [""])[0][:80]
        with self._deciding:
            match name:
                case "queue":
                    place = number_in(asked, "place", 0, len(self.queued))
                    return self._queue(self._first_open(place, who) if "open" in asked else place, who)
                case "sample":
                    with self.asking():
                        self.root.connection.execute(_ONE, [(asked.get("id") or [""])[0][:200]])
                        rows = read_rows(self.root, address_of)
                    return {"rows": self._judged(rows, who), **self._about(who)}
        return None

    def _queue(self, place: int, who: str) -> Row:
        """Samples from this place on."""
        self.of_journal.refresh()
        with self.asking():
            self.root.connection.execute(_CHOSEN, [place, _MOST_ROWS])
            rows = read_rows(self.root, address_of)
            query = "SELECT sample_id, why FROM queue WHERE place >= ? ORDER BY place LIMIT ?"
            whys = dict(self.root.connection.execute(query, [place, _MOST_ROWS]).fetchall())
        return {"rows": self._judged(rows, who, whys), "place": place, **self._about(who)}

    def _first_open(self, place: int, who: str) -> int:
        """The first place from here on whose sample is not judged; behind the last one where all are."""
        later = (at for at in range(place, len(self.queued)) if not self._is_judged(self.queued[at], who))
        return next(later, len(self.queued))

    def _is_judged(self, sample: str, who: str) -> bool:
        if (audit := self.asked.audit_name) is not None:
            return self.of_journal.answer(sample, audit, who) is not None
        return bool(self.of_journal.standing(sample))

    def _about(self, who: str) -> Row:
        """How far the queue is, and whether a run works on the root."""
        judged = sum(self._is_judged(sample, who) for sample in self.of_journal.by_sample.keys() & set(self.queued))
        return {"of": len(self.queued), "count": judged, "held": held_by(self.root.store)}

    def _judged(self, rows: list[Row], who: str, whys: dict[str, str | None] | None = None) -> list[Row]:
        return [row | {"judged": self._state(row["id"], who), "why": (whys or {}).get(row["id"])} for row in rows]

    def _state(self, sample: str, who: str) -> Row:
        """What was decided about a sample, and what may be."""
        seen = self._seen(sample, edited=not self.asked.audit)
        standing = self.of_journal.standing(sample)
        answer = self.of_journal.answer(sample, self.asked.audit_name, who) if self.asked.audit_name else None
        shown = ("review_id", "at", "who", "action", "reason", "note", "after")
        return {
            "last": self.of_journal.last(sample),
            "decisions": [{key: getattr(r, key) for key in shown} for r in standing],
            "caption": seen.caption if seen else None,
            "refuses": kept_for_good(self.root, seen) if seen else "the sample is not in this root",
            "answer": answer and {"anything_false": answer.anything_false, "subject_missing": answer.subject_missing},
        }

    # What the page sends

    def post(self, name: str, said: Any) -> tuple[HTTPStatus, Row] | None:
        """Takes a decision; answers with the sample's state. What is refused comes with why."""
        if name != "decide":
            return None
        try:
            asked = parsed(said)
            with self._deciding:
                try:
                    return HTTPStatus.OK, self._decide(asked)
                except Conflict as error:
                    state = self._state(asked.sample_id, asked.who)
                    return HTTPStatus.CONFLICT, {"error": str(error), "judged": state}
        except Refused as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)}

    def _decide(self, asked: Asked) -> Row:
        """Raises ``Refused`` for what cannot be, ``Conflict`` where the person had not seen the last decision."""
        self.of_journal.refresh()
        self._check_there(asked.sample_id)
        seen = self._seen(asked.sample_id, edited=asked.action != Action.AUDIT)
        if seen is None:
            raise Refused("the root has no such sample; load the page again")
        self._check(asked, seen)
        review = self._review(asked, seen)
        file = write(self.root.store, review)
        try:
            self._check_there(asked.sample_id)  # a takedown may have begun meanwhile
        except Refused:
            self.root.store.remove(file)
            raise
        self.of_journal.add(review)
        return {"judged": self._state(asked.sample_id, asked.who), **self._about(asked.who)}

    def _check_there(self, sample: str) -> None:
        store = self.root.store
        if store.exists(PENDING):
            raise Refused("a takedown of this root is under way; decide again when it has ended")
        version: object = None
        if store.exists(OWN):
            about = store.filesystem.info(store.path(OWN))
            version = tuple(str(about.get(key)) for key in ("size", "mtime", "LastModified", "ino"))
        if version != self._stones[0]:
            self._stones = version, frozenset(Tombstones.of_root(store).by_sample)
        if sample in self._stones[1]:
            raise Refused("the sample was taken down for good; load the page again")

    def _check(self, asked: Asked, seen: Sample) -> None:
        """Raises ``Refused`` or ``Conflict`` where the decision cannot follow those that stand."""
        if asked.action == Action.AUDIT:
            if asked.audit != self.asked.audit_name or seen.fate != "kept":
                raise Refused("these are no questions of this audit; load the page again")
            return
        last = self.of_journal.last(asked.sample_id)
        if asked.last != last:
            other = self.of_journal.reviews[last] if last else None
            raise Conflict(
                f"{other.who if other else 'somebody'} has decided about this sample since you saw it"
                f"{f' ({other.action})' if other else ''}; look at it again, then decide"
            )
        if asked.action == Action.UNDO:
            if asked.undoes not in {r.review_id for r in self.of_journal.standing(asked.sample_id)}:
                raise Refused("that decision does not stand (any more); look at the sample again")
            return
        if asked.action == Action.EDIT and self.root.product.name == "anchor":
            raise Refused("captions of news are not edited: entities and weights stand in them by place; reject it")
        if asked.action in (Action.KEEP, Action.EDIT) and (why := kept_for_good(self.root, seen)):
            raise Refused(why)
        if asked.action == Action.KEEP and seen.fate != "kept" and not seen.caption:
            raise Refused("there is no caption to keep; write one")

    def _seen(self, sample: str, *, edited: bool = True) -> Sample | None:
        """A sample with the last edit that stands; without ``edited`` as the release has it."""
        with self.asking():
            seen = find(self.root, sample)
        if seen is None:
            return None
        edits = [r for r in self.of_journal.standing(sample) if r.action == Action.EDIT]
        return replace(seen, caption=edits[-1].after, kind=edits[-1].kind) if edits and edited else seen

    def _review(self, asked: Asked, seen: Sample) -> Review:
        review_id, at = new_id(
            max((r.review_id for r in self.of_journal.by_sample.get(asked.sample_id, [])), default="")
        )
        after = asked.caption if asked.action == Action.EDIT else seen.caption if asked.action == Action.KEEP else None
        audits = asked.action == Action.AUDIT
        return Review(
            *(review_id, asked.sample_id, at, asked.who, asked.action),
            reason=asked.reason if asked.action == Action.REJECT else None,
            note=asked.note,
            kind=seen.kind,
            fate_before=seen.fate,
            reason_before=seen.reason,
            before=seen.caption,
            after=after,
            undoes=asked.undoes if asked.action == Action.UNDO else None,
            audit=asked.audit if audits else None,
            anything_false=asked.anything_false if audits else None,
            subject_missing=asked.subject_missing if audits else None,
            words=None,
            clip_tokens=None,
            sentence_end_77=None,
        )
