"""The card's section on the scores of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import duckdb

from curation.core.sql import name
from curation.release.markdown import escaped
from curation.release.top_reduce import TopReduce
from curation.release.views.scores import PERCENTILES, percentiles
from curation.scores.score_stage import ScoreStage

_CHOSEN = """
SELECT min(score) FILTER (reason IS NULL), count(*) FILTER (reason IS NULL), count(*) FROM tops
"""
_TIERS = "SELECT tier, count(*) FROM tops SEMI JOIN released USING (sample_id) WHERE reason IS NULL GROUP BY tier"
_RELEASED = "SEMI JOIN released USING (sample_id)"
_MOST_LABELS = 8
# Scores of which people ask how many images have them: what to say, the condition.
_ASKED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "face_count": ("show a face", "> 0"),
        "nsfw": ("show nudity or sex, by a score of 0.5 and more", ">= 0.5"),
        "text_words": ("show written words", "> 0"),
        "watermark": ("likely have a watermark, by a score of 0.5 and more", ">= 0.5"),
    }
)


def top_section(connection: duckdb.DuckDBPyConnection, parts: Sequence[object]) -> str:
    """What was chosen by a score, and how large each tier is; empty where the recipe asks for neither."""
    asked = next((p for p in parts if isinstance(p, TopReduce)), None)
    if asked is None:
        return ""
    lines = ["## Chosen by a score", ""]
    if asked.score:
        least, kept, of = connection.execute(_CHOSEN).fetchall()[0]
        reached = "none was known" if least is None else f"each of them has {least:.5g} or more"
        lines += [
            f"Of {of} samples that passed all else, the {kept} with the highest `{asked.score}`: {reached}. "
            f"The recipe asks for a share of {asked.share:g}; the score to reach is found once and then stays, so that "
            "growth takes nothing away.",
            "",
        ]
    if asked.tiers:
        by = f"by `{asked.tier_score}`, the best first" if asked.tier_score else "by chance"
        lines += [f"Tiers, {by}; each holds those above it. The key `tier` of a sample names the smallest.", ""]
        lines += ["| tier | share asked for | samples |", "|---|---:|---:|"]
        counts = dict(connection.execute(_TIERS).fetchall())
        held = 0
        for tier, share in asked.tiers:
            held += counts.get(tier, 0)
            lines.append(f"| {escaped(tier)} | {share:g} | {held} |")
    return "\n".join(lines).rstrip()


def scores_section(connection: duckdb.DuckDBPyConnection, parts: Sequence[object]) -> str:
    """Percentiles of every score over the release, and its most frequent labels; empty where none is asked for."""
    stages = [part for part in parts if isinstance(part, ScoreStage)]
    columns = {c.name: c for stage in stages for c in stage.scorer.columns}
    if not columns:
        return ""
    lines = [
        "## Scores of images",
        "",
        f"Computed from the pixels of {_measured(stages)}; percentiles of the released ones, where the score is known.",
        "",
        f"| score | meaning | known | least | {' | '.join(PERCENTILES)} | most |",
        "|---|---|" + "---:|" * (len(PERCENTILES) + 3),
    ]
    for score, _, images, _, *values in connection.execute(percentiles(parts, _RELEASED)).fetchall():
        shown = " | ".join("" if v is None else f"{v:g}" for v in values)
        lines.append(f"| `{score}` | {escaped(columns[score].described)} | {images} | {shown} |")
    return "\n".join([*lines, *_labels(connection, stages), *_shares(connection, stages)])


def _measured(stages: Sequence[ScoreStage]) -> str:
    sampled = [f"{100 * stage.share:g} % of them by {stage.scorer.name}" for stage in stages if stage.share < 1]
    return f"every image ({', '.join(sampled)})" if sampled else "every image"


def _labels(connection: duckdb.DuckDBPyConnection, stages: Sequence[ScoreStage]) -> Iterator[str]:
    """A table of the most frequent values of each label among the released images."""
    rows = []
    for stage in stages:
        for column in (c for c in stage.scorer.columns if c.kind == "label"):
            found = connection.execute(
                f"SELECT {name(column.name)}, count(*) FROM {name(stage.writes.table)} {_RELEASED} "  # noqa: S608  # quoted
                f"WHERE {name(column.name)} IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT {_MOST_LABELS}"
            ).fetchall()
            if found:
                shown = ", ".join(f"{escaped(label)} ({images})" for label, images in found)
                rows.append(f"| `{column.name}` | {escaped(column.described)} | {shown} |")
    if rows:
        yield from ("", "| label | meaning | most frequent, with images |", "|---|---|---|", *rows)


def _shares(connection: duckdb.DuckDBPyConnection, stages: Sequence[ScoreStage]) -> Iterator[str]:
    """A line on each score of which people ask how many of the released images have it, of those where it is known."""
    lines = []
    for stage in stages:
        for score in (c.name for c in stage.scorer.columns if c.name in _ASKED):
            said, condition = _ASKED[score]
            (known, found), *_ = connection.execute(
                f"SELECT count({name(score)}), count_if({name(score)} {condition}) "  # noqa: S608  # quoted
                f"FROM {name(stage.writes.table)} {_RELEASED}"
            ).fetchall()
            if known:
                lines.append(f"- {found:,} of {known:,} images ({found / known:.1%}) {said}.")
    if lines:
        yield from ("", *lines)
