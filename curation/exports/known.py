"""What a root knows of the exports that were made of it, so that a takedown reaches them: its folder ``exports``.

Whoever has the folder may put another export into it. Each note therefore has what was exported there
(``identity_of``) and the sums of the tars that it was made of; ``curation.exports.whose`` compares.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from curation.core.errors import StoreError, UsageError
from curation.core.root import RECIPE
from curation.core.store import Store

FOLDER = "exports"
EXPORT = "export.json"
RENEWING = ".export/renewing.json"
MADE_BY = "lapidary export"
_MOST = 10  # exports that an error names
IDENTITY = ("made_by", "form", "version", "settings", "release")
"""What an ``export.json`` says that decides the bytes of the export."""
State = Literal["there", "begun", "none", "away"]


@dataclass(frozen=True)
class Known:
    """An export: a folder of a host, in a form. ``date`` is YYYY-MM-DD.

    ``identities`` are those of all exports of the root that there have been in the folder, ``tars`` the sha256 of what
    they were made of; both are empty in notes of earlier versions.
    """

    folder: str
    host: str
    form: str
    date: str
    identities: tuple[str, ...] = ()
    tars: tuple[str, ...] = ()

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


def identity_of(told: Mapping[str, Any]) -> str:
    """What an export is known by, from its ``export.json``: the same for every export of the same bytes."""
    said = json.dumps({key: told[key] for key in IDENTITY}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def note(store: Store, folder: Path, told: Mapping[str, Any], date: str) -> None:
    """Has the root know of an export that begins; ``told`` is what its ``export.json`` will say.

    Raises ``StoreError`` where the root cannot be written.
    """
    made = Known(str(folder.absolute()), socket.gethostname(), str(told["form"]), date)
    with suppress(StoreError):  # a damaged one is written anew
        if store.exists(made.file):
            before = _read(store, made.file)
            made = replace(made, identities=before.identities, tars=before.tars)
    note_again(store, made, told)


def note_again(store: Store, export: Known, told: Mapping[str, Any]) -> Known:
    """The same of an export that is known and becomes another one. What it was is remembered as well: until the new
    one is there, and on a disk that somebody puts back.
    """
    made = replace(
        export,
        identities=tuple(sorted({*export.identities, identity_of(told)})),
        tars=tuple(sorted({*export.tars, *map(str, told["release"].values())})),
    )
    keep(store, made)
    return made


def keep(store: Store, export: Known) -> None:
    """Writes a note as it is. Raises ``StoreError`` where the root cannot be written."""
    store.write(export.file, json.dumps(asdict(export), sort_keys=True, indent=1).encode())


def known(store: Store) -> list[Known]:
    """All exports that a root knows of. Raises ``StoreError`` for a record that is damaged."""
    return [_read(store, f"{FOLDER}/{name}") for name in store.names(FOLDER, ".json")]


def named(store: Store, folders: Sequence[str]) -> list[Known]:
    """The exports that a root knows of in these folders, as people name them: relative, or with a slash at the end.

    Raises ``UsageError`` for a folder that it knows of none in.
    """
    there = known(store)
    found: dict[str, Known] = {}
    for folder in folders:
        exact = [export for export in there if export.folder == folder]
        of_folder = exact or [e for e in there if folder and Path(e.folder).resolve() == Path(folder).resolve()]
        if not of_folder:
            every = "; ".join(map(str, there[:_MOST])) + (f" and {len(there) - _MOST:,} more" if there[_MOST:] else "")
            those = f"expected the folder of one of these: {every}. " if there else "nor anywhere else. "
            raise UsageError(
                f"the root knows of no export in {folder!r}; {those}One that it has forgotten already need not be named"
            )
        found |= {export.file: export for export in of_folder}
    return list(found.values())


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
        identities, tars = (tuple(map(str, found.get(key, ()))) for key in ("identities", "tars"))
        folder, host, form, date = (str(found[key]) for key in ("folder", "host", "form", "date"))
        return Known(folder, host, form, date, identities, tars)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{store.path(name)} is damaged ({error}); it names an export: look for that, then delete the file"
        ) from error
