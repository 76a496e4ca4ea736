"""An object store in memory that can do no more than it must: no times, buffered files, whole names."""

from __future__ import annotations

from typing import Any, ClassVar

import fsspec
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem


class _File(AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        return PlainStore.files[self.path][start:end]


class PlainStore(AbstractFileSystem):
    """``plain://bucket/key``; tests put bytes into ``files`` by ``bucket/key``."""

    protocol = "plain"
    cachable = False
    files: ClassVar[dict[str, bytes]] = {}

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if path in self.files:
            return {"name": path, "size": len(self.files[path]), "type": "file", "ETag": hash(self.files[path])}
        if any(name.startswith(f"{path}/") for name in self.files):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        below = {"/".join(name.split("/")[: path.count("/") + 2]) for name in self.files if name.startswith(f"{path}/")}
        # Patterns are told no sizes or versions, as on a web server.
        entries = [{"name": n, "size": None, "type": "file" if n in self.files else "directory"} for n in sorted(below)]
        return entries if detail else [e["name"] for e in entries]

    def _open(self, path: str, mode: str = "rb", block_size: Any = 1000, **_: Any) -> _File:
        return _File(self, path, mode, block_size=1000, size=len(self.files[path]))


fsspec.register_implementation("plain", PlainStore)
