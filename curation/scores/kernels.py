"""Compiled loops of the scorers: each of them goes once over the pixels that its score is about.

Pictures are 8-bit arrays that are contiguous and may be written to (``ready`` makes one so), since other kinds of
arrays would be compiled anew. ``padded`` is a grey picture with one pixel more on every side, mirrored at the edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.images.jit import jit

Pixels = NDArray[np.uint8]
_LINES_OF_32_BITS = 1024  # lines whose squares of a Laplacian add up to less than 2**31
_LINES_OF_8_BITS = 255  # lines whose counts fit into a byte


def ready(pixels: Pixels) -> Pixels:
    """The same pixels as the loops take them; as a rule the very same array."""
    contiguous: Pixels = np.ascontiguousarray(pixels)
    return contiguous if contiguous.flags.writeable else contiguous.copy()


@jit
def laplacian(padded: Any) -> Any:
    """The sum of the Laplacian (0 1 0, 1 -4 1, 0 1 0) over the inner pixels, and the sum of its squares."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    values = np.empty(width, np.int16)
    sums, squares = np.zeros(width, np.int32), np.zeros(width, np.int32)
    total, square = np.int64(0), np.int64(0)
    for y in range(height):
        above, line, below = padded[y, 1:-1], padded[y + 1, 1:-1], padded[y + 2, 1:-1]
        before, behind = padded[y + 1, :-2], padded[y + 1, 2:]
        # Narrow numbers on the way, so that one instruction takes many pixels.
        for x in range(width):
            around = np.int64(above[x]) + np.int64(below[x]) + np.int64(before[x]) + np.int64(behind[x])
            values[x] = around - 4 * np.int64(line[x])
        for x in range(width):
            sums[x] += values[x]
            squares[x] += np.int32(values[x]) * np.int32(values[x])
        if y == height - 1 or (y + 1) % _LINES_OF_32_BITS == 0:
            for x in range(width):
                total += sums[x]
                square += squares[x]
            sums[:] = 0
            squares[:] = 0
    return total, square


@jit
def steps(padded: Any, step: Any, strong: Any, level: Any, columns: Any, rows: Any) -> Any:
    """What neighbours differ by, of a picture of H x W pixels; the three thresholds are bytes.

    Adds to ``columns`` (W - 1) and ``rows`` (H - 1), for each line between two of them, the pixels that differ by more
    than ``step`` across it. Gives three numbers of pixels: those whose 3 x 3 neighbours span less than ``level``; those
    that differ by more than ``strong`` from the next one to the right or below; and those of the latter that differ by
    less than ``level`` from the other one.
    """
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    highest, lowest = np.empty(width + 2, np.uint8), np.empty(width + 2, np.uint8)
    across, down, span = np.empty(width, np.uint8), np.empty(width, np.uint8), np.empty(width, np.uint8)
    flat, seams, edges, aligned = _zeros(width), _zeros(width), _zeros(width), _zeros(width)
    all_flat, all_edges, all_aligned = np.int64(0), np.int64(0), np.int64(0)
    for y in range(height):
        _spans(padded, y, highest, lowest, span)
        for x in range(width):
            flat[x] += np.uint8(span[x] < level)
        for x in range(width - 1):
            one, other = padded[y + 1, x + 1], padded[y + 1, x + 2]
            across[x] = max(one, other) - min(one, other)
        for x in range(width - 1):
            seams[x] += np.uint8(across[x] > step)
        if y < height - 1:
            for x in range(width):
                one, other = padded[y + 1, x + 1], padded[y + 2, x + 1]
                down[x] = max(one, other) - min(one, other)
            many = np.int64(0)
            for x in range(width):
                many += np.int64(down[x] > step)
            rows[y] += many
            for x in range(width - 1):
                edge = np.uint8(max(across[x], down[x]) > strong)
                edges[x] += edge
                aligned[x] += edge & np.uint8(min(across[x], down[x]) < level)
        if y == height - 1 or (y + 1) % _LINES_OF_8_BITS == 0:
            for x in range(width - 1):
                columns[x] += seams[x]
                all_edges += edges[x]
                all_aligned += aligned[x]
            for x in range(width):
                all_flat += flat[x]
            flat[:] = 0
            seams[:] = 0
            edges[:] = 0
            aligned[:] = 0
    return all_flat, all_edges, all_aligned


@jit
def _zeros(width: Any) -> Any:
    return np.zeros(width, np.uint8)


@jit
def _spans(padded: Any, y: Any, highest: Any, lowest: Any, found: Any) -> None:
    """What the 3 x 3 neighbours of each pixel of a line span."""
    width = padded.shape[1]
    for x in range(width):
        highest[x] = max(max(padded[y, x], padded[y + 1, x]), padded[y + 2, x])
        lowest[x] = min(min(padded[y, x], padded[y + 1, x]), padded[y + 2, x])
    for x in range(width - 2):
        high = max(max(highest[x], highest[x + 1]), highest[x + 2])
        found[x] = high - min(min(lowest[x], lowest[x + 1]), lowest[x + 2])


@jit
def colour_sums(pixels: Any, every: Any, shares: Any) -> Any:
    """What the colours of some pixels (blue, green, red) add up to, of one in ``every`` rows and columns.

    How many there are; the sum of their saturation in 255ths, as OpenCV rounds it, with ``shares`` of 255 and 12 bits
    by the highest channel; and of red - green and of red + green - 2 blue the sum and the sum of squares.
    """
    many, saturation, first, first_squares, second, second_squares = [np.int64(0) for _ in range(6)]
    for y in range(0, pixels.shape[0], every):
        for x in range(0, pixels.shape[1], every):
            blue, green, red = np.int64(pixels[y, x, 0]), np.int64(pixels[y, x, 1]), np.int64(pixels[y, x, 2])
            most, least = max(blue, green, red), min(blue, green, red)
            saturation += ((most - least) * shares[most] + 2048) >> 12
            one, other = red - green, red + green - 2 * blue
            first += one
            first_squares += one * one
            second += other
            second_squares += other * other
            many += 1
    return many, saturation, first, first_squares, second, second_squares


@jit
def borders(pixels: Any, tolerance: Any, sample: Any, stray: Any, found: Any) -> None:
    """The lines of one colour on the left, on the right, at the top and at the bottom: see ``_border``."""
    across = pixels.transpose((1, 0, 2))
    found[0] = _border(across[::1], tolerance, sample, stray)
    found[1] = _border(across[::-1], tolerance, sample, stray)
    found[2] = _border(pixels[::1], tolerance, sample, stray)
    found[3] = _border(pixels[::-1], tolerance, sample, stray)


@jit
def _border(lines: Any, tolerance: Any, sample: Any, stray: Any) -> Any:
    """How many of the lines (N, length, 3), from the first on, are of its median colour, but for a share of strays."""
    length = lines.shape[1]
    counts = np.zeros(256, np.int64)
    every = -(-length // sample)
    for channel in range(3):  # a few pixels of the first line spare most pictures all that follows
        counts[:] = 0
        many = 0
        for i in range(0, length, every):
            counts[lines[0, i, channel]] += 1
            many += 1
        if _most_within(counts, 2 * tolerance) < many - many // 4:
            return 0
    middle = np.empty(3, np.int64)
    for channel in range(3):
        counts[:] = 0
        for i in range(length):
            counts[lines[0, i, channel]] += 1
        middle[channel] = (_ranked(counts, (length - 1) // 2) + _ranked(counts, length // 2)) // 2
    for n in range(lines.shape[0]):
        strays = 0
        for i in range(length):
            beyond = False
            for channel in range(3):
                beyond |= abs(np.int64(lines[n, i, channel]) - middle[channel]) > tolerance
            strays += beyond
        if strays / length > stray:
            return n
    return lines.shape[0]


@jit
def _most_within(counts: Any, span: Any) -> Any:
    """The most values that lie no further than ``span`` from one another."""
    there, most = 0, 0
    for value in range(256):
        there += counts[value]
        if value > span:
            there -= counts[value - span - 1]
        most = max(most, there)
    return most


@jit
def _ranked(counts: Any, rank: Any) -> Any:
    """The value that stands at a place, from 0 on, among those counted."""
    below = 0
    for value in range(256):
        below += counts[value]
        if below > rank:
            return value
    return 255


@jit
def tones(shares: Any, dark: Any, blown: Any, found: Any) -> None:
    """Entropy in bits, mean and standard deviation of values, and what is below ``dark`` and from ``blown`` on.

    ``shares`` say how many there are of each value from 0 on.
    """
    entropy, mean, variance = 0.0, 0.0, 0.0
    for value in range(shares.size):
        if shares[value] > 0:
            entropy -= shares[value] * np.log2(shares[value])
            mean += shares[value] * value
    for value in range(shares.size):
        variance += shares[value] * (value - mean) ** 2
    found[0], found[1], found[2] = max(0.0, entropy), mean, np.sqrt(variance)
    found[3], found[4] = shares[:dark].sum(), shares[blown:].sum()
