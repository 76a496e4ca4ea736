"""Runs a stage of captions over candidates for captions: the same work on other tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from curation.caption.check_stage import CheckStage
from curation.caption.recaption_stage import RecaptionStage
from curation.caption.verify.atoms_stage import AtomsStage
from curation.caption.verify.verify_stage import VerifyStage
from curation.core.run import is_on
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Estimates, Pays, Replies
from schemas.arrow import Record
from schemas.candidates import CANDIDATES
from schemas.chat import Captioning

OfCaptions = RecaptionStage | CheckStage | AtomsStage | VerifyStage
"""A stage that writes a table of captions."""


@dataclass(frozen=True)
class CandidatesStage:
    """A stage of captions whose work is done on candidates. It decides about no sample.

    It reads and writes the tables of candidates in place of those of captions; ``wanted`` is how many candidates
    there are of each kind.
    """

    of: OfCaptions
    wanted: int = setting(1, digest=False)  # the tables and, where replies are asked for, ``of`` say so

    @property
    def name(self) -> str:
        return f"candidate_{self.of.name}"

    @property
    def version(self) -> int:
        return self.of.version

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return tuple(CANDIDATES.get(record, record) for record in self.of.reads)

    @property
    def writes(self) -> type[Record]:
        return CANDIDATES[self.of.writes]

    @property
    def resources(self) -> Resources:
        return self.of.resources

    @property
    def on(self) -> bool:
        """Whether there is a choice at all."""
        return self.wanted > 1 and is_on(self.of)

    @property
    def recipe(self) -> Captioning | None:
        """The kinds that are asked for, where that is what the stage does."""
        return self.of.recipe if isinstance(self.of, RecaptionStage) else None

    @property
    def replies(self) -> Replies | None:
        """Those that were paid for, under the plain kinds. What was kept of them is paid for once."""
        if not isinstance(self.of, Pays) or (found := self.of.replies) is None:
            return None
        own, ours = self.of.writes.table, self.writes.table
        plain = f"SELECT * REPLACE (split_part(kind, '.', 1) AS kind) FROM {ours}"  # noqa: S608  # a table's name
        relation = f"(WITH {own} AS ({plain}) SELECT * FROM {found.relation})"  # noqa: S608  # likewise
        return replace(found, relation=relation, each=found.each * self.wanted)

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        lines = self.of.estimate(samples) if isinstance(self.of, Estimates) else []
        return [(label, f"{text}; {self.wanted} candidates of each kind") for label, text in lines]

    def ready(self, store: Store | None) -> CandidatesStage:
        """Raises ``UsageError`` for what the stage cannot work with."""
        return replace(self, of=self.of.ready(store))

    @contextmanager
    def open(self) -> Iterator[Work]:
        with self.of.open() as work:
            yield partial(_on_candidates, work)


class _OfCandidates(Shard):
    """A shard in which tables of candidates stand for those of captions."""

    def read(self, record: type[Record]) -> pa.Table:
        return super().read(CANDIDATES.get(record, record))


def _on_candidates(work: Work, shard: Shard) -> pa.Table:
    """The work on the shard's candidates; what it says of its shard is said of this one."""
    seen = _OfCandidates(**vars(shard))
    try:
        return work(seen)
    finally:
        vars(shard).update(vars(seen))
