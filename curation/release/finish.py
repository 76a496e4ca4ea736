"""Finishes a release: stale shards go, then the card, Croissant, and last the sums that vouch for all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import duckdb

from curation.core import manifest
from curation.core.database import scratch_database
from curation.core.job import Report
from curation.core.pipeline import Engine, Totals
from curation.core.run import Step
from curation.core.run_status import was_interrupted
from curation.core.store import Store
from curation.load.features import FOLDERS, SUFFIX
from curation.release.face_blur import BlurredFaces, blurs
from curation.release.facts import ReleaseFacts, read_facts
from curation.release.versions import read_sums, sums, version_files
from curation.release.views.create import create_views, tables_of
from schemas.manifest import ReduceEntry
from schemas.part import Part
from schemas.records import Placement, Released

_VERSION = 4
_MOST_FILES = 100_000  # that are named one by one
_TABLE = "release"  # the manifest's name for what is written here
_FOLDER = "release/"


Describe = Callable[[duckdb.DuckDBPyConnection, ReleaseFacts], dict[str, bytes]]
"""What is written beside the tars: file name -> bytes, from a connection to the root's views."""
ReadFacts = Callable[[duckdb.DuckDBPyConnection, Mapping[str, str]], ReleaseFacts]


@dataclass(frozen=True)
class FinishRelease(Step):
    """The last step: the card, Croissant and the sums.

    ``before`` are the steps that lead to the release, ``beside`` those that put further files beside its tars.
    """

    name: str = field(init=False, default="release")
    recipe: Part
    before: tuple[Step, ...]
    describe: Describe
    beside: tuple[Step, ...] = ()
    facts: ReadFacts = read_facts
    settled: bool = False

    def ready(self, store: Store | None) -> Self:
        """Takes note whether the run before this one has ended in good order: it left no file of its own behind."""
        return replace(self, settled=store is not None and not was_interrupted(store))

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        finish(store, self.recipe, self.before, self.describe, self.beside, self.facts, settled=self.settled)
        return Totals()


def finish(
    store: Store,
    recipe: Part,
    before: Sequence[Step],
    describe: Describe,
    beside: Sequence[Step] = (),
    facts: ReadFacts = read_facts,
    *,
    settled: bool = False,
) -> None:
    """Writes what ``describe`` gives (README.md, croissant.json) and SHA256SUMS to ``release/`` unless all stands.

    Release shards that no placement asks for any more are removed, and files that an earlier finish wrote. The sums
    come from the manifest: no tar is read again. ``settled``: whoever worked on the root before has ended in good
    order, so that an object store, of which a listing takes a request a thousand files, is not looked through for
    what nobody left there. Raises ``StoreError``.
    """
    steps = [*before, *(step for step in beside if step.on)]
    digest = _digest(store, recipe, steps)
    last = store.reduce_entry(_TABLE)
    if last is not None and not _left_over(store, beside) and _stands(store, last, digest, _reads(store, steps)):
        if store.is_local or not settled:
            _sweep(store, read_sums(store))
        return
    files = _release_files(store, beside)
    reads = _reads(store, steps)
    if last is not None and _stands(store, last, digest, reads):
        return
    with scratch_database("describe the release") as connection:
        create_views(connection, store, steps, documented=False)
        found = facts(connection, files)
        if _blurs(recipe):
            found = replace(found, faces=BlurredFaces.of_release(store, files))
        texts = describe(connection, found)
    written = {name: store.write(_FOLDER + name, data) for name, data in texts.items()}
    written["SHA256SUMS"] = store.write(f"{_FOLDER}SHA256SUMS", sums(files | written | version_files(store)))
    for stale in sorted((last.shards.keys() if last is not None else set()) - written.keys()):
        store.remove(_FOLDER + stale)
    store.commit_reduce(ReduceEntry(_TABLE, digest, reads, written, 0.0, {}))


def _stands(store: Store, last: ReduceEntry, digest: str, reads: Mapping[str, str]) -> bool:
    """Whether what was written last is there, and follows from what is there now."""
    same = (last.digest, last.reads) == (digest, reads)
    return same and all(store.exists(_FOLDER + name) for name in last.shards)


def _left_over(store: Store, beside: Sequence[Step]) -> bool:
    """Whether there is something of steps that the recipe leaves out."""
    begun = store.tables()
    return any(store.shards(r.table) for step in beside if not step.on for r in step.records if r.table in begun)


def _release_files(store: Store, beside: Sequence[Step]) -> dict[str, str]:
    """The finished files of the release with their sha256; everything else that lies there is removed."""
    wanted = set(store.shards(Placement.table))
    files: dict[str, str] = {}
    tables = {Released.table: True} | {r.table: step.on for step in beside for r in step.records}
    for table, on in tables.items():
        entries = store.entries(table)
        stale = [shard for shard in entries.names() if not (on and shard in wanted)]
        for name, sha in entries.without(stale).files().items():
            if name.startswith(_FOLDER):
                files[name.removeprefix(_FOLDER)] = sha
        for shard in stale:
            store.retire(table, shard)
    _sweep(store, files)
    return files


def _sweep(store: Store, files: Container[str]) -> None:
    """Removes the files of the release that are none of these."""
    beside_tars = [(f"{folder}/", SUFFIX) for folder in FOLDERS]
    for folder, suffix in (("", ".tar"), ("metadata/", ".parquet"), ("data/", ".parquet"), *beside_tars):
        for name in store.names(_FOLDER + folder, suffix):
            if folder + name not in files:
                store.remove(_FOLDER + folder + name)


def _reads(store: Store, steps: Sequence[Step]) -> dict[str, str]:
    """The sha256 of every file of the root; of a large one a hash of these for each table."""
    tables = [record.table for record in tables_of(steps)]
    if sum(map(store.count, tables)) > _MOST_FILES:
        return {f"tables/{table}": manifest.state(store, table)[0] for table in tables}
    return {file: sha for table in tables for file, sha in store.entries(table).files().items()}


def _blurs(recipe: Part) -> bool:
    return blurs(getattr(recipe, "export", None))


def _digest(store: Store, recipe: Part, steps: Sequence[Step]) -> str:
    failed = {r.table: store.failure_files(r.table) for r in tables_of(steps)}
    further = ["faces"] if _blurs(recipe) else []  # cards of others stay as they are
    text = json.dumps([_VERSION, recipe.deciding(former=True), failed, *further], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
