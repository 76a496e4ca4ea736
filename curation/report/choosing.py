"""Which rows stand on the page: a sample that is the same for the same root, with rows of every line of the funnel."""

from __future__ import annotations

from curation.report.asking import Root

SAMPLE = 2000
_LEAST = 24  # rows of each line of the funnel, where it has them and the sample has room

# sample_id is a hash of content, but splits are drawn from it: another hash keeps the sample apart from them.
_FATES = """
CREATE OR REPLACE TEMP TABLE fates AS
SELECT source_file, source_row, fate, stage, reason, md5(sample_id || source_row::VARCHAR || source_file) AS lot
FROM samples
"""
_CHOSEN = """
CREATE OR REPLACE TEMP TABLE chosen AS
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY stage, fate, reason ORDER BY lot) AS place_in_line FROM fates
), drawn AS (
    SELECT * FROM ranked ORDER BY place_in_line > ?, lot LIMIT ?
)
SELECT (row_number() OVER (ORDER BY lot))::INTEGER AS place, source_file, source_row FROM drawn
"""
_LISTED = "CREATE OR REPLACE TEMP TABLE listed AS SELECT s.* FROM samples s SEMI JOIN chosen USING {key}"
_KEY = "(source_file, source_row)"


def choose_sample(root: Root, most: int = SAMPLE) -> int:
    """Fills ``chosen`` (place, source_file, source_row) and ``listed`` (their samples); the number of all rows."""
    root.connection.execute(_FATES)
    ((rows, lines),) = root.connection.execute(
        "SELECT count(*), count(DISTINCT (stage, fate, reason)) FROM fates"
    ).fetchall()
    each = min(_LEAST, most // (2 * max(1, lines)))
    root.connection.execute(_CHOSEN, [each, most])
    root.connection.execute(_LISTED.format(key=_KEY))
    return int(rows)


def list_everything(root: Root) -> int:
    """Fills ``listed`` with all samples, for a server; their number."""
    root.connection.execute("CREATE OR REPLACE TEMP TABLE listed AS SELECT * FROM samples")
    ((rows,),) = root.connection.execute("SELECT count(*) FROM listed").fetchall()
    return int(rows)
