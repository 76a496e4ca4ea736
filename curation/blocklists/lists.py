"""The lists of a recipe, and their copies in a root.

A run reads its lists when it starts and keeps them in the root: hashes of what is listed with line numbers, so that no
listed address or word stands there. All that it decides follows from these copies, which a run that goes on with a
killed one takes for lists at an address of the network.

    blocklists/lists.json             what there is, in the recipe's order
    blocklists/<kind>-<digest>.parquet
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import pyarrow as pa

from curation.blocklists.lookup import Lookup, words_of
from curation.blocklists.reading import ENTRIES, read_list
from curation.core.errors import SourceError, StoreError
from curation.core.files import is_remote
from curation.core.store import Store, encoded, shown
from schemas.blocklists import KINDS, Blocklists, Kind

FOLDER = "blocklists"
_INDEX = f"{FOLDER}/lists.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OneList:
    """A list: its kind, the name by which a hit names it, a hash of its place, and its entries (``ENTRIES``)."""

    kind: Kind
    name: str
    place: str
    entries: pa.Table

    @property
    def digest(self) -> str:
        """A hash of what the list says, and where; not of comments and blanks behind its last entry."""
        made = hashlib.sha256(words_of(self.entries).tobytes())
        for name in ENTRIES.names[1:]:
            made.update(np.asarray(self.entries.column(name)).tobytes())
        return made.hexdigest()

    @property
    def file(self) -> str:
        return f"{FOLDER}/{self.kind}-{self.digest[:32]}.parquet"


@dataclass(frozen=True)
class Lists:
    """All lists of a recipe, in its order: of those that have an entry, the first one counts."""

    lists: tuple[OneList, ...] = ()

    @classmethod
    def of(cls, recipe: Blocklists, kept: Lists | None = None, *, resumed: bool = False) -> Self:
        """The lists that a recipe names.

        ``kept`` are those of the root. Where the run goes on with one that was ``resumed``, a list at an address of the
        network is taken from there; so is one that cannot be read. Raises ``SourceError``.
        """
        before = {(one.kind, one.place): one.entries for one in kept.lists} if kept is not None else {}
        found: list[OneList] = []
        for kind in KINDS:
            places = list(dict.fromkeys(recipe.of(kind)))
            for place, name in zip(places, _names(places), strict=True):
                known = before.get((kind, _hashed(place))) if is_remote(place) else None
                entries = known if known is not None and resumed else _read(kind, place, known)
                found.append(OneList(kind, name, _hashed(place), entries))
        return cls(tuple(found))

    @classmethod
    def of_root(cls, store: Store) -> Lists:
        """Those that the last run kept. Raises ``StoreError`` for a copy that is damaged."""
        if not store.exists(_INDEX):
            return cls()
        return _of_root(store, store.read(_INDEX))

    def keep(self, store: Store) -> None:
        """Copies the lists into the root, in the place of those there are. Raises ``StoreError``."""
        if not self.lists:
            if store.exists(_INDEX):
                store.remove(_INDEX)
            self._sweep(store)
            return
        for one in self.lists:
            if not store.exists(one.file):
                store.write(one.file, encoded(one.entries))
        index = json.dumps([self._told(one) for one in self.lists], indent=1).encode()
        if not store.exists(_INDEX) or store.read(_INDEX) != index:
            store.write(_INDEX, index)
        self._sweep(store)

    @staticmethod
    def _told(one: OneList) -> dict[str, str | int]:
        return {
            "kind": one.kind,
            "name": one.name,
            "place": one.place,
            "digest": one.digest,
            "entries": one.entries.num_rows,
        }

    def _sweep(self, store: Store) -> None:
        wanted = {one.file for one in self.lists}
        for name in store.names(FOLDER, ".parquet"):
            if f"{FOLDER}/{name}" not in wanted:
                store.remove(f"{FOLDER}/{name}")

    def __bool__(self) -> bool:
        return bool(self.lists)

    def digest(self, kinds: Collection[Kind] = KINDS) -> str:
        """A hash of all that the lists of these kinds decide; empty where there are none."""
        told = [(one.kind, one.name, one.digest) for one in self.lists if one.kind in kinds]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest() if told else ""

    def lookup(self, kind: Kind) -> Lookup:
        """What looks up entries of a kind."""
        own = [one for one in self.lists if one.kind == kind]
        return Lookup.of(kind, [(one.name, one.entries) for one in own])

    def counts(self) -> dict[Kind, tuple[int, int]]:
        """By kind that there is: lists, and entries in them."""
        lists = Counter(one.kind for one in self.lists)
        return {k: (lists[k], sum(o.entries.num_rows for o in self.lists if o.kind == k)) for k in KINDS if k in lists}


@lru_cache(maxsize=2)  # every shard asks
def _of_root(store: Store, index: bytes) -> Lists:
    try:
        told = json.loads(index)
        found = [OneList(t["kind"], t["name"], t["place"], _entries(store, t["kind"], t["digest"])) for t in told]
        if [one.digest for one in found] != [t["digest"] for t in told]:
            raise ValueError("a copy is not what it was")
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise StoreError(
            f"{store.path(_INDEX)} and the copies beside it are damaged ({error}); delete the folder and run again"
        ) from error
    return Lists(tuple(found))


def _entries(store: Store, kind: str, digest: str) -> pa.Table:
    table = store.read_parquet(f"{FOLDER}/{kind}-{digest[:32]}.parquet")
    return pa.Table.from_arrays([c.cast(f.type) for c, f in zip(table.columns, ENTRIES, strict=True)], schema=ENTRIES)


def _read(kind: Kind, place: str, kept: pa.Table | None) -> pa.Table:
    try:
        return read_list(kind, place)
    except SourceError as error:
        if kept is None:
            raise
        log.warning("%s. The copy of the last run is used", error)
        return kept


def _names(places: Sequence[str]) -> Iterable[str]:
    """The last part of each place, or all of it where two have the same."""
    ends = [shown(place).rstrip("/").rpartition("/")[2].partition("?")[0] for place in places]
    return [end if end and ends.count(end) == 1 else shown(place) for place, end in zip(places, ends, strict=True)]


def _hashed(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()
