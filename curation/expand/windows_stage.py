"""The windows stage: where the windows of every picture lie, and which of them each kind of caption describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Verdict
from curation.expand.geometry import describe_room, squares
from schemas.arrow import Record, rows_of, table_of
from schemas.chat import CaptionKind
from schemas.expand import GLOBAL, LOCAL, Windows
from schemas.reasons import Reason
from schemas.records import Duplicate, ImageRow
from schemas.windows import Window


@dataclass(frozen=True)
class WindowsStage:
    """Lays a row of square windows over each picture that is kept. No pixels are read.

    Writes the ``Window`` rows of each keeper, in the order of the images table; one that says why for a picture
    without room for them.
    """

    name: ClassVar[str] = "windows"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow, Duplicate)
    writes: ClassVar[type[Record]] = Window

    recipe: Windows
    resources: Resources = setting(Resources(), digest=False)

    @property
    def verdict(self) -> Verdict:
        return Verdict.several(Window, {Reason.NO_WINDOWS: "no side has room for windows.fewest windows"})

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._lay

    def _lay(self, shard: Shard) -> pa.Table:
        kept = {d.sample_id for d in rows_of(Duplicate, shard.read(Duplicate)) if d.reason is None}
        images = [i for i in rows_of(ImageRow, shard.read(ImageRow)) if i.sample_id in kept]
        shard.rows_in = len(images)
        return table_of(Window, (row for image in images for row in self._rows(image)))

    def _rows(self, image: ImageRow) -> Iterator[Window]:
        if image.width is None or image.height is None:
            raise ValueError(f"image {image.sample_id} is kept, but has no size")
        found = squares(image.width, image.height, image.sample_id, self.recipe)
        for index, square in enumerate(found):
            yield Window(
                *(image.sample_id, index, square.side, list(square.box), list(square.mask_box), square.overlap),
                *(None, None),
            )
        if not found:
            detail = describe_room(image.width, image.height, self.recipe)
            yield Window(image.sample_id, None, None, [], [], None, Reason.NO_WINDOWS, detail)


def kind_of(index: int) -> str:
    """The kind of the caption of a picture's window, as the tables of captions have it."""
    return f"{LOCAL}_{index}"


class WindowKind(CaptionKind):
    """The kind of the captions of one window."""

    @property
    def table(self) -> str:
        """That of the recipe's kind: the windows' own kinds are in no recipe."""
        return super().table.replace(f"[{self.kind}]", f"[{LOCAL}]")


def spread(kinds: list[CaptionKind], most: int) -> list[CaptionKind]:
    """These kinds with one for each window in the place of the local one."""
    found: list[CaptionKind] = []
    for kind in kinds:
        if kind.kind == LOCAL:
            found += [WindowKind(**{**kind.model_dump(), "kind": kind_of(i)}) for i in range(most)]
        else:
            found.append(kind)
    return found


@dataclass(frozen=True)
class OfWindows:
    """The global caption describes the whole picture, and each local one its window."""

    reads: ClassVar[tuple[type[Record], ...]] = (Window,)

    def of(self, shard: Shard) -> Mapping[str, Mapping[str, tuple[int, int, int, int] | None]]:
        """For each picture with windows, the region that each kind of caption describes; None for all of it."""
        found: dict[str, dict[str, tuple[int, int, int, int] | None]] = {}
        for row in rows_of(Window, shard.read(Window)):
            if row.index is not None:
                left, top, right, bottom = row.box
                found.setdefault(row.sample_id, {GLOBAL: None})[kind_of(row.index)] = (left, top, right, bottom)
        return found
