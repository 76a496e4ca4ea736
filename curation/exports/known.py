"""What a root knows of the exports that were made of it, so that a takedown reaches them: its folder ``exports``."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from curation.core.errors import StoreError
from curation.core.root import RECIPE
from curation.core.store import Store

FOLDER = "exports"
EXPORT = "export.json"
RENEWING = ".export/renewing.json"
MADE_BY = "lapidary export"
State = Literal["there", "begun", "none", "away"]


@dataclass(frozen=True)
class Known:
    """An export: a folder of a host, in a form. ``date`` is YYYY-MM-DD."""

    folder: str
    host: str
    form: str
    date: str

    def __str__(self) -> str:
        return f"{self.folder} on {self.host} ({self.form}, {self.date})"

    @property
    def file(self) -> str:
        """Where the root has it."""
        return f"{FOLDER}/{hashlib.sha256(f'{self.host} {self.folder}'.encode()).hexdigest()[:32]}.json"

    @property
    def state(self) -> State:
        """``begun`` before it holds a sample, ``none`` where its host has no export there, ``away`` where that
        cannot be told.

        A folder whose parent is not there may be on a disk that is not mounted.
        """
        folder = Path(self.folder)
        if _holds_export(folder):
            return "there"
        if (folder / ".export").is_dir():
            return "begun"
        return "none" if self.host == socket.gethostname() and folder.parent.is_dir() else "away"


def root_of(url: str) -> Store | None:
    """The root of a release that is named by its root or by the root's folder release; None for a copy of a release."""
    for place in (url, url.rstrip("/").rpartition("/")[0]):
        if place and (store := Store(place)).exists(RECIPE):
            return store
    return None


def note(store: Store, folder: Path, form: str, date: str) -> None:
    """Has the root know of an export that begins. Raises ``StoreError`` where the root cannot be written."""
    known = Known(str(folder.absolute()), socket.gethostname(), form, date)
    store.write(known.file, json.dumps(asdict(known), sort_keys=True, indent=1).encode())


def known(store: Store) -> list[Known]:
    """All exports that a root knows of. Raises ``StoreError`` for a record that is damaged."""
    return [_read(store, f"{FOLDER}/{name}") for name in store.names(FOLDER, ".json")]


def forget(store: Store, export: Known) -> None:
    """The export is gone: the root need not know of it any more."""
    store.remove(export.file)


def _holds_export(folder: Path) -> bool:
    """Whether an export of ours is there: other programs have files of this name too."""
    for name in (RENEWING, EXPORT):
        if (folder / name).is_file():
            try:
                told = json.loads((folder / name).read_bytes())
            except (OSError, ValueError):
                return True  # it may be a damaged one of ours, at which somebody has to look
            return isinstance(told, dict) and told.get("made_by") == MADE_BY
    return False


def _read(store: Store, name: str) -> Known:
    try:
        found: dict[str, Any] = json.loads(store.read(name))
        return Known(**{key: str(found[key]) for key in ("folder", "host", "form", "date")})
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{store.path(name)} is damaged ({error}); it names an export: look for that, then delete the file"
        ) from error
