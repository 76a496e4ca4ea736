"""Writes an export: a shard for each tar of the release, then what stands for all; any kill leaves it resumable.

    export.json          what it was made from; complete once all is there
    .export/             while it is made: lock, what is being written, parts, a receipt for each finished shard

A shard is written aside and moved into its place, and its receipt comes last; a shard with a receipt is not made again.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.core.errors import RootError
from curation.core.lock import hold
from curation.core.store import Store, shown
from curation.exports.form import Done, Form, Place, Settings, as_json
from curation.exports.known import EXPORT, MADE_BY, RENEWING
from curation.exports.release import ReleaseTar, Sample, read_sums

_ASIDE = ".export"
_PARTS = f"{_ASIDE}/parts"
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{32}")  # as Store.write names them

Report = Callable[[ReleaseTar, int], None]
"""Called for each shard that was made, with its number of samples."""


@dataclass(frozen=True)
class Made:
    """How many samples and shards an export has, and how many of the shards this call made."""

    samples: int
    shards: int
    new: int


def export(
    tars: Sequence[ReleaseTar],
    form: Form,
    settings: Settings,
    folder: Path,
    report: Report = lambda tar, samples: None,
    accepted: Callable[[], None] = lambda: None,
) -> Made:
    """Writes the export, or what is missing of it. ``accepted`` is called before there is anything of it in the folder,
    and not where the folder is refused.

    Raises ``RootError`` where the folder holds something else, the release changed, or another process writes there.
    """
    store = Store(str(folder.absolute()))
    wanted = described(tars, form, settings)
    if (found := _existing(store, wanted)) is not None and found["complete"]:
        accepted()
        return _whole(store, found, len(tars))
    with hold(Store(store.path(_ASIDE))):
        # Another process may have come between.
        found = _existing(store, wanted)
        accepted()
        if found is not None and found["complete"]:
            return _whole(store, found, len(tars))
        for leftover in Path(store.path("")).iterdir():
            if _TEMPORARY.fullmatch(leftover.name):  # of a kill
                leftover.unlink()
        if found is None:
            store.write(EXPORT, as_json(wanted | {"complete": False}))
        shards, new = [], 0
        for tar in tars:
            receipt = _receipt(store, tar)
            if receipt is None:
                receipt = _make(store, tar, form, settings)
                new += 1
                report(tar, receipt["samples"])
            shards.append(receipt)
        place = Place(_fresh(store).files, _folder(store, _PARTS))
        form.finish([_done(receipt) for receipt in shards], place, settings)
        last = _moved(store, place.files)
        _unchanged(tars)
        told = {receipt["tar"]: {"samples": receipt["samples"], "files": receipt["files"]} for receipt in shards}
        samples = sum(receipt["samples"] for receipt in shards)
        store.write(
            EXPORT, as_json(wanted | {"complete": True, "samples": samples, "shards": told, "files": sorted(last)})
        )
        shutil.rmtree(store.path(_ASIDE), ignore_errors=True)
    return Made(samples, len(tars), new)


def described(tars: Sequence[ReleaseTar], form: Form, settings: Settings) -> dict[str, Any]:
    """What decides the bytes of an export: form, settings, and the sums of the release's tars."""
    return {
        "made_by": MADE_BY,
        "form": form.name,
        "version": form.version,
        "settings": json.loads(json.dumps(settings.told(form.uses))),
        "release": {tar.name: tar.sha256 for tar in tars},
    }


def _existing(store: Store, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The export.json of the same export; None in a folder that has nothing yet. Raises ``RootError``."""
    folder = Path(store.path(""))
    if folder.exists() and not folder.is_dir():
        raise RootError(f"{folder} is a file; name a folder that is new or empty")
    if not store.exists(EXPORT):
        if store.exists(RENEWING):
            raise RootError(
                f"{folder} holds an export that a takedown was making anew when it was killed; begin lapidary takedown "
                "of its root again, or delete the folder"
            )
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        if others := [n for n in names if n != _ASIDE and not _TEMPORARY.fullmatch(n)]:
            shown_names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            raise RootError(f"{folder} holds files that are no export's ({shown_names}); name a new folder")
        return None
    try:
        found: dict[str, Any] = json.loads(store.read(EXPORT))
        same = {key: found[key] for key in wanted}
        complete = found["complete"] is True
    except (ValueError, KeyError, TypeError) as error:
        raise RootError(f"{folder} has an {EXPORT} that is not of this command; name a new folder") from error
    if differing := list(_differences(same, wanted)):
        raise RootError(f"{folder} holds another export: {'; '.join(differing)}; name a new folder, or delete this one")
    return found | {"complete": complete}


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    for key in ("made_by", "form", "version"):
        if found[key] != wanted[key]:
            yield f"{key} {found[key]} there, {wanted[key]} asked for"
            return
    before, now = found["settings"], wanted["settings"]
    if not isinstance(before, dict) or not isinstance(found["release"], dict):
        yield "its settings cannot be read"
        return
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            yield f"{key} {json.dumps(before.get(key))} there, {json.dumps(now.get(key))} asked for"
    was, is_now = found["release"], wanted["release"]
    if was != is_now:
        other = sum(was.get(name) != sha256 for name, sha256 in is_now.items()) + len(was.keys() - is_now.keys())
        yield f"made from another release or other splits ({other} tars differ)"


def _whole(store: Store, found: dict[str, Any], shards: int) -> Made:
    """What a finished export is, once all its files have been seen. Raises ``RootError``."""
    files = [*found["files"], *(name for shard in found["shards"].values() for name in shard["files"])]
    if missing := [name for name in files if not Path(store.path(name)).exists()]:
        raise RootError(
            f"{store.path(missing[0])} is gone from a finished export ({len(missing)} in all); delete the folder and "
            "export again"
        )
    shutil.rmtree(store.path(_ASIDE), ignore_errors=True)  # of a kill at the very end
    return Made(int(found["samples"]), shards, 0)


def _make(store: Store, tar: ReleaseTar, form: Form, settings: Settings) -> dict[str, Any]:
    place, count = _fresh(store), 0

    def counted() -> Iterable[Sample]:
        nonlocal count
        for sample in tar.samples(settings.captions):
            count += 1
            yield sample

    facts = form.shard(tar, counted(), place, settings)
    files = _moved(store, place.files, tar.name)
    for part in sorted(place.parts.iterdir()):
        store.move(f"{_ASIDE}/begun/parts/{part.name}", f"{_PARTS}/{part.name}")
    receipt = {
        "tar": tar.name,
        "split": tar.split,
        "sha256": tar.sha256,
        "samples": count,
        "facts": facts,
        "files": sorted(files),
    }
    store.write(f"{_ASIDE}/done/{tar.name}.json", as_json(receipt))
    return receipt


def _receipt(store: Store, tar: ReleaseTar) -> dict[str, Any] | None:
    """The receipt of a shard that is finished and still there."""
    name = f"{_ASIDE}/done/{tar.name}.json"
    if not store.exists(name):
        return None
    found: dict[str, Any] = json.loads(store.read(name))
    there = all(Path(store.path(file)).exists() for file in found["files"])
    return found if found["sha256"] == tar.sha256 and there else None


def _done(receipt: dict[str, Any]) -> Done:
    return Done(receipt["tar"], receipt["split"], receipt["samples"], receipt["facts"])


def _fresh(store: Store) -> Place:
    """An empty place to write at."""
    shutil.rmtree(store.path(f"{_ASIDE}/begun"), ignore_errors=True)
    return Place(_folder(store, f"{_ASIDE}/begun/files"), _folder(store, f"{_ASIDE}/begun/parts"))


def _folder(store: Store, name: str) -> Path:
    path = Path(store.path(name))
    path.mkdir(parents=True, exist_ok=True)
    return path


def _moved(store: Store, files: Path, own: str | None = None) -> list[str]:
    """Moves what was written into the export; returns the names. A folder named ``own`` is the shard's alone."""
    moved: list[str] = []
    for path in _entries(files, own):
        name = path.relative_to(files).as_posix()
        target = Path(store.path(name))
        if target.is_dir():  # moved just before a kill, and made again
            shutil.rmtree(target)
        store.move(f"{_ASIDE}/begun/files/{name}", name)
        moved.append(name)
    return moved


def _entries(folder: Path, own: str | None) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != own:
            yield from _entries(path, own)
        else:
            yield path


def _unchanged(tars: Sequence[ReleaseTar]) -> None:
    """Raises ``RootError`` where the release is another one by now."""
    folder = tars[0].url.rpartition("/")[0]
    sums = read_sums(folder)
    if changed := [tar.name for tar in tars if sums.get(f"{tar.name}.tar") != tar.sha256]:
        raise RootError(
            f"{shown(folder)} changed while it was exported ({changed[0]}, {len(changed)} in all): the export is "
            "mixed; delete its folder and export again"
        )
