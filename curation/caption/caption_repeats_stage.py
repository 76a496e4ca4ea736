"""Find captions that too many different images share, whole or in their first words; table ``caption_repeats``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from curation.caption.check.repeated import opening_key, shared, text_key
from curation.caption.check_stage import ALT_TEXT
from curation.caption.choice import Choice
from curation.core.database import scratch_database
from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from schemas.arrow import Record, table_of
from schemas.captions import CaptionCheck, CaptionRepeat, VerifiedCaption
from schemas.records import ImageRow, SourceRow
from schemas.refine import CaptionRepeats

_WORDS = 8  # of an opening
_CHECKED = ["sample_id", "kind", "passed", "caption"]
_VERIFIED = ["sample_id", "kind", "passed", "caption"]

# The captions of one shard that may be released, in the order of their table.
_OF_SHARD = """
SELECT c.n, c.sample_id, c.kind, coalesce(v.caption, c.caption) AS text
FROM checked c LEFT JOIN verified v USING (sample_id, kind)
WHERE c.passed AND c.caption IS NOT NULL AND c.kind <> $alt_text AND coalesce(v.passed, true)
"""
# Texts are compared by md5: texts that are made to collide are rejected or recorded, no other harm is done.
_LOAD = f"""
INSERT INTO loaded
SELECT $shard, n, md5_number(coalesce(i.sha256, t.sample_id)),
    md5_number({text_key("text")}), md5_number({opening_key("text", _WORDS, _WORDS)})
FROM ({_OF_SHARD}) t LEFT JOIN pictures i USING (sample_id)
"""  # noqa: S608  # of our own
_FOUND = f"""
SELECT t.sample_id, t.kind, l.shared,
    CASE l.shared WHEN 'caption' THEN {text_key("t.text")} ELSE {opening_key("t.text", _WORDS, _WORDS)} END AS text,
    l.images
FROM ({_OF_SHARD}) t JOIN (FROM found WHERE shard = $shard) l USING (n) ORDER BY t.n
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
                "CREATE TABLE loaded (shard INTEGER, n BIGINT, image UHUGEINT, text UHUGEINT, opening UHUGEINT)"
            )
            for number, shard in enumerate(shards):
                self._register(connection, store, shard)
                connection.register("pictures", _columns(store, ImageRow, shard, ["sample_id", "sha256"]))
                connection.execute(_LOAD, {"shard": number, "alt_text": ALT_TEXT})
            connection.execute(self._find())
            found = {number for (number,) in connection.execute("SELECT DISTINCT shard FROM found").fetchall()}
            for number, shard in enumerate(shards):
                if number not in found:  # nearly all, which are not read a second time
                    yield shard, table_of(CaptionRepeat, [])
                    continue
                self._register(connection, store, shard)
                rows = connection.sql(_FOUND, params={"shard": number, "alt_text": ALT_TEXT})
                yield shard, rows.to_arrow_table()

    def _register(self, connection: duckdb.DuckDBPyConnection, store: Store, shard: str) -> None:
        """Makes the views ``checked`` and ``verified`` of one shard."""
        checked = _columns(store, CaptionCheck, shard, _CHECKED)
        connection.register("checked", checked.append_column("n", pa.array(range(checked.num_rows), pa.int64())))
        record = VerifiedCaption if self.verified else None
        connection.register("verified", _columns(store, record, shard, _VERIFIED))

    def _find(self) -> str:
        """SQL: makes the table ``found`` of all captions beyond a limit; a whole text goes before its opening"""
        limits = {"text": self.max_images, "opening": self.max_opening_images}
        parts = [_beyond(column, limit) for column, limit in limits.items() if limit]
        nothing = "SELECT 0 AS shard, 0 AS n, '' AS shared, 0 AS images WHERE false"
        return (
            "CREATE TABLE found AS SELECT DISTINCT ON (shard, n) shard, n, shared, images "  # noqa: S608  # likewise
            f"FROM ({' UNION ALL '.join(parts or [nothing])}) ORDER BY shard, n, shared"
        )


def _beyond(column: str, limit: int) -> str:
    """SQL: the captions whose key in a column more than ``limit`` images have."""
    name = "caption" if column == "text" else column
    keys = shared(f"(SELECT {column} AS key, image FROM loaded)", limit, "NULL")  # noqa: S608  # of our own
    return f"SELECT shard, n, '{name}' AS shared, images FROM loaded l JOIN ({keys}) k ON l.{column} = k.key"  # noqa: S608


def _columns(store: Store, record: type[Record] | None, shard: str, columns: list[str]) -> pa.Table:
    """These columns of a shard of a table; no rows where there is no such shard."""
    if record is None or store.entry(record.table, shard) is None:
        return pa.table({c: pa.array([], pa.bool_() if c == "passed" else pa.string()) for c in columns})
    return store.read_table(record, shard, columns)
