"""The records of pictures that are to be continued: square windows, their captions, and captions of what comes next.

Boxes are left, top, right, bottom in pixels of the exported image; right and bottom are exclusive.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal, get_args

from schemas.arrow import Int32, Record
from schemas.reasons import Reason

Side = Literal["left", "right", "up", "down"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclasses.dataclass(frozen=True, slots=True)
class Window(Record):
    """A square window of a picture, one of a row that runs towards one side. Keyed by (sample_id, index).

    A picture without room for windows has one row that says so.
    """

    table: ClassVar[str] = "windows"

    sample_id: Annotated[str, "as in rows"]
    index: Annotated[int | None, Int32, "0-based place in the row; null where there is no window"]
    side: Annotated[str | None, "left, right, up or down: where the next window of the row lies"]
    box: Annotated[list[int], "the window; empty where there is none"]
    mask_box: Annotated[list[int], "the part of the window that is to be painted: all but the overlap"]
    overlap: Annotated[int | None, Int32, "pixels, along the row, that stay visible: the window before shows them too"]
    reason: Annotated[Reason | None, "why there is no window"]
    detail: Annotated[str | None, "the sizes that were found and wanted"]


@dataclasses.dataclass(frozen=True, slots=True)
class PicturePart(Record):
    """A part of a picture that is too long to be described at once; the parts of a picture cover it.

    Keyed by (sample_id, index). Other pictures have no row.
    """

    table: ClassVar[str] = "picture_parts"

    sample_id: Annotated[str, "as in rows"]
    index: Annotated[int, Int32, "0-based, from the left or the top; part_0 in captions is the caption of the first"]
    box: Annotated[list[int], "the part"]


@dataclasses.dataclass(frozen=True, slots=True)
class WindowCaption(Record):
    """What is said of a window when all checks are over. Keyed by (sample_id, index)."""

    table: ClassVar[str] = "window_captions"

    sample_id: Annotated[str, "as in rows"]
    index: Annotated[int, Int32, "as in windows"]
    side: Annotated[str, "as in windows"]
    caption: Annotated[str | None, "the local caption; null where none passed the checks"]
    global_caption: Annotated[str | None, "the picture's own caption; null where none passed the checks"]
    reason: Annotated[Reason | None, "why the picture is not used; the same for all its windows"]
    detail: Annotated[str | None, "what was found, for people"]


@dataclasses.dataclass(frozen=True, slots=True)
class Imagined(Record):
    """A caption that a language model imagined of what lies beyond an edge, as it came.

    Keyed by (sample_id, side, index).
    """

    table: ClassVar[str] = "imagined"

    sample_id: Annotated[str, "as in rows"]
    side: Annotated[str, "the edge of the picture beyond which it lies: left, right, up or down"]
    index: Annotated[int, Int32, "0-based, from that edge outwards"]
    text: Annotated[str | None, "the caption, untouched; null when there is none"]
    reason: Annotated[Reason | None, "why there is none"]
    detail: Annotated[str | None, "what the model or server said instead"]
    prompt: Annotated[str, "name@version of the prompt file"]
    model: Annotated[str, "as the endpoint or the checkpoint names itself"]
    model_revision: Annotated[str, "revision or content hash of the weights"]
    reply_key: Annotated[str, "hash of all that the reply depends on, hex; shared by the captions of one reply"]


@dataclasses.dataclass(frozen=True, slots=True)
class ImaginedCheck(Record):
    """The verdict on an imagined caption. Keyed by (sample_id, side, index)."""

    table: ClassVar[str] = "imagined_checks"

    sample_id: Annotated[str, "as in rows"]
    side: Annotated[str, "as in imagined"]
    index: Annotated[int, Int32, "as in imagined"]
    passed: Annotated[bool, "whether the caption may be released"]
    fault: Annotated[Reason | None, "why not"]
    found: Annotated[str | None, "the passages that were found"]
    caption: Annotated[str | None, "the caption after repairs; null when nothing usable is left"]
    shared: Annotated[float | None, "largest share of its word shingles that another caption of the picture has, 0..1"]
    contradiction: Annotated[float | None, "probability that it contradicts the global caption; null if not asked"]
    model: Annotated[str | None, "which one was asked, as the endpoint or the checkpoint names itself"]
    reply_key: Annotated[str | None, "hash of all that this probability depends on, hex; null if not asked"]
    reason: Annotated[Reason | None, "why the picture is not used; the same for all its imagined captions"]
    detail: Annotated[str | None, "likewise, for people"]
