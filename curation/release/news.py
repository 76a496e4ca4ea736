"""What a kept news sample carries into the release, and which samples may not be torn apart by a split."""

from __future__ import annotations

import duckdb
import pyarrow as pa

_KEPT = """
CREATE TABLE kept AS
WITH found AS (
    SELECT sample_id, list({'text': text, 'label': label, 'start': start, 'end': "end", 'score': score}
        ORDER BY start, "end") FILTER (text IS NOT NULL) AS entities
    FROM entities GROUP BY sample_id
), weighed AS (
    SELECT sample_id, any_value(method) AS method,
        list({'text': text, 'weight': weight, 'spread': spread, 'kind': kind, 'start': start, 'end': "end"}
        ORDER BY start, "end") FILTER (text IS NOT NULL) AS subjects
    FROM subjects GROUP BY sample_id
), told AS (
    SELECT
        v.sample_id,
        to_json({
            'outlet': n.outlet, 'topic': n.topic, 'date': n.date, 'headline': n.headline,
            'article_id': n.article_id, 'article_url': n.article_url, 'published_split': n.published_split,
            'cleaning_rules': k.rules, 'entities': coalesce(e.entities, []), 'subjects': coalesce(w.subjects, []),
            'subjects_by': w.method, 'abstractiveness': a.abstractiveness, 'subset': a.subset, 'literal': a.literal,
            'compel': d.compel, 'weighted': d.weighted, 'prefixed': d.prefixed,
            'token_weights': d.token_weights, 'subjects_beyond': d.beyond
        })::VARCHAR AS annotations
    FROM verdicts v
    JOIN cleaned k USING (sample_id)
    JOIN abstractness a USING (sample_id)
    JOIN conditionings d USING (sample_id)
    LEFT JOIN found e USING (sample_id)
    LEFT JOIN weighed w USING (sample_id)
    LEFT JOIN articles n ON n.source_file = v.source_file AND n.source_row = v.source_row
    WHERE v.through
)
SELECT
    v.sample_id, v.cluster_id, v.source_shard, v."offset", v.size, v.sha256, v.phash, v.width, v.height,
    v.source_file, v.source_row, v.url, v.license, v.alt_text,
    len(regexp_extract_all(v.alt_text, '\\S+'))::INTEGER AS alt_text_words, 0 AS alt_text_clip_tokens,
    k.caption, 'news' AS caption_kind, k.words, k.clip_tokens, k.sentence_end_77, '{}' AS captions,
    '' AS prompt, '' AS model, NULL::FLOAT AS similarity, NULL::FLOAT AS alt_text_similarity,
    t.annotations, n.date AS day, n.article_id
FROM verdicts v
JOIN cleaned k USING (sample_id)
JOIN told t USING (sample_id)
LEFT JOIN articles n ON n.source_file = v.source_file AND n.source_row = v.source_row
WHERE v.through
"""

_GROUPED = """
CREATE OR REPLACE TABLE kept AS
SELECT k.* EXCLUDE (article_id) REPLACE (g.cluster_id AS cluster_id, g.day AS day)
FROM kept k JOIN grouped g USING (sample_id)
"""


def find_kept_news(database: duckdb.DuckDBPyConnection) -> None:
    """Makes the table kept, as ``find_kept`` does; a cluster is all that articles and near duplicates link.

    Its day is the latest of its samples, so that nothing newer than a split's days stands in an earlier one.
    """
    database.execute(_KEPT)
    rows = database.execute("SELECT sample_id, cluster_id, article_id, day FROM kept ORDER BY sample_id").fetchall()
    groups = linked([(cluster, article) for _, cluster, article, _ in rows])
    names: dict[int, str] = {}
    days: dict[int, str] = {}
    for (sample, _, _, day), group in zip(rows, groups, strict=True):
        names.setdefault(group, sample)  # the smallest, since the rows are sorted
        if day is not None:
            days[group] = max(day, days.get(group, ""))
    grouped = pa.table(
        {
            "sample_id": pa.array([row[0] for row in rows], pa.string()),
            "cluster_id": pa.array([names[group] for group in groups], pa.string()),
            "day": pa.array([days.get(group) for group in groups], pa.string()),
        }
    )
    database.register("grouped", grouped)
    database.execute(_GROUPED)
    database.unregister("grouped")


def linked(pairs: list[tuple[str, str | None]]) -> list[int]:
    """For each (cluster, article) the number of its group: those that share either are in one."""
    parent = list(range(len(pairs)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[tuple[int, str], int] = {}
    for at, pair in enumerate(pairs):
        for side, name in enumerate(pair):
            if name is not None:
                other = first.setdefault((side, name), at)
                a, b = root(at), root(other)
                parent[max(a, b)] = min(a, b)
    return [root(at) for at in range(len(pairs))]
