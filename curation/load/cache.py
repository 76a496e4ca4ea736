"""Copies of far tars in a local folder of bounded size, for training runs of many epochs.

Processes may share a folder, of several releases as well. What was not used for longest makes room. A copy that makes
room while somebody reads it can be read to its end, since it has been opened.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from curation.core.errors import RootError

_WHOLE, _PART = ".tar", ".part"


@dataclass(frozen=True)
class TarCache:
    """Copies in ``folder``, of ``max_bytes`` together at most, those that are being made included."""

    folder: str
    max_bytes: int

    def __post_init__(self) -> None:
        if self.max_bytes <= 0:
            raise ValueError(f"cache_bytes is {self.max_bytes}; a number of bytes above 0 was expected")

    def open(self, url: str) -> BinaryIO:
        """The tar's bytes: of its copy, which is made where there is none; or, where there is no room, from afar."""
        fs, path = fsspec.core.url_to_fs(url)
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        # With what the store says of the file, so that one that was replaced is fetched anew.
        whole = self._file(hashlib.sha256(f"{url}\n{fs.ukey(path)}".encode()).hexdigest()[:32] + _WHOLE)
        with _locked(whole.with_suffix(".lock")):  # one process makes the copy, others wait for it
            with suppress(FileNotFoundError):
                return _used(whole)
            part = self._begun(whole.with_suffix(_PART), int(fs.size(path)))
            if part is not None:
                with part:
                    with fs.open(path, "rb") as far:
                        shutil.copyfileobj(far, part, 1 << 22)
                    part.flush()
                    if part.tell() != os.fstat(part.fileno()).st_size:
                        raise RootError(f"{url} ended after {part.tell()} bytes; get it again")
                    with self._making_room():  # who counts what is there must not miss it
                        return _used(Path(part.name).rename(whole))
        return _far(fs, path)

    def _begun(self, path: Path, size: int) -> BinaryIO | None:
        """An empty copy that takes its room already; None where there is none. Closed, it may be cleared away."""
        with self._making_room():
            files = self._files()
            room = self.max_bytes - sum(size for _, size, _ in files)
            for _, taken, file in sorted(f for f in files if f[2].suffix == _WHOLE):
                if room >= size:
                    break
                file.unlink(missing_ok=True)
                room += taken
            if room < size:
                return None
            part = path.open("wb")
            fcntl.flock(part, fcntl.LOCK_EX)
            part.truncate(size)
            return part

    def _making_room(self) -> AbstractContextManager[None]:
        return _locked(self._file("room.lock"))

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each copy was last used, its bytes, and where it is. Copies whose process died are cleared away."""
        found = []
        for file in Path(self.folder).iterdir():
            if file.suffix not in (_WHOLE, _PART) or (file.suffix == _PART and _is_left(file)):
                continue
            with suppress(FileNotFoundError):
                known = file.stat()
                found.append((known.st_mtime, known.st_size, file))
        return found

    def _file(self, name: str) -> Path:
        return Path(self.folder) / name


def _used(file: Path) -> BinaryIO:
    opened = file.open("rb")
    os.utime(file)
    return opened


def _far(fs: Any, path: str) -> BinaryIO:
    opened: BinaryIO = fs.open(path, "rb")
    return opened


def _is_left(part: Path) -> bool:
    """Removes the beginning of a copy that nobody goes on with."""
    with suppress(FileNotFoundError, BlockingIOError), part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink(missing_ok=True)
        return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
