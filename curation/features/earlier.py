"""States of earlier releases of a root, by key, so that an unchanged caption or look is never encoded twice.

Before a run encodes anything, files that are no longer those of the release are set aside in ``features/`` (those of
looks in ``visual/``): release shards that were placed anew, or made with other kinds or batches. They are found there
by key until all shards of the release are made, and then removed. What is set aside does not depend on how far a run
came that was killed, and shards of one release do not read each other: so a caption's batch, on which the last bits of
its states depend, is the same.
"""

from __future__ import annotations

import hashlib

import numpy as np

from curation.core.errors import RootError
from curation.core.store import Store
from curation.load.features import FOLDER, SUFFIX, FeaturesFile, heads
from schemas.arrow import Record
from schemas.features import CaptionFeatures
from schemas.records import Placement

RELEASED = f"release/{FOLDER}"


class Earlier:
    """The states that were set aside and that have today's encoder."""

    def __init__(self, store: Store, encoder_key: str, folder: str = FOLDER) -> None:
        files = (_opened(store, f"{folder}/{name}") for name in store.names(folder, SUFFIX))
        self._files = [f for f in files if f is not None and f.metadata.get("encoder_key") == encoder_key]
        keys = [heads(f.hashes) for f in self._files]
        owners = np.repeat(np.arange(len(keys)), [len(k) for k in keys])
        every = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        order = np.argsort(every, kind="stable")  # of equal keys the first file's, so that a choice is always the same
        self._keys, self._owners = every[order], owners[order]

    def find(self, caption_hash: bytes) -> tuple[FeaturesFile, int] | None:
        """The file that holds a caption's states, and the caption's number in it."""
        head = np.uint64(int.from_bytes(caption_hash[:8], "big"))
        at = int(np.searchsorted(self._keys, head))
        while at < len(self._keys) and self._keys[at] == head:
            file = self._files[self._owners[at]]
            number = file.find(caption_hash)
            if number is not None:
                return file, number
            at += 1
        return None


def set_aside(
    store: Store, digest: str, encoder_key: str, folder: str = FOLDER, record: type[Record] = CaptionFeatures
) -> None:
    """Moves the features of a release that is no longer today's to where ``Earlier`` finds them.

    ``digest`` is that of today's stage, which writes ``record`` and files in ``folder``. Files of another encoder are
    removed: nothing could read them.
    """
    released = f"release/{folder}"
    entries, finished = store.entries(Placement.table), store.entries(record.table)
    placed = {s: entry.writes[store.table_file(Placement.table, s)] for s, entry in entries.items()}
    for name in store.names(released, SUFFIX):
        shard = name.removesuffix(SUFFIX)
        entry, reads = finished.get(shard), {store.table_file(Placement.table, shard): placed.get(shard)}
        if entry is not None and (entry.digest, entry.reads) == (digest, reads):
            continue
        # A file without its entry, as a run that was killed leaves it, says itself what it was made from.
        file = _opened(store, f"{released}/{name}")
        made = _made_from(file)
        if made == (digest, placed.get(shard)):
            continue
        store.retire(record.table, shard)
        if file is None or file.metadata.get("encoder_key") != encoder_key:
            store.remove(f"{released}/{name}")
            continue
        token = hashlib.sha256("\0".join(map(str, made)).encode()).hexdigest()[:16]
        store.move(f"{released}/{name}", f"{folder}/{shard}-{token}{SUFFIX}")


def clear(store: Store, folder: str = FOLDER) -> None:
    """Removes what was set aside."""
    for name in store.names(folder, SUFFIX):
        store.remove(f"{folder}/{name}")


def _opened(store: Store, name: str) -> FeaturesFile | None:
    """A file of a root; None where it is damaged, and would be encoded again."""
    try:
        return FeaturesFile(str(store.filesystem.unstrip_protocol(store.path(name))))
    except RootError:
        return None


def _made_from(file: FeaturesFile | None) -> tuple[str | None, str | None]:
    """The digest of the stage and the sha256 of the placements that a file was made with."""
    found = {} if file is None else file.metadata
    return found.get("stage"), found.get("placements")
