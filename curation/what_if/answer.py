"""What would change: rows by stage and reason before and after, and what the next run would have to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb

from curation.core.printable import plural
from curation.core.run import parts_of
from curation.core.sql import literal
from curation.release.views.verdicts import END, stage_names
from curation.what_if.judged import ROW
from curation.what_if.placed import SAMPLE
from curation.what_if.question import Question
from schemas.records import Released

KEPT = "kept"
_COUNTS = """
SELECT stage, reason, awaited, sum(b)::BIGINT, sum(a)::BIGINT FROM (
    SELECT stage, reason, CASE WHEN reason IS NULL THEN awaited END AS awaited, count(*) AS b, 0 AS a FROM before
    GROUP BY ALL
    UNION ALL
    SELECT stage, reason, CASE WHEN reason IS NULL THEN awaited END AS awaited, 0, count(*) FROM after GROUP BY ALL
    UNION ALL
    SELECT stage, reason, awaited, 0, count(*) FROM leaving GROUP BY ALL
    UNION ALL
    SELECT $end, NULL, $released, count(*), count(*) - (SELECT count(*) FROM leaving) FROM kept_rows
) GROUP BY ALL
"""
_MOVED = """
CREATE TEMP VIEW moved AS
SELECT "row", sample, b.stage AS from_stage, a.stage
FROM before b JOIN after a USING ("row", sample)
WHERE (b.stage, b.reason, b.awaited) IS DISTINCT FROM (a.stage, a.reason, a.awaited)
UNION ALL
SELECT "row", sample, {end}, stage FROM leaving
"""
# What left at the plan may have been kept in the place of others, which the next run compares anew.
_MAY_RETURN = f"""
WITH lost AS MATERIALIZED (
    SELECT {SAMPLE} AS sample, hash(keeper_id) AS keeper FROM stored_duplicates WHERE reason IS NOT NULL
), gone AS (
    SELECT "row", sample FROM moved WHERE stage = 'plan' AND from_stage <> 'plan'
), told AS MATERIALIZED (
    -- Few are duplicates or keepers of these: a table of them is small.
    SELECT sample FROM gone SEMI JOIN (SELECT sample FROM lost UNION SELECT keeper FROM lost) USING (sample)
), texts AS (
    SELECT {ROW} AS "row", alt_text FROM stored_rows
), repeated AS MATERIALIZED (
    SELECT alt_text, count(*) AS n FROM texts SEMI JOIN (SELECT {ROW} AS "row" FROM repeats) USING ("row") GROUP BY ALL
), alike AS MATERIALIZED (
    SELECT "row", alt_text FROM texts SEMI JOIN repeated USING (alt_text)
)
SELECT
    (SELECT count(*) FROM lost SEMI JOIN told ON told.sample = lost.keeper ANTI JOIN told t ON t.sample = lost.sample),
    (SELECT coalesce(sum(n), 0) FROM repeated SEMI JOIN (
        SELECT alt_text FROM gone JOIN alike USING ("row")) USING (alt_text))
"""  # noqa: S608  # our own


@dataclass(frozen=True)
class Line:
    """Rows that end at a stage. ``fate`` is kept, rejected or open; of an open one ``reason`` is the awaited table."""

    stage: str
    fate: str
    reason: str
    before: int
    after: int

    @property
    def change(self) -> int:
        return self.after - self.before


@dataclass(frozen=True)
class Answer:
    """What a question comes to. ``may_return`` are duplicates and repeats of rows that would leave at the plan."""

    lines: tuple[Line, ...]
    moved: int
    may_return: tuple[int, int]

    @property
    def rows(self) -> int:
        return sum(line.before for line in self.lines)

    @property
    def kept(self) -> tuple[int, int]:
        """Rows that pass all stages, before and after."""
        found = [line for line in self.lines if line.fate == KEPT]
        return sum(line.before for line in found), sum(line.after for line in found)

    def notes(self) -> Iterator[str]:
        """What is to be known beside the numbers, a sentence each."""
        for line in self.lines:
            if line.fate == "open" and line.after > line.before:
                yield (
                    f"{plural(line.change, 'row')} would come in at {line.stage}, which would write {line.reason} for "
                    "them: what it finds, and what becomes of them behind it, only a run knows."
                )
        duplicates, repeats = self.may_return
        if duplicates or repeats:
            yield (
                f"{plural(duplicates, 'duplicate')} and {plural(repeats, 'repeat')} of rows that would leave at the "
                "plan may come in their place: the next run judges them anew."
            )


def answer(connection: duckdb.DuckDBPyConnection, question: Question) -> Answer:
    """Counts what ``standing.stand`` found; makes the view ``moved`` of the rows that would end elsewhere."""
    connection.execute(_MOVED.format(end=literal(END)))
    found = connection.execute(_COUNTS, {"end": END, "released": Released.table}).fetchall()
    lines = [Line(stage, *_fate(stage, reason, awaited), b, a) for stage, reason, awaited, b, a in found]
    theirs, ours = (stage_names(tuple(parts_of(question.steps(r)))) for r in (question.theirs, question.ours))
    order = {stage: at for at, stage in enumerate(_merged(theirs, ours))}
    fates = ("rejected", "open", KEPT)
    lines.sort(key=lambda line: (order.get(line.stage, -1), fates.index(line.fate), -line.before, line.reason))
    ((moved,),) = connection.execute("SELECT count(*) FROM moved").fetchall()
    may: tuple[int, int] = (0, 0)
    if question.filters:
        ((duplicates, repeats),) = connection.execute(_MAY_RETURN).fetchall()
        may = (int(duplicates), int(repeats))
    return Answer(tuple(lines), int(moved), may)


def _fate(stage: str, reason: str | None, awaited: str | None) -> tuple[str, str]:
    if reason is not None:
        return "rejected", reason
    return (KEPT, "") if stage == END else ("open", awaited or "")


def _merged(theirs: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Both lists of stages in one; a stage that only one of them has stands where it stands there."""
    found = list(theirs)
    for at, stage in enumerate(ours):
        if stage not in found:
            found.insert(found.index(ours[at - 1]) + 1 if at else 0, stage)
    return found
