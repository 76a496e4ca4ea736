"""The result that planning a source would have, without writing anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from curation.core.errors import SourceError
from curation.sources.discover import SourceFile, SourceSet
from curation.sources.filters import judge
from schemas.reasons import Reason
from schemas.recipe import Source

MOST = 1_000_000  # Parquet rows that are judged; longer lists are estimated from a part of each file


@dataclass(frozen=True)
class Step:
    """One metadata filter: the rows that it rejects, and the rows left after it."""

    reason: Reason
    rejected: int
    left: int


@dataclass(frozen=True)
class Preview:
    """``rows`` counts all rows by dialect, ``shards`` all shards, and the funnel the ``judged`` rows.

    ``damaged`` holds the errors of files that cannot be read; their rows are not counted. Repeats are not looked for,
    because that takes the whole source.
    """

    rows: dict[str, int]
    judged: int
    funnel: tuple[Step, ...]
    shards: int
    damaged: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The number of rows of the source."""
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
    """Judges the rows of the source; of very long Parquet lists only the first rows of each file.

    Of tars and folders it reads what planning reads: sidecars, and images that have no url.
    """
    rows: Counter[str] = Counter()
    rejected: Counter[Reason] = Counter()
    judged = shards = 0
    damaged: list[str] = []
    left = recipe.limit or None
    known = sum(f.rows() or 0 for f in sources.files)
    share = min(1.0, most / max(1, known if left is None else min(known, left)))
    for file in sources.files:
        if left == 0:
            break
        try:
            seen, count = _judge(file, recipe, left, share, rejected)
        except SourceError as error:
            damaged.append(str(error))
            continue
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
    return Preview(dict(rows), judged, tuple(steps), shards, tuple(damaged))


def _judge(
    file: SourceFile, recipe: Source, left: int | None, share: float, rejected: Counter[Reason]
) -> tuple[int, int]:
    """The number of rows that were judged, and of all rows."""
    there = file.rows()
    end = left
    if there is not None:
        there = there if left is None else min(there, left)
        end = -int(-there * share // 1)
    seen = 0
    found: Counter[Reason] = Counter()
    for metadata in file.read(0, end):
        seen += metadata.num_rows
        found.update(judge(metadata, recipe).rejected)
    rejected.update(found)
    return seen, seen if there is None else there
