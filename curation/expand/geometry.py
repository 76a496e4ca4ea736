"""Where the windows of a picture lie, and its parts: a function of its size, its sample_id and the recipe alone.

A picture gets one row of squares. The row runs towards one side; each square shows ``overlap`` of the one before it
again, and the rest of it is the mask, which is to be painted. Side and place are drawn by a hash of seed and
sample_id, so that they are the same in every run, whatever else a source holds.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from schemas.expand import Parts, Windows
from schemas.windows import Side

Box = tuple[int, int, int, int]
_ACROSS: tuple[Side, ...] = ("left", "right")


@dataclass(frozen=True, slots=True)
class Square:
    """A window; boxes are left, top, right, bottom in pixels, right and bottom exclusive. ``overlap`` in pixels."""

    side: Side
    box: Box
    mask_box: Box
    overlap: int


def squares(width: int, height: int, sample_id: str, settings: Windows) -> list[Square]:
    """The row of windows of a picture, in the direction in which it grows; none where no side has room for enough."""
    edge, overlap = _edge(width, height, settings)
    if edge < settings.min_side:
        return []
    step = edge - overlap
    room = {side: ((width if side in _ACROSS else height) - edge) // step + 1 for side in dict.fromkeys(settings.sides)}
    possible = sorted(side for side, count in room.items() if count >= settings.fewest)
    if not possible:
        return []
    side = possible[_draw(settings.seed, sample_id, "side", len(possible))]
    count = min(room[side], settings.most)
    span = edge + (count - 1) * step
    along, beside = (width, height) if side in _ACROSS else (height, width)
    start = _draw(settings.seed, sample_id, "start", along - span + 1)
    lane = _draw(settings.seed, sample_id, "lane", beside - edge + 1)
    places = [start + number * step for number in range(count)]
    if side in ("left", "up"):
        places.reverse()
    return [_square(side, place, lane, edge, overlap) for place in places]


def parts(width: int, height: int, settings: Parts) -> list[Box]:
    """Boxes that cover a picture above ``parts.max_aspect``, from the left or the top; none for other pictures.

    They are squares of its shorter side, as few as overlap enough and evenly apart, the first and the last at its ends;
    where that is more than ``parts.most``, they are as much longer as they must be.
    """
    short, long = sorted((width, height))
    if not settings.max_aspect or long <= settings.max_aspect * short:
        return []
    own = 1 - settings.overlap  # share of a part that the one before it does not show
    count = min(settings.most, max(2, math.ceil((long / short - settings.overlap) / own)))
    length = max(short, math.ceil(long / (1 + (count - 1) * own)))
    starts = [round(number * (long - length) / (count - 1)) for number in range(count)]
    return [(at, 0, at + length, height) if width > height else (0, at, width, at + length) for at in starts]


def describe_room(width: int, height: int, settings: Windows) -> str:
    """Why a picture has no windows, for people."""
    edge, overlap = _edge(width, height, settings)
    if edge < settings.min_side:
        return f"a window of {width}x{height} would have a side of {edge}, at least {settings.min_side}"
    return f"{width}x{height} has no room for {settings.fewest} windows with a side of {edge} that share {overlap}"


def _edge(width: int, height: int, settings: Windows) -> tuple[int, int]:
    """The side of a window and the overlap of two, in pixels; both parts of a window are at least one pixel wide."""
    edge = max(2, int(min(width, height) * settings.share))
    return edge, min(edge - 1, max(1, round(edge * settings.overlap)))


def _square(side: Side, place: int, lane: int, edge: int, overlap: int) -> Square:
    left, top = (place, lane) if side in _ACROSS else (lane, place)
    right, bottom = left + edge, top + edge
    mask: dict[Side, Box] = {
        "right": (left + overlap, top, right, bottom),
        "left": (left, top, right - overlap, bottom),
        "down": (left, top + overlap, right, bottom),
        "up": (left, top, right, bottom - overlap),
    }
    return Square(side, (left, top, right, bottom), mask[side], overlap)


def _draw(seed: int, sample_id: str, what: str, options: int) -> int:
    """A number below ``options``, each as likely as the others."""
    digest = hashlib.sha256(f"{seed}:{what}:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8]) % options
