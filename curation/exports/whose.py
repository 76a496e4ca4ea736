"""Whether the export in a folder is the one that a root's note means, or another one that somebody has put there.

An export is the root's where some note of the root has its identity: form, settings and the sums of its tars. So an
export of a copy of the root that has the very same bytes counts as the root's.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from curation.core.store import Store
from curation.exports.known import EXPORT, MADE_BY, RENEWING, Known, identity_of, keep, known, note_again
from curation.exports.release import SUMS, read_sums

State = Literal["there", "begun", "none", "away", "other", "unclear"]
"""As ``Known.state``; ``other`` is surely an export of another root, ``unclear`` where that cannot be told."""


@dataclass(frozen=True)
class Found:
    """What stands in the folder of a note. Of an export: its form, its number of tars, and how many of these the root
    has or had.
    """

    export: Known
    state: State
    form: str = ""
    tars: int = 0
    shared: int = 0


def look(root: Store) -> list[Found]:
    """What stands where the root has exports. Raises ``StoreError`` for a note that is damaged, ``RootError``."""
    notes = known(root)
    if not notes:
        return []
    identities = {identity for note in notes for identity in note.identities}
    tars = {sha256 for note in notes for sha256 in note.tars} | _released(root)
    return [_look(note, identities, tars) for note in notes]


def recognise(root: Store) -> None:
    """Completes the notes of what is there. Call it before the release changes.

    Notes of earlier versions name a folder alone, and of two notes of one folder only one is written when it is made
    anew. Which tars an export shares with the release cannot be told once these are others.
    """
    for found in look(root):
        note = found.export
        for told in _told(Path(note.folder)):
            if found.state == "there" and identity_of(told) not in note.identities:
                note = note_again(root, note, told)
            elif found.state == "unclear":
                shared = _released(root) & set(told["release"].values())
                keep(root, replace(note, tars=tuple(sorted({*note.tars, *shared}))))


def _released(root: Store) -> set[str]:
    """The sha256 of the release's files."""
    return set(read_sums(f"{root.url}/release").values()) if root.exists(f"release/{SUMS}") else set()


def _look(note: Known, identities: Collection[str], tars: Collection[str]) -> Found:
    state: State = note.state
    told = _told(Path(note.folder)) if state == "there" else []
    if not told:  # what cannot be read is looked at by whoever makes it anew
        return Found(note, state)
    # Of a renewal there are two: what it was, and what it becomes.
    found = [sha256 for one in told for sha256 in one["release"].values()]
    shared = len([sha256 for sha256 in found if sha256 in tars])
    if not all(identity_of(one) in identities for one in told):
        state = _not_noted(note, told[0]["form"] == note.form, shared)
    return Found(note, state, str(told[0]["form"]), len(found), shared)


def _not_noted(note: Known, same_form: bool, shared: int) -> State:
    """What an export is that no note has the identity of."""
    if note.host != socket.gethostname():
        return "away"  # a folder of that name is there on this machine too
    if note.identities or not same_form:
        return "unclear" if shared else "other"
    # The note is of an earlier version.
    return "there" if shared else "unclear"


def _told(folder: Path) -> list[dict[str, Any]]:
    """What the export in a folder says of itself; empty where any of it cannot be read."""
    told: list[dict[str, Any]] = []
    try:
        for file in (folder / name for name in (RENEWING, EXPORT) if (folder / name).is_file()):
            one = json.loads(file.read_bytes())
            if not (one["made_by"] == MADE_BY and isinstance(one["release"], dict) and identity_of(one)):
                return []
            told.append(one)
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return told
