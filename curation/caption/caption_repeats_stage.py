"""Find captions that too many different images share, whole or in their first words; table ``caption_repeats``."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from curation.caption.check.repeated import opening_key, shared, text_key
from curation.caption.check_stage import ALT_TEXT
from curation.caption.choice import Choice
from curation.core.database import registered, scratch_database
from curation.core.gathered import COLUMN, kept_rows
from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from schemas.arrays import strings
from schemas.arrow import Record, table_of
from schemas.captions import CaptionCheck, CaptionRepeat, VerifiedCaption
from schemas.records import ImageRow, SourceRow
from schemas.refine import CaptionRepeats

_WORDS = 8  # of an opening
_HALVES = ("upper", "lower")  # of an md5: Parquet has no number of 16 bytes
_BATCH = 1 << 16  # captions whose keys are made at once
_CHECKED = ["sample_id", "kind", "passed", "caption"]
_VERIFIED = ["sample_id", "kind", "passed", "caption"]

# The captions of some shards that may be released, with their places in their tables.
_OF_SHARDS = """
SELECT shard, c.n, c.sample_id, c.kind, coalesce(v.caption, c.caption) AS text
FROM checked c LEFT JOIN verified v USING (shard, sample_id, kind)
WHERE c.passed AND c.caption IS NOT NULL AND c.kind <> $alt_text AND coalesce(v.passed, true)
"""
# Texts are compared by md5: texts that are made to collide are rejected or recorded, no other harm is done.
_HASHED = {
    "image": "coalesce(i.sha256, t.sample_id)",
    "text": text_key("text"),
    "opening": opening_key("text", _WORDS, _WORDS),
}
_KEPT = f"""
SELECT shard, n, {", ".join(f"md5_number_{half}({t}) AS {c}_{half}" for c, t in _HASHED.items() for half in _HALVES)}
FROM ({_OF_SHARDS}) t LEFT JOIN pictures i USING (shard, sample_id) ORDER BY shard, n
"""  # noqa: S608  # of our own
_LOAD = f"""
INSERT INTO loaded
SELECT "{COLUMN}", n, {", ".join(f"({c}_upper::UHUGEINT << 64) | {c}_lower" for c in _HASHED)} FROM batch
"""  # noqa: S608  # likewise
_FOUND = f"""
SELECT t.sample_id, t.kind, l.shared,
    CASE l.shared WHEN 'caption' THEN {text_key("t.text")} ELSE {opening_key("t.text", _WORDS, _WORDS)} END AS text,
    l.images
FROM ({_OF_SHARDS}) t JOIN found l USING (shard, n) ORDER BY t.n
"""  # noqa: S608  # likewise


@dataclass(frozen=True)
class CaptionRepeatReduce:
    """Rejects captions that too many different images share, whole or in their first eight words.

    All captions that passed the check and hold are counted, whatever their kind. Texts are the same when their letters
    and digits are; copies of an image count once. A caption that is shared beyond a limit is a fault under every image
    that has it, so none of them keeps it: the result does not depend on the order in which captions came.

    Writes one shard of ``caption_repeats`` for every shard of checked captions, an empty one if nothing repeats. A
    limit of 0 is none. Needs about 100 bytes in the temporary folder for each caption.
    """

    name: ClassVar[str] = "caption_repeats"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = CaptionRepeat

    max_images: int
    max_opening_images: int
    verified: bool = setting(False, digest=False)  # ``reads`` is in the digest
    choice: Choice | None = setting(None, digest=False)

    @classmethod
    def declared(cls, recipe: CaptionRepeats, choice: Choice) -> CaptionRepeatReduce:
        """The reduce that follows a recipe."""
        return cls(recipe.max_images, recipe.max_opening_images, choice.verified, choice)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return (SourceRow, ImageRow, CaptionCheck, *((VerifiedCaption,) if self.verified else ()))

    @property
    def verdict(self) -> Verdict:
        return self.choice.repeats_verdict() if self.choice else Verdict(CaptionRepeat.table, (), waiting="false")

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._shards(store))

    def _shards(self, store: Store) -> Iterator[tuple[str, pa.Table]]:
        """One table a shard of the source; a shard whose source shard is gone belongs to nothing."""
        shards = sorted(store.entries(CaptionCheck.table).keys() & store.entries(SourceRow.table).keys())
        with scratch_database("look for repeated captions") as connection:
            connection.execute(
                "CREATE TABLE loaded (shard VARCHAR, n BIGINT, image UHUGEINT, text UHUGEINT, opening UHUGEINT)"
            )
            for rows in kept_rows(store, self.name, self._keys(store, shards), partial(self._kept, connection, store)):
                with registered(connection, "batch", rows):
                    connection.execute(_LOAD)
            connection.execute(self._find())
            found = {shard for (shard,) in connection.execute("SELECT DISTINCT shard FROM found").fetchall()}
            nothing = table_of(CaptionRepeat, [])
            for shard in shards:
                if shard not in found:  # nearly all, which are not read a second time
                    yield shard, nothing
                    continue
                self._register(connection, store, [shard])
                rows = connection.sql(_FOUND, params={"alt_text": ALT_TEXT})
                yield shard, rows.to_arrow_table()

    def _keys(self, store: Store, shards: Sequence[str]) -> dict[str, str]:
        """What the captions of each shard follow from."""
        records = (CaptionCheck, ImageRow, *((VerifiedCaption,) if self.verified else ()))
        sums = [store.entries(record.table).own_sums() for record in records]
        return {shard: " ".join(str(of.get(shard)) for of in sums) for shard in shards}

    def _kept(
        self, connection: duckdb.DuckDBPyConnection, store: Store, shards: Sequence[str]
    ) -> Iterator[tuple[str, pa.Table]]:
        """Of each shard the places of its captions, and what they are compared by."""
        for group in store.entries(CaptionCheck.table).only(sorted(shards)).groups(_BATCH):
            self._register(connection, store, group)
            pictures = (_columns(store, ImageRow, shard, ["sample_id", "sha256"]) for shard in group)
            connection.register("pictures", _together(group, pictures))
            rows = connection.sql(_KEPT, params={"alt_text": ALT_TEXT}).to_arrow_table()
            of_row = strings(rows["shard"])
            for shard in group:
                start = bisect_left(of_row, shard)
                yield shard, rows.slice(start, bisect_right(of_row, shard) - start).drop_columns(["shard"])

    def _register(self, connection: duckdb.DuckDBPyConnection, store: Store, shards: Sequence[str]) -> None:
        """Makes the views ``checked`` and ``verified`` of some shards."""
        checked = (_columns(store, CaptionCheck, shard, _CHECKED) for shard in shards)
        numbered = (rows.append_column("n", pa.array(range(rows.num_rows), pa.int64())) for rows in checked)
        connection.register("checked", _together(shards, numbered))
        record = VerifiedCaption if self.verified else None
        connection.register("verified", _together(shards, (_columns(store, record, s, _VERIFIED) for s in shards)))

    def _find(self) -> str:
        """SQL: makes the table ``found`` of all captions beyond a limit; a whole text goes before its opening"""
        limits = {"text": self.max_images, "opening": self.max_opening_images}
        parts = [_beyond(column, limit) for column, limit in limits.items() if limit]
        nothing = "SELECT '' AS shard, 0 AS n, '' AS shared, 0 AS images WHERE false"
        return (
            "CREATE TABLE found AS SELECT DISTINCT ON (shard, n) shard, n, shared, images "  # noqa: S608  # likewise
            f"FROM ({' UNION ALL '.join(parts or [nothing])}) ORDER BY shard, n, shared"
        )


def _beyond(column: str, limit: int) -> str:
    """SQL: the captions whose key in a column more than ``limit`` images have."""
    name = "caption" if column == "text" else column
    keys = shared(f"(SELECT {column} AS key, image FROM loaded)", limit, "NULL")  # noqa: S608  # of our own
    return f"SELECT shard, n, '{name}' AS shared, images FROM loaded l JOIN ({keys}) k ON l.{column} = k.key"  # noqa: S608


def _together(shards: Sequence[str], tables: Iterable[pa.Table]) -> pa.Table:
    """The rows of some shards, each with the name of its shard."""
    named = (
        rows.append_column("shard", pa.repeat(pa.scalar(shard, pa.string()), rows.num_rows))
        for shard, rows in zip(shards, tables, strict=True)
    )
    return pa.concat_tables(named).combine_chunks()


def _columns(store: Store, record: type[Record] | None, shard: str, columns: list[str]) -> pa.Table:
    """These columns of a shard of a table; no rows where there is no such shard."""
    if record is None or store.entry(record.table, shard) is None:
        return pa.table({c: pa.array([], pa.bool_() if c == "passed" else pa.string()) for c in columns})
    return store.read_table(record, shard, columns)
