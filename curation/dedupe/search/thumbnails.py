"""Whether the 16 x 16 thumbnails of two pictures show the same picture, one of them perhaps cropped.

One thumbnail is laid over the other: six numbers (scale and offset in both directions, contrast and brightness) are
fitted by least squares (Lucas and Kanade's registration, with the robust weights of Geman and McClure). What is left
after the fit is compared with the detail of the pictures, which is what a smooth surface does not explain. Left
overs that are small against the detail mean the same picture; a sky is not another sky with the same gradient, since
neither has detail, and two pictures under one watermark are not the same since the watermark is a small part of them.

A thumbnail is 33 words (``curation.images.thumbnail``), of which byte 3 says which window of the picture and byte 4
which of its eight symmetries is meant. One that is not known is all zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.compiling import Words, compiled
from curation.dedupe.search.registration import (
    FAR,
    FREE,
    NEAR,
    PIXELS,
    SIDE,
    STILL,
    UNKNOWNS,
    detail_of,
    left_over,
    trimmed,
)
from curation.images.windows import WINDOWS

THUMBNAIL_WORDS = 33
_NOISE = 0.5  # levels by which copies differ by rounding and compression
# Of each window: scale, and offset across and down, in half widths; of the whole picture first.
_BEGIN = np.array([(1.0, 0.0, 0.0), *((1 - s, s * (2 * x - 1), s * (2 * y - 1)) for s, x, y in WINDOWS)])

LOOSE, CLOSE, IDENTICAL, IN_PLACE = 0, 1, 2, 3
"""How well thumbnails have to match: as those of pictures whose 256-bit hashes are near do; so well that they confirm
pictures whose 256-bit hashes are not near; so well that one may be a grey and brighter copy of the other; as
the second, where nothing has moved and a watermark may cover a part."""
NO, SMOOTH, YES = 0, 1, 2
_SMOOTH = 4.0  # levels of detail below which a picture is all but a smooth surface
_GROUND = 4.0  # levels around the median that count as it
_FLAT = 1.0  # levels around the median that hold most of a flat picture
_DARK = 16.0  # luma that counts as black; a black ground is still one after a change of brightness
_LEVEL = 2.5  # levels by which copies of a smooth picture differ
_LEFT_OVER = np.array([0.85, 0.55, 0.45, 0.35])  # most that is left after the fit, in parts of the detail
_DIFFERENCE = np.array([FAR, 2.2, 2.2, FAR])  # most that single pixels may differ by, likewise
_DETAIL = np.array([0.0, 2.0, 4.0, 2.0])  # least detail in levels


@compiled
def known(thumbnail: Words) -> bool:
    """Whether there is a thumbnail."""
    return bool(thumbnail[0] & np.uint64(255))


@compiled
def of_view(thumbnail: Words, window: int, turn: int) -> Words:
    """The same thumbnail, meant as one of the picture's windows (0 for all of it) in one of its eight symmetries."""
    found = thumbnail.copy()
    if known(thumbnail):
        found[0] |= (np.uint64(window) << np.uint64(24)) | (np.uint64(turn) << np.uint64(32))
    return found


@compiled
def pixels_of(thumbnail: Words, turn: Any) -> NDArray[np.float64]:
    """Luma, mirrored and transposed as ``curation.dedupe.search.symmetry.turned`` does with pictures."""
    pixels = np.empty(PIXELS)
    for row in range(SIDE):
        for column in range(SIDE):
            r = SIDE - 1 - row if turn & 2 else row
            c = SIDE - 1 - column if turn & 1 else column
            place = c * SIDE + r if turn & 4 else r * SIDE + c
            pixels[row * SIDE + column] = (thumbnail[1 + (place >> 3)] >> np.uint64(8 * (place & 7))) & np.uint64(255)
    return pixels


@compiled
def fits(
    small: NDArray[np.float64],
    large: NDArray[np.float64],
    begin: NDArray[np.float64],
    details: tuple[float, float],
    how: int,
    reach: float,
) -> bool:
    """Whether a crop fits the picture well within ``reach`` of where it begins; ``details`` are those of both."""
    if min(details) < _DETAIL[how]:
        return False
    fit = np.empty(UNKNOWNS)
    typical, worst = left_over(small, large, begin, fit, reach)
    allowed = min(details[0], details[1] * fit[4]) + _NOISE
    return bool(typical <= _LEFT_OVER[how] * allowed and worst <= _DIFFERENCE[how] * allowed)


@compiled
def same_picture(a: Words, b: Words, how: int) -> int:
    """Whether two known thumbnails show the same picture, or the first one what the second is meant as.

    Of two whole pictures either may be a crop of the other. Where the first is meant as a window or turned, the two
    change places. ``SMOOTH`` where they may be the same, but have too little detail to tell: compare their levels.
    """
    if a[0] >> np.uint64(24) != 0:
        a, b = b, a
    window = np.int64((b[0] >> np.uint64(24)) & np.uint64(255))
    turn = np.int64((b[0] >> np.uint64(32)) & np.uint64(7))
    one, two = pixels_of(a, 0), pixels_of(b, turn)
    scale, x, y = _BEGIN[window, 0], _BEGIN[window, 1], _BEGIN[window, 2]
    if turn & 4:
        x, y = y, x
    begin = np.array([scale, -x if turn & 1 else x, scale, -y if turn & 2 else y])
    details = (detail_of(one), detail_of(two))
    swapped = (details[1], details[0])
    still = IN_PLACE if how == CLOSE and window == 0 else how
    found = fits(one, two, begin, details, still, STILL) or (
        window == 0 and fits(two, one, begin, swapped, still, STILL)
    )
    if how == LOOSE and (min(details) < _SMOOTH or (grounded(one) and grounded(two))):
        return SMOOTH if found and window == 0 else NO
    found = found or fits(one, two, begin, details, how, FREE if window == 0 else NEAR)
    return YES if found or (window == 0 and fits(two, one, begin, swapped, how, FREE)) else NO


@compiled
def grounded(pixels: NDArray[np.float64]) -> bool:
    """Whether most of a picture is of about one level."""
    return bool((np.abs(pixels - np.median(pixels)) <= _GROUND).mean() >= 0.6)


@compiled
def contrast_between(a: Words, b: Words) -> float:
    """The contrast of a for one of b as it lies; negative where both are flat and their levels differ.

    The same with a and b exchanged is about its inverse. Flat pictures have no contrast, so that a change of
    brightness cannot be told from another picture under the same watermark.
    """
    if a[0] >> np.uint64(24) != 0:
        return 1.0 / contrast_between_whole(b, a)
    return contrast_between_whole(a, b)


@compiled
def contrast_between_whole(a: Words, b: Words) -> float:
    """``contrast_between`` where the second may be turned."""
    one, two = pixels_of(a, 0), pixels_of(b, np.int64((b[0] >> np.uint64(32)) & np.uint64(7)))
    if flat(one) or flat(two):
        dark = max(np.median(one), np.median(two)) <= _DARK
        return 1.0 if dark or trimmed(np.sort(np.abs(one - two))) <= _LEVEL else -1.0
    fit = np.empty(UNKNOWNS)
    left_over(one, two, np.array([1.0, 0.0, 1.0, 0.0]), fit, STILL)
    return float(fit[4])


@compiled
def flat(pixels: NDArray[np.float64]) -> bool:
    """Whether most of a picture is of one level, by rounding and compression."""
    ranked = np.sort(np.abs(pixels - np.median(pixels)))
    return bool(ranked[PIXELS * 6 // 10] < _FLAT)


@compiled
def same_levels(a: Words, b: Words) -> bool:
    """Whether two pictures have the same luma as they lie, except under a watermark."""
    one, two = pixels_of(a, 0), pixels_of(b, np.int64((b[0] >> np.uint64(32)) & np.uint64(7)))
    return trimmed(np.sort(np.abs(one - two))) <= _LEVEL
