"""Finishes a release: stale shards go, then the card, Croissant, and last the sums that vouch for all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb

from curation.core.pipeline import Engine, Report, Totals
from curation.core.run import Step
from curation.core.store import Store
from curation.release.facts import ReleaseFacts, read_facts
from curation.release.views.create import create_views, tables_of
from schemas.manifest import ReduceEntry
from schemas.part import Part
from schemas.records import Placement, Released

_VERSION = 3
_TABLE = "release"  # the manifest's name for what is written here
_FOLDER = "release/"


Describe = Callable[[duckdb.DuckDBPyConnection, ReleaseFacts], dict[str, bytes]]
"""What is written beside the tars: file name -> bytes, from a connection to the root's views."""


@dataclass(frozen=True)
class FinishRelease(Step):
    """The last step: the card, Croissant and the sums. ``before`` are all steps ahead of it."""

    name: str = field(init=False, default="release")
    recipe: Part
    before: tuple[Step, ...]
    describe: Describe

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        finish(store, self.recipe, self.before, self.describe)
        return Totals()


def finish(store: Store, recipe: Part, steps: Sequence[Step], describe: Describe) -> None:
    """Writes what ``describe`` gives (README.md, croissant.json) and SHA256SUMS to ``release/`` unless all stands.

    Release shards that no placement asks for any more are removed. The sums come from the manifest: no tar
    is read again. Raises ``StoreError``.
    """
    files = _release_files(store)
    reads = {
        file: sha
        for record in tables_of(steps)
        for e in store.entries(record.table).values()
        for file, sha in e.writes.items()
    }
    digest = _digest(store, recipe, steps)
    last = store.reduce_entry(_TABLE)
    if (
        last is not None
        and (last.digest, last.reads) == (digest, reads)
        and all(store.exists(_FOLDER + name) for name in last.shards)
    ):
        return
    with duckdb.connect() as connection:
        create_views(connection, store, steps)
        texts = describe(connection, read_facts(connection, files))
    written = {name: store.write(_FOLDER + name, data) for name, data in texts.items()}
    written["SHA256SUMS"] = store.write(f"{_FOLDER}SHA256SUMS", sums(files | written))
    store.commit_reduce(ReduceEntry(_TABLE, digest, reads, written, 0.0, {}))


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


def _digest(store: Store, recipe: Part, steps: Sequence[Step]) -> str:
    failed = {r.table: store.names(f"manifest/{r.table}", ".failed.json") for r in tables_of(steps)}
    text = json.dumps([_VERSION, recipe.deciding(former=True), failed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
