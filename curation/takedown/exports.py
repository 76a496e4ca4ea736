"""Exports of a root in a takedown: those that are there are made anew, those that are away are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote

from curation.core.errors import LapidaryError
from curation.core.store import Store
from curation.exports.known import Known, forget, known
from curation.exports.renew import is_current, others_in, renew
from curation.takedown.proof import Left, Traces, prove

Say = Callable[[str], None]
_MOST = 3  # names of files in a line


def take_from_exports(store: Store, say: Say) -> None:
    """Makes every export anew that is not of the release as it is now. Raises ``LapidaryError``.

    A killed one goes on with the next call. Where there is none, the root forgets that there was to be one.
    """
    for export in known(store):
        match export.state:
            case "none":
                forget(store, export)
                say(f"there is no export at {export}; the root need not know of it any more")
            case "away":
                say(f"export away, and as it was: {_away(export)}")
            case "there" if not is_current(store, Path(export.folder)):
                count = renew(store, Path(export.folder))
                say(f"export made anew without what was taken down: {export}, {count:,} samples")
            case _:
                pass


def show_exports(store: Store, say: Say) -> None:
    """Says of every export what a takedown will do with it."""
    for export in known(store):
        match export.state:
            case "there":
                say(f"export {export}: it will be made anew, if it holds a shard that loses samples")
            case "away":
                say(f"export away, and will stay as it is: {_away(export)}")
            case _:
                pass


def left_in_exports(store: Store, traces: Traces) -> list[Left]:
    """What is left in exports by a look at every byte of them; one that is away counts as something that is left."""
    found: list[Left] = []
    for export in known(store):
        folder = Path(export.folder)
        match export.state:
            case "away":
                found.append(Left(f"export {export}", f"it is away; {_remedy(export)}"))
            case "there":
                found += [Left(f"{folder}/{one.file}", one.what) for one in prove(Store(str(folder)), traces)]
                found += _stale(store, folder)
            case _:
                pass
    return found


def _stale(store: Store, folder: Path) -> list[Left]:
    try:
        if not is_current(store, folder):
            return [Left(str(folder), "the export is of a release before a takedown, or of another one")]
        others = others_in(folder)
    except LapidaryError as error:
        return [Left(str(folder), str(error))]
    if not others:
        return []
    named = ", ".join(others[:_MOST]) + (f" and {len(others) - _MOST:,} more" if len(others) > _MOST else "")
    return [Left(str(folder), f"files that are not the export's, such as caches of a trainer: {named}")]


def _away(export: Known) -> str:
    return f"{export}; {_remedy(export)}"


def _remedy(export: Known) -> str:
    return (
        f"begin the same command on {export.host}, where its folder can be written; if it no longer exists: "
        f"--forget-export {quote(export.folder)}"
    )
