"""Ranks the candidates for each caption by what verification found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import ClassVar

import pyarrow as pa

from curation.caption.verify.verified_stage import VerifiedStage, untrue_among
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from schemas.arrow import Record, rows_of, table_of
from schemas.candidates import (
    Candidate,
    CandidateCheck,
    CandidateStatement,
    RankedCandidate,
    candidate_number,
    plain_kind,
)
from schemas.captions import CaptionCheck, Statement, VerifiedCaption
from schemas.reasons import Reason

_RECORDED = (Reason.BOILERPLATE_OPENING, Reason.FILLER)  # no caption is rejected for these


@dataclass(frozen=True)
class _Found:
    """What is known of a candidate."""

    candidate: Candidate
    check: CaptionCheck
    verified: VerifiedCaption | None  # none where its text did not pass
    true: int  # statements that nothing was found against

    @property
    def merit(self) -> tuple[int, Fraction, int]:
        """Better ones have higher merit.

        First what might be released, then the share of statements that are true, then how many of them are left.
        A caption whose statements were not asked about has no share.
        """
        text, fit = self.candidate.text is not None, self.check.passed and self.check.caption is not None
        if self.verified is None or not self.verified.statements:
            return int(text) + int(fit), Fraction(0), 0
        false = self.verified.statements - self.true
        share = Fraction(self.true, self.verified.statements) if self.verified.asked else Fraction(0)
        left = self.verified.statements - max(false, self.verified.dropped)
        return int(text) + int(fit) + int(self.verified.passed), share, left


@dataclass(frozen=True)
class RankedStage:
    """Ranks the candidates for each caption by the share of their statements that are true.

    Candidates that might be released come first; of equal ones the one with the most true statements left, then the
    one that was asked for first. Writes a ``RankedCandidate`` row for each candidate, those of a kind by rank. A sample
    of which a candidate has no verdict yet has no row. ``decides`` says what would be released.
    """

    name: ClassVar[str] = "ranked"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Candidate, CandidateCheck, CandidateStatement)
    writes: ClassVar[type[Record]] = RankedCandidate

    decides: VerifiedStage
    on: bool = setting(False, digest=False)
    resources: Resources = setting(Resources(), digest=False)

    def ready(self, store: Store | None) -> RankedStage:
        """Raises ``RecipeError`` for a missing prompt."""
        return replace(self, decides=self.decides.ready(store))

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._shard

    def _shard(self, shard: Shard) -> pa.Table:
        checks = {(c.sample_id, c.kind): c for c in rows_of(CandidateCheck, shard.read(CandidateCheck))}
        judged: dict[tuple[str, str], list[Statement]] = defaultdict(list)
        for statement in rows_of(CandidateStatement, shard.read(CandidateStatement)):
            judged[statement.sample_id, statement.kind].append(statement)
        candidates = shard.read(Candidate)
        shard.rows_in = candidates.num_rows
        rows: list[RankedCandidate] = []
        for _, own in groupby(rows_of(Candidate, candidates), key=lambda c: c.sample_id):
            # What only serves other captions has no verdict of its own.
            found = [self._found(c, checks, judged) for c in own if (c.sample_id, c.kind) in checks]
            known = [f for f in found if f is not None]
            rows += _ranked(known) if len(known) == len(found) else []
        return table_of(RankedCandidate, rows)

    def _found(
        self,
        candidate: Candidate,
        checks: Mapping[tuple[str, str], CaptionCheck],
        judged: Mapping[tuple[str, str], Sequence[Statement]],
    ) -> _Found | None:
        """None while its statements have no verdict."""
        check = checks[candidate.sample_id, candidate.kind]
        if not check.passed or check.caption is None:
            return _Found(candidate, check, None, 0)
        statements = judged.get((candidate.sample_id, candidate.kind), ())
        verified = self.decides.decide(check, statements)
        if verified is None:
            return None
        return _Found(candidate, check, verified, len(statements) - len(untrue_among(statements)))


def _ranked(found: Sequence[_Found]) -> Iterator[RankedCandidate]:
    """The candidates of a sample, kind by kind and each kind's by rank."""
    of: dict[str, list[_Found]] = defaultdict(list)
    for one in found:
        of[plain_kind(one.candidate.kind)].append(one)
    for kind, candidates in of.items():
        # Of equals, the one that was asked for first stays first.
        for rank, one in enumerate(sorted(candidates, key=lambda f: f.merit, reverse=True)):
            yield _row(one, kind, rank)


def _row(found: _Found, kind: str, rank: int) -> RankedCandidate:
    check, verified = found.check, found.verified
    reason = None if verified is None else verified.reason
    if verified is None:
        given = [r for r in check.reasons if r not in _RECORDED]
        reason = next(iter(given or check.reasons), None)
    return RankedCandidate(
        sample_id=found.candidate.sample_id,
        kind=kind,
        candidate=candidate_number(found.candidate.kind),
        rank=rank,
        passed=verified is not None and verified.passed,
        reason=reason,
        statements=0 if verified is None else verified.statements,
        asked=0 if verified is None else verified.asked,
        true_statements=found.true,
        words=check.words if verified is None else verified.words,
        caption=check.caption if verified is None else verified.caption,
    )
