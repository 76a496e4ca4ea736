"""Creates a root's views on a DuckDB connection, from the steps of the product that the root holds.

The packing reduce and the catalog create the same views, so that what is released and what the catalog
calls kept cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from curation.core.database import let_read
from curation.core.run import Segment, Step, parts_of
from curation.core.store import Store
from curation.release.views.costs import Prices, cost_views
from curation.release.views.scores import score_views
from curation.release.views.signals import signal_views
from curation.release.views.tables import comments, json_view, table_view
from curation.release.views.verdicts import verdict_views
from schemas.arrow import Record
from schemas.records import Placement, Released, SourceRow
from schemas.signals import SignalRow

_OWN: tuple[type[Record], ...] = (Placement, Released)

_FAILURES = {
    "table": ("VARCHAR", "the table whose shard failed"),
    "shard": ("VARCHAR", "its name"),
    "error": ("VARCHAR", "the exception"),
    "traceback": ("VARCHAR", "where it was raised"),
    "worker": ("VARCHAR", "who held the shard"),
    "attempts": ("INTEGER", "how often it was tried"),
}
_RUNS = {
    "run_id": ("VARCHAR", "start time and a random part"),
    "started": ("DOUBLE", "start in UTC"),
    "seconds": ("DOUBLE", "how long it took"),
    "command": ("VARCHAR", "the command line"),
    "status": ("VARCHAR", "running, completed, failed shards, interrupted or error"),
    "detail": ("VARCHAR", "what ended it"),
    "engine": ("VARCHAR", "where its stages ran"),
    "versions": ("JSON", "of this project and of what its bytes depend on"),
    "done": ("JSON", "shards that it finished, by table"),
    "skipped": ("JSON", "shards that were finished before, by table"),
    "failed": ("JSON", "names of the shards that failed, by table"),
}
_DOCS = """
CREATE VIEW docs AS
SELECT view_name AS "view", NULL AS "column", NULL AS type, comment AS doc FROM duckdb_views() WHERE NOT internal
UNION ALL
SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal;
COMMENT ON VIEW docs IS 'What every view and every column holds';
COMMENT ON COLUMN docs."view" IS 'its name';
COMMENT ON COLUMN docs."column" IS 'its name; null for the view itself';
COMMENT ON COLUMN docs.type IS 'the type of the column';
COMMENT ON COLUMN docs.doc IS 'what it holds'
"""


def of_release(steps: Sequence[Step]) -> tuple[type[Record], ...]:
    """The tables whose shards are the release's, not the source's."""
    beside = (r for s in steps if isinstance(s, Segment) and s.over.table == Placement.table for r in s.records)
    return tuple(dict.fromkeys([*_OWN, *beside]))


def tables_of(steps: Sequence[Step]) -> tuple[type[Record], ...]:
    """The tables that a root of these steps may have, in the order in which they are written."""
    found: dict[str, type[Record]] = {}
    for record in (*(r for s in steps for r in s.records), *_OWN):
        found.setdefault(record.table, record)  # a product may place its samples by a record of its own
    return tuple(found.values())


def create_views(
    connection: Any,
    store: Store,
    steps: Sequence[Step],
    prices: Sequence[Prices] | None = None,
    *,
    lasting: bool = False,
    documented: bool = True,
) -> None:
    """Creates all views of a root. Tables that do not exist yet become empty views.

    They have comments where they are ``documented``. With ``prices`` there are those of replies and costs too, on
    which no byte of a result may depend. ``lasting``: later runs leave them true.
    """
    let_read(connection, store)
    # One transaction: a database file is synced once instead of for every comment.
    made = (s for s in statements(store, steps, prices, lasting=lasting) if documented or not s.startswith("COMMENT "))
    connection.execute(";\n".join(("BEGIN", *made, "COMMIT")))


def statements(
    store: Store, steps: Sequence[Step], prices: Sequence[Prices] | None = None, *, lasting: bool = False
) -> Iterator[str]:
    """The SQL that makes the views, in order."""
    parts = tuple(parts_of(steps))
    tables, begun = tables_of(steps), store.tables()
    for record, shards in shards_of(store, steps, begun):
        yield from table_view(store, record, shards, lasting=lasting)
    yield from _files_about_runs(store, [record for record in tables if record.table in begun])
    yield from verdict_views(parts)
    yield from score_views(parts)
    if SignalRow in tables:
        yield from signal_views(store)
    if prices is not None:
        yield from cost_views(store, prices, parts)
    yield _DOCS


def shards_of(
    store: Store, steps: Sequence[Step], begun: frozenset[str]
) -> Iterator[tuple[type[Record], frozenset[str]]]:
    """The tables that a root of these steps may have, each with its shards that count; ``begun`` are those begun."""
    of_source = frozenset(store.shards(SourceRow.table))
    apart = {SourceRow.table, *(r.table for r in of_release(steps))}
    for record in tables_of(steps):
        # Data without a manifest entry is what a killed writer left behind, and the shards of a source shard that is
        # gone belong to nothing.
        finished = frozenset(store.shards(record.table) if record.table in begun else ())
        yield record, finished if record.table in apart else finished & of_source


def _files_about_runs(store: Store, tables: Sequence[type[Record]]) -> Iterator[str]:
    failed = any(store.failure_files(record.table) for record in tables)
    pattern = "manifest/*/*.failed.json" if failed else None
    yield from json_view(store, "failures", "Shards that failed and have not succeeded since", pattern, _FAILURES)
    pattern = "runs/*.json" if store.names("runs", ".json") else None
    yield from json_view(store, "run_files", "The files runs/*.json as they are", pattern, _RUNS)
    yield (
        "CREATE VIEW runs AS SELECT * REPLACE (make_timestamp((started * 1000000)::BIGINT) AS started) "
        "FROM run_files ORDER BY started"
    )
    yield "COMMENT ON VIEW runs IS 'Every run over this root'"
    yield from comments("runs", {column: doc for column, (_, doc) in _RUNS.items()})
