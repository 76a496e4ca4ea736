"""The output of a shard: a tar with members in row order, and statistics beside it."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from curation.core.closing import Closing
from curation.core.tar import TarWriter
from schemas.reasons import Reason
from schemas.records import ImageRow

_SPILL_ABOVE = 64 << 20
_PIXELS = frozenset(
    {
        Reason.EMPTY_BODY,
        Reason.NOT_AN_IMAGE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.TOO_MANY_PIXELS,
        Reason.UNDECODABLE,
        Reason.ANIMATED,
        Reason.TOO_SMALL,
        Reason.ASPECT,
    }
)


class OrderedTar(Closing):
    """Writes ``names[i]`` for row i, as soon as all rows before it have been put.

    What arrives before its turn waits in memory up to ``spill_above`` bytes, beyond that in the file
    ``spill``, which is deleted at the end. ``at`` is as for ``TarWriter``. Not safe to use from several threads.
    """

    def __init__(
        self, path: Path, spill: Path, names: list[str], spill_above: int = _SPILL_ABOVE, *, at: int = 0
    ) -> None:
        self.offsets: list[int | None] = [None] * len(names)
        self._names = names
        self._tar = TarWriter(path, at=at)
        self._next = 0
        self._waiting: dict[int, bytes | tuple[int, int] | None] = {}
        self._waiting_bytes = 0
        self._spill_above = spill_above
        self._spill_path = spill
        self._spill: BinaryIO | None = None

    @property
    def written(self) -> int:
        """How many rows from the first one on have been written."""
        return self._next

    def put(self, row: int, data: bytes | None) -> None:
        """Add a row's image, or None if it has none; once for each row."""
        if row < self._next or row in self._waiting:
            raise ValueError(f"row {row} is put twice")
        if row > self._next:
            self._waiting[row] = self._kept(data)
            return
        self._write(data)
        while self._next in self._waiting:
            self._write(self._taken(self._waiting.pop(self._next)))

    def close(self) -> None:
        self._tar.close()
        if self._spill is not None:
            self._spill.close()
            with contextlib.suppress(FileNotFoundError):
                self._spill_path.unlink()

    def _write(self, data: bytes | None) -> None:
        if data is not None:
            self.offsets[self._next] = self._tar.add(self._names[self._next], data)
        self._next += 1

    def _kept(self, data: bytes | None) -> bytes | tuple[int, int] | None:
        if data is None:
            return None
        if self._waiting_bytes + len(data) <= self._spill_above:
            self._waiting_bytes += len(data)
            return data
        if self._spill is None:
            self._spill = self._spill_path.open("w+b")
        at = self._spill.seek(0, 2)
        self._spill.write(data)
        return at, len(data)

    def _taken(self, kept: bytes | tuple[int, int] | None) -> bytes | None:
        if isinstance(kept, bytes):
            self._waiting_bytes -= len(kept)
            return kept
        if kept is None or self._spill is None:
            return None
        at, size = kept
        self._spill.seek(at)
        return self._spill.read(size)


def statistics(rows: Sequence[ImageRow]) -> bytes:
    """JSON with img2dataset's keys: count, successes, failed_to_download, failed_to_resize, and status_dict, the
    most frequent first. img2dataset's times are left out, so that the same rows give the same bytes.
    """
    counts = Counter("success" if row.reason is None else row.reason.value for row in rows)
    resized = sum(map(_failed_to_resize, rows))
    counted = {
        "count": len(rows),
        "successes": counts["success"],
        "failed_to_download": len(rows) - counts["success"] - resized,
        "failed_to_resize": resized,
        "status_dict": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])) if rows else {}),
    }
    return json.dumps(counted, indent=4).encode()


def _failed_to_resize(row: ImageRow) -> bool:
    """Whether the bytes came. Both a body and an image can be truncated; only of the latter the format is known."""
    return row.reason in _PIXELS or (row.reason is Reason.TRUNCATED and row.original_format is not None)
