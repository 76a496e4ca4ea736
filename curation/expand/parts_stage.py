"""The parts stage: which parts cover a long picture, from whose captions its global one is joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.caption.prompts import load
from curation.core.errors import RecipeError
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.expand.geometry import Box, parts
from curation.expand.windows_stage import OfWindows
from schemas.arrow import Record, rows_of, table_of
from schemas.chat import CaptionKind
from schemas.expand import GLOBAL, JOINED, LOCAL, PART, Parts
from schemas.records import ImageRow
from schemas.windows import PicturePart, Window

_WORDS = 192  # most tokens of a joined caption, as of a global one


@dataclass(frozen=True)
class PartsStage:
    """Lays parts over each picture with windows that is longer than ``parts.max_aspect``. No pixels are read.

    Writes the ``PicturePart`` rows of these pictures, in the order of the images table. ``kinds`` are those of the
    recipe that describe and join parts.
    """

    name: ClassVar[str] = "parts"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow, Window)
    writes: ClassVar[type[Record]] = PicturePart

    recipe: Parts
    kinds: tuple[CaptionKind, ...] = setting((), digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @property
    def on(self) -> bool:
        return self.recipe.max_aspect > 0

    def ready(self, store: Store | None) -> PartsStage:
        """Raises ``RecipeError`` for prompts that want captions which a long picture does not have."""
        for kind in self.kinds:
            prompt, wanted = load(kind.prompt), {PART} if kind.kind == JOINED else set()
            if set(prompt.needs) == wanted:
                continue
            must = "include {caption:part} and no other caption" if wanted else "include no caption"
            raise RecipeError(
                f"caption.kinds: the prompt {kind.prompt!r} of {_named(kind)!r} includes {list(prompt.needs)}, but "
                f"must {must}, since parts of long pictures are described first; name another prompt, or set "
                "parts.max_aspect to 0"
            )
        return self

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._lay

    def _lay(self, shard: Shard) -> pa.Table:
        windowed = {w.sample_id for w in rows_of(Window, shard.read(Window)) if w.index is not None}
        images = [i for i in rows_of(ImageRow, shard.read(ImageRow)) if i.sample_id in windowed]
        shard.rows_in = len(images)
        return table_of(PicturePart, (row for image in images for row in self._rows(image)))

    def _rows(self, image: ImageRow) -> Iterator[PicturePart]:
        for index, box in enumerate(parts(image.width or 0, image.height or 0, self.recipe)):
            yield PicturePart(image.sample_id, index, list(box))


def _named(kind: CaptionKind) -> str:
    """The kind as the recipe names it."""
    return LOCAL if kind.aside else kind.kind


def part_of(index: int) -> str:
    """The kind of the caption of a picture's part, as the tables of captions have it."""
    return f"{PART}_{index}"


class PartKind(CaptionKind):
    """The kind of the captions of one part, which are asked for as those of windows are."""

    aside: ClassVar[bool] = True

    @property
    def table(self) -> str:
        """That of the recipe's local kind: the parts' own kinds are in no recipe."""
        return super().table.replace(f"[{self.kind}]", f"[{LOCAL}]")


def with_parts(kinds: list[CaptionKind], settings: Parts) -> list[CaptionKind]:
    """These kinds with those of parts, and the joined one, behind the global one; without the latter if it is off."""
    named = {kind.kind: kind for kind in kinds}
    plain = [kind for kind in kinds if kind.kind != JOINED]
    if not settings.max_aspect:
        return plain
    of_parts = [PartKind(**{**named[LOCAL].model_dump(), "kind": part_of(i)}) for i in range(settings.most)]
    joined = named.get(JOINED) or CaptionKind(kind=JOINED, prompt=JOINED, max_tokens=_WORDS)
    at = plain.index(named[GLOBAL]) + 1
    return [*plain[:at], *of_parts, joined, *plain[at:]]


@dataclass(frozen=True)
class OfParts:
    """As ``OfWindows``, but the global caption of a picture with parts is joined from those of its parts."""

    reads: ClassVar[tuple[type[Record], ...]] = (*OfWindows.reads, PicturePart)

    def of(self, shard: Shard) -> Mapping[str, Mapping[str, Box | None]]:
        """For each picture with windows, the region that each kind of caption describes; None for all of it."""
        boxes: dict[str, dict[str, Box | None]] = {}
        for row in rows_of(PicturePart, shard.read(PicturePart)):
            left, top, right, bottom = row.box
            boxes.setdefault(row.sample_id, {JOINED: None})[part_of(row.index)] = (left, top, right, bottom)
        return {
            sample: {**{k: box for k, box in described.items() if k != GLOBAL}, **boxes[sample]}
            if sample in boxes
            else described
            for sample, described in OfWindows().of(shard).items()
        }
