"""The card's section on the scores of images."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from curation.release.markdown import escaped
from curation.release.views.scores import PERCENTILES, percentiles
from curation.scores.score_stage import ScoreStage

_RELEASED = "SEMI JOIN released USING (sample_id)"


def scores_section(connection: duckdb.DuckDBPyConnection, parts: Sequence[object]) -> str:
    """Percentiles of every score over the release; empty where the recipe asks for none."""
    columns = {c.name: c for p in parts if isinstance(p, ScoreStage) for c in p.scorer.columns}
    if not columns:
        return ""
    lines = [
        "## Scores of images",
        "",
        "Computed from the pixels of every image; percentiles of the released ones, where the score is known.",
        "",
        f"| score | meaning | known | least | {' | '.join(PERCENTILES)} | most |",
        "|---|---|" + "---:|" * (len(PERCENTILES) + 3),
    ]
    for score, _, images, _, *values in connection.execute(percentiles(parts, _RELEASED)).fetchall():
        shown = " | ".join("" if v is None else f"{v:g}" for v in values)
        lines.append(f"| `{score}` | {escaped(columns[score].described)} | {images} | {shown} |")
    return "\n".join(lines)
