"""The files of a dataset root on any fsspec URL.

On a local disk a file is written under a temporary name in the same folder and renamed; on an object
store one PUT does the same. A reader therefore never sees half a file, and a killed writer leaves at
most a temporary file, which ``sweep`` removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import fsspec
from fsspec.spec import AbstractFileSystem

from curation.core import kept_listing
from curation.core.errors import LapidaryError, MissingFile, RootError, StoreError

_TEMPORARY = ".tmp-"
_AT_ONCE = 16  # requests to an object store
_NO_SPACE = "; free space or name another --root"
_PASSWORD = re.compile(r"//[^/@:]*:[^/@]*@")


def is_remote(place: str) -> bool:
    """Whether a place, as a path or a URL that fsspec opens, is beyond the file system of this machine.

    It may have another name in front of the URL (``curation.sources.embedded``).
    """
    scheme, mark, _ = place.partition("://")
    return bool(mark) and scheme.rpartition(":")[2] not in ("file", "local")


@dataclass(frozen=True)
class Files:
    """Opened by its URL alone, so that it travels to workers as its URL alone.

    Raises ``RootError`` for a URL that nothing here can open.
    """

    url: str
    _fs: Any = field(init=False, repr=False, compare=False, hash=False)
    _root: str = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        _plain_uploads()
        # Workers write from other processes: a listing that this one kept would hide what they finished.
        try:
            fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except Exception as error:  # a driver may raise anything of its own, a time-out of its first request too
            raise RootError(
                f"cannot open {shown(self.url)}: {one_line(error)}; name a folder, or a URL that fsspec knows and has "
                "the package for: pip install 'lapidary-curation[remote]' brings those for s3:// and http(s)://"
            ) from error
        object.__setattr__(self, "_fs", fs)
        object.__setattr__(self, "_root", root.rstrip("/"))

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.url,)

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return "file" in self.protocols

    @property
    def protocols(self) -> tuple[str, ...]:
        """The names of the filesystem under the root, such as s3 and s3a."""
        names = self._fs.protocol
        return names if isinstance(names, tuple) else (names,)

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem under the root."""
        return self._fs

    def as_it_is(self) -> Any:
        """Another fsspec filesystem under the root, for a reader: it asks for each listing once, and keeps it.

        What others write after that it does not see.
        """
        options = {"use_listings_cache": True, "skip_instance_cache": True}
        return type(self._fs)(*self._fs.storage_args, **{**self._fs.storage_options, **options})

    def path(self, name: str) -> str:
        """Where ``name`` lies on the filesystem: an absolute path for a folder, a key for an object store."""
        return f"{self._root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether there is a file or a folder of this name. Raises ``StoreError``."""
        with self._told(f"look for {self.path(name)}"):
            found = self._fs.exists(self.path(name))
        return bool(found)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or of its part [start, end). Raises ``StoreError``."""
        with self._told(f"read {self.path(name)}"):
            if self.is_local and start is None and end is None:  # fsspec's own file takes longer than a small file
                data = Path(self.path(name)).read_bytes()
            else:
                data = bytes(self._fs.cat_file(self.path(name), start=start, end=end))
        return data

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Parts [start, end) of a file, shorter where it ends before; of an object store all at once.

        Raises ``StoreError``.
        """
        path = self.path(name)
        with self._told(f"read {path}"):
            if not self.is_local:
                starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
                found = self._fs.cat_ranges([path] * len(ranges), starts, ends, on_error="raise")
                return [bytes(part) for part in found]
            with Path(path).open("rb", buffering=0) as file:
                return [os.pread(file.fileno(), end - start, start) for start, end in ranges]

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """The bytes of files, without those that are not there. Raises ``StoreError``."""
        found: dict[str, bytes] = {}
        if self.is_local:
            for name in names:
                with contextlib.suppress(MissingFile):
                    found[name] = self.read(name)
            return found
        # One request each, but all at once: an object store answers a listing of 10,000 in seconds.
        paths = {self.path(name): name for name in names}
        with self._told(f"read {len(names)} files of {shown(self.url)}"):
            told = self._fs.cat(list(paths), on_error="return") if paths else {}
        for path, data in told.items():
            if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                raise StoreError(f"cannot read {path}: {one_line(data)}") from data
            if not isinstance(data, Exception):
                found[paths[path]] = bytes(data)
        return found

    def write(self, name: str, data: bytes) -> str:
        """Publishes a file whole or not at all; returns the sha256 of its bytes. Raises ``StoreError``."""
        target = self.path(name)
        kept_listing.changed(self.url, name)
        with self._told(f"write {target}", _NO_SPACE):
            if self.is_local:
                temporary = self._temporary(target)
                try:
                    temporary.write_bytes(data)
                    temporary.replace(target)
                finally:
                    temporary.unlink(missing_ok=True)
            else:
                self._fs.pipe_file(target, data)
        return hashlib.sha256(data).hexdigest()

    def publish(self, name: str, source: Path) -> None:
        """Moves a finished local file to its place, whole or not at all. Raises ``StoreError``."""
        target = self.path(name)
        kept_listing.changed(self.url, name)
        with self._told(f"write {target}", _NO_SPACE):
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            else:
                self._fs.put_file(str(source), target)
                source.unlink()

    def fetch(self, name: str, target: str) -> None:
        """Copies a file to a local path. Raises ``StoreError``."""
        with self._told(f"read {self.path(name)}"):
            self._fs.get_file(self.path(name), target)

    def scratch(self, name: str) -> Path:
        """A local path to write ``name`` at before ``publish``: in its own folder where that is local."""
        if self.is_local:
            return self._temporary(self.path(name))
        import tempfile

        return Path(tempfile.mkdtemp(prefix="lapidary-")) / f"{_TEMPORARY}{uuid.uuid4().hex}"

    def remove(self, name: str) -> None:
        """Deletes a file; one that is not there is no error. Raises ``StoreError``."""
        kept_listing.changed(self.url, name)
        with contextlib.suppress(MissingFile), self._told(f"remove {self.path(name)}"):
            self._fs.rm_file(self.path(name))

    def remove_all(self, names: Sequence[str]) -> None:
        """The same for many files, on an object store that lets it a thousand with one request."""
        if self.is_local or not names:
            for name in names:
                self.remove(name)
            return
        for name in names:
            kept_listing.changed(self.url, name)
        try:
            self._fs.rm([self.path(name) for name in names])
        except Exception:  # the store removes files one by one alone, or fails: the first one tells
            with contextlib.ExitStack() as stack:
                pool = ThreadPoolExecutor(_AT_ONCE)
                stack.callback(pool.shutdown, cancel_futures=True)
                for _ in pool.map(self.remove, names):
                    pass

    def move(self, name: str, to: str) -> None:
        """Gives a file another name in the root. Raises ``StoreError``."""
        source, target = self.path(name), self.path(to)
        kept_listing.changed(self.url, name)
        kept_listing.changed(self.url, to)
        with self._told(f"move {source} to {target}"):
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                Path(source).replace(target)
            else:
                self._move(source, target)

    def _move(self, source: str, target: str) -> None:
        if type(self._fs).mv is not AbstractFileSystem.mv:
            self._fs.mv(source, target)
            return
        # fsspec's own way removes the file as if it were many, which some stores refuse.
        self._fs.cp_file(source, target)
        self._fs.rm_file(source)

    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Names (not paths) of the files in a folder of the root, sorted; none when it is not there.

        Raises ``StoreError``.
        """
        found: list[Any] = []
        with contextlib.suppress(MissingFile), self._told(f"list {self.path(folder)}"):
            # fsspec's own listing of a folder looks at every file, which takes ten times as long.
            there = Path(self.path(folder))
            found = list(there.iterdir()) if self.is_local else self._fs.ls(self.path(folder), detail=False)
        names = (str(f).rstrip("/").rsplit("/", 1)[-1] for f in found)
        return sorted(n for n in names if n.endswith(suffix) and not n.startswith(_TEMPORARY))

    def names_below(self, folder: str) -> list[str]:
        """The same for a folder that may not be there, without folders in it.

        A store that has no folders looks for a missing one among all files of the folder above.
        """
        if self.is_local:
            return self.names(folder)
        prefix = self.path(folder) + "/"
        with self._told(f"list {self.path(folder)}"):
            found = self._fs.find(self.path(folder))
        return sorted(str(f).removeprefix(prefix) for f in found)

    def sweep(self) -> int:
        """Removes what killed writers left behind; call it only while holding the root. Returns how many."""
        if not self.is_local:
            return 0  # an object store shows a file only once it is whole
        leftovers = 0
        # Names alone: a large root has millions of files, and a look at each of them takes a minute.
        for folder, folders, files in os.walk(self._root):
            for name in [name for name in folders if name.startswith(_TEMPORARY)]:
                folders.remove(name)
                shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
                leftovers += 1
            for name in files:
                if name.startswith(_TEMPORARY):
                    Path(folder, name).unlink(missing_ok=True)
                    leftovers += 1
        return leftovers

    @contextlib.contextmanager
    def _told(self, what: str, hint: str = "") -> Iterator[None]:
        """Raises ``StoreError`` for what the system or the store's driver raises: "cannot WHAT: …"."""
        try:
            yield
        except LapidaryError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFile(f"cannot {what}: {error}{hint}") from error
        except OSError as error:
            raise StoreError(f"cannot {what}: {error}{hint}") from error
        except Exception as error:  # a driver may raise anything of its own: a time-out, a connection that breaks
            if self.is_local:
                raise
            raise StoreError(
                f"cannot {what}: {one_line(error)}; the object store or the network to it fails: begin again when it "
                "is back"
            ) from error

    def _temporary(self, target: str) -> Path:
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")


def _plain_uploads() -> None:
    """Lets S3 clients send files as they are to a store that is not Amazon's, unless its user says otherwise.

    Over TLS they would send a checksum behind each, in an encoding (aws-chunked) that others may refuse.
    """
    if any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")):
        os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")


def shown(url: str) -> str:
    """A root's URL as it may be printed: on one line, without user name and password."""
    return _PASSWORD.sub("//", " ".join(url.split()))


def one_line(error: BaseException) -> str:
    """What an error says, on one line of at most 300 characters; its kind where it says nothing."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
