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
from curation.images.windows import WINDOWS

THUMBNAIL_WORDS = 33
_SIDE = 16
_PIXELS = _SIDE * _SIDE
_HALF = (_SIDE - 1) / 2
_UNKNOWNS = 6
_STEPS = 4
_KEPT = 0.85  # share of the pixels that count as not covered by a watermark
_WORST = 0.97  # share of the pixels that are within the largest difference allowed
_OUTSIDE = 0.05  # half widths: how far a crop may seem to reach beyond the picture that it was cut from
_NOISE = 0.5  # levels by which copies differ by rounding and compression
_MOVED = 0.3  # half widths: how far a fit may go from where it began
_FAR = 1e9
# Of each window: scale, and offset across and down, in half widths; of the whole picture first.
_BEGIN = np.array([(1.0, 0.0, 0.0), *((1 - s, s * (2 * x - 1), s * (2 * y - 1)) for s, x, y in WINDOWS)])

LOOSE, CLOSE, IDENTICAL = 0, 1, 2
"""How well thumbnails have to match: as those of pictures whose 256-bit hashes are near do; so well that they confirm
pictures whose 256-bit hashes are not near; so well that one may be a grey and brighter copy of the other."""
NO, SMOOTH, YES = 0, 1, 2
_SMOOTH = 4.0  # levels of detail below which a picture is all but a smooth surface
_GROUND = 4.0  # levels around the median that count as it
_FLAT = 1.0  # levels around the median that hold most of a flat picture
_DARK = 16.0  # luma that counts as black; a black ground is still one after a change of brightness
_LEVEL = 2.5  # levels by which copies of a smooth picture differ
_LEFT_OVER = np.array([0.85, 0.55, 0.45])  # most that is left after the fit, in parts of the detail
_DIFFERENCE = np.array([_FAR, 2.2, 2.2])  # most that single pixels may differ by, likewise
_DETAIL = np.array([0.0, 2.0, 4.0])  # least detail in levels


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
    pixels = np.empty(_PIXELS)
    for row in range(_SIDE):
        for column in range(_SIDE):
            r = _SIDE - 1 - row if turn & 2 else row
            c = _SIDE - 1 - column if turn & 1 else column
            place = c * _SIDE + r if turn & 4 else r * _SIDE + c
            pixels[row * _SIDE + column] = (thumbnail[1 + (place >> 3)] >> np.uint64(8 * (place & 7))) & np.uint64(255)
    return pixels


@compiled
def solve(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> None:
    """Solves a positive definite system in place: ``vector`` becomes the solution."""
    n = vector.size
    for k in range(n):
        for i in range(k + 1, n):
            factor = matrix[i, k] / matrix[k, k]
            for j in range(k, n):
                matrix[i, j] -= factor * matrix[k, j]
            vector[i] -= factor * vector[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            vector[k] -= matrix[k, j] * vector[j]
        vector[k] /= matrix[k, k]


@compiled
def detail_of(pixels: NDArray[np.float64]) -> float:
    """What a quadratic surface does not explain: root mean square in levels, without the strongest pixels."""
    matrix, vector, terms = np.zeros((_UNKNOWNS, _UNKNOWNS)), np.zeros(_UNKNOWNS), np.empty(_UNKNOWNS)
    rest = np.empty(_PIXELS)
    for fitted in range(2):
        for place in range(_PIXELS):
            u, v = (place % _SIDE - _HALF) / _HALF, (place // _SIDE - _HALF) / _HALF
            terms[0], terms[1], terms[2], terms[3], terms[4], terms[5] = 1.0, u, v, u * u, u * v, v * v
            if fitted:
                rest[place] = pixels[place]
                for p in range(_UNKNOWNS):
                    rest[place] -= vector[p] * terms[p]
            else:
                for p in range(_UNKNOWNS):
                    for q in range(_UNKNOWNS):
                        matrix[p, q] += terms[p] * terms[q]
                    vector[p] += terms[p] * pixels[place]
        if not fitted:
            solve(matrix, vector)
    return trimmed(np.sort(np.abs(rest)))


@compiled
def trimmed(ranked: NDArray[np.float64]) -> float:
    """Root mean square of the lowest of these numbers, which are sorted."""
    kept = max(1, int(ranked.size * _KEPT))
    total = 0.0
    for place in range(kept):
        total += ranked[place] * ranked[place]
    return float(np.sqrt(total / kept))


@compiled
def taps(scale: float, offset: float, places: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
    """For each pixel of a line where it lies on the other line: four places and the cubic weights of each.

    The weights of one that lies outside are all zero.
    """
    for i in range(_SIDE):
        at = (scale * ((i - _HALF) / _HALF) + offset) * _HALF + _HALF
        inside = -0.5 <= at <= _SIDE - 0.5
        at = min(max(at, 0.0), _SIDE - 1.0)
        first = min(int(at), _SIDE - 2)
        f = at - first
        weights[i, 0] = ((-0.5 * f + 1.0) * f - 0.5) * f
        weights[i, 1] = (1.5 * f - 2.5) * f * f + 1.0
        weights[i, 2] = ((-1.5 * f + 2.0) * f + 0.5) * f
        weights[i, 3] = (0.5 * f - 0.5) * f * f
        for k in range(4):
            places[i, k] = min(max(first - 1 + k, 0), _SIDE - 1)
            if not inside:
                weights[i, k] = 0.0


@compiled
def warp(pixels: NDArray[np.float64], fit: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Samples a picture where a crop of it lies; says which pixels of the crop lie inside."""
    places, weights = np.empty((_SIDE, 4), np.int64), np.empty((_SIDE, 4))
    taps(fit[0], fit[1], places, weights)
    lines = np.empty((_SIDE, _SIDE))
    across = np.empty(_SIDE, np.bool_)
    for column in range(_SIDE):
        across[column] = weights[column].any()
        for row in range(_SIDE):
            total = 0.0
            for k in range(4):
                total += pixels[row * _SIDE + places[column, k]] * weights[column, k]
            lines[row, column] = total
    taps(fit[2], fit[3], places, weights)
    inside = np.empty(_PIXELS, np.bool_)
    for row in range(_SIDE):
        down = weights[row].any()
        for column in range(_SIDE):
            total = 0.0
            for k in range(4):
                total += lines[places[row, k], column] * weights[row, k]
            found[row * _SIDE + column] = total
            inside[row * _SIDE + column] = down and across[column]
    return inside


@compiled
def slope(pixels: NDArray[np.float64], place: int, along: int, scale: float) -> float:
    """Change of luma a half width of the larger picture, ``along`` a row (1) or a column (the side)."""
    at = place % _SIDE if along == 1 else place // _SIDE
    back, on = min(at, 1), min(_SIDE - 1 - at, 1)
    return float((pixels[place + on * along] - pixels[place - back * along]) / (on + back) * _HALF / scale)


@compiled
def improve(
    small: NDArray[np.float64],
    seen: NDArray[np.float64],
    weight: NDArray[np.float64],
    fit: NDArray[np.float64],
    moves: bool,
) -> None:
    """One step of Gauss and Newton. ``fit``: scale and offset across, the same down, contrast, brightness.

    Without ``moves`` only the last two change.
    """
    matrix, vector, terms = np.zeros((_UNKNOWNS, _UNKNOWNS)), np.zeros(_UNKNOWNS), np.empty(_UNKNOWNS)
    for place in range(_PIXELS):
        if weight[place] == 0.0:
            continue
        across = fit[4] * slope(seen, place, 1, fit[0]) if moves else 0.0
        down = fit[4] * slope(seen, place, _SIDE, fit[2]) if moves else 0.0
        terms[0], terms[1] = across * ((place % _SIDE - _HALF) / _HALF), across
        terms[2], terms[3] = down * ((place // _SIDE - _HALF) / _HALF), down
        terms[4], terms[5] = seen[place], 1.0
        rest = small[place] - (fit[4] * seen[place] + fit[5])
        for p in range(_UNKNOWNS):
            for q in range(_UNKNOWNS):
                matrix[p, q] += weight[place] * terms[p] * terms[q]
            vector[p] += weight[place] * terms[p] * rest
    for p in range(_UNKNOWNS):
        matrix[p, p] += 1e-3 * _PIXELS
    solve(matrix, vector)
    for p in range(_UNKNOWNS):
        fit[p] += vector[p]


@compiled
def left_over(
    small: NDArray[np.float64],
    large: NDArray[np.float64],
    begin: NDArray[np.float64],
    fit: NDArray[np.float64],
    moves: bool,
) -> tuple[float, float]:
    """What is left of a crop after the fit to the picture that it may be cut from: typical and nearly worst levels.

    ``fit`` begins at ``begin`` and ends as ``improve`` leaves it. A crop that seems to lie outside is far from fitting.
    """
    fit[:4] = begin
    fit[4], fit[5] = 1.0, 0.0
    weight, seen = np.ones(_PIXELS), np.empty(_PIXELS)
    ranked, rest = np.empty(0), np.empty(_PIXELS)
    warp(large, fit, seen)
    for _ in range(_STEPS):
        improve(small, seen, weight, fit, moves)
        if np.abs(fit[:4] - begin).max() > _MOVED or not 0.3 < fit[4] < 3.0:
            return _FAR, _FAR
        inside = warp(large, fit, seen)
        rest[:] = np.abs(small - (fit[4] * seen + fit[5]))
        ranked = np.sort(rest[inside])
        if ranked.size < _PIXELS // 2:
            return _FAR, _FAR
        scale = 2.0 * (ranked[int(ranked.size * 0.7)] + 0.5)
        for place in range(_PIXELS):
            weight[place] = 1.0 / (1.0 + (rest[place] / scale) ** 2) if inside[place] else 0.0
    for start in (0, 2):
        if abs(fit[start + 1]) + fit[start] > 1.0 + _OUTSIDE:
            return _FAR, _FAR
    return trimmed(ranked), ranked[int(ranked.size * _WORST)]


@compiled
def fits(
    small: NDArray[np.float64],
    large: NDArray[np.float64],
    begin: NDArray[np.float64],
    details: tuple[float, float],
    how: int,
    moves: bool,
) -> bool:
    """Whether a crop fits the picture well enough where it begins, or with ``moves`` somewhere near.

    ``details`` are those of both.
    """
    if min(details) < _DETAIL[how]:
        return False
    fit = np.empty(_UNKNOWNS)
    typical, worst = left_over(small, large, begin, fit, moves)
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
    found = fits(one, two, begin, details, how, False) or (window == 0 and fits(two, one, begin, swapped, how, False))
    if how == LOOSE and (min(details) < _SMOOTH or (grounded(one) and grounded(two))):
        return SMOOTH if found and window == 0 else NO
    found = found or fits(one, two, begin, details, how, True)
    return YES if found or (window == 0 and fits(two, one, begin, swapped, how, True)) else NO


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
    fit = np.empty(_UNKNOWNS)
    left_over(one, two, np.array([1.0, 0.0, 1.0, 0.0]), fit, False)
    return float(fit[4])


@compiled
def flat(pixels: NDArray[np.float64]) -> bool:
    """Whether most of a picture is of one level, by rounding and compression."""
    ranked = np.sort(np.abs(pixels - np.median(pixels)))
    return bool(ranked[_PIXELS * 6 // 10] < _FLAT)


@compiled
def same_levels(a: Words, b: Words) -> bool:
    """Whether two pictures have the same luma as they lie, except under a watermark."""
    one, two = pixels_of(a, 0), pixels_of(b, np.int64((b[0] >> np.uint64(32)) & np.uint64(7)))
    return trimmed(np.sort(np.abs(one - two))) <= _LEVEL
