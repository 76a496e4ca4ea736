"""What planning a source would come to, without writing anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from curation.sources.discover import SourceFile, SourceSet
from curation.sources.filters import judge
from schemas.reasons import Reason
from schemas.recipe import Source

MOST = 1_000_000  # Parquet rows that are judged; of longer lists a part of each file stands for the whole


@dataclass(frozen=True)
class Step:
    """One metadata filter: the rows it rejects, and those left after it and all before it."""

    reason: Reason
    rejected: int
    left: int


@dataclass(frozen=True)
class Preview:
    """``rows`` counts by dialect and is exact. The funnel counts the ``judged`` rows; ``shards`` all.

    Repeats are not looked for: that takes the whole source.
    """

    rows: dict[str, int]
    judged: int
    funnel: tuple[Step, ...]
    shards: int

    @property
    def total(self) -> int:
        """Rows of the source."""
        return sum(self.rows.values())

    @property
    def exact(self) -> bool:
        """Whether every row was judged."""
        return self.judged == self.total

    @property
    def passing(self) -> int:
        """Rows that pass all filters; an estimate where not every row was judged."""
        left = self.funnel[-1].left if self.funnel else self.judged
        return left if self.exact else round(self.total * left / max(1, self.judged))


def preview(sources: SourceSet, recipe: Source, most: int = MOST) -> Preview:
    """Judges the source's rows, of very long Parquet lists the first ones of each file.

    Of tars and folders it reads what planning reads: sidecars, and images that have no url.
    Raises ``SourceError`` where a file turns out to be damaged.
    """
    rows: Counter[str] = Counter()
    rejected: Counter[Reason] = Counter()
    judged = shards = 0
    left = recipe.limit or None
    known = sum(f.rows() or 0 for f in sources.files)
    share = min(1.0, most / max(1, known if left is None else min(known, left)))
    for file in sources.files:
        if left == 0:
            break
        seen, count = _judge(file, recipe, left, share, rejected)
        rows[file.dialect] += count
        judged += seen
        shards += -(-count // recipe.shard_rows)
        left = None if left is None else left - count
    steps = []
    remaining = judged
    for reason in Reason:
        if rejected[reason]:
            remaining -= rejected[reason]
            steps.append(Step(reason, rejected[reason], remaining))
    return Preview(dict(rows), judged, tuple(steps), shards)


def _judge(
    file: SourceFile, recipe: Source, left: int | None, share: float, rejected: Counter[Reason]
) -> tuple[int, int]:
    """Rows judged, and rows there are."""
    there = file.rows()
    end = left
    if there is not None:
        there = there if left is None else min(there, left)
        end = -int(-there * share // 1)
    seen = 0
    for claims in file.read(0, end):
        seen += claims.num_rows
        rejected.update(judge(claims, recipe).rejected)
    return seen, seen if there is None else there
