"""The catalog: DuckDB views over everything that a root holds. Deleting it loses nothing.

python -m curation.catalog ROOT                                     the views and what they hold
python -m curation.catalog ROOT "select stage, reason, rows from funnel"
python -m curation.catalog ROOT "from samples" | cut -f1-3          tab-separated where it is piped; see --format
duckdb ROOT/catalog.duckdb                                          the same views in DuckDB's own shell
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation.core.database import scratch_database
from curation.core.errors import LapidaryError, RootError, StoreError
from curation.core.invocation import command_of
from curation.core.root import RECIPE
from curation.core.sql import literal
from curation.core.store import Store
from curation.products import steps_of
from curation.release.views.costs import prices_of
from curation.release.views.create import create_views

CATALOG = "catalog.duckdb"
FORMATS = ("table", "tsv", "csv", "json")
_ANY_WIDTH = 1_000_000

_VIEWS = """
SELECT "view", doc FROM docs WHERE "column" IS NULL
ORDER BY list_position(['samples', 'funnel'], "view") NULLS LAST, "view"
"""

_PROBLEMS = {
    "SELECT count(*) FROM (SELECT source_file, source_row FROM fates GROUP BY ALL HAVING count(*) > 1)": (
        "source rows have more than one fate"
    ),
    "SELECT count(*) FROM rows ANTI JOIN fates USING (source_file, source_row)": "source rows have no fate",
    "SELECT count(*) FROM (SELECT sample_id FROM released GROUP BY sample_id HAVING count(*) > 1)": (
        "samples stand in the release more than once"
    ),
    "SELECT count(*) FROM (SELECT sample_id FROM fates WHERE fate = 'kept' GROUP BY sample_id HAVING count(*) > 1)": (
        "released samples are claimed by more than one source row"
    ),
    "SELECT count(*) FROM released ANTI JOIN (FROM fates WHERE fate = 'kept') USING (sample_id)": (
        "samples stand in the release that are not kept"
    ),
}


@dataclass(frozen=True)
class Conservation:
    """Whether every source row ended in exactly one fate; ``problems`` says for people what is wrong."""

    source: int
    kept: int
    rejected: int
    failed: int
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems and self.source == self.kept + self.rejected + self.failed

    def __str__(self) -> str:
        counts = f"{self.source} source rows = {self.kept} kept + {self.rejected} rejected + {self.failed} failed"
        return "; ".join((counts, *self.problems))


def connect(
    root_url: str, *, refresh: bool = False, lasting: bool = True, documented: bool = True
) -> duckdb.DuckDBPyConnection:
    """A connection to the views of a root as it is now, whether or not catalog.duckdb is up to date.

    What is written into an object store later it may not see. With ``refresh`` that file is renewed as well. A
    connection that is not ``lasting`` answers sooner in a root of many small shards, until a later run begins; one
    that is not ``documented`` is there sooner, and its views have no comments. Raises ``RootError`` where there is no
    root.
    """
    store = _open_root(root_url)
    if refresh:
        _write_file(store)
    connection = duckdb.connect()
    _create(connection, store, costs=True, lasting=lasting, documented=documented)
    return connection


def refresh(store: Store, state: str = "") -> None:
    """Renews catalog.duckdb; a root that is no folder has none. Raises ``StoreError`` when it cannot be written.

    With a ``state`` of the root's tables, a file that was made from the same, in the same place, stays as it is.
    """
    if not state or not _stands(store, _made_from(store, state)):
        _write_file(store, state)


def conservation(store: Store) -> Conservation:
    """Counts every fate and looks for rows with none or with several."""
    with scratch_database("count the fates of the rows") as connection:
        _create(connection, store)
        return conserved(connection)


def conserved(connection: duckdb.DuckDBPyConnection) -> Conservation:
    """The same, over the views of a root."""
    connection.execute("CREATE TEMP TABLE fates AS SELECT source_file, source_row, sample_id, fate FROM samples")
    fates = dict(connection.execute("SELECT fate, count(*) FROM fates GROUP BY fate").fetchall())
    source = _count(connection, "SELECT count(*) FROM rows")
    found = ((_count(connection, query), problem) for query, problem in _PROBLEMS.items())
    problems = tuple(f"{count} {problem}" for count, problem in found if count)
    connection.execute("DROP TABLE fates")
    return Conservation(source, fates.get("kept", 0), fates.get("rejected", 0), fates.get("failed", 0), problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers one query. Exit code 2 with one line on stderr for a query or root that cannot be read."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        connection = connect(options.root)
        with contextlib.suppress(StoreError):  # a root that cannot be written can be asked all the same
            refresh(Store(options.root))
        result = connection.execute(options.query or _VIEWS)
        form = options.form or ("table" if sys.stdout.isatty() else "tsv")
        _print(result, form)
        if options.query is None and form == "table":
            print("""columns: select * from docs where "view" = 'samples'""")
    except (LapidaryError, duckdb.Error) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (head, say) has seen enough; nothing may be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(command_of("curation.catalog"), description="Queries a dataset root in SQL.")
    parser.add_argument("root", help="the root: a folder or any fsspec URL")
    parser.add_argument("query", nargs="?", help="SQL over the views; without it they are listed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        dest="form",
        choices=FORMATS,
        help="table: boxes for people, as wide as the terminal, or as its cells where it is piped; tsv: a line a row, "
        "tabs between the values, control characters as escapes; csv: as spreadsheets read it; json: an object a row. "
        "Default: table on a terminal, else tsv",
    )
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="the same as --format csv")
    form.add_argument("--json", dest="form", action="store_const", const="json", help="the same as --format json")
    return parser


def _print(result: Any, form: str) -> None:
    names = [str(column[0]) for column in result.description or ()]
    match form:
        case "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow(names)
            writer.writerows(_rows(result))
        case "json":
            for row in _rows(result):
                print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str))
        case "tsv":
            print("\t".join(map(_cell, names)))
            for row in _rows(result):
                print("\t".join(map(_cell, row)))
        case _:
            table = Table()
            for name in names:
                table.add_column(Text(_cell(name)))
            for row in _rows(result):
                table.add_row(*(Text(_cell(value)) for value in row))
            console = Console()
            if not sys.stdout.isatty():  # no terminal, no width: whole cells, without blanks to fill the lines
                console.width = max(1, console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum)
            console.print(table)


def _rows(result: Any) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(10_000):
        yield from rows


def _cell(value: Any) -> str:
    """A value on one line, empty for null; untrusted text must not steer the terminal."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _open_root(root_url: str) -> Store:
    try:
        store = Store(root_url)
    except (ValueError, ImportError, OSError) as error:
        raise RootError(f"{root_url} cannot be opened: {error}") from error
    if not (store.exists(RECIPE) or store.exists("tables")):
        raise RootError(f"{root_url} is not a dataset root: it holds neither {RECIPE} nor tables")
    return store


def _create(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    *,
    costs: bool = False,
    lasting: bool = False,
    documented: bool = False,
) -> None:
    steps, recipe = steps_of(store)
    prices = prices_of(recipe) if costs else None
    create_views(connection, store, steps, prices, lasting=lasting, documented=documented)


def _made_from(store: Store, state: str) -> str:
    """What catalog.duckdb says of itself: its views name files by their places."""
    return hashlib.sha256(f"{state} {store.path('')}".encode("utf-8", "surrogatepass")).hexdigest()


def _stands(store: Store, made_from: str) -> bool:
    """Whether catalog.duckdb says that it was made from this; no table is looked at."""
    path = Path(store.path(CATALOG))
    if not store.is_local or "?" in str(path) or not path.exists():
        return False
    try:
        with duckdb.connect(path, read_only=True) as connection:
            return bool(connection.execute("SELECT made_from()").fetchone() == (made_from,))
    except (duckdb.Error, OSError):  # an earlier release made it, or somebody has it open
        return False


def _write_file(store: Store, state: str = "") -> None:
    if not store.is_local:
        return
    try:
        with tempfile.TemporaryDirectory(prefix="lapidary-") as folder:
            # Made elsewhere: DuckDB takes a question mark in a database's path for an option.
            made = Path(folder) / CATALOG
            with duckdb.connect(made) as connection:
                _create(connection, store, costs=True, lasting=True, documented=True)
                connection.execute(f"CREATE MACRO made_from() AS {literal(_made_from(store, state) if state else '')}")
            path = store.scratch(CATALOG)
            shutil.copyfile(made, path)
    except (duckdb.IOException, OSError) as error:
        raise StoreError(f"cannot write {store.path(CATALOG)}: {error}") from error
    store.publish(CATALOG, path)


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    (count,) = connection.execute(query).fetchone() or (0,)
    return int(count)


if __name__ == "__main__":
    sys.exit(main())
