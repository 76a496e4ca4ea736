"""Copies of a release, such as old versions, without what was taken down from its root.

A copy has no tables from which it could be made anew: tars, metadata and features are written without the samples, as
an export of the rest would have them, and the sums and Croissant's hashes are put right. Its card stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Collection, Iterator, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import LapidaryError, StoreError, UsageError
from curation.core.store import Store, shown
from curation.core.tar import TarWriter
from curation.load.features import FOLDER as FEATURES
from curation.load.features import SUFFIX, VISUAL, hash_of
from curation.release.versions import CHANGELOG, SUMS, read_sums, release_in, sums
from curation.takedown.files import states_of, write_features
from schemas.arrays import strings
from schemas.tombstones import Tombstone

_PENDING = "takedown.pending.json"
_CROISSANT = "croissant.json"


def release_copy(url: str) -> Store:
    """A copy of a release by its URL. Raises ``UsageError`` where there is none."""
    store = Store(url)
    if not store.names(f"{release_in(store)}metadata", ".parquet"):
        raise UsageError(
            f"{shown(url)} is no copy of a release: it has no metadata/*.parquet; name the folder that holds its tars"
        )
    return store


def purge(store: Store, stones: Collection[Tombstone]) -> int:
    """Takes these samples out of a copy; returns how many it had. A killed one is ended by the same call.

    Raises ``LapidaryError`` for a tar that cannot be read.
    """
    release = release_in(store)
    by_sample = {stone.sample_id: stone for stone in stones if stone.sample_id is not None}
    begun = json.loads(store.read(release + _PENDING)) if store.exists(release + _PENDING) else {}
    found = dict(_found(store, release, by_sample))
    touched = sorted({*found, *begun.get("shards", [])})
    if not touched:
        return 0
    gone = sorted({*(s for ids in found.values() for s in ids), *begun.get("samples", [])})
    store.write(release + _PENDING, json.dumps({"shards": touched, "samples": gone}).encode())
    for shard, ids in sorted(found.items()):
        _without(store, release, shard, ids)
    _put_right(store, release, touched)
    _told(store, release, [by_sample[sample] for sample in gone if sample in by_sample])
    store.remove(release + _PENDING)
    return len(gone)


def _found(store: Store, release: str, stones: Mapping[str, Tombstone]) -> Iterator[tuple[str, set[str]]]:
    """The shards that hold any of the samples, with those."""
    for name in store.names(f"{release}metadata", ".parquet"):
        held = set(strings(store.read_parquet(f"{release}metadata/{name}", ["sample_id"])["sample_id"]))
        if ids := held & stones.keys():
            yield name.removesuffix(".parquet"), ids


def _without(store: Store, release: str, shard: str, ids: Collection[str]) -> None:
    """Writes a shard's files without the samples, the metadata last: they say what is still to do."""
    metadata = f"{release}metadata/{shard}.parquet"
    table = pq.read_table(pa.BufferReader(store.read(metadata)))
    left = table.filter(pa.array([sample not in ids for sample in strings(table["sample_id"])], pa.bool_()))
    if not left.num_rows:
        for name in (f"{release}{shard}.tar", *(release + name for name in states_of(shard)), metadata):
            store.remove(name)
        return
    offsets = _tar(store, f"{release}{shard}.tar", ids)
    captions, images = set(_captions(left)), set(map(bytes.fromhex, strings(left["sha256"])))
    for folder, kept in ((FEATURES, captions), (VISUAL, images)):
        states = f"{release}{folder}/{shard}{SUFFIX}"
        if store.exists(states):
            path = write_features(store, states, partial(_stays, kept), {})
            store.publish(states, path)
    at = left.schema.get_field_index("offset")
    places = [offsets.get(sample, 0) for sample in strings(left["sample_id"])]
    left = left.set_column(at, left.schema.field(at), pa.array(places, pa.int64()))
    path = store.scratch(metadata)
    pq.write_table(left.combine_chunks(), path, compression="zstd")
    store.publish(metadata, path)


def _stays(kept: Collection[bytes], key: bytes, image: bytes) -> bool:
    return (image or key) in kept  # states of looks go with their image, others with their caption


def _tar(store: Store, name: str, ids: Collection[str]) -> dict[str, int]:
    """Writes a tar without the samples; returns where each image of the others begins."""
    path = store.scratch(name)
    offsets: dict[str, int] = {}
    try:
        with (
            store.filesystem.open(store.path(name), "rb") as file,
            tarfile.open(fileobj=file, mode="r|") as tar,
            TarWriter(path) as made,
        ):
            for member in tar:
                sample, _, kind = member.name.partition(".")
                content = tar.extractfile(member)
                if sample in ids or content is None:
                    continue
                offset = made.add(member.name, content.read())
                if kind not in ("txt", "json"):
                    offsets[sample] = offset
        store.publish(name, path)
    except (tarfile.TarError, ValueError) as error:
        raise LapidaryError(
            f"{store.path(name)} cannot be read as a tar ({error}); get it again, or delete it"
        ) from error
    finally:
        path.unlink(missing_ok=True)
    return offsets


def _captions(rows: pa.Table) -> Iterator[bytes]:
    """The hashes of all texts of these samples that may have features."""
    texts = [*strings(rows["alt_text"]), *strings(rows["caption"])]
    texts += [text for captions in strings(rows["captions"]) for text in json.loads(captions).values()]
    yield from (hash_of(text) for text in texts if text)


def _put_right(store: Store, release: str, shards: Collection[str]) -> None:
    """The sums, and Croissant's hashes, of the files of these shards."""
    if not store.exists(release + SUMS):
        return
    before = read_sums(store, release)
    after = dict(before)
    for shard in shards:
        for name in (f"{shard}.tar", f"metadata/{shard}.parquet", *states_of(shard)):
            after.pop(name, None)
            if name in before and store.exists(release + name):
                after[name] = _sha256(store, release + name)
    if store.exists(release + _CROISSANT):
        text = store.read(release + _CROISSANT).decode()
        for name, sha in before.items():
            text = text.replace(sha, after.get(name, sha))
        after[_CROISSANT] = store.write(release + _CROISSANT, text.encode())
    store.write(release + SUMS, sums(after))


def _told(store: Store, release: str, stones: Collection[Tombstone]) -> None:
    """A line in the copy's changelog; its version stays what it is."""
    name = release + CHANGELOG
    before = store.read(name).decode("utf-8", "replace") if store.exists(name) else "# Changes of this release\n"
    why = " / ".join(dict.fromkeys(stone.reason for stone in stones))
    line = f"- {len(stones):,} samples were taken down from this copy: {why}\n"
    if line not in before:
        title, _, rest = before.partition("\n")
        data = f"{title}\n\n{line}{rest}".encode()
        sha = store.write(name, data)
        if store.exists(release + SUMS):
            store.write(release + SUMS, sums(read_sums(store, release) | {CHANGELOG: sha}))


def _sha256(store: Store, name: str) -> str:
    try:
        with store.filesystem.open(store.path(name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"cannot read {store.path(name)}: {error}") from error
