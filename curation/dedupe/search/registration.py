"""Lays one 16 x 16 picture over another by least squares, and tells what is left.

Six numbers are fitted: scale and offset in both directions, contrast and brightness (Lucas and Kanade's registration,
with the robust weights of Geman and McClure).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.compiling import compiled

SIDE = 16
PIXELS = SIDE * SIDE
_HALF = (SIDE - 1) / 2
UNKNOWNS = 6
FAR = 1e9
_STEPS = 4
_RIDGE = 1e-3 * PIXELS  # keeps what a smooth picture does not determine where it begins
_KEPT = 0.85  # share of the pixels that count as not covered by a watermark
_WORST = 0.97  # share of the pixels that are within the largest difference allowed
_OUTSIDE = 0.05  # half widths: how far a crop may seem to reach beyond the picture that it was cut from
FREE, NEAR, STILL = 0.3, 0.12, 0.0
"""How far a fit may go from where it begins, in half widths: of whole pictures, of windows, which lie closer together
than that, and where only contrast and brightness are fitted."""


def _surface() -> NDArray[np.float64]:
    """The six terms of a quadratic surface over the pixels, orthonormal."""
    along = (np.arange(SIDE) - _HALF) / _HALF
    terms = [np.ones(SIDE), along, along**2 - (along**2).mean()]
    lines = [term / np.sqrt((term**2).sum()) for term in terms]
    pairs = ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))
    return np.stack([np.outer(lines[down], lines[across]).ravel() for down, across in pairs])


_SURFACE = _surface()


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
    rest = pixels.copy()
    for term in range(UNKNOWNS):
        share = 0.0
        for place in range(PIXELS):
            share += _SURFACE[term, place] * pixels[place]
        for place in range(PIXELS):
            rest[place] -= share * _SURFACE[term, place]
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
    for i in range(SIDE):
        at = (scale * ((i - _HALF) / _HALF) + offset) * _HALF + _HALF
        inside = -0.5 <= at <= SIDE - 0.5
        at = min(max(at, 0.0), SIDE - 1.0)
        first = min(int(at), SIDE - 2)
        f = at - first
        weights[i, 0] = ((-0.5 * f + 1.0) * f - 0.5) * f
        weights[i, 1] = (1.5 * f - 2.5) * f * f + 1.0
        weights[i, 2] = ((-1.5 * f + 2.0) * f + 0.5) * f
        weights[i, 3] = (0.5 * f - 0.5) * f * f
        for k in range(4):
            places[i, k] = min(max(first - 1 + k, 0), SIDE - 1)
            if not inside:
                weights[i, k] = 0.0


@compiled
def warp(pixels: NDArray[np.float64], fit: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Samples a picture where a crop of it lies; says which pixels of the crop lie inside."""
    places, weights = np.empty((SIDE, 4), np.int64), np.empty((SIDE, 4))
    taps(fit[0], fit[1], places, weights)
    lines = np.empty((SIDE, SIDE))
    across = np.empty(SIDE, np.bool_)
    for column in range(SIDE):
        across[column] = weights[column].any()
        for row in range(SIDE):
            total = 0.0
            for k in range(4):
                total += pixels[row * SIDE + places[column, k]] * weights[column, k]
            lines[row, column] = total
    taps(fit[2], fit[3], places, weights)
    inside = np.empty(PIXELS, np.bool_)
    for row in range(SIDE):
        down = weights[row].any()
        for column in range(SIDE):
            total = 0.0
            for k in range(4):
                total += lines[places[row, k], column] * weights[row, k]
            found[row * SIDE + column] = total
            inside[row * SIDE + column] = down and across[column]
    return inside


@compiled
def slope(pixels: NDArray[np.float64], place: int, along: int, scale: float) -> float:
    """Change of luma a half width of the larger picture, ``along`` a row (1) or a column (the side)."""
    at = place % SIDE if along == 1 else place // SIDE
    back, on = min(at, 1), min(SIDE - 1 - at, 1)
    return float((pixels[place + on * along] - pixels[place - back * along]) / (on + back) * _HALF / scale)


@compiled
def adjust(
    small: NDArray[np.float64], seen: NDArray[np.float64], weight: NDArray[np.float64], fit: NDArray[np.float64]
) -> None:
    """One step of weighted least squares for contrast and brightness, ``fit[4:]``, of pictures that do not move."""
    matrix, vector = np.zeros((2, 2)), np.zeros(2)
    matrix[0, 0] = matrix[1, 1] = _RIDGE
    for place in range(PIXELS):
        rest = small[place] - (fit[4] * seen[place] + fit[5])
        weighted = weight[place] * seen[place]
        matrix[0, 0] += weighted * seen[place]
        matrix[0, 1] += weighted
        matrix[1, 1] += weight[place]
        vector[0] += weighted * rest
        vector[1] += weight[place] * rest
    matrix[1, 0] = matrix[0, 1]
    solve(matrix, vector)
    fit[4:] += vector


@compiled
def improve(
    small: NDArray[np.float64], seen: NDArray[np.float64], weight: NDArray[np.float64], fit: NDArray[np.float64]
) -> None:
    """One step of Gauss and Newton. ``fit``: scale and offset across, the same down, contrast, brightness."""
    matrix, vector, terms = np.zeros((UNKNOWNS, UNKNOWNS)), np.zeros(UNKNOWNS), np.empty(UNKNOWNS)
    for place in range(PIXELS):
        if weight[place] == 0.0:
            continue
        across, down = fit[4] * slope(seen, place, 1, fit[0]), fit[4] * slope(seen, place, SIDE, fit[2])
        terms[0], terms[1] = across * ((place % SIDE - _HALF) / _HALF), across
        terms[2], terms[3] = down * ((place // SIDE - _HALF) / _HALF), down
        terms[4], terms[5] = seen[place], 1.0
        rest = small[place] - (fit[4] * seen[place] + fit[5])
        for p in range(UNKNOWNS):
            weighted = weight[place] * terms[p]
            for q in range(p + 1):
                matrix[p, q] += weighted * terms[q]
            vector[p] += weighted * rest
    for p in range(UNKNOWNS):
        matrix[p, p] += _RIDGE
        for q in range(p):
            matrix[q, p] = matrix[p, q]
    solve(matrix, vector)
    fit += vector


@compiled
def ranked_at(values: NDArray[np.float64], rank: int) -> float:
    """The value that would stand at this place if they were sorted; they are put in another order."""
    low, high = 0, values.size - 1
    while low < high:
        middle = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] < middle:
                i += 1
            while values[j] > middle:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return float(values[rank])


@compiled
def left_over(
    small: NDArray[np.float64],
    large: NDArray[np.float64],
    begin: NDArray[np.float64],
    fit: NDArray[np.float64],
    reach: float,
) -> tuple[float, float]:
    """What is left of a crop after the fit to the picture that it may be cut from: typical and nearly worst levels.

    ``fit`` begins at ``begin`` and ends as the steps leave it. A crop that seems to lie outside, or farther than
    ``reach`` (half widths) from where it begins, is far from fitting.
    """
    fit[:4] = begin
    fit[4], fit[5] = 1.0, 0.0
    weight, seen, rest = np.ones(PIXELS), np.empty(PIXELS), np.empty(PIXELS)
    inside = warp(large, fit, seen)
    ranked = np.empty(0)
    for step in range(_STEPS):
        if reach > STILL:
            improve(small, seen, weight, fit)
        else:
            adjust(small, seen, weight, fit)
        if np.abs(fit[:4] - begin).max() > reach or not 0.3 < fit[4] < 3.0:
            return FAR, FAR
        if reach > STILL:
            inside = warp(large, fit, seen)
        rest[:] = np.abs(small - (fit[4] * seen + fit[5]))
        ranked = rest[inside]
        if ranked.size < PIXELS // 2:
            return FAR, FAR
        if step == _STEPS - 1:
            break
        scale = 2.0 * (ranked_at(ranked, int(ranked.size * 0.7)) + 0.5)
        for place in range(PIXELS):
            weight[place] = 1.0 / (1.0 + (rest[place] / scale) ** 2) if inside[place] else 0.0
    ranked.sort()
    for start in (0, 2):
        if abs(fit[start + 1]) + fit[start] > 1.0 + _OUTSIDE:
            return FAR, FAR
    return trimmed(ranked), ranked[int(ranked.size * _WORST)]
