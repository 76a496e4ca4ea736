"""Makes an export anew of the release as it is now, from the same tars and with the same settings.

Its old files go first. ``.export/renewing.json`` holds what the export was until the new one is complete, so that a
killed renewal is ended by the next one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.core.errors import RootError
from curation.core.lock import hold
from curation.core.store import Store
from curation.exports.export import described, export
from curation.exports.form import Settings, as_json
from curation.exports.installed import form_of
from curation.exports.known import EXPORT, MADE_BY, RENEWING
from curation.exports.release import SUMS, ReleaseTar, read_release, read_sums
from curation.load.buckets import Buckets
from curation.load.captions import Captions

_ASIDE = ".export"


def is_current(root: Store, folder: Path) -> bool:
    """Whether an export is complete and of the tars as the release has them now. Raises ``RootError``."""
    store = Store(str(folder))
    told = _told(store)
    sums = read_sums(f"{root.url}/release") if root.exists(f"release/{SUMS}") else {}
    same = all(sums.get(f"{name}.tar") == sha for name, sha in told["release"].items())
    return same and told.get("complete") is True and not store.exists(RENEWING)


def renew(root: Store, folder: Path, begun: Callable[[Mapping[str, Any]], object] = lambda told: None) -> int:
    """Makes an export anew, without tars that the release has no more; returns its number of samples.

    ``begun`` is called with what its ``export.json`` will say, before it says so. Raises ``RootError`` where the folder
    holds no export of ours.
    """
    store = Store(str(folder))
    told = _told(store)
    form, settings = form_of(str(told["form"])), settings_of(told["settings"])
    with hold(Store(store.path(_ASIDE))):
        if not store.exists(RENEWING):
            store.write(RENEWING, json.dumps(told, sort_keys=True).encode())
        tars = _tars(root, told)
        # A renewal that was killed goes on: what it has made of the release as it is now stays.
        wanted = described(tars, form, settings) | {"complete": False}
        begun(wanted)
        if not (store.exists(EXPORT) and json.loads(store.read(EXPORT)) == wanted):
            _empty(store, told)
            # Caches of a trainer may lie beside it; with this the folder counts as an export all the same.
            store.write(EXPORT, as_json(wanted))
    if not tars:  # all that it was made of is gone
        shutil.rmtree(store.path(_ASIDE), ignore_errors=True)
        store.remove(EXPORT)
        return 0
    return export(tars, form, settings, folder).samples


def others_in(folder: Path) -> list[str]:
    """Files in the folder that are not the export's own, such as caches of a trainer; relative names, sorted."""
    told = _told(Store(str(folder)))
    own = set(_files(told)) | {EXPORT}
    found = (p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file())
    # A shard's own folder is named, and not each of its files.
    return [
        path.as_posix()
        for path in found
        if path.parts[0] != _ASIDE and not any(part.as_posix() in own for part in (path, *path.parents))
    ]


def settings_of(told: Mapping[str, Any]) -> Settings:
    """The settings as ``Settings.told`` has them; what a form does not use has its default."""
    sizes = told.get("buckets")
    return Settings(
        Captions(dict(told["captions"]), int(told["seed"])),
        Buckets(**sizes) if sizes else Buckets(),
        told.get("tags"),
        told.get("seen_as", "."),
        bool(told.get("link", False)),
    )


def _told(store: Store) -> dict[str, Any]:
    """What an export was made from: as its renewal has it, if one was begun."""
    for name in (RENEWING, EXPORT):
        if store.exists(name):
            try:
                found: dict[str, Any] = json.loads(store.read(name))
                if found["made_by"] == MADE_BY and isinstance(found["release"], dict):
                    return found
            except (ValueError, KeyError, TypeError):
                pass
            raise RootError(f"{store.path(name)} is not of lapidary export; look at the folder, and delete it yourself")
    raise RootError(f"{store.path('')} has no {EXPORT}; look at the folder, and delete it yourself")


def _files(told: Mapping[str, Any]) -> list[str]:
    """Files of a complete export, and folders that are a shard's own."""
    shards = told.get("shards", {})
    return [*told.get("files", []), *(name for shard in shards.values() for name in shard["files"])]


def _empty(store: Store, told: Mapping[str, Any]) -> None:
    """Removes all files of the export, the one that says what it is last."""
    begun = Path(store.path(f"{_ASIDE}/done"))
    receipts = [json.loads(p.read_bytes()) for p in sorted(begun.glob("*.json"))] if begun.is_dir() else []
    for path in _own(store, [*_files(told), *(n for receipt in receipts for n in receipt["files"])]):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in ("done", "parts", "begun"):
        shutil.rmtree(store.path(f"{_ASIDE}/{folder}"), ignore_errors=True)
    store.remove(EXPORT)


def _own(store: Store, names: Sequence[str]) -> list[Path]:
    """The files of these names. Raises ``RootError`` where one lies outside the export: its list is not ours then."""
    folder = Path(store.path("")).resolve()
    found = [Path(store.path(name)) for name in names]
    for path in found:
        if path.name in ("", "..") or not path.parent.resolve().is_relative_to(folder):
            raise RootError(
                f"{store.path('')} names a file of its own that lies elsewhere, {path}; expected files inside the "
                "folder; look at it, and delete it yourself"
            )
    return found


def _tars(root: Store, told: Mapping[str, Any]) -> list[ReleaseTar]:
    there = {name.removesuffix(".tar") for name in root.names("release", ".tar")}
    wanted = [name for name in told["release"] if name in there]
    splits = sorted({name.rpartition("-")[0] for name in wanted})
    if not splits:
        return []
    return [tar for tar in read_release(root.url, splits) if tar.name in told["release"]]
