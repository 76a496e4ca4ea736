"""Takes over for each caption what was found of its best candidate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pyarrow as pa

from curation.caption.best.candidates_stage import OfCaptions
from curation.caption.check_stage import CheckStage
from curation.caption.recaption_stage import RecaptionStage
from curation.core.run import is_on
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Verdict
from schemas.arrays import strings
from schemas.arrow import Record, conform, rows_of
from schemas.candidates import CANDIDATES, RankedCandidate, candidate_number, plain_kind

_NO_KIND = -1


@dataclass(frozen=True)
class PickedStage:
    """Takes over what was found of each sample's best candidates. No model is asked.

    Writes the rows of these candidates under their plain kinds, in the order in which the stage would write them that
    this one stands for. A sample that has no ranks yet has no row.
    """

    version: ClassVar[int] = 1

    of: OfCaptions = field(metadata={"digest": False})  # its tables are in the digest
    resources: Resources = setting(Resources(), digest=False)

    @property
    def name(self) -> str:
        return f"picked_{self.of.name}"

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return (RankedCandidate, CANDIDATES[self.of.writes])

    @property
    def writes(self) -> type[Record]:
        return self.of.writes

    @property
    def on(self) -> bool:
        """As the stage that it stands for."""
        return is_on(self.of)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._pick

    def _pick(self, shard: Shard) -> pa.Table:
        best: dict[tuple[str, str], tuple[int, int]] = {}  # the number, and the place among the sample's kinds
        samples: dict[str, int] = {}
        for row in rows_of(RankedCandidate, shard.read(RankedCandidate)):
            samples.setdefault(row.sample_id, len(samples))
            if row.rank == 0:
                best[row.sample_id, row.kind] = row.candidate, len(best)
        table = shard.read(CANDIDATES[self.of.writes])
        shard.rows_in = table.num_rows
        places: list[tuple[int, int, int]] = []
        rows = zip(strings(table["sample_id"]), strings(table["kind"]), strict=True)
        for row_number, (sample, kind) in enumerate(rows):
            plain = plain_kind(kind)
            number, place = best.get((sample, plain), (0, _NO_KIND))  # of an alt text there are no candidates
            if sample in samples and candidate_number(kind) == number:
                places.append((samples[sample], place, row_number))
        taken = table.take(pa.array([n for *_, n in sorted(places)], pa.int64()))
        kinds = pa.array([plain_kind(kind) for kind in strings(taken["kind"])], pa.string())
        return conform(self.writes, taken.set_column(taken.schema.get_field_index("kind"), "kind", kinds))


@dataclass(frozen=True)
class PickedVerdictStage(PickedStage):
    """The same for a stage that decides about samples: it decides alike."""

    of: RecaptionStage | CheckStage = field(metadata={"digest": False})

    @property
    def verdict(self) -> Verdict:
        """In the catalog its samples are rejected by the stage that it stands for."""
        made = self.of.verdict
        return replace(made, label=made.label or self.of.name)
