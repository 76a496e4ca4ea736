"""An object store in memory whose clients keep listings as s3fs does: until they write there themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import Pool
from curation.core.stage import Stage
from curation.core.store import Store


class ListingStore(MemoryFileSystem):
    """``listing://bucket/key``. The objects are all clients' own; each client has the listings that it made."""

    protocol = "listing"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("listing://")))

    def ls(self, path: str, detail: bool = True, **actual: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found = self._ls_from_cache(path)
        if found is None:
            found = super().ls(path, detail=True, **actual)
            if found:
                self.dircache[path] = found
        return found if detail else sorted(entry["name"] for entry in found)

    def info(self, path: str, **found: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        known = self._ls_from_cache(path)
        own = [entry for entry in known or [] if entry["name"] == path]
        return dict(own[0] if own else super().info(path, **found))

    def exists(self, path: str, **found: Any) -> bool:
        try:
            self.info(path, **found)
        except FileNotFoundError:
            return False
        return True

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **found: Any) -> None:
        super().pipe_file(path, value, mode, **found)
        self.invalidate_cache(path)

    def rm_file(self, path: str) -> None:
        super().rm_file(path)
        self.invalidate_cache(path)

    def invalidate_cache(self, path: str | None = None) -> None:
        if path is None:
            self.dircache.clear()
            return
        path = self._strip_protocol(path)
        for place in (path, *(path[:at] for at, sign in enumerate(path) if sign == "/")):
            self.dircache.pop(place, None)


def another_client(store: Store) -> Store:
    """The same root as another process sees it."""
    store.filesystem.clear_instance_cache()
    other = Store(store.url)
    assert other.filesystem is not store.filesystem
    return other


class Elsewhere(LocalEngine):
    """Works as a client of its own, as a worker process does."""

    @contextmanager
    def pool(self, store: Store, stages: Sequence[Stage]) -> Iterator[Pool]:
        with super().pool(another_client(store), stages) as pool:
            yield pool


fsspec.register_implementation("listing", ListingStore)
