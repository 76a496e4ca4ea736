"""What is looked at of a released sample: its windows as they stand visible, its windows, or its picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from curation.load.features import look_hash
from schemas.records import Placement
from schemas.visual import Look

_GREY = (127, 127, 127)  # as the loader shows what is to be painted


@dataclass(frozen=True)
class Looked:
    """A look at a sample: ``box`` of its picture, without what lies in ``hidden``. ``index`` is that of a window."""

    sample_id: str
    look: Look
    index: int | None
    box: tuple[int, ...]
    hidden: tuple[int, ...]
    image_sha256: str

    @property
    def key(self) -> bytes:
        """What its states are found by."""
        return look_hash(self.image_sha256, self.box, self.hidden)

    def of(self, image: Image.Image) -> Image.Image:
        """The square that the model sees of the whole picture, RGB."""
        left, top, right, bottom = self.box
        seen = image.crop((left, top, right, bottom)).convert("RGB")
        if self.hidden:
            x0, y0, x1, y1 = self.hidden
            seen.paste(_GREY, (x0 - left, y0 - top, x1 - left, y1 - top))
        side = max(seen.size)
        if seen.size == (side, side):
            return seen
        # A model's own processor would cut a long picture's ends off.
        square = Image.new("RGB", (side, side), _GREY)
        square.paste(seen, ((side - seen.width) // 2, (side - seen.height) // 2))
        return square


def looks_at(sample: Placement, looks: Sequence[Look]) -> Iterator[Looked]:
    """The looks at a sample, kind by kind and window by window."""
    windows = json.loads(sample.annotations).get("windows") or []
    for look in looks:
        if look == "picture":
            yield Looked(sample.sample_id, look, None, (0, 0, sample.width, sample.height), (), sample.sha256)
            continue
        for window in windows:
            hidden = tuple(window["mask_box"]) if look == "visible" else ()
            yield Looked(sample.sample_id, look, window["index"], tuple(window["box"]), hidden, sample.sha256)


def opened(data: bytes) -> Image.Image:
    """A stored image, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
