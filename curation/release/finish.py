"""Finishes a release: stale shards go, then the card, Croissant, and last the sums that vouch for all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import duckdb

from curation.core.store import Store
from curation.release.card import dataset_card
from curation.release.croissant import croissant
from curation.release.facts import ReleaseFacts, read_facts
from curation.release.views.create import create_views, tables_of
from curation.release.views.criteria import Criteria
from schemas.anchor import BuildAnchor
from schemas.manifest import ReduceEntry
from schemas.recipe import RefineLaion
from schemas.records import Placement, Released

_VERSION = 2
_TABLE = "release"  # the manifest's name for what is written here
_FOLDER = "release/"


Tell = Callable[[duckdb.DuckDBPyConnection, ReleaseFacts], dict[str, bytes]]


def finish_release(store: Store, recipe: RefineLaion) -> None:
    """Finishes a release of LAION-refined: see ``finish``."""
    finish(store, recipe, lambda _, facts: _told(facts, recipe))


def finish(store: Store, recipe: RefineLaion | BuildAnchor, tell: Tell) -> None:
    """Writes what ``tell`` says of ``release/`` (README.md, croissant.json) and SHA256SUMS, unless nothing changed.

    Release shards that no placement asks for any more are removed. The sums come from the manifest: no tar
    is read again. Raises ``StoreError``.
    """
    files = _release_files(store)
    reads = {
        file: sha
        for record in tables_of(Criteria.of(recipe))
        for e in store.entries(record.table).values()
        for file, sha in e.writes.items()
    }
    digest = _digest(store, recipe)
    last = store.reduce_entry(_TABLE)
    if (
        last is not None
        and (last.digest, last.reads) == (digest, reads)
        and all(store.exists(_FOLDER + name) for name in last.shards)
    ):
        return
    with duckdb.connect() as connection:
        create_views(connection, store, Criteria.of(recipe))
        told = tell(connection, read_facts(connection, files))
    written = {name: store.write(_FOLDER + name, data) for name, data in told.items()}
    written["SHA256SUMS"] = store.write(f"{_FOLDER}SHA256SUMS", sums(files | written))
    store.commit_reduce(ReduceEntry(_TABLE, digest, reads, written, 0.0, {}))


def _told(facts: ReleaseFacts, recipe: RefineLaion) -> dict[str, bytes]:
    return {"README.md": dataset_card(facts, recipe).encode(), "croissant.json": croissant(facts, recipe)}


def sums(files: dict[str, str]) -> bytes:
    """What ``sha256sum`` prints for these files, sorted by name."""
    return "".join(f"{sha}  {name}\n" for name, sha in sorted(files.items())).encode()


def _release_files(store: Store) -> dict[str, str]:
    """The finished files of the release with their sha256; everything else that lies there is removed."""
    wanted = set(store.shards(Placement.table))
    files: dict[str, str] = {}
    for shard, entry in store.entries(Released.table).items():
        if shard in wanted:
            files |= {n.removeprefix(_FOLDER): sha for n, sha in entry.writes.items() if n.startswith(_FOLDER)}
        else:
            store.retire(Released.table, shard)
    for folder, suffix in (("", ".tar"), ("metadata/", ".parquet")):
        for name in store.names(_FOLDER + folder, suffix):
            if folder + name not in files:
                store.remove(_FOLDER + folder + name)
    return files


def _digest(store: Store, recipe: RefineLaion | BuildAnchor) -> str:
    tables = tables_of(Criteria.of(recipe))
    failed = {record.table: store.names(f"manifest/{record.table}", ".failed.json") for record in tables}
    told = json.dumps([_VERSION, recipe.told(), failed], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
