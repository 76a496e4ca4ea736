"""Samples to be judged: in which order they come, and what a page shows beside each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from curation.core.errors import UsageError
from curation.core.sql import literal, literals, name
from curation.core.verdict import Decides
from curation.release.views.verdicts import decisions_of
from curation.report.asking import Root
from curation.scores.score_stage import ScoreStage
from schemas.reviews import Review

Order = Literal["random", "uncertainty", "source"]
MOST_QUEUED = 1_000_000
# One row a sample: a repeat has the sample_id of the row that was kept for it.
_QUEUE = """
CREATE OR REPLACE TEMP TABLE queue AS
SELECT (row_number() OVER (ORDER BY {order}))::INTEGER - 1 AS place, sample_id, source_file, source_row, {why} AS why
FROM (SELECT * FROM samples WHERE reason IS DISTINCT FROM 'repeated_row' AND reason IS DISTINCT FROM 'taken_down'
    AND ({where})) s {join}
QUALIFY place < {most}
"""
_RANKED = """
WITH measured AS ({measures}),
ranked AS (SELECT *, percent_rank() OVER (PARTITION BY measure ORDER BY distance) AS rank FROM measured)
SELECT sample_id, min(rank) AS rank, arg_min(why, rank) AS why FROM ranked GROUP BY sample_id
"""


@dataclass(frozen=True)
class Asking:
    """Which samples are judged: those for which ``where`` (SQL over ``samples``) holds, all that judgement reaches
    where it is empty; at most ``most``. ``audit`` asks two questions about released ones instead, in random order.
    """

    where: str = ""
    order: Order = "random"
    seed: int = 0
    most: int = MOST_QUEUED
    audit: bool = False

    @property
    def audit_name(self) -> str | None:
        """What answers to this audit are stored under; None where there is none."""
        return f"seed {self.seed}" if self.audit else None

    def words(self) -> str:
        """What the queue holds, for people."""
        if self.audit:
            return f"an audit of the release: a random sample, seed {self.seed}"
        orders = {"random": f"at random, seed {self.seed}", "uncertainty": "the least certain first"}
        return f"{self.where or 'all that judgement reaches'}; {orders.get(self.order, 'as in the source')}"


def restoring_stages(root: Root) -> frozenset[str]:
    """The stages whose rejections a person may override; none in a product where nothing can be brought back."""
    decisions = decisions_of(root.parts)
    if all(d.verdict.overrules == "false" for d in decisions):
        return frozenset()
    return frozenset(d.label for d in decisions if d.verdict.yield_to_people)


def takes_reviews(root: Root) -> bool:
    """Whether the product honours what people decide."""
    return any(isinstance(part, Decides) and Review in part.verdict.beside for part in root.parts)


def fill_queue(root: Root, asked: Asking) -> int:
    """Fills the temporary table ``queue`` (place, sample_id, source_file, source_row, why); how many it has.

    Raises ``UsageError`` for a condition that is no SQL, and for an order of which the root knows nothing.
    """
    stages = literals(sorted(restoring_stages(root)))
    reached = "fate = 'kept'" + ("" if asked.audit else f" OR (fate = 'rejected' AND list_contains({stages}, stage))")
    where = asked.where if asked.where and not asked.audit else reached
    lot = f"md5({literal(f'{asked.seed}:')} || s.sample_id), s.sample_id"
    order, why, join = lot, "NULL::VARCHAR", ""
    if not asked.audit and asked.order == "source":
        order = "s.source_file, s.source_row"
    elif not asked.audit and asked.order == "uncertainty":
        measures = list(_measures(root))
        if not measures:
            raise UsageError(
                "this root knows no probabilities, similarities or limits of scores; see verify.enabled, scores.model "
                "and scores.compute, or take --order random"
            )
        ranked = _RANKED.format(measures=" UNION ALL ".join(measures))
        order, why, join = f"u.rank, {lot}", "u.why", f"JOIN ({ranked}) u USING (sample_id)"
    query = _QUEUE.format(order=order, why=why, join=join, where=where, most=min(asked.most, MOST_QUEUED))
    try:
        root.connection.execute(query)
    except duckdb.Error as error:
        if not asked.where:
            raise
        said = " ".join(str(error).split())[:300]
        raise UsageError(
            f"--where is no condition over the view samples: {said}; for example --where \"split = 'test'\""
        ) from error
    ((found,),) = root.connection.execute("SELECT count(*) FROM queue").fetchall()
    return int(found)


def _measures(root: Root) -> Iterator[str]:
    """SQL: how far from a limit a sample is, by each measure that the root has (sample_id, measure, distance, why)."""
    threshold = root.limit("verify.threshold")
    if root.has("statements") and threshold is not None:
        yield _near("statements", "probability", float(threshold), "a statement is true with probability")
    least = root.limit("scores.min_caption_similarity")
    if root.has("scores") and root.limit("scores.model"):
        near = f"abs(similarity - {float(least)!r})" if least is not None else "similarity"
        yield _measure("scores", "similarity", near, "similarity of image and caption", "kind <> 'alt_text'")
    limits = getattr(root.limit("scores"), "limits", {})
    for part in root.parts:
        if isinstance(part, ScoreStage):
            for column in part.scorer.columns:
                given = limits.get(column.name)
                for limit in (getattr(given, "min", None), getattr(given, "max", None)):
                    if limit is not None:
                        yield _near(part.writes.table, column.name, float(limit), column.name)


def _near(table: str, column: str, limit: float, said: str) -> str:
    return _measure(table, column, f"abs({name(column)} - {limit!r})", f"{said}, limit {limit:g}")


def _measure(table: str, column: str, distance: str, said: str, where: str = "true") -> str:
    return (
        f"SELECT sample_id, {literal(said)} AS measure, min({distance}) AS distance, "  # noqa: S608  # quoted
        f"{literal(said + ': ')} || printf('%.3f', arg_min({name(column)}, {distance})) AS why "
        f"FROM {name(table)} WHERE {name(column)} IS NOT NULL AND {where} GROUP BY sample_id"
    )


def places_of(root: Root, samples: Sequence[str]) -> dict[str, int]:
    """Where samples stand in the queue; those that are not in it are left out."""
    found = root.connection.execute(
        "SELECT sample_id, place FROM queue WHERE list_contains(?, sample_id)", [list(samples)]
    ).fetchall()
    return {str(sample): int(place) for sample, place in found}
