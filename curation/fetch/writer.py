"""img2dataset's sample writer: told of each row once, it lets the shard's tar grow in row order."""

from __future__ import annotations

from typing import Any, Protocol

from curation.fetch.opener import row_of


class Writes(Protocol):
    """A shard under way, as the writer sees it."""

    def write(self, row: int) -> None:
        """Never raises: img2dataset would print the error and go on."""
        ...


class RowWriter:
    """Made by img2dataset once a shard; ``run`` comes first, bound before it is handed over."""

    def __init__(
        self,
        run: Writes,
        shard_id: int,
        output_folder: str,
        save_caption: bool,
        oom_shard_count: int,
        schema: object,
        encode_format: str,
    ) -> None:
        self._run = run

    def write(self, img_str: bytes | None, key: str, caption: str | None, meta: dict[str, Any]) -> None:
        self._run.write(row_of(meta["url"]))

    def close(self) -> None:
        return None
