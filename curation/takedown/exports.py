"""Exports of a root in a takedown: those that are there are made anew, those that are away are named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shlex import quote

from curation.core.errors import LapidaryError
from curation.core.printable import plural
from curation.core.store import Store
from curation.exports.known import Known, forget, note_again
from curation.exports.renew import is_current, others_in, renew
from curation.exports.whose import Found, look
from curation.takedown.proof import Left, Traces, prove

Say = Callable[[str], None]
_MOST = 3  # names of files in a line


def take_from_exports(store: Store, say: Say) -> None:
    """Makes every export of the root anew that is not of the release as it is now.

    A killed one goes on with the next call. Where there is none, or surely one of another root, the root forgets that
    there was to be one. Raises ``LapidaryError``, once it has gone through all, where one could not be made anew.
    """
    failed: list[LapidaryError] = []
    for found in look(store):
        try:
            _take_from(store, found, say)
        except LapidaryError as error:
            failed.append(error)
    if failed:
        for other in failed[1:]:
            say(f"export as it was: {other}")
        raise failed[0]


def _take_from(store: Store, found: Found, say: Say) -> None:
    export = found.export
    folder = Path(export.folder)
    match found.state:
        case "none":
            forget(store, export)
            say(f"there is no export at {export}; the root need not know of it any more")
        case "other":
            forget(store, export)
            say(f"{_other(found)}: it stays as it is, and the root need not know of the folder any more")
        case "away":
            say(f"export away, and as it was: {_away(export)}")
        case "unclear":
            say(f"export left as it was: {export.folder} holds {_unclear(found)}")
        case "there" if not is_current(store, folder):
            count = renew(store, folder, partial(note_again, store, export))
            say(f"export made anew without what was taken down: {export}, {plural(count, 'sample')}")
        case _:
            pass


def show_exports(store: Store, say: Say) -> None:
    """Says of every export what a takedown will do with it."""
    for found in look(store):
        match found.state:
            case "there":
                say(f"export {found.export}: it will be made anew, if it holds a shard that loses samples")
            case "other":
                say(f"{_other(found)}: it will stay as it is")
            case "away":
                say(f"export away, and will stay as it is: {_away(found.export)}")
            case "unclear":
                say(f"export that will stay as it is: {found.export.folder} holds {_unclear(found)}")
            case _:
                pass


def left_in_exports(store: Store, traces: Traces) -> list[Left]:
    """What is left in exports by a look at every byte of them; one that is away, or of which nobody can tell whether
    it is the root's, counts as something that is left.
    """
    left: list[Left] = []
    for found in look(store):
        folder = Path(found.export.folder)
        if found.state in ("there", "unclear"):
            left += [Left(f"{folder}/{one.file}", one.what) for one in prove(Store(str(folder)), traces)]
        match found.state:
            case "away":
                left.append(Left(f"export {found.export}", f"it is away; {_remedy(found.export)}"))
            case "unclear":
                left.append(Left(str(folder), _unclear(found)))
            case "there":
                left += _stale(store, folder)
            case _:
                pass
    return left


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


def _other(found: Found) -> str:
    return f"{found.export.folder} holds an export of another root now ({found.form}; tars: {found.tars:,})"


def _unclear(found: Found) -> str:
    return (
        f"an export that the root did not note ({found.form}; tars: {found.tars:,}, of them this root's: "
        f"{found.shared:,}): if it is of this root, delete the folder and export again; if it is of another one, take "
        f"the samples down from that one, then begin with --forget-export {quote(found.export.folder)}"
    )


def _away(export: Known) -> str:
    return f"{export}; {_remedy(export)}"


def _remedy(export: Known) -> str:
    return (
        f"begin the same command on {export.host}, where its folder can be written; if it no longer exists: "
        f"--forget-export {quote(export.folder)}"
    )
