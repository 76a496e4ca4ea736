"""Which samples of a root go: those that are named, all of the same url, and their near duplicates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from curation.core.errors import UsageError
from curation.core.run import Step
from curation.core.sql import literal, name
from curation.core.store import Store
from curation.products import steps_of
from curation.release.views.create import create_views, tables_of
from curation.release.views.tables import files_matching
from curation.sources.tombstones import read_own
from curation.takedown.asked import Asked
from curation.takedown.near import NearImages
from schemas.arrow import columns
from schemas.recipe import Dedupe, Download
from schemas.tombstones import Tombstone, hashed, hashed_looks, hosts_of

_SAME_URL = """
SELECT DISTINCT r.sample_id, 'the same url' FROM rows r
WHERE r.url IN (SELECT url FROM rows SEMI JOIN chosen USING (sample_id) WHERE url IS NOT NULL)
ORDER BY 1
"""
_KEPT_BY = """
SELECT d.sample_id, 'a duplicate of ' || d.keeper_id FROM duplicates d
SEMI JOIN chosen ON chosen.sample_id = d.keeper_id ORDER BY 1
"""
_FOUND = """
SELECT r.sample_id, any_value(c.why), any_value(r.url), any_value(r.alt_text), list(DISTINCT r.shard ORDER BY r.shard),
    any_value(p.original_sha256), any_value(p.sha256), any_value(p.phash), any_value(p.phash256)
FROM rows r JOIN chosen c USING (sample_id) LEFT JOIN pixels p USING (sample_id)
GROUP BY r.sample_id ORDER BY r.sample_id
"""
_OWN_TEXTS = """
CREATE TABLE own_texts AS SELECT DISTINCT text FROM ({every})
GROUP BY text HAVING bool_and(sample_id IN (SELECT sample_id FROM chosen)) AND text <> '' ORDER BY text
"""
_TEXTS = ("alt_text", "text", "caption", "global_caption", "literal", "compel", "weighted", "prefixed")
"""Columns of tables that hold what is said of a sample."""
# What a file may be searched for: it stands in nothing that stays.
_CLEAR = """
SELECT text FROM (
    SELECT url AS text FROM rows SEMI JOIN chosen USING (sample_id) WHERE url IS NOT NULL
    UNION SELECT text FROM own_texts WHERE length(text) >= $long
) c WHERE NOT EXISTS (
    SELECT 1 FROM (
        SELECT sample_id, url AS said FROM rows UNION ALL SELECT sample_id, alt_text FROM rows
        UNION ALL SELECT sample_id, caption FROM placements
    ) s WHERE contains(s.said, c.text) AND s.sample_id NOT IN (SELECT sample_id FROM chosen)
) ORDER BY text
"""
_LONG = 24  # characters from which a text is looked for within others
_MOST = 500  # texts that are looked for within others


@dataclass(frozen=True)
class Goes:
    """A sample that goes, with why, the shards of the source that hold it, and its tombstone."""

    sample_id: str
    why: str
    url: str | None
    text: str
    shards: tuple[str, ...]
    stone: Tombstone


@dataclass(frozen=True)
class Choice:
    """What goes. ``shards`` are those of the release that hold any of it; ``absent`` was asked for and is not here.

    ``stones`` are the tombstones of all that was asked for, here or not. ``texts`` are those that no other
    sample has; ``clear`` are those of them, and urls, that stand in no text of another sample: empty where there are
    too many to look for.
    """

    goes: tuple[Goes, ...]
    shards: tuple[str, ...]
    absent: tuple[str, ...]
    stones: tuple[Tombstone, ...]
    texts: tuple[str, ...]
    clear: tuple[str, ...]

    @property
    def by_shard(self) -> dict[str, set[str]]:
        """The samples that go, by shard of the source."""
        found: dict[str, set[str]] = {}
        for one in self.goes:
            for shard in one.shards:
                found.setdefault(shard, set()).add(one.sample_id)
        return dict(sorted(found.items()))


def choose(store: Store, asked: Asked) -> Choice:
    """Looks for what was asked; changes nothing. Raises ``UsageError`` for a root that holds no images of a source."""
    steps, recipe = steps_of(store)
    dedupe, download = getattr(recipe, "dedupe", None), getattr(recipe, "download", None)
    if not isinstance(dedupe, Dedupe) or not isinstance(download, Download):
        raise UsageError(
            f"{store.url} holds no images of a source; name a root that lapidary refine, anchor or expand made"
        )
    with duckdb.connect() as database:
        create_views(database, store, steps)
        database.execute(f"CREATE VIEW pixels AS {_pixels(store)}")
        database.execute("CREATE TABLE chosen (sample_id VARCHAR PRIMARY KEY, why VARCHAR)")
        _leave_out_what_is_gone(database, store)
        absent = _add_named(database, asked)
        _add(database, database.execute(_SAME_URL).fetchall())
        near = NearImages(store, dedupe)
        held = database.execute("SELECT sample_id, shard FROM rows SEMI JOIN chosen USING (sample_id)").fetchall()
        near.give_samples({sample for sample, _ in held}, {shard for _, shard in held})
        for picture in asked.likes:
            near.give_file(picture, download)
        _add(database, ((n.sample_id, f"near {n.of}, {n.bits} bits of 64") for n in near.find()))
        while _add(database, [*database.execute(_SAME_URL).fetchall(), *database.execute(_KEPT_BY).fetchall()]):
            pass
        placed = "SELECT DISTINCT shard FROM placements SEMI JOIN chosen USING (sample_id) ORDER BY shard"
        shards = tuple(row[0] for row in database.execute(placed).fetchall())
        database.execute(_OWN_TEXTS.format(every=_every_text(steps)))
        texts = tuple(row[0] for row in database.execute("FROM own_texts").fetchall())
        own = frozenset(texts)
        goes = tuple(_goes(row, asked, own) for row in database.execute(_FOUND).fetchall())
        few = len(goes) + len(texts) <= _MOST
        clear = tuple(row[0] for row in database.execute(_CLEAR, {"long": _LONG}).fetchall()) if few else ()
    return Choice(goes, shards, tuple(absent), tuple(_stones(asked, goes)), texts, clear)


def _leave_out_what_is_gone(database: duckdb.DuckDBPyConnection, store: Store) -> None:
    database.execute("CREATE TABLE gone_before (sample_id VARCHAR)")
    ids = [stone.sample_id for stone in read_own(store) if stone.sample_id is not None]
    database.register("told", pa.table({"sample_id": pa.array(ids, pa.string())}))
    database.execute("INSERT INTO gone_before FROM told")
    database.unregister("told")


def _pixels(store: Store) -> str:
    """What is known of images, also of those that are stored and not wanted today."""
    columns = "sample_id, original_sha256, sha256, phash, phash256"
    found = f"SELECT {columns} FROM images"  # noqa: S608  # our own names
    if store.names("images", ".stored.parquet"):
        files = literal(files_matching(store, "images/*.stored.parquet"))
        found += f" UNION SELECT {columns} FROM read_parquet({files})"  # noqa: S608  # quoted
    return found


def _every_text(steps: Sequence[Step]) -> str:
    """Every text of every sample, whichever table holds it."""
    said = [
        f"SELECT sample_id, {name(column.name)} AS text FROM {name(record.table)}"  # noqa: S608  # quoted
        for record in tables_of(steps)
        for column in columns(record)
        if column.name in _TEXTS and "sample_id" in {c.name for c in columns(record)}
    ]
    return " UNION ALL ".join(said)


def _add(database: duckdb.DuckDBPyConnection, rows: Iterable[Sequence[str]]) -> bool:
    """Adds samples that are not yet chosen; whether there were any."""
    before, told = _count(database), list(rows)
    columns_of = {
        name: pa.array([row[at] for row in told], pa.string()) for at, name in enumerate(("sample_id", "why"))
    }
    database.register("told", pa.table(columns_of))
    database.execute(
        "INSERT OR IGNORE INTO chosen SELECT sample_id, any_value(why) FROM told "
        "WHERE sample_id NOT IN (SELECT sample_id FROM gone_before) GROUP BY sample_id"
    )
    database.unregister("told")
    return _count(database) != before


def _count(database: duckdb.DuckDBPyConnection) -> int:
    # All rows are fetched: a result that is not read to its end blocks what follows.
    ((count,),) = database.execute("SELECT count(*) FROM chosen").fetchall()
    return int(count)


def _add_named(database: duckdb.DuckDBPyConnection, asked: Asked) -> list[str]:
    """Adds what is named; returns what is not here."""
    absent = []
    for what, query, values in _queries(database, asked):
        found = database.execute(query, [values]).fetchall() if values else []
        _add(database, [(sample, what) for sample, _ in found])
        known = {value for _, value in found}
        absent += [f"{what} {value}" for value in values if value not in known]
    return absent


def _queries(database: duckdb.DuckDBPyConnection, asked: Asked) -> Iterator[tuple[str, str, list[str]]]:
    """What is looked for, the query for (sample_id, value), and the values."""
    stones = asked.stones
    contents = [h for s in stones for h in (s.original_sha256, s.stored_sha256) if h is not None]
    of_bytes = """
        SELECT sample_id, unnest([original_sha256, sha256]) AS value FROM pixels
        WHERE list_contains($1, original_sha256) OR list_contains($1, sha256)
        UNION ALL SELECT sample_id, expected_sha256 FROM rows WHERE list_contains($1, expected_sha256)"""
    hashed_url = "SELECT sample_id, sha256(url) FROM rows WHERE list_contains($1, sha256(url))"
    of_sample = "SELECT DISTINCT sample_id, sample_id FROM rows WHERE list_contains($1, sample_id)"
    yield "url", "SELECT sample_id, url FROM rows WHERE list_contains($1, url)", list(asked.urls)
    yield "sample", of_sample, list(asked.samples)
    yield "sha256", of_bytes, list(asked.hashes)
    yield "tombstone", of_sample, [s.sample_id for s in stones if s.sample_id is not None]
    yield "tombstone", hashed_url, [s.url_sha256 for s in stones if s.url_sha256 is not None]
    yield "tombstone", of_bytes, contents
    wanted = {hashed(host): host for host in asked.hosts} | {s.host_sha256: "" for s in stones if s.host_sha256}
    if wanted:
        database.execute("CREATE TABLE of_hosts (url VARCHAR, host VARCHAR)")
        reader = database.cursor().execute("SELECT DISTINCT url FROM rows WHERE url IS NOT NULL")
        while urls := reader.fetchmany(10_000):
            hits = [[url, host] for (url,) in urls for host in hosts_of(url) if hashed(host) in wanted]
            told = {name: pa.array([hit[at] for hit in hits], pa.string()) for at, name in enumerate(("url", "host"))}
            database.register("hits", pa.table(told))
            database.execute("INSERT INTO of_hosts FROM hits")
            database.unregister("hits")
        query = "SELECT sample_id, host FROM rows JOIN of_hosts USING (url) WHERE list_contains($1, host)"
        every = [row[0] for row in database.execute("SELECT DISTINCT host FROM of_hosts").fetchall()]
        yield "host", query, list(dict.fromkeys([*asked.hosts, *every]))


def _goes(row: Sequence[object], asked: Asked, own: Collection[str]) -> Goes:
    sample, why, url, text, shards, original, stored, phash, phash256 = row
    assert isinstance(sample, str) and isinstance(shards, list)
    looks = hashed_looks(phash, phash256 if isinstance(phash256, bytes) else None) if isinstance(phash, int) else None
    stone = Tombstone(
        *(asked.date, asked.reason, asked.reference, sample),
        url_sha256=hashed(url) if isinstance(url, str) else None,
        text_sha256=hashed(text) if isinstance(text, str) and text in own else None,
        original_sha256=original if isinstance(original, str) else None,
        stored_sha256=stored if isinstance(stored, str) else None,
        looks_sha256=looks,
    )
    return Goes(sample, str(why), url if isinstance(url, str) else None, str(text), tuple(shards), stone)


def _stones(asked: Asked, goes: Sequence[Goes]) -> Iterator[Tombstone]:
    """Those of the samples that go, and of what else was asked for: it may come with a later run."""
    blank = Tombstone(asked.date, asked.reason, asked.reference)
    known = {one.stone.url_sha256 for one in goes}
    yield from (one.stone for one in goes)
    yield from (replace(blank, url_sha256=h) for h in map(hashed, asked.urls) if h not in known)
    yield from (replace(blank, host_sha256=hashed(host)) for host in asked.hosts)
    contents = {h for one in goes for h in (one.stone.original_sha256, one.stone.stored_sha256)}
    yield from (replace(blank, original_sha256=h) for h in asked.hashes if h not in contents)
    yield from asked.stones
