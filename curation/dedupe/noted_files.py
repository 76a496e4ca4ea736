"""Which files of a folder are still what they were when they were written: ``sums.json`` in that folder.

    {"decided/0123456789abcdef.arrow": ["<sha256>", <bytes>, <nanoseconds of its last change>], …}

A mapped file is looked at here and there, by code that believes what it finds: bytes that were turned over would give
wrong answers, or end the process. To read all of it in every run would cost as much as what it spares. So a file is
read only where its size or time is not the one that was noted, as in a copy of the folder, and is believed while its
sum is. What was never noted is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from curation.core.vouched import sha256_of

_FILE = "sums.json"
_TEMPORARY = ".tmp-"


class NotedFiles:
    """The notes of a folder; none where they cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes: dict[str, tuple[str, int, int]] = {}
        try:
            told = json.loads((folder / _FILE).read_text())
            self._notes = {str(name): (str(sha), int(size), int(time)) for name, (sha, size, time) in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            pass

    def note(self, paths: Iterable[Path]) -> None:
        """Notes files as they are now, and forgets those that are gone. Raises ``OSError``."""
        for path in paths:
            name = path.relative_to(self._folder).as_posix()
            if name not in self._notes or self._notes[name][1:] != _stat(path):
                self._notes[name] = (sha256_of(path), *_stat(path))
        self._notes = {name: note for name, note in self._notes.items() if (self._folder / name).is_file()}
        self._write()

    def believes(self, path: Path) -> bool:
        """Whether a file is what was noted."""
        name = path.relative_to(self._folder).as_posix()
        try:
            if name not in self._notes or not path.is_file():
                return False
            sha = self._notes[name][0]
            if self._notes[name][1:] != _stat(path):
                if sha256_of(path) != sha:
                    return False
                self._notes[name] = (sha, *_stat(path))
                self._write()
            return True
        except OSError:
            return False

    def believes_all(self, folder: str) -> bool:
        """Whether all files that were noted below a folder are there and what they were."""
        return all(self.believes(self._folder / name) for name in list(self._notes) if name.startswith(f"{folder}/"))

    def _write(self) -> None:
        temporary = self._folder / (_TEMPORARY + _FILE)
        temporary.write_text(json.dumps(self._notes, indent=1, sort_keys=True))
        temporary.rename(self._folder / _FILE)


def _stat(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
