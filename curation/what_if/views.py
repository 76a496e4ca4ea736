"""The views that verdicts read, without what is known to be kept: each is made once for two recipes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import duckdb

from curation.core.run import Step, parts_of
from curation.core.sql import name
from curation.core.store import Store
from curation.release.views.create import of_release, shards_of, tables_of
from curation.release.views.tables import table_query
from curation.release.views.verdicts import own_views
from schemas.arrow import Record, columns
from schemas.records import SourceRow

STORED = "stored_"
"""What stands before the name of a table of which other views leave rows out."""


@dataclass
class Views:
    """The views that there are, by their queries."""

    connection: duckdb.DuckDBPyConnection
    store: Store
    _made: dict[str, str] = field(default_factory=dict)

    def of_tables(self, steps: Sequence[Step]) -> None:
        """The tables as they are: ``stored_rows``, ``stored_images`` and so on; those of the release by their names."""
        narrowed = {SourceRow, *_of_samples(steps)}
        self._put(
            ((STORED if record in narrowed else "") + record.table, table_query(self.store, record, shards))
            for record, shards in shards_of(self.store, steps, self.store.tables())
        )

    def of_verdicts(
        self,
        steps: Sequence[Step],
        rows: str,
        instead: Iterator[tuple[str, str]] | Sequence[tuple[str, str]] = (),
        twice: Collection[type[Record]] = (),
    ) -> None:
        """The views that verdicts read: ``rows`` by that query, and of tables about samples those of ``asked_samples``.

        ``instead`` are queries in the place of tables. What is left of the tables that are read ``twice`` is kept.
        """
        for record in twice:
            made = f"CREATE TEMP TABLE IF NOT EXISTS {name(_left(record))} AS {_asked(record)}"
            self.connection.execute(made)
        replaced = dict(instead)
        self._put([(SourceRow.table, rows)])
        self._put(
            (
                record.table,
                replaced.get(record.table) or (f"FROM {name(_left(record))}" if record in twice else _asked(record)),
            )
            for record in _of_samples(steps)
        )
        self._put((view.name, view.query) for view in own_views(tuple(parts_of(steps))))

    def _put(self, views: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> None:
        """Creates those of the views (name, query) that are not there yet."""
        new = {view: query for view, query in views if self._made.get(view) != query}
        made = (f"CREATE OR REPLACE VIEW {name(view)} AS {query}" for view, query in new.items())
        self.connection.execute(";\n".join(("BEGIN", *made, "COMMIT")))
        self._made |= new


def _asked(record: type[Record]) -> str:
    return f"FROM {name(STORED + record.table)} SEMI JOIN asked_samples USING (sample_id)"


def _left(record: type[Record]) -> str:
    return f"left_of_{record.table}"


def _of_samples(steps: Sequence[Step]) -> Iterator[type[Record]]:
    """The tables about samples, but for those of the release and those about rows of the source."""
    release = set(of_release(steps))
    for record in tables_of(steps):
        names = {c.name for c in columns(record)}
        if record not in release and "sample_id" in names and "source_row" not in names:
            yield record
