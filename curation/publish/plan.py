"""What a repository lacks of a release, and which files of an earlier one it has too much."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from curation.core.store import Store
from curation.load.features import FOLDERS
from curation.publish.files import File
from curation.release.versions import RELEASE

# Files of releases; whatever else a repository holds is not ours to remove.
_OURS = re.compile(
    r"(?:train|val|test)-\d{6,}\.tar|(?:metadata|data)/(?:train|val|test)-\d{6,}\.parquet"
    rf"|(?:{'|'.join(FOLDERS)})/(?:train|val|test)-\d{{6,}}\.\w+"
    r"|croissant\.json|VERSION|CHANGELOG\.md"
)


@dataclass(frozen=True)
class There:
    """A file of the repository: its bytes, git's hash of it, and the sha256 of a large one."""

    size: int
    blob: str
    sha256: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be sent, in this order, and removed; ``same`` files are there already."""

    send: tuple[File, ...]
    remove: tuple[str, ...]
    same: int

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.send)

    def lines(self) -> Iterator[str]:
        """For people."""
        for file in self.send:
            yield f"send    {file.size:>15,}  {file.name}"
        for name in self.remove:
            yield f"remove  {'':>15}  {name}"


def plan_of(store: Store, files: Iterable[File], there: Mapping[str, There]) -> Plan:
    """Compares a release with a repository's files. Only small files of the same size are read."""
    files = list(files)
    send = tuple(f for f in files if not _same(store, f, there.get(f.name)))
    names = {f.name for f in files}
    remove = tuple(sorted(name for name in there if name not in names and _OURS.fullmatch(name)))
    return Plan(send, remove, len(files) - len(send))


def _same(store: Store, file: File, there: There | None) -> bool:
    if there is None or there.size != file.size:
        return False
    if there.sha256 is not None and file.sha256 is not None:
        return there.sha256 == file.sha256
    data = store.read(RELEASE + file.name)
    if there.sha256 is not None:
        return there.sha256 == hashlib.sha256(data).hexdigest()
    return there.blob == git_hash(data)


def git_hash(data: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
