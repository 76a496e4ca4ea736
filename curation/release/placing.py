"""Decides the place of every sample in the release, in a scratch database beside the root's views."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa

from curation.core.errors import LapidaryError
from curation.core.run import Part, Step, parts_of
from curation.core.sql import literal
from curation.core.store import Store
from curation.core.verdict import Annotates, Annotations, Decides, Verdict
from curation.release.views.groups import gather
from schemas.arrow import Column, columns
from schemas.records import Placement

_PLACE = ("split", "shard", "position")

_TAKEN = {c.name for c in columns(Placement)} | {"bytes"}
_A = re.compile(r"\ba\.")
_OF_VERDICTS = (
    *("source_shard", "offset", "size", "sha256", "phash", "width", "height"),
    *("source_file", "source_row", "url", "license", "alt_text"),
)

_EARLIER = """
CREATE TABLE places AS
SELECT sample_id, split, shard, position FROM placements WHERE shard IN (SELECT unnest($shards))
"""

TORN = """
SELECT count(*) FROM (
    SELECT cluster_id FROM places JOIN kept USING (sample_id) GROUP BY cluster_id HAVING count(DISTINCT split) > 1
)
"""

_NEW = """
INSERT INTO places
WITH clusters_placed AS (
    SELECT cluster_id, min(split) AS split FROM places JOIN kept USING (sample_id) GROUP BY cluster_id
), fresh AS (
    SELECT
        sample_id, cluster_id,
        -- Without days in the recipe, and for a sample without one, the hash decides.
        CASE WHEN $test_from <> '9999' OR $val_from <> '9999' THEN day END AS day,
        ('0x' || sha256(cluster_id)[1:12])::UBIGINT / (2.0 ^ 48) AS share
    FROM kept ANTI JOIN places USING (sample_id)
), assigned AS (
    SELECT
        sample_id,
        coalesce(
            clusters_placed.split,
            CASE
                WHEN day >= $test_from THEN 'test' WHEN day >= $val_from THEN 'val' WHEN day IS NOT NULL THEN 'train'
            END,
            CASE WHEN share < $test THEN 'test' WHEN share < $test + $val THEN 'val' ELSE 'train' END
        ) AS split
    FROM fresh LEFT JOIN clusters_placed USING (cluster_id)
), numbered AS (
    SELECT
        sample_id, split,
        row_number() OVER (PARTITION BY split ORDER BY sha256($seed || ':' || sample_id), sample_id) - 1 AS number
    FROM assigned
), taken AS (
    -- A shard that lost all its samples to a takedown is gone; its number is not given again while later ones stand.
    SELECT split, max(split_part(shard, '-', -1)::BIGINT) + 1 AS shards FROM places GROUP BY split
)
SELECT
    sample_id, split,
    format('{}-{:06d}', split, coalesce(shards, 0) + number // $shard_size),
    number % $shard_size
FROM numbered LEFT JOIN taken USING (split)
"""


def find_kept(database: duckdb.DuckDBPyConnection, store: Store, steps: Sequence[Step], texts: str) -> None:
    """Makes the table kept: a placement's columns, save the place, of every sample that may be released.

    Beside them stand ``cluster_id``, which no two splits share, and ``day``, which splits can be cut by.
    ``texts`` is a query for the columns from ``alt_text_words`` to ``alt_text_similarity``, by ``sample_id``;
    ``annotations`` comes from what the steps' parts declare.
    """
    parts = tuple(parts_of(steps))
    joins, annotations = _annotations(parts)
    own = {c.name for p in parts if isinstance(p, Decides) for c in p.verdict.columns}
    cluster = "v.cluster_id" if "cluster_id" in own else "v.sample_id AS cluster_id"
    columns_of = ", ".join(f'v."{c}"' for c in _OF_VERDICTS)
    found = f"""
        SELECT v.sample_id, {cluster}, {columns_of}, t.* EXCLUDE (sample_id),
            {annotations} AS annotations, NULL::VARCHAR AS day
        FROM through v JOIN ({texts}) t ON t.sample_id = v.sample_id{joins}"""  # noqa: S608  # of declarations in this package's code
    # What a sample carries is asked for by its verdict too, which need not be found twice.
    database.execute("ALTER VIEW verdicts RENAME TO all_verdicts")
    once = (
        "CREATE OR REPLACE TABLE through AS FROM all_verdicts WHERE through",
        "CREATE OR REPLACE VIEW verdicts AS FROM through",
    )
    gather(database, store, steps, "kept", found, once)
    database.execute("DROP VIEW verdicts; DROP TABLE through; ALTER VIEW all_verdicts RENAME TO verdicts")
    _check_single(database, parts)


def _check_single(database: duckdb.DuckDBPyConnection, parts: Sequence[Part]) -> None:
    """Raises ``LapidaryError`` where a sample would be released more than once."""
    if database.execute("SELECT count(*) = count(DISTINCT sample_id) FROM kept").fetchone() == (True,):
        return
    found = {p.name: d for p in parts for d in _declared(p) if _has_several(database, d)}
    raise LapidaryError(
        "samples would be released more than once; expected at most one row a sample in what these stages declare: "
        f"{', '.join(found) or 'unknown'}"
    )


def _declared(part: Part) -> Iterator[Verdict | Annotations]:
    if isinstance(part, Decides):
        yield part.verdict
    if isinstance(part, Annotates):
        yield part.annotations


def _has_several(database: duckdb.DuckDBPyConnection, declared: Verdict | Annotations) -> bool:
    by = "source_file, source_row" if declared.by_row else "sample_id"
    query = f"FROM {declared.relation} d SEMI JOIN kept USING ({by}) GROUP BY {by} HAVING count(*) > 1 LIMIT 1"
    return database.execute(f"SELECT 1 {query}").fetchone() is not None


def _annotations(parts: Sequence[Part]) -> tuple[str, str]:
    """The joins that all annotations want, and the JSON object of their keys in the order of the parts.

    A key that is null has no place in it, as in a released sample's .json: not where the data say null, not where a
    table has no row of the sample, and not inside an object.
    """
    declared = [p.annotations for p in parts if isinstance(p, Annotates)]
    keys: dict[str, str] = {}
    objects: set[str] = set()  # their keys are those of the data
    joins = ""
    for number, found in enumerate(declared):
        alias = f"a{number}"
        by = ("source_file", "source_row") if found.by_row else ("sample_id",)
        same = " AND ".join(f"{alias}.{column} = v.{column}" for column in by)
        joins += f" LEFT JOIN {found.relation} {alias} ON {same}"
        for key in found.keys:
            if key.name in keys or key.name in _TAKEN:
                raise ValueError(f"a released sample's .json has a key {key.name!r} already")
            keys[key.name] = f"{literal(key.name)}: {_A.sub(f'{alias}.', key.value)}"
            objects |= {key.name} if key.found_in else set()
    plain = ", ".join(pair for name, pair in keys.items() if name not in objects)
    made = "'{}'::JSON"
    for pairs in (plain, *(keys[name] for name in sorted(objects))):
        if pairs:  # a patch leaves nulls out (RFC 7396)
            made = f"json_merge_patch({made}, to_json({{{pairs}}}))"
    return joins, f"{made}::VARCHAR" if keys else "'{}'"


def keep_places(database: duckdb.DuckDBPyConnection, earlier: Mapping[str, str]) -> bool:
    """Makes the table places of an earlier release, if that still stands; else leaves it empty.

    ``earlier`` maps its shards to the ``fingerprint`` of their samples. It stands when they are all there
    and every sample in them is kept today as it was then.
    """
    database.execute(_EARLIER, {"shards": list(earlier)})
    found = database.execute("SELECT shard, list(sample_id ORDER BY position) FROM places GROUP BY shard").fetchall()
    stands = {shard: fingerprint(ids) for shard, ids in found} == dict(earlier)
    if stands:
        # A sample that joins two placed clusters makes one of them, which would stand in two splits.
        torn = database.execute(TORN).fetchone()
        stands = torn == (0,)
    if stands:
        changed = database.execute(
            "SELECT count(*) FROM (placements SEMI JOIN places USING (shard)) p "  # noqa: S608
            f"ANTI JOIN kept k ON {same_columns('p', 'k')}"
        ).fetchone()
        stands = changed == (0,)
    if not stands:
        database.execute("DELETE FROM places")
    return stands


def place_new(
    database: duckdb.DuckDBPyConnection,
    *,
    seed: int,
    val: float,
    test: float,
    shard_size: int,
    val_from: str = "",
    test_from: str = "",
) -> None:
    """Gives a place to every kept sample that has none, in new shards behind those there are.

    ``val_from`` and ``test_from`` (YYYY-MM-DD) split samples that have a day by it instead of by hash.
    """
    settings = {"seed": str(seed), "val": val, "test": test, "shard_size": shard_size}
    database.execute(_NEW, {**settings, "val_from": val_from or "9999", "test_from": test_from or "9999"})


def placed_shards(database: duckdb.DuckDBPyConnection, but: Collection[str] = ()) -> Iterator[tuple[str, pa.Table]]:
    """The placements, shard by shard, in order, ``but`` those of some shards."""
    names = ", ".join(f'"{c.name}"' for c in columns(Placement))
    wanted = "(FROM places WHERE shard NOT IN (SELECT unnest($but)))"
    ordered = f"SELECT {names} FROM {wanted} JOIN kept USING (sample_id) ORDER BY shard, position"  # noqa: S608
    pieces: list[pa.RecordBatch] = []
    current = ""
    for batch in database.sql(ordered, params={"but": sorted(but)}).to_arrow_reader(10_000):
        shards = batch.column("shard").to_pylist()
        for start, end in _runs(shards):
            if pieces and shards[start] != current:
                yield current, pa.Table.from_batches(pieces).combine_chunks()
                pieces = []
            current = shards[start]
            pieces.append(batch.slice(start, end - start))
    if pieces:
        yield current, pa.Table.from_batches(pieces).combine_chunks()


def fingerprint(ids: Sequence[str]) -> str:
    """A hash of samples in their order."""
    return hashlib.sha256(",".join(ids).encode()).hexdigest()


def same_columns(one: str, other: str, *, but: Collection[str] = ()) -> str:
    """SQL: whether two placements are the same but for their place, and for these columns."""
    lasting = (c.name for c in _lasting_columns() if c.name not in but)
    pairs = (f'{one}."{name}" IS NOT DISTINCT FROM {other}."{name}"' for name in lasting)
    return " AND ".join(pairs)


def _lasting_columns() -> Iterator[Column]:
    return (c for c in columns(Placement) if c.name not in _PLACE)


def _runs(values: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where equal neighbours start and end."""
    start = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[start]:
            yield start, index
            start = index
