"""Whether two pictures whose hashes are near may be the same, by their luma and colour in blocks.

pHash sees luma alone, and of that only the shape. So a shirt in red and in blue has one hash, every flat picture has
the same, and pages with a few lines of text on a plain ground differ in less than copies of photographs do. The
colours of their blocks (``curation.images.chroma``, 104 bytes as 13 words) tell them apart. The limits were chosen on
copies of 150 scenes of the demo world and 29 photographs, and on recoloured products, logos, gradients and texts:

- Blocks of luma are within 48 levels, or become so by one change of brightness and contrast.
- Blocks of colour have about the same hue, and about the same saturation.
- With ``grey``, a picture without any colour may be the grey copy of a coloured one, if their luma agrees.
- Where four fifths of a picture are one plain ground, the hash tells little, and 64 blocks agree within 3 levels.
- A picture without colours (of a root that is older than they are) agrees with all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.compiling import Words, compiled
from curation.dedupe.search.thumbnails import (
    CLOSE,
    IDENTICAL,
    LOOSE,
    NO,
    SMOOTH,
    THUMBNAIL_WORDS,
    YES,
    contrast_between,
    known,
    of_view,
    same_levels,
    same_picture,
)
from curation.images.windows import WINDOWS

COLOUR_WORDS = 13
LOOK_WORDS = COLOUR_WORDS + THUMBNAIL_WORDS
"""Words of a picture's colours and, behind them, of its thumbnail."""
IF_IDENTICAL = 3
"""Beside ``NO`` and ``YES``: the colours are those of a grey and brighter copy, if the thumbnails are identical."""
_SIDES = np.array([(0.0, 0.0, 0.0), *WINDOWS])  # of the whole picture, then of each window
_BLOCKS, _FINE, _COARSE = 96, 64, 16
_GROUND, _COLOURED, _PART = 96, 97, 98  # the byte of each; the last says that these are the colours of a part
_PLAIN = 204  # 0.8 of 255
_RICH = 76  # 0.3 of 255
_FLAT = 3.0  # levels: the standard deviation of a flat picture's luma


@compiled
def byte_of(colours: Words, place: int) -> int:
    """One byte of the colours of a picture."""
    return int((colours[place >> 3] >> np.uint64(8 * (place & 7))) & np.uint64(255))


@compiled
def unpacked(colours: Words) -> NDArray[np.float64]:
    """The luma of 8 x 8 blocks, then Cb and Cr of 4 x 4 around zero."""
    blocks = np.empty(_BLOCKS)
    for place in range(_BLOCKS):
        blocks[place] = byte_of(colours, place) - (128 if place >= _FINE else 0)
    return blocks


@compiled
def spread(luma: NDArray[np.float64]) -> float:
    """Standard deviation."""
    return float(np.sqrt(((luma - luma.mean()) ** 2).mean()))


@compiled
def same_luma(a: NDArray[np.float64], b: NDArray[np.float64], apart: float, rest: float, gain: float) -> bool:
    """Whether blocks are within ``apart`` levels, or ``rest`` after a change of brightness and contrast."""
    if np.abs(a - b).max() <= apart:
        return True
    one, two = spread(a), spread(b)
    if min(one, two) < _FLAT or max(one, two) > gain * min(one, two):
        return False
    left, right = (a - a.mean()) / one, (b - b.mean()) / two
    return bool(np.abs(left - right).max() * max(one, two) <= rest)


@compiled
def same_colour(a: NDArray[np.float64], b: NDArray[np.float64], least: float) -> bool:
    """Whether the colour of each block has about the same hue and saturation; ``least`` levels always pass."""
    for place in range(_FINE, _FINE + _COARSE):
        u, v, x, y = a[place], a[place + _COARSE], b[place], b[place + _COARSE]
        strongest = max(np.sqrt(u * u + v * v), np.sqrt(x * x + y * y))
        if strongest == 0:
            continue
        hue = abs(u * y - v * x) / strongest
        weaker = (u * x + v * y) / strongest
        if hue > least + 0.15 * strongest or strongest - weaker > least + 0.35 * strongest:
            return False
    return True


@compiled
def is_grey(colours: Words, blocks: NDArray[np.float64]) -> bool:
    """Whether a picture has no colour anywhere."""
    return byte_of(colours, _COLOURED) == 0 and np.abs(blocks[_FINE:]).max() <= 2


@compiled
def coarse(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luma of 4 x 4 blocks."""
    means = np.zeros(_COARSE)
    for place in range(_FINE):
        means[(place >> 4) * 4 + ((place & 7) >> 1)] += blocks[place] / 4
    return means


@compiled
def agree(a: Words, b: Words, grey: bool, closely: bool) -> bool:
    """Whether two pictures may be the same by their colours (13 words each) and, where both rows go on, thumbnails.

    ``closely`` asks for thumbnails that match closely, on both sides.
    """
    if not closely and identical(a, b):
        return True
    both = a.size == LOOK_WORDS and known(a[COLOUR_WORDS:]) and known(b[COLOUR_WORDS:])
    if closely and not both:
        return False
    asked = colours_agree(a, b, grey)
    if not both or asked == NO:
        return asked == YES
    if asked == IF_IDENTICAL and same_picture(a[COLOUR_WORDS:], b[COLOUR_WORDS:], IDENTICAL) != YES:
        return False
    found = same_picture(a[COLOUR_WORDS:], b[COLOUR_WORDS:], CLOSE if closely else LOOSE)
    return found == YES or (found == SMOOTH and smooth_agree(a, b, grey))


@compiled
def identical(a: Words, b: Words) -> bool:
    """Whether all words are the same."""
    for word in range(a.size):  # noqa: SIM110 - a generator is not compiled
        if a[word] != b[word]:
            return False
    return True


@compiled
def smooth_agree(a: Words, b: Words, grey: bool) -> bool:
    """Whether two smooth pictures have the same colours, except under a watermark.

    Colours have to change as the contrast of the luma does, as they do where a picture is made brighter.
    """
    one, two = unpacked(a), unpacked(b)
    if grey and (is_grey(a, one) or is_grey(b, two)) and same_levels(a[COLOUR_WORDS:], b[COLOUR_WORDS:]):
        # A grey copy of a flat ground is no copy of what stands on it, unless the ground has no colour in either.
        return (not flat(one) and not flat(two)) or alike_blocks(one, two, 1.0) >= _COARSE // 2
    contrast = contrast_between(a[COLOUR_WORDS:], b[COLOUR_WORDS:])
    if not 0.6 < contrast < 1.67:
        return False
    return alike_blocks(one, two, contrast) >= 12


@compiled
def alike_blocks(a: NDArray[np.float64], b: NDArray[np.float64], contrast: float) -> int:
    """How many of the 16 blocks of b have the colours of a after a change of contrast."""
    count = 0
    for place in range(_FINE, _FINE + _COARSE):
        u, v = a[place] - contrast * b[place], a[place + _COARSE] - contrast * b[place + _COARSE]
        strength = np.sqrt(a[place] ** 2 + a[place + _COARSE] ** 2)
        count += int(np.sqrt(u * u + v * v) <= 3.0 + 0.06 * strength)
    return count


@compiled
def flat(blocks: NDArray[np.float64]) -> bool:
    """Whether three quarters of the blocks have about the same luma."""
    luma = np.sort(np.abs(blocks[:_FINE] - np.median(blocks[:_FINE])))
    return bool(luma[_FINE * 3 // 4] < _FLAT)


@compiled
def colours_agree(a: Words, b: Words, grey: bool) -> int:
    """Whether the colours of two pictures may be those of the same picture: ``NO``, ``YES`` or ``IF_IDENTICAL``."""
    if byte_of(a, _GROUND) == 0 or byte_of(b, _GROUND) == 0:
        return YES
    part = byte_of(a, _PART) != 0 or byte_of(b, _PART) != 0
    one, two = unpacked(a), unpacked(b)
    copy = grey and (is_grey(a, one) or is_grey(b, two))
    if max(byte_of(a, _GROUND), byte_of(b, _GROUND)) >= _PLAIN:
        left, right = one[:_FINE], two[:_FINE]
        limit = 9.0 if part else 3.0
        if abs(left.mean() - right.mean()) > 48 or not same_luma(left, right, limit, limit, 1.33):
            return NO
        if same_colour(one, two, 6.0 if part else 2.0):
            return YES
        shaped = copy and max(spread(left), spread(right)) >= _FLAT
        return YES if shaped and np.abs(left - right).max() <= 12 else NO
    left, right = coarse(one), coarse(two)
    if not same_luma(left, right, 48.0, 20.0, 1.8):
        return NO
    if same_colour(one, two, 14.0):
        return YES
    if not copy:
        return NO
    if np.abs(left - right).max() <= (32 if part else 18):
        return YES
    return IF_IDENTICAL if max(byte_of(a, _GROUND), byte_of(b, _GROUND)) <= _RICH else NO


@compiled
def overlap(low: float, high: float, place: int) -> float:
    """How much of the block from ``place`` to ``place + 1`` lies between ``low`` and ``high``."""
    return max(0.0, min(high, place + 1.0) - max(low, float(place)))


@compiled
def resample(blocks: NDArray[np.float64], start: int, side: int, window: NDArray[np.float64]) -> None:
    """Makes ``side`` x ``side`` blocks from ``start`` on those of a window, as if each block were of one colour."""
    kept = 1.0 - window[0]
    left, top = window[0] * window[1] * side, window[0] * window[2] * side
    old = blocks[start : start + side * side].copy()
    for row in range(side):
        for column in range(side):
            total = 0.0
            for r in range(side):
                high = overlap(top + row * kept, top + (row + 1) * kept, r)
                if high == 0:
                    continue
                for c in range(side):
                    total += old[r * side + c] * high * overlap(left + column * kept, left + (column + 1) * kept, c)
            blocks[start + row * side + column] = total / (kept * kept)


@compiled
def turn_blocks(blocks: NDArray[np.float64], start: int, side: int, turn: int) -> None:
    """Mirrors and transposes ``side`` x ``side`` blocks as ``curation.dedupe.search.symmetry.turned`` does pictures."""
    old = blocks[start : start + side * side].copy()
    for row in range(side):
        for column in range(side):
            r = side - 1 - row if turn & 2 else row
            c = side - 1 - column if turn & 1 else column
            blocks[start + row * side + column] = old[c * side + r] if turn & 4 else old[r * side + c]


@compiled
def colours_of_view(colours: Words, view: int, turns: int) -> Words:
    """The colours of one of a picture's ``turns`` views (``views_of``): a part, mirrored or turned; 0 is as it is."""
    found = colours.copy()
    if view == 0:
        return found
    window, turn = (view >> 3, view & 7) if turns % 8 == 0 else (view, 0)
    if colours.size == LOOK_WORDS:
        found[COLOUR_WORDS:] = of_view(colours[COLOUR_WORDS:], window, turn)
    if byte_of(colours, _GROUND) == 0:
        return found
    blocks = unpacked(colours)
    for start, side in ((0, 8), (_FINE, 4), (_FINE + _COARSE, 4)):
        if window:
            resample(blocks, start, side, _SIDES[window])
        if turn:
            turn_blocks(blocks, start, side, turn)
    found[: COLOUR_WORDS - 1] = 0
    found[COLOUR_WORDS - 1] = colours[COLOUR_WORDS - 1] | (np.uint64(window != 0) << np.uint64(8 * (_PART & 7)))
    for place in range(_BLOCKS):
        value = round(blocks[place]) + (128 if place >= _FINE else 0)
        found[place >> 3] |= np.uint64(int(min(255, max(0, value)))) << np.uint64(8 * (place & 7))
    return found


@compiled
def seen_as(colours: Words, view: int, turns: int) -> Words:
    """``colours_of_view`` of every row."""
    found = np.empty(colours.shape, np.uint64)
    for row in range(colours.shape[0]):
        found[row] = colours_of_view(colours[row], view, turns)
    return found
