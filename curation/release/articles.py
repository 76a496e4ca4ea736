"""Which news samples may not be separated by a split: those that share an article or a cluster of near duplicates."""

from __future__ import annotations

import duckdb
import pyarrow as pa

_OF_ARTICLES = """
SELECT k.sample_id, k.cluster_id, n.article_id, n.date
FROM kept k LEFT JOIN articles n ON n.source_file = k.source_file AND n.source_row = k.source_row
ORDER BY k.sample_id
"""

_GROUPED = """
CREATE OR REPLACE TABLE kept AS
SELECT k.* REPLACE (g.cluster_id AS cluster_id, g.day AS day)
FROM kept k JOIN grouped g USING (sample_id)
"""


def group_by_article(database: duckdb.DuckDBPyConnection) -> None:
    """Makes one cluster in the table ``kept`` of all that articles and near duplicates link.

    Its day is the latest of its samples, so that nothing newer than a split's days stands in an earlier one.
    """
    rows = database.execute(_OF_ARTICLES).fetchall()
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
