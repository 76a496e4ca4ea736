"""Creates a root's views on a DuckDB connection.

The packing reduce and the catalog create the same views, so that what is released and what the catalog
calls kept cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curation.core.store import Store
from curation.release.views.costs import Prices, cost_views
from curation.release.views.criteria import Criteria
from curation.release.views.tables import comments, json_view, literal, table_view
from schemas.arrow import Record, columns
from schemas.news import Abstractness, CleanCaption, Conditioning, NamedEntity, NewsArticle, SubjectWeight
from schemas.records import (
    Caption,
    CaptionCheck,
    CropHash,
    Duplicate,
    ImageRow,
    Overlap,
    Placement,
    Released,
    Repeat,
    Score,
    SourceRow,
)

# Tables whose shards are the source's: those of a shard that the source no longer has are nobody's.
BY_SOURCE_SHARD: tuple[type[Record], ...] = (
    Repeat,
    ImageRow,
    CropHash,
    Overlap,
    Duplicate,
    Caption,
    CaptionCheck,
    Score,
)
TABLES: tuple[type[Record], ...] = (SourceRow, *BY_SOURCE_SHARD, Placement, Released)
_NEWS: tuple[type[Record], ...] = (
    NewsArticle, CleanCaption, NamedEntity, Abstractness, SubjectWeight, Conditioning,
)  # fmt: skip

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
_CRITERIA = {
    "alt_text_fallback": "whether the alt text may stand in for captions",
    "min_similarity": "lowest cosine of image and caption; null for any",
    "scored": "whether image-text similarity is switched on",
    "deduped": "whether duplicates are removed",
    "harmless": "reasons that are only recorded",
    "mendable": "reasons that reject a caption only where it cannot be mended",
    "literal": "whether news captions are compared with a literal description",
    "first_stage": "the stage that comes after dedupe",
}
# Columns that hold in the composed views what they hold in the records.
_FROM_RECORDS = {
    SourceRow: ("source_file", "source_row", "sample_id", "url", "alt_text"),
    ImageRow: ("width", "height", "sha256", "phash"),
}


def tables_of(criteria: Criteria) -> tuple[type[Record], ...]:
    """The tables that a root of this kind may have."""
    return (*TABLES, *_NEWS) if criteria.product == "news" else TABLES


def create_views(connection: Any, store: Store, criteria: Criteria, prices: Sequence[Prices] = ()) -> None:
    """Creates all views of a root, with comments. Tables that do not exist yet become empty views.

    With ``prices`` there are those of replies and costs too, on which no byte of a result may depend.
    """
    if not store.is_local:
        connection.register_filesystem(store.filesystem)
    # One transaction: a database file is synced once instead of for every comment.
    connection.execute(";\n".join(("BEGIN", *statements(store, criteria, prices), "COMMIT")))


def statements(store: Store, criteria: Criteria, prices: Sequence[Prices] = ()) -> Iterator[str]:
    """The SQL that makes the views, in order."""
    of_source = frozenset(store.shards(SourceRow.table))
    tables = tables_of(criteria)
    for record in tables:
        # Data without a manifest entry is what a killed writer left behind.
        finished = frozenset(store.shards(record.table))
        yield from table_view(store, record, finished & of_source if record in (*BY_SOURCE_SHARD, *_NEWS) else finished)
    yield from _files_about_runs(store, tables)
    yield from _criteria(criteria)
    for view in ("news" if criteria.product == "news" else "choices", "verdicts", "samples"):
        yield (Path(__file__).parent / f"{view}.sql").read_text(encoding="utf-8").strip().removesuffix(";")
    if prices:
        yield from cost_views(store, prices, news=criteria.product == "news")
    yield _DOCS
    for record, same in _FROM_RECORDS.items():
        docs = {c.name: c.doc for c in columns(record) if c.name in same}
        yield from comments("verdicts", docs)
        yield from comments("samples", docs)


def _files_about_runs(store: Store, tables: tuple[type[Record], ...]) -> Iterator[str]:
    failed = any(store.names(f"manifest/{record.table}", ".failed.json") for record in tables)
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


def _criteria(criteria: Criteria) -> Iterator[str]:
    kinds = ", ".join(f"({literal(kind)}, {rank})" for rank, kind in enumerate(criteria.prefer))
    yield f"CREATE VIEW preferred AS SELECT * FROM (VALUES {kinds}) AS t(kind, rank)"  # noqa: S608  # quoted
    yield "COMMENT ON VIEW preferred IS 'Kinds of caption in the order in which the recipe prefers them'"
    yield from comments("preferred", {"kind": "as in captions", "rank": "0 is the best"})
    limit = "NULL" if criteria.min_similarity is None else repr(float(criteria.min_similarity))
    harmless = ", ".join(literal(r.value) for r in criteria.harmless_reasons)
    mendable = ", ".join(literal(r.value) for r in criteria.mendable_reasons)
    yield (
        "CREATE VIEW criteria AS SELECT "
        f"{criteria.alt_text_fallback} AS alt_text_fallback, {limit}::FLOAT AS min_similarity, "
        f"{criteria.scored} AS scored, {criteria.deduped} AS deduped, "
        f"[{harmless}] AS harmless, [{mendable}] AS mendable, {criteria.literal} AS literal, "
        f"{literal('clean' if criteria.product == 'news' else 'recaption')} AS first_stage"
    )
    yield "COMMENT ON VIEW criteria IS 'What the recipe asks of a sample that is to be released; one row'"
    yield from comments("criteria", _CRITERIA)
