"""Facts about a release, read from the catalog's views: the same for the same root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from curation.release.face_blur import BlurredFaces
from curation.release.funnel import FunnelRow, GoneRows, read_funnel, read_gone

SPLITS = ("train", "val", "test")

TOKEN_LIMITS = (20, 40, 60, 77, 154)
"""Lengths in CLIP tokens, start and end included, up to which texts are counted apart; twice 77 is the fifth."""
_UP_TO = ", ".join(f"count(*) FILTER (clip_tokens + 2 <= {limit})" for limit in TOKEN_LIMITS)
FIGURES = f"""
    count(*), avg(words),
    quantile_disc(words, 0.05), quantile_disc(words, 0.5), quantile_disc(words, 0.95),
    quantile_disc(clip_tokens, 0.5), quantile_disc(clip_tokens, 0.95),
    -- CLIP's 77 tokens include a start and an end.
    avg((clip_tokens > 75)::INTEGER), [{_UP_TO}]
"""
"""What is asked of texts for ``CaptionFacts``, after the kind: SQL over the columns words and clip_tokens."""
_CAPTIONS = f"""
WITH texts AS (
    SELECT caption_kind AS kind, words, clip_tokens FROM placements SEMI JOIN released USING (sample_id, shard)
    UNION ALL
    SELECT 'alt_text (as found)', alt_text_words, alt_text_clip_tokens
    FROM placements SEMI JOIN released USING (sample_id, shard)
)
SELECT kind, {FIGURES} FROM texts GROUP BY kind ORDER BY kind
"""  # noqa: S608  # of our own

_FILES = """
SELECT source_file, count(*) AS samples FROM placements SEMI JOIN released USING (sample_id, shard)
GROUP BY source_file ORDER BY samples DESC, source_file
"""
_ORIGINS = """
SELECT count(url), count(*) - count(url) FROM placements SEMI JOIN released USING (sample_id, shard)
"""


@dataclass(frozen=True)
class CaptionFacts:
    """Lengths of one kind of text in the release; percentiles are values that occur.

    ``up_to`` counts the texts within each of ``TOKEN_LIMITS``.
    """

    kind: str
    count: int
    mean_words: float
    p5_words: int
    median_words: int
    p95_words: int
    median_clip_tokens: int
    p95_clip_tokens: int
    beyond_77: float
    up_to: Sequence[int]


@dataclass(frozen=True)
class ReleaseFacts:
    """``files`` maps a file of release/, relative to it, to the sha256 of its bytes.

    ``origin`` says in words where the images come from: the web, or files that never had an address. ``sources`` are
    the source files whose rows were released, those with the most samples first.
    """

    samples: Mapping[str, int]
    shards: Mapping[str, int]
    files: Mapping[str, str]
    funnel: tuple[FunnelRow, ...]
    captions: tuple[CaptionFacts, ...]
    gone: GoneRows = field(default_factory=GoneRows)
    origin: str = "the web"
    sources: tuple[str, ...] = ()
    faces: BlurredFaces = field(default_factory=BlurredFaces)

    @property
    def total(self) -> int:
        """Samples of all splits."""
        return sum(self.samples.values())


def read_facts(connection: duckdb.DuckDBPyConnection, files: Mapping[str, str]) -> ReleaseFacts:
    """Asks the views of a root."""
    samples, shards = counted_splits(connection)
    return ReleaseFacts(
        samples=samples,
        shards=shards,
        files=dict(sorted(files.items())),
        funnel=tuple(read_funnel(connection)),
        captions=tuple(CaptionFacts(*row) for row in connection.execute(_CAPTIONS).fetchall()),
        gone=read_gone(connection),
        origin=_origin(connection),
        sources=tuple(str(file) for file, _ in connection.execute(_FILES).fetchall()),
    )


def counted_splits(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Samples and shards of each split of a release that has any."""
    found = connection.execute("SELECT split, count(*), count(DISTINCT shard) FROM released GROUP BY split").fetchall()
    counts = {split: (samples, shards) for split, samples, shards in found}
    there = [s for s in SPLITS if s in counts]
    return {s: counts[s][0] for s in there}, {s: counts[s][1] for s in there}


def _origin(connection: duckdb.DuckDBPyConnection) -> str:
    web, local = connection.execute(_ORIGINS).fetchone() or (0, 0)
    if not local:
        return "the web"
    return "local files" if not web else "the web and local files"
