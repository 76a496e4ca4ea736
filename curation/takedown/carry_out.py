"""Carries out a takedown: makes the new files, moves them to their places, exports and describes the release anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from curation.catalog import conservation, refresh
from curation.core.engines.local import LocalEngine
from curation.core.errors import LapidaryError
from curation.core.gathered import FOLDER as GATHERED
from curation.core.lock import Lock
from curation.core.pipeline import run_segment
from curation.core.store import Store
from curation.dedupe.earlier import FOLDER as INDEX
from curation.exports.known import FOLDER as EXPORTS
from curation.load.features import FOLDERS as FEATURES
from curation.products import steps_of
from curation.release.export_stage import ExportStage
from curation.release.finish import FinishRelease
from curation.release.replacing import PLAN_FILES
from curation.release.versions import RELEASE, REMEMBERED, next_version
from curation.reviews.journal import forget
from curation.sources.tombstones import OWN, Tombstones, read_own
from curation.takedown.changes import FOLDER, Changes, Plan
from curation.takedown.choice import Choice
from curation.takedown.files import release_shard, source_shard
from curation.takedown.proofs import put_entries
from schemas.records import Placement
from schemas.tombstones import Tombstone

_LEFT_OUT = b"[taken down]"
_MOST_SHARDS, _MOST_REASONS = 20, 3  # that a changelog names
_LARGEST_LOG = 1 << 28  # bytes
REPORT = "report"  # pages with pictures and texts; what makes them makes them anew
# Folders whose files are dealt with one by one, or made anew.
_KNOWN = (
    "tables/",
    "images/",
    "replies/",
    "release/",
    f"{INDEX}/",
    f"{GATHERED}/",
    *(f"{folder}/" for folder in FEATURES),
    f"{REPORT}/",
    f"{REMEMBERED}/",
    f"{EXPORTS}/",
    f"{FOLDER}/",
    "unfinished/",
)
_KNOWN_FILES = ("catalog.duckdb", "lock.json", "lock.beat.json", "recipe.toml", *PLAN_FILES)


def carry_out(store: Store, choice: Choice, lock: Lock) -> None:
    """Takes what was chosen out of a root that this process has locked. A killed one goes on with ``resume``.

    Raises ``LapidaryError`` where the root cannot be read or written, or where its counts do not add up afterwards.
    """
    plan = prepare(store, choice)
    if plan.moves or plan.removes:
        plan.begin(store)
        resume(store, lock)


def prepare(store: Store, choice: Choice) -> Plan:
    """Makes the new versions of all files; until the plan is begun nothing of the root has changed."""
    changes = Changes.fresh(store)
    _put_stones(changes, choice.stones)
    stones = {one.sample_id: one.stone for one in choice.goes}
    by_shard = choice.by_shard
    for shard, ids in by_shard.items():
        source_shard(changes, shard, {sample: stones[sample] for sample in ids})
    release = {shard: release_shard(changes, shard, stones) for shard in choice.shards}
    put_entries(changes, by_shard, release, stones.keys())
    if release and store.reduce_entry("release") is not None:
        _put_version(changes, choice)
    _scrub(changes, _needles(choice))
    for name in PLAN_FILES if choice.goes else ():
        if store.exists(name):
            changes.remove(name)
    return Plan(
        moves=tuple(dict.fromkeys(changes.moves)),
        removes=tuple(changes.removed),
        folders=(INDEX, GATHERED, *FEATURES, REPORT, REMEMBERED) if choice.goes else (),
        source_shards=tuple(by_shard),
        release_shards=tuple(shard for shard, pair in release.items() if pair is not None),
    )


def resume(store: Store, lock: Lock) -> bool:
    """Ends a takedown that was begun; whether there was one. Raises ``LapidaryError``."""
    plan = Plan.pending(store)
    if plan is None:
        return False
    plan.move_all(store, lock.check)
    # Decisions are files that a server may write at any time: from here on it takes none about these samples.
    forget(store, Tombstones.of_root(store).by_sample.keys())
    _release_anew(store, plan.release_shards)
    refresh(store)
    counts = conservation(store)
    if not counts.ok:
        raise LapidaryError(
            f"after the takedown {store.url} does not add up: {counts}; this is a bug, please report it"
        )
    plan.end(store)
    return True


def _release_anew(store: Store, shards: Sequence[str]) -> None:
    """Exports the shards that lost a sample, and describes the release as its last step does."""
    steps, _ = steps_of(store)
    (export,) = (s for step in steps for s in step.stages if isinstance(s, ExportStage))
    there = [shard for shard in shards if store.entry(Placement.table, shard) is not None]
    totals = run_segment(store, LocalEngine(), [export], there, lambda _: None)
    if totals.failed:
        failed = totals.failed[0]
        raise LapidaryError(f"cannot export {failed.shard}: {failed.error}; mend it and begin the same command again")
    if store.reduce_entry("release") is not None:
        for step in steps:
            if isinstance(step, FinishRelease):
                step.run(store, LocalEngine(), lambda _: None)


def _put_version(changes: Changes, choice: Choice) -> None:
    """The release gets its next version; that says how many left and why, and names none of them."""
    why = dict.fromkeys(stone.reason for stone in choice.stones)  # the reference is no business of readers
    shards = ", ".join(choice.shards[:_MOST_SHARDS]) + (" …" if len(choice.shards) > _MOST_SHARDS else "")
    lines = [
        f"{len(choice.goes):,} samples were taken down: {' / '.join(list(why)[:_MOST_REASONS])}",
        f"shards that lost samples: {shards}; all others are as they were",
    ]
    for name, data in next_version(changes.store, choice.stones[0].date, lines).items():
        there = changes.store.exists(RELEASE + name)
        changes.put(RELEASE + name, data, changes.store.read(RELEASE + name) if there else None)


def _put_stones(changes: Changes, stones: Sequence[Tombstone]) -> None:
    store = changes.store
    before = store.read(OWN) if store.exists(OWN) else None
    known = read_own(store)
    # A second takedown of the same leaves the first date and reason.
    there = {key for stone in known for key in _keys(stone)}
    fresh = [stone for stone in dict.fromkeys(stones) if not there.issuperset(_keys(stone))]
    lines = sorted(stone.to_line() for stone in (*known, *fresh))
    changes.put(OWN, "".join(lines).encode(), before)


def _keys(stone: Tombstone) -> set[str]:
    """What later rows are known by."""
    every = (stone.sample_id, stone.url_sha256, stone.host_sha256, stone.original_sha256, stone.stored_sha256)
    return {key for key in every if key is not None}


def _needles(choice: Choice) -> list[bytes]:
    """Urls that go, as files may spell them; the longest first, since one may begin with another."""
    urls = {one.url for one in choice.goes if one.url}
    spelt = {text for url in urls for text in (url, json.dumps(url)[1:-1], json.dumps(url, ensure_ascii=False)[1:-1])}
    return sorted((text.encode("utf-8", "surrogatepass") for text in spelt), key=lambda n: (-len(n), n))


def _scrub(changes: Changes, needles: Sequence[bytes]) -> None:
    """Takes the urls out of records of runs, logs and errors, which quote them."""
    for name in other_files(changes.store) if needles else ():
        if changes.store.filesystem.size(changes.store.path(name)) > _LARGEST_LOG:
            continue  # what is not read is said by the proof
        before = changes.store.read(name)
        left = before
        for needle in needles:
            left = left.replace(needle, _LEFT_OUT)
        changes.put(name, left, before)


def other_files(store: Store) -> Iterator[str]:
    """Files of a root that hold no samples of their own: records of runs, failures, logs."""
    prefix = store.path("")
    for path in sorted(store.filesystem.find(store.path("").rstrip("/"))):
        name = str(path).removeprefix(prefix)
        entry = name.startswith("manifest/") and not name.endswith(".failed.json")
        if not (entry or name.startswith(_KNOWN) or name in _KNOWN_FILES or name.startswith("tombstones.")):
            yield name
