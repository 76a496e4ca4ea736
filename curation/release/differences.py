"""What two releases differ in: samples that came, went, or have another caption, and the shards that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from curation.core.database import let_read
from curation.core.errors import UsageError
from curation.core.printable import plural
from curation.core.sql import literal
from curation.core.store import Store, shown
from curation.release.versions import read_sums, release_in
from curation.release.views.tables import files_matching

_LISTED = 1_000_000  # ids that are kept of each kind
_SAMPLES = "CREATE TABLE {side} AS SELECT sample_id, caption, captions, sha256 FROM read_parquet({files})"
_IDS = {
    "added": "SELECT sample_id FROM after ANTI JOIN before USING (sample_id)",
    "removed": "SELECT sample_id FROM before ANTI JOIN after USING (sample_id)",
    "recaptioned": """SELECT sample_id FROM before b JOIN after a USING (sample_id)
        WHERE (b.caption, b.captions) IS DISTINCT FROM (a.caption, a.captions)""",
    "repictured": "SELECT sample_id FROM before b JOIN after a USING (sample_id) WHERE b.sha256 <> a.sha256",
}
_WHY = """
SELECT coalesce(s.stage || '/' || s.reason, s.fate, 'not in the new root') AS why, count(*) AS samples
FROM (FROM removed) r LEFT JOIN (
    SELECT sample_id, min_by(stage, source_row) AS stage, min_by(reason, source_row) AS reason,
        min_by(fate, source_row) AS fate
    FROM samples GROUP BY sample_id
) s USING (sample_id) GROUP BY why ORDER BY samples DESC, why
"""


@dataclass(frozen=True)
class Differences:
    """Ids of samples, sorted; at most a million of each. ``why`` counts the removed by stage and reason.

    ``why`` is empty where the newer one is no root, which alone knows. Shards are names of tars.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    recaptioned: tuple[str, ...]
    repictured: tuple[str, ...]
    why: tuple[tuple[str, int], ...]
    new_shards: tuple[str, ...]
    changed_shards: tuple[str, ...]
    gone_shards: tuple[str, ...]
    same_shards: int
    by_review: tuple[str, ...] = ()  # of the recaptioned: those whose caption a person edited, where the root knows

    @property
    def any(self) -> bool:
        """Whether there are any."""
        samples = self.added or self.removed or self.recaptioned or self.repictured
        return bool(samples or self.new_shards or self.changed_shards or self.gone_shards)

    def lines(self) -> Iterator[str]:
        """What has changed, for people."""
        why = "; ".join(f"{reason} {count:,}" for reason, count in self.why)
        yield f"{plural(len(self.added), 'sample')} added"
        yield f"{plural(len(self.removed), 'sample')} removed" + (f" ({why})" if why else "")
        edited = f" ({len(self.by_review):,} by review)" if self.by_review else ""
        yield f"{plural(len(self.recaptioned), 'sample')} with another caption{edited}"
        if self.repictured:
            yield f"{plural(len(self.repictured), 'sample')} with other pixels"
        new, changed, gone = map(len, (self.new_shards, self.changed_shards, self.gone_shards))
        yield f"shards: {self.same_shards:,} as they were, {changed:,} changed, {new:,} new, {gone:,} gone"


def compare(old: Store, new: Store, database: duckdb.DuckDBPyConnection, *, catalog: bool) -> Differences:
    """Compares two roots or copies of releases. With ``catalog``, ``database`` has the views of the newer root.

    Raises ``UsageError`` for a place without a release.
    """
    for side, store in (("before", old), ("after", new)):
        release = release_in(store)
        if not store.names(f"{release}metadata", ".parquet"):
            raise UsageError(
                f"{shown(store.url)} holds no release: neither release/metadata nor metadata has Parquet files; name a "
                "root, or a copy of its folder release"
            )
        let_read(database, store)
        files = literal(files_matching(store, f"{release}metadata/*.parquet"))
        database.execute(_SAMPLES.format(side=side, files=files))
    return differences(database, tars_of(old), tars_of(new), catalog=catalog)


def differences(
    database: duckdb.DuckDBPyConnection, tars_before: Mapping[str, str], tars_after: Mapping[str, str], *, catalog: bool
) -> Differences:
    """Compares the tables ``before`` and ``after``: sample_id, caption, captions (any two texts), sha256.

    The tars are named with their sha256. With ``catalog``, ``database`` has the views of the newer root.
    """
    ids = {
        what: tuple(row[0] for row in database.execute(f"{query} ORDER BY 1 LIMIT {_LISTED}").fetchall())
        for what, query in _IDS.items()
    }
    database.execute(f"CREATE TABLE removed AS {_IDS['removed']}")
    why = tuple((str(reason), int(count)) for reason, count in database.execute(_WHY).fetchall()) if catalog else ()
    by_review = _edited(database, ids["recaptioned"]) if catalog else ()
    both = tars_before.keys() & tars_after.keys()
    return Differences(
        *(ids["added"], ids["removed"], ids["recaptioned"], ids["repictured"], why),
        new_shards=tuple(sorted(tars_after.keys() - both)),
        changed_shards=tuple(sorted(name for name in both if tars_before[name] != tars_after[name])),
        gone_shards=tuple(sorted(tars_before.keys() - both)),
        same_shards=sum(tars_before[name] == tars_after[name] for name in both),
        by_review=by_review,
    )


def _edited(database: duckdb.DuckDBPyConnection, recaptioned: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the samples whose caption in the newer release is a person's."""
    if not database.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'reviewed'").fetchone():
        return ()  # a product whose samples nobody reviews
    query = """SELECT sample_id FROM after JOIN reviewed e USING (sample_id)
        WHERE e.kept AND e.edited AND e.text = after.caption ORDER BY sample_id"""
    edited = {str(row[0]) for row in database.execute(query).fetchall()}
    return tuple(sample for sample in recaptioned if sample in edited)


def tars_of(store: Store) -> dict[str, str]:
    """The tars of a release with their sha256, as its sums have them. Raises ``StoreError`` where there are none."""
    files = read_sums(store, release_in(store))
    return {name: sha for name, sha in files.items() if name.endswith(".tar")}
