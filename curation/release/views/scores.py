"""The view ``score_percentiles``: how the scores of images are spread, for choosing limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from curation.core.sql import literal, name
from curation.release.views.tables import comments
from curation.scores.score_stage import ScoreStage
from schemas.captions import Score
from schemas.records import ImageRow, SourceRow

_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PERCENTILES = tuple(f"p{round(100 * share):02d}" for share in _SHARES)
"""Its columns of percentiles, as ``p05``."""
_DOCS = {
    "score": "its name, as in scores.NAME.min of a recipe; source.NAME is what the source says, similarity and "
    "alt_text_similarity are those of captions and alt texts",
    "unit": "its unit; empty for a pure number",
    "images": "images (of similarity: texts) whose score is known",
    "unknown": "images whose score a scorer does not know; limits keep them",
    "least": "the lowest score",
    **{p: f"{p[1:].lstrip('0')} of 100 images have a lower score or this one" for p in PERCENTILES},
    "most": "the highest score",
}


def score_views(parts: Sequence[object]) -> Iterator[str]:
    """The SQL of the view; wants those of the scorers' tables."""
    yield f"CREATE VIEW score_percentiles AS {percentiles(parts, further=_further(parts))}"
    yield "COMMENT ON VIEW score_percentiles IS 'Percentiles of every score that there is, over all images'"
    yield from comments("score_percentiles", _DOCS)


def _further(parts: Sequence[object]) -> Iterator[str]:
    """Queries for scores that no scorer has: of texts beside their images, and of the source."""
    written = {getattr(part, "writes", None) for part in parts}
    if Score in written:
        for score, which in (("similarity", "kind <> 'alt_text'"), ("alt_text_similarity", "kind = 'alt_text'")):
            yield f"SELECT '{score}' AS score, '' AS unit, similarity::DOUBLE AS value FROM scores WHERE {which}"  # noqa: S608
    if {SourceRow, ImageRow} <= written:
        for column in ("similarity", "aesthetic", "punsafe", "pwatermark"):
            yield (
                f"SELECT 'source.{column}' AS score, '' AS unit, {column} AS value FROM rows "  # noqa: S608  # our own
                "SEMI JOIN (FROM images WHERE reason IS NULL) USING (sample_id)"
            )


def percentiles(parts: Sequence[object], where: str = "", further: Iterable[str] = ()) -> str:
    """A query with a row for each score of these parts; ``where`` is SQL behind the name of a table.

    ``further`` are queries of more scores; of these only what is known is counted.
    """
    shares = ", ".join(map(str, _SHARES))
    queries = [
        f"SELECT {literal(column.name)} AS score, {literal(column.unit)} AS unit, {name(column.name)} AS value "  # noqa: S608  # quoted
        f"FROM {name(part.writes.table)} {where}"
        for part in parts
        if isinstance(part, ScoreStage)
        for column in part.scorer.columns
        if column.kind == "number"
    ]
    more = " UNION ALL ".join(further)
    if more:
        queries.append(f"SELECT * FROM ({more}) WHERE value IS NOT NULL")  # noqa: S608  # of our own
    nothing = "SELECT NULL::VARCHAR AS score, NULL::VARCHAR AS unit, NULL::DOUBLE AS value WHERE false"
    places = ", ".join(f"p[{at + 1}] AS {p}" for at, p in enumerate(PERCENTILES))
    return f"""
SELECT score, unit, images, unknown, least, {places}, most FROM (
    SELECT score, unit, count(value) AS images, count(*) - count(value) AS unknown, min(value) AS least,
        quantile_disc(value, [{shares}]) AS p, max(value) AS most
    FROM ({" UNION ALL ".join(queries or [nothing])}) GROUP BY score, unit
) ORDER BY score"""  # noqa: S608  # quoted names
