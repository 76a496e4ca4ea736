"""Where every row stands by a root's recipe and by the one that is asked about, in a database of its own.

The verdicts are the catalog's. What the next run would write is put in the place of the tables that it would write
anew: the rows with the reasons of other filters, and the verdicts of other limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from curation.core.database import let_read
from curation.core.run import Part, parts_of
from curation.core.sql import literal, name
from curation.release.views.verdicts import END, verdicts_query
from curation.scores.limits_stage import LimitsStage, high, low
from curation.scores.scorer import Scorer, record_of
from curation.sources.plan_stage import SourceRows
from curation.what_if.found import Found
from curation.what_if.judged import CHANGED, ROW, changed_rows
from curation.what_if.placed import SAMPLE, placed
from curation.what_if.question import Question
from curation.what_if.views import STORED, Views
from schemas.captions import Caption
from schemas.recipe import Source
from schemas.records import Released
from schemas.scores import ScoreVerdict

# What is known to stay kept is not asked, and what is known to be kept now is not judged for that: captions are the
# larger part of a root. Texts are stored of the asked rows alone.
_KNOWN = """
CREATE TEMP TABLE known_rows AS
SELECT "row", sample, placed, kept, {texts}
FROM (
    SELECT r.*, p."row" IS NOT NULL AS placed, coalesce(p.stays, false) AS kept
    FROM (
        SELECT {row} AS "row", {sample} AS sample, source_file, source_row, sample_id, reason, shard FROM stored_rows
    ) r LEFT JOIN ({placed}) p USING ("row")
)
"""
_TEXTS = ("source_file", "source_row", "sample_id", "reason", "shard")
_ASKED = """
CREATE TEMP VIEW kept_rows AS SELECT "row", sample FROM known_rows WHERE kept;
CREATE TEMP TABLE asked_rows AS SELECT * EXCLUDE (kept) FROM known_rows WHERE NOT kept;
CREATE TEMP TABLE asked_samples AS SELECT DISTINCT sample_id FROM asked_rows WHERE NOT placed;
"""
_NOTED = """
INSERT INTO before SELECT "row", sample, $end, NULL, $released FROM asked_rows WHERE placed
"""
_JUDGED_AFTER = """
CREATE OR REPLACE TEMP TABLE asked_samples AS SELECT DISTINCT sample_id FROM asked_rows
"""
_STANDING = """
CREATE TEMP TABLE {name} AS SELECT {row} AS "row", {sample} AS sample, stage, reason, awaited FROM ({verdicts})
"""
_LEAVING = """
CREATE TEMP TABLE leaving AS
SELECT * FROM (
    SELECT k.*, {stage} AS stage, {reason} AS reason, {awaited} AS awaited
    FROM kept_rows k LEFT JOIN other_rows o USING ("row") {joins}
) WHERE stage IS NOT NULL
"""


def stand(question: Question) -> duckdb.DuckDBPyConnection:
    """A database with the rows' standings.

    Its tables ``before`` and ``after`` have row, sample, stage, reason and awaited as the view ``verdicts`` has them,
    save for rows that are kept whatever is asked of captions: these are in ``kept_rows`` (row, sample), and those of
    them that filters or limits would take out in ``leaving``. Row and sample are hashes, ``ROW`` and ``SAMPLE``.
    ``asked_rows`` are the others, ``stored_rows``, ``stored_images`` and so on the tables as they are.
    """
    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")  # each file is read for several questions
    let_read(connection, question.store)
    views, found = Views(connection, question.store), Found(connection)
    steps = question.steps(question.theirs)
    views.of_tables(steps)
    _divide(connection, question)
    _judge_rows(connection, question)
    views.of_verdicts(steps, _rows(others=False))
    _stand(connection, "before", found.parts(tuple(parts_of(steps))), others=False)
    doubted = _note_doubted(connection)
    steps = question.steps(question.ours)
    views.of_tables(steps)
    limits = question.limits_stage(question.ours) if question.limits else None
    connection.execute(_leaving(limits))
    scored, instead = [], []
    if limits is not None:
        scored = [record_of(scorer) for scorer in limits.scorers]
        instead = [(ScoreVerdict.table, _verdicts(limits))]
    views.of_verdicts(steps, _rows(others=True), instead, scored)
    changed = (ScoreVerdict, *((Caption,) if question.captions else ()))
    parts = found.parts(tuple(parts_of(steps)), changed, anew=doubted)
    _stand(connection, "after", parts, others=True)
    return connection


def _divide(connection: duckdb.DuckDBPyConnection, question: Question) -> None:
    """Divides the rows into those that are known to be kept, whatever captions are, and those that are asked."""
    texts = ", ".join(f"CASE WHEN NOT kept THEN {column} END AS {column}" for column in _TEXTS)
    connection.execute(_KNOWN.format(row=ROW, sample=SAMPLE, placed=placed(question), texts=texts))
    connection.execute(_ASKED)


def _note_doubted(connection: duckdb.DuckDBPyConnection) -> bool:
    """Notes the rows that are kept before, and may not be after; whether there are any."""
    (doubted,) = connection.execute("SELECT count(*) FROM asked_rows WHERE placed").fetchone() or (0,)
    if doubted:
        connection.execute(_NOTED, {"end": END, "released": Released.table})
        connection.execute(_JUDGED_AFTER)
    return bool(doubted)


def _stand(connection: duckdb.DuckDBPyConnection, table: str, parts: Sequence[Part], *, others: bool) -> None:
    verdicts = verdicts_query(parts, _standing_rows(others=others))
    connection.execute(_STANDING.format(name=table, row=ROW, sample=SAMPLE, verdicts=verdicts))


def _rows(others: bool) -> str:
    asked = f'SELECT *, {ROW} AS "row" FROM stored_rows'  # noqa: S608  # our own
    if not others:
        return f'SELECT * EXCLUDE ("row") FROM ({asked}) SEMI JOIN asked_rows USING ("row")'  # noqa: S608  # likewise
    return f"""
        SELECT r.* EXCLUDE ("row") REPLACE (
            CASE WHEN o."row" IS NULL THEN r.reason ELSE o.reason END AS reason,
            CASE WHEN o."row" IS NULL THEN r.detail END AS detail)
        FROM (FROM ({asked}) SEMI JOIN asked_rows USING ("row")) r LEFT JOIN other_rows o USING ("row")"""  # noqa: S608


def _standing_rows(*, others: bool) -> str:
    """The asked rows with what verdicts about rows look at: no more of the table ``rows`` is read for them.

    Without ``others`` those that are known to be kept now are left out.
    """
    shown = ", ".join(f"NULL::VARCHAR AS {column}" for column in ("url", "alt_text", "license", "detail"))
    reason = 'CASE WHEN o."row" IS NULL THEN a.reason ELSE o.reason END' if others else "a.reason"
    join = ' LEFT JOIN other_rows o USING ("row")' if others else " WHERE NOT a.placed"
    return f"(SELECT a.* REPLACE ({reason} AS reason), {shown} FROM asked_rows a{join})"  # noqa: S608  # likewise


def _judge_rows(connection: duckdb.DuckDBPyConnection, question: Question) -> None:
    """Fills ``other_rows`` with the rows whose reason would be another one."""
    source = getattr(question.ours, "source", None)
    changed = changed_rows(connection, question) if question.filters and isinstance(source, Source) else iter(())
    connection.register("changed_rows", pa.Table.from_batches(changed, CHANGED))
    connection.execute("CREATE TEMP TABLE other_rows AS FROM changed_rows")
    connection.unregister("changed_rows")


def _leaving(limits: LimitsStage | None) -> str:
    """The query for rows that were kept and would not be: the plan's reason, a score that is awaited, a limit."""
    stages = [f"WHEN o.reason IS NOT NULL THEN {literal(SourceRows.name)}"]
    reason, awaited, joins = "o.reason", "NULL::VARCHAR", ""
    if limits is not None:
        tables = [record_of(scorer).table for scorer in limits.scorers]
        joins = "".join(
            f" LEFT JOIN {_hashed(s)} s{at} ON s{at}.sample = k.sample" for at, s in enumerate(limits.scorers)
        )
        lacking = [f"WHEN s{at}.sample IS NULL THEN {literal(table)}" for at, table in enumerate(tables)]
        beyond = f"CASE {' '.join(_beyond(limits))} END"
        stages += [*lacking, f"WHEN {beyond} IS NOT NULL THEN {literal(limits.name)}"]
        awaited = f"CASE WHEN o.reason IS NULL THEN CASE {' '.join(lacking)} END END"
        reason = f"CASE WHEN o.reason IS NOT NULL THEN o.reason WHEN {awaited} IS NULL THEN {beyond} END"
    return _LEAVING.format(stage=f"CASE {' '.join(stages)} END", reason=reason, awaited=awaited, joins=joins)


def _hashed(scorer: Scorer) -> str:
    """The scores of a scorer's table by the hash of their sample."""
    scores = ", ".join(name(c.name) for c in scorer.columns)
    return f"(SELECT {SAMPLE} AS sample, {scores} FROM {name(STORED + record_of(scorer).table)})"  # noqa: S608  # quoted names


def _verdicts(limits: LimitsStage) -> str:
    """What the stage of limits would write, as a query; what lacks a score waits for it and never gets here."""
    first, *others = [name(record_of(scorer).table) for scorer in limits.scorers]
    joins = "".join(f" JOIN {table} s{at} USING (sample_id)" for at, table in enumerate(others, 1))
    reason = f"CASE {' '.join(_beyond(limits))} END"
    return (
        f"SELECT s0.sample_id, {reason} AS reason, NULL::VARCHAR AS detail, s0.shard "  # noqa: S608  # quoted names
        f"FROM {first} s0{joins}"
    )


def _beyond(limits: LimitsStage) -> Iterator[str]:
    """The branches of CASE that find the first score beyond a limit, in the order in which the stage looks."""
    of = {c.name: f"s{at}.{name(c.name)}" for at, scorer in enumerate(limits.scorers) for c in scorer.columns}
    for score, least, most in limits.limits:
        if least is not None:
            yield f"WHEN {of[score]} < {least!r}::DOUBLE THEN {literal(low(score))}"
        if most is not None:
            yield f"WHEN {of[score]} > {most!r}::DOUBLE THEN {literal(high(score))}"
