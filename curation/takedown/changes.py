"""New versions of a root's files, made beside them and then moved to their places: a killed takedown goes on.

    takedown/new/<file>      what <file> is to become
    takedown/pending.json    what has to be moved and removed; it is there from the moment on when all is made

Nothing of what goes stands in this folder. Until ``pending.json`` is there nothing has happened; from then on the same
moves end the same way, however often they are begun.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from curation.core.errors import StoreError
from curation.core.lock import PENDING
from curation.core.store import Store
from curation.fetch.spool import spool_path

FOLDER = "takedown"
_NEW = f"{FOLDER}/new"


@dataclass(frozen=True)
class Plan:
    """What a takedown does to a root. ``source_shards`` and ``release_shards`` are those that lose samples.

    ``folders`` are removed with all that is in them.
    """

    moves: tuple[str, ...]
    removes: tuple[str, ...]
    folders: tuple[str, ...]
    source_shards: tuple[str, ...]
    release_shards: tuple[str, ...]

    @classmethod
    def pending(cls, store: Store) -> Plan | None:
        """The one that was begun in a root and has not ended."""
        if not store.exists(PENDING):
            return None
        try:
            return cls(**{key: tuple(value) for key, value in json.loads(store.read(PENDING)).items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{store.path(PENDING)} is damaged ({error}); restore it") from error

    def begin(self, store: Store) -> None:
        """From here on it has to be carried out."""
        store.write(PENDING, json.dumps(asdict(self), sort_keys=True, indent=1).encode())

    def move_all(self, store: Store, check: Callable[[], None]) -> None:
        """Puts every file in its place and removes what goes; ``check`` is called between two files."""
        for name in self.moves:
            check()
            if store.exists(f"{_NEW}/{name}"):
                store.move(f"{_NEW}/{name}", name)
        for name in self.removes:
            check()
            store.remove(name)
        for folder in self.folders:
            _remove_folder(store, folder)
        for shard in self.source_shards:
            spool_path(store, shard).unlink(missing_ok=True)

    def end(self, store: Store) -> None:
        """It is done."""
        store.remove(PENDING)
        _remove_folder(store, FOLDER)


@dataclass
class Changes:
    """The new versions as they are made. ``shas``: file -> (sha256 before, sha256 to come); ``grown``: bytes more."""

    store: Store
    shas: dict[str, tuple[str, str]] = field(default_factory=dict)
    grown: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    moves: list[str] = field(default_factory=list)

    @classmethod
    def fresh(cls, store: Store) -> Changes:
        """Without what a killed takedown may have left that had not begun."""
        _remove_folder(store, FOLDER)
        return cls(store)

    def put(self, name: str, data: bytes, before: bytes | None) -> None:
        """A file that changes, and what it was; None where it is new."""
        if data == before:
            return
        sha = self.store.write(f"{_NEW}/{name}", data)
        self.moves.append(name)
        if before is not None:
            self.shas[name] = hashlib.sha256(before).hexdigest(), sha
            self.grown[name] = len(data) - len(before)

    def put_file(self, name: str, path: Path, before: str, grown: int) -> None:
        """The same with a finished local file, and the sha256 of what was there."""
        with path.open("rb") as file:
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        self.store.publish(f"{_NEW}/{name}", path)
        self.moves.append(name)
        self.shas[name] = before, sha
        self.grown[name] = grown

    def remove(self, name: str) -> None:
        self.removed.append(name)


def _remove_folder(store: Store, folder: str) -> None:
    if store.is_local:
        shutil.rmtree(store.path(folder), ignore_errors=True)
    else:
        store.remove_all([f"{folder}/{name}" for name in store.names_below(folder)])
        for name in store.names_below(folder):  # a store may keep some of many without a word
            store.remove(f"{folder}/{name}")
