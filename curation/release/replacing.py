"""Places after samples changed in what their place does not depend on: what was not touched stays where it is.

People decided, or an annotation became another one. Either costs the shards that it concerns, and no others: a sample
that was rejected leaves a shorter shard behind, one with another caption or annotation stays at its place, and one that
came back goes into a new shard. Before the first shard is written the plan of all is (``packing.json``, and the places
of the shards that change in ``packing.parquet``): a run that is killed amid them goes on by it, and ends with the same
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb

from curation.core.errors import StoreError
from curation.core.store import Store, encoded
from curation.release.placing import TORN, fingerprint, same_columns

_PLAN = "packing.json"
_PLACES = "packing.parquet"
PLAN_FILES = (_PLAN, _PLACES)
"""What a root holds of the plan. Its places name samples, so that a takedown takes it away."""

_STANDING = """
CREATE TABLE standing AS
SELECT sample_id, split, shard, position FROM placements WHERE list_contains($shards, shard)
"""
# A shard is out of the table for a moment while it is written; a run that was killed then knows its places by the plan.
_MISSING = """
INSERT INTO standing
SELECT sample_id, split, shard, position FROM planned
WHERE list_contains($shards, shard) AND shard NOT IN (SELECT shard FROM standing)
"""
_FOUND = "SELECT shard, list(sample_id ORDER BY position) FROM {of} GROUP BY shard"
_UNTOUCHED_DIFFER = """
SELECT count(*) FROM (
    FROM standing s ANTI JOIN kept k USING (sample_id)
    UNION ALL
    SELECT sample_id, split, shard, position
    FROM (FROM placements SEMI JOIN standing USING (sample_id, shard) SEMI JOIN kept USING (sample_id)) p
    ANTI JOIN kept k ON {same}
) p
"""
_BUT_JUDGED = "ANTI JOIN (FROM reviews WHERE action <> 'audit') j ON j.sample_id = p.sample_id"
_KEEP = """
INSERT INTO places
SELECT sample_id, split, shard, row_number() OVER (PARTITION BY shard ORDER BY position) - 1
FROM standing SEMI JOIN kept USING (sample_id)
"""
_CHANGING = """
FROM standing WHERE shard IN (
    SELECT shard FROM standing ANTI JOIN placements USING (shard)
    UNION SELECT shard FROM (FROM placements SEMI JOIN standing USING (shard)) p ANTI JOIN kept k ON {same}
) ORDER BY shard, position
"""


def keep_changed(
    database: duckdb.DuckDBPyConnection,
    store: Store,
    earlier: Mapping[str, str],
    *,
    whole: bool,
    judged: bool,
    annotated: bool,
) -> bool:
    """Fills the table places with an earlier release, if its samples changed by what places do not depend on alone.

    That are people's decisions with ``judged``, and annotations with ``annotated``. ``earlier`` maps its shards to the
    ``fingerprint`` of their samples. Where they are not ``whole``, a run was killed: what it has written already is as
    its plan says, and without a plan it was placing all anew.
    """
    after = _planned(store, earlier)
    if not earlier or not (whole or after):
        return False
    shards = {"shards": list(earlier)}
    database.execute(_STANDING, shards)
    if after and store.exists(_PLACES):
        database.register("planned", store.read_parquet(_PLACES))
        database.execute(_MISSING, shards)
        database.unregister("planned")
    found = _fingerprints(database, "standing")
    known = ({earlier[shard], after[shard]} if shard in after else {earlier[shard]} for shard in earlier)
    there = (found.get(shard, "") for shard in earlier)
    if not all(one in of for one, of in zip(there, known, strict=True)):
        return False
    differ = _UNTOUCHED_DIFFER.format(same=same_columns("p", "k", but=("annotations",) if annotated else ()))
    if database.execute(differ + (_BUT_JUDGED if judged else "")).fetchone() != (0,):
        return False
    database.execute(_KEEP)
    if database.execute(TORN).fetchone() != (0,):
        database.execute("DELETE FROM places")
        return False
    return True


def write_plan(database: duckdb.DuckDBPyConnection, store: Store, earlier: Mapping[str, str]) -> None:
    """Says what the shards of an earlier release become, before the first of them is written."""
    after = _fingerprints(database, "places")
    changing = database.sql(_CHANGING.format(same=same_columns("p", "k"))).to_arrow_table()
    store.write(_PLACES, encoded(changing))
    plan = {"before": dict(earlier), "after": {shard: after.get(shard, "") for shard in earlier}}
    store.write(_PLAN, json.dumps(plan, sort_keys=True).encode())


def drop_plan(store: Store) -> None:
    """Forgets the plan of an earlier run, before all samples are placed anew."""
    for name in PLAN_FILES:
        if store.exists(name):
            store.remove(name)


def _fingerprints(database: duckdb.DuckDBPyConnection, of: str) -> dict[str, str]:
    return {str(shard): fingerprint(ids) for shard, ids in database.execute(_FOUND.format(of=of)).fetchall()}


def _planned(store: Store, earlier: Mapping[str, str]) -> dict[str, str]:
    """What a killed run was to make of these shards; nothing where none was."""
    try:
        plan = json.loads(store.read(_PLAN)) if store.exists(_PLAN) else {}
        return dict(plan["after"]) if plan.get("before") == dict(earlier) else {}
    except (StoreError, ValueError, KeyError, TypeError, AttributeError):
        return {}
