"""Repeats: rows that repeat the url and alt text, or too often the alt text, of earlier rows; table ``repeats``.

Only rows that passed the metadata filters count. Of rows with the same url and alt text, the first in source order is
kept. Of rows with the same alt text, the first ``max_text_repeats`` are kept; repeated rows and blank alt texts do not
count here.

Source order is the order of shards in an earlier, finished run, and then that of file names and rows. The verdict on a
row depends on earlier rows alone, so a source that grows changes no verdict. Once the rows of a shard have changed (the
filters let other rows through, or a row is gone), rows whose image was fetched come before all others: what was
released is not replaced by a row that nobody has fetched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.database import registered, scratch_database
from curation.core.gathered import COLUMN, groups, joined, kept_rows
from curation.core.stage import Reduction
from curation.core.store import Store
from curation.core.verdict import Verdict
from curation.sources.merging import fetched_ids
from curation.sources.plan_stage import SourceRows
from schemas.arrays import strings
from schemas.arrow import Record, table_of
from schemas.reasons import Reason
from schemas.records import ImageRow, Repeat, SourceRow

_COLUMNS = ["sample_id", "source_file", "source_row", "alt_text", "reason"]

# A row's place in source order has the rank of its shard in the high bits and its row in the low bits; its turn is its
# place, behind the places of all others where rows that were fetched come first. Texts are compared by md5: whoever
# makes two texts collide only has his own rows rejected.
_LOADED = "CREATE TABLE loaded (shard VARCHAR, source_row BIGINT, id VARCHAR, text UHUGEINT, later BOOLEAN)"
_LOAD = f"""
INSERT INTO loaded SELECT "{COLUMN}", source_row, id, (text_high::UHUGEINT << 64) | text_low, later FROM batch
WHERE id IS NOT NULL
"""  # noqa: S608  # of our own
_KEPT = """
SELECT source_row, sample_id AS id, md5_number_upper(alt_text) AS text_high, md5_number_lower(alt_text) AS text_low,
    later, NULL::VARCHAR AS file FROM batch
"""
_PASSED = """
CREATE VIEW passed AS
    SELECT (rank::BIGINT << 40) | source_row AS place, place + later::BIGINT * {last} AS turn, id, text
    FROM loaded JOIN ranks USING (shard)
"""
_LAST = 1 << 62
_ROW = (1 << 40) - 1

_DECIDE = """
CREATE TABLE firsts AS
    SELECT id, min(turn) AS first FROM passed GROUP BY id HAVING count(*) > 1;
CREATE TABLE repeats AS
    SELECT place, id, first % {last} AS first, NULL::BIGINT AS before
    FROM passed JOIN firsts USING (id) WHERE turn > first;
"""

_DECIDE_TEXTS = """
CREATE TABLE texts AS
    SELECT place, turn, id, text FROM passed ANTI JOIN repeats USING (place) WHERE text IS NOT NULL;
INSERT INTO repeats
    SELECT place, id, NULL, before FROM (
        SELECT place, id, row_number() OVER (PARTITION BY text ORDER BY turn) - 1 AS before
        FROM texts SEMI JOIN (SELECT text FROM texts GROUP BY text HAVING count(*) > {most}) USING (text)
    ) WHERE before >= {most};
"""


@dataclasses.dataclass(frozen=True)
class RepeatReduce:
    """Rejects rows that repeat an earlier row or a frequent text.

    Writes one shard of ``repeats`` for every shard of ``rows``, an empty one if nothing repeats. With
    ``max_text_repeats`` 0, a text may occur any number of times. Needs about 100 bytes in the temporary folder for each
    row that passed the filters.
    """

    name: ClassVar[str] = "repeats"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = Repeat
    max_text_repeats: int = 10

    @property
    def verdict(self) -> Verdict:
        """A part of the plan's verdict; a row that repeats nothing is not in the table."""
        reasons: dict[str, str] = {
            Reason.REPEATED_ROW: "same URL and alt text as an earlier row",
            Reason.REPEATED_TEXT: "more rows with this alt text than source.max_text_repeats",
        }
        return Verdict(
            Repeat.table, (Repeat,), reasons, waiting="false", reason="v.reason", detail="v.detail", by_row=True,
            label=SourceRows.name,
        )  # fmt: skip

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        """The state is the list of shards in the order in which they were first decided, whatever the settings were.

        ``fetched_first`` is in it once the rows of a shard have changed.
        """
        last = store.reduce_entry(Repeat.table)
        previous = {} if last is None else last.state
        present = store.entries(SourceRow.table)
        files = {Store.table_file(SourceRow.table, shard): entry for shard, entry in present.items()}
        changed = last is not None and any(
            name in files and files[name].writes[name] != sha for name, sha in last.reads.items()
        )
        fetched_first = changed or bool(previous.get("fetched_first"))
        order: list[str] = []
        shards = self._shards(store, previous.get("shards", []), order, fetched_first)
        return Reduction(shards, lambda: {"shards": order} | ({"fetched_first": True} if fetched_first else {}))

    def _shards(
        self, store: Store, previous: list[str], order: list[str], fetched_first: bool
    ) -> Iterator[tuple[str, pa.Table]]:
        with scratch_database("look for repeats", ordered=False) as connection:
            heads = _load(connection, store, fetched_first)
            earlier = [shard for shard in previous if shard in heads]
            order += earlier + sorted(heads.keys() - set(earlier), key=lambda shard: (heads[shard], shard))
            _rank(connection, order)
            connection.execute(_DECIDE.format(last=_LAST))
            if self.max_text_repeats:
                connection.execute(_DECIDE_TEXTS.format(most=int(self.max_text_repeats)))
            yield from _by_shard(connection, order, [heads[shard][0] for shard in order])


def _load(connection: duckdb.DuckDBPyConnection, store: Store, fetched_first: bool) -> dict[str, tuple[str, int]]:
    """Loads the rows that passed; returns file and first row of each shard."""
    connection.execute(_LOADED)
    heads: dict[str, tuple[str, int]] = {}
    for rows in _kept(connection, store, fetched_first):
        first = rows.filter(pc.is_null(rows["id"]))
        files, numbers = strings(first["file"]), first["source_row"].to_numpy().tolist()
        heads |= dict(zip(strings(first[COLUMN]), zip(files, numbers, strict=True), strict=True))
        with registered(connection, "batch", rows):
            connection.execute(_LOAD)
    return heads


def _kept(connection: duckdb.DuckDBPyConnection, store: Store, fetched_first: bool) -> Iterator[pa.Table]:
    """What matters here of the rows of all shards, as ``_told`` has it; what was gathered of a shard stands for it."""
    keys = store.entries(SourceRow.table).own_sums()
    unkept: list[str] = []
    if fetched_first:
        images = store.entries(ImageRow.table).own_sums()
        keys = {shard: f"{sha} {images.get(shard)}" for shard, sha in keys.items()}
        # Nothing vouches for what is stored beside the images of these.
        stored = {store.stored_file(shard): shard for shard in keys}
        unkept = [stored[name] for n in store.names("images") if (name := f"images/{n}") in stored]
    told = partial(_told, connection, store, fetched_first)
    name = f"{Repeat.table}/{'fetched' if fetched_first else 'all'}"
    yield from kept_rows(store, name, {shard: keys[shard] for shard in sorted(keys.keys() - set(unkept))}, told)
    for group in groups(told(unkept)):
        yield joined(group)


def _told(
    connection: duckdb.DuckDBPyConnection, store: Store, fetched_first: bool, shards: Sequence[str]
) -> Iterator[tuple[str, pa.Table]]:
    """Of each shard its head, with ``file`` and without ``id``, and the rows that passed the filters."""
    for shard in shards:
        rows = store.read_table(SourceRow, shard, _COLUMNS)
        file, first = (rows["source_file"][0].as_py(), rows["source_row"][0].as_py()) if rows.num_rows else ("", 0)
        passed = rows.filter(pc.is_null(rows["reason"]))
        blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(passed["alt_text"])), pa.scalar(0))
        texts = pc.if_else(blank, pa.scalar(None, pa.string()), passed["alt_text"])
        later = pa.repeat(pa.scalar(False), passed.num_rows)
        if fetched_first:
            fetched = pa.array(sorted(fetched_ids(store, shard)), pa.string())
            later = pc.invert(pc.is_in(passed["sample_id"], value_set=fetched))
        told = passed.set_column(passed.column_names.index("alt_text"), "alt_text", texts)
        with registered(connection, "batch", told.append_column("later", later)):
            found = connection.sql(_KEPT).to_arrow_table()
        head = pa.table({"source_row": [first], "file": [file]})
        yield shard, pa.concat_tables([head, found], promote_options="default").select(found.column_names)


def _rank(connection: duckdb.DuckDBPyConnection, order: list[str]) -> None:
    ranks = pa.array(range(len(order)), pa.int32())
    with registered(connection, "given", pa.table({"shard": pa.array(order, pa.string()), "rank": ranks})):
        connection.execute("CREATE TABLE ranks AS SELECT * FROM given")
    connection.execute(_PASSED.format(last=_LAST))


def _by_shard(
    connection: duckdb.DuckDBPyConnection, order: list[str], files: list[str]
) -> Iterator[tuple[str, pa.Table]]:
    """One table a shard, its rows in order; empty where nothing repeats."""
    reader = connection.sql("SELECT place, id, first, before FROM repeats ORDER BY place").to_arrow_reader(10_000)
    rank = 0
    waiting: list[Repeat] = []
    for batch in reader:
        for place, sample, first, before in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            while rank < place >> 40:
                yield order[rank], table_of(Repeat, waiting)
                rank, waiting = rank + 1, []
            waiting.append(_repeat(files, rank, place & _ROW, sample, first, before))
    while rank < len(order):
        yield order[rank], table_of(Repeat, waiting)
        rank, waiting = rank + 1, []


def _repeat(files: list[str], rank: int, row: int, sample: str, first: int | None, before: int | None) -> Repeat:
    if first is not None:
        where = f"{files[first >> 40]}:{first & _ROW}"
        return Repeat(files[rank], row, sample, Reason.REPEATED_ROW, f"repeats {where}")
    return Repeat(files[rank], row, sample, Reason.REPEATED_TEXT, f"the same text stood in {before} rows before")
