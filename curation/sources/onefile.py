"""One file of any fsspec filesystem, as DuckDB wants to see a filesystem.

DuckDB asks for times that some stores do not tell, and takes names for patterns. Here the one file has a
plain name and a fixed time.
"""

from __future__ import annotations

import datetime
from typing import Any

from fsspec.spec import AbstractFileSystem

URL = "lapidary://source"
_NEVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class OneFile(AbstractFileSystem):  # type: ignore[misc]
    """Shows the file at ``path`` of ``fs`` under ``URL``, whatever name is asked for; reading only."""

    protocol = "lapidary"
    cachable = False

    def __init__(self, fs: Any, path: str) -> None:
        super().__init__()
        self._fs = fs
        self._path = path

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": URL, "size": self._fs.size(self._path), "type": "file"}

    def glob(self, path: str, **_: Any) -> list[str]:
        return [URL]

    def modified(self, path: str) -> datetime.datetime:
        return _NEVER

    def created(self, path: str) -> datetime.datetime:
        return _NEVER

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self._fs.open(self._path, mode)
