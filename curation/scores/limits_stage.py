"""The stage that holds scores against the recipe's limits, before any caption is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Verdict
from curation.scores.scorer import Scorer, record_of
from schemas.arrays import strings
from schemas.arrow import Record, rows_of, table_of
from schemas.records import Duplicate
from schemas.scores import ScoreColumn, ScoreVerdict


@dataclass(frozen=True)
class LimitsStage:
    """Rejects kept images whose scores lie beyond the recipe's limits. An unknown score keeps its image.

    ``limits`` are (score, least, most), None for no limit. Scores are looked at in this order; the first one that is
    beyond a limit is the reason.
    """

    name: ClassVar[str] = "image_scores"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = ScoreVerdict

    limits: tuple[tuple[str, float | None, float | None], ...]
    scorers: tuple[Scorer, ...] = setting((), digest=False)  # of the scores in ``limits``; ``reads`` names their tables
    known: tuple[ScoreColumn, ...] = setting((), digest=False)  # all scores that can have a limit, for the help
    resources: Resources = setting(Resources(), digest=False)

    @property
    def on(self) -> bool:
        return bool(self.limits)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return (Duplicate, *(record_of(scorer) for scorer in self.scorers))

    @property
    def verdict(self) -> Verdict:
        return Verdict.each(ScoreVerdict, self.reasons())

    def reasons(self) -> Mapping[str, str]:
        """The reasons of the limits that are set; where none is, of all that can be."""
        named = {name for name, _, _ in self.limits} or {column.name for column in self.known}
        found: dict[str, str] = {}
        for name in sorted(named):
            found[low(name)] = f"scores.{name}.min is not reached"
            found[high(name)] = f"scores.{name}.max is exceeded"
        return found

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._judge

    def _judge(self, shard: Shard) -> pa.Table:
        kept = [d.sample_id for d in rows_of(Duplicate, shard.read(Duplicate)) if d.reason is None]
        scores: dict[str, dict[str, float | None]] = {}
        for scorer in self.scorers:
            table = shard.read(record_of(scorer))
            ids = strings(table["sample_id"])
            for column in scorer.columns:
                scores[column.name] = dict(zip(ids, table[column.name].to_pylist(), strict=True))
        shard.rows_in = len(kept)
        return table_of(ScoreVerdict, [ScoreVerdict(sample, *self._beyond(sample, scores)) for sample in kept])

    def _beyond(self, sample: str, scores: Mapping[str, Mapping[str, float | None]]) -> tuple[str | None, str | None]:
        """Reason and detail of the first score of a sample that is beyond a limit."""
        for name, least, most in self.limits:
            found = scores[name].get(sample)
            if found is None:
                continue
            if least is not None and found < least:
                return low(name), f"{name} is {found:g}, scores.{name}.min is {least:g}"
            if most is not None and found > most:
                return high(name), f"{name} is {found:g}, scores.{name}.max is {most:g}"
        return None, None


def low(score: str) -> str:
    """The reason of an image whose score is below its lower limit."""
    return f"low_{score}"


def high(score: str) -> str:
    """The reason of an image whose score is above its upper limit."""
    return f"high_{score}"


def remedies(columns: Sequence[ScoreColumn]) -> dict[str, str]:
    """What to do about images that were lost to a limit on one of these scores, by reason."""
    lows = {low(c.name): f"lower scores.{c.name}.min" for c in columns}
    return lows | {high(c.name): f"raise scores.{c.name}.max" for c in columns}
