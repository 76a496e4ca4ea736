"""Databases with a root's views for computations over all its rows, which need not hold all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from curation.core.database import scratch_database
from curation.core.run import Step
from curation.core.sql import name
from curation.core.store import Store
from curation.release.views.create import create_views, of_release, shards_of
from curation.release.views.tables import table_query
from schemas.arrow import Record
from schemas.records import SourceRow

ROWS = 250_000
"""Rows of the source that are joined at once: some 200 MB of hash tables."""


@contextmanager
def root_database(store: Store, task: str, steps: Sequence[Step]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the root's views, which spills to the root's own disk: that must hold the samples anyway."""
    with scratch_database(task, store.scratch("views") if store.is_local else None) as database:
        create_views(database, store, steps, documented=False)
        yield database


def gather(
    database: duckdb.DuckDBPyConnection,
    store: Store,
    steps: Sequence[Step],
    table: str,
    query: str,
    first: Sequence[str] = (),
) -> None:
    """Makes a table of what a query finds in the root's views; ``first`` are statements that it wants.

    The views of tables hold groups of source shards in turn, each of at most ``ROWS`` rows or of one shard, so that
    joins need no more memory in a large root. What is joined by sample or by source row is the same in groups as in
    one: a shard of a table holds what belongs to the source shard of its name. The release's own tables, whose shards
    are not the source's, stay whole.
    """
    release = {record.table for record in of_release(steps)}
    whole = [pair for pair in shards_of(store, steps, store.tables()) if pair[0].table not in release]
    groups = [frozenset(shards) for shards in store.entries(SourceRow.table).groups(ROWS)]
    for number, group in enumerate(groups or [frozenset()]):
        if len(groups) > 1:
            _narrow(database, store, [(record, shards & group) for record, shards in whole])
        for statement in first:
            database.execute(statement)
        database.execute((f"INSERT INTO {table} " if number else f"CREATE TABLE {table} AS ") + query)
    if len(groups) > 1:
        _narrow(database, store, whole)


def _narrow(
    database: duckdb.DuckDBPyConnection, store: Store, tables: Sequence[tuple[type[Record], frozenset[str]]]
) -> None:
    views = (
        f"CREATE OR REPLACE VIEW {name(record.table)} AS {table_query(store, record, shards)}"
        for record, shards in tables
    )
    database.execute(";\n".join(("BEGIN", *views, "COMMIT")))
