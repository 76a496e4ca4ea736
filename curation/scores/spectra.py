"""Compiled loops over frequencies: lines of luma, and the DCT coefficients of a JPEG's blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.images.jit import jit


@jit
def lines_of(luma: Any, top: Any, left: Any, down: Any, over: Any, window: Any, found: Any) -> None:
    """Some rows and as many columns of luma less their mean, times the window: (2 N, length) numbers.

    Row ``top[0] + i * down`` is taken from column ``left[0]`` on, column ``left[1] + i * over`` from row ``top[1]`` on.
    """
    length, many = window.size, found.shape[0] // 2
    sums = np.zeros(many, np.int64)
    for i in range(many):
        line = luma[top[0] + i * down, left[0] : left[0] + length]
        total = 0
        for x in range(length):
            total += line[x]
        mean = np.float32(total / length)
        for x in range(length):
            found[i, x] = (np.float32(line[x]) - mean) * window[x]
    for y in range(length):
        for i in range(many):
            value = luma[top[1] + y, left[1] + i * over]
            sums[i] += value
            found[many + i, y] = value
    for i in range(many):
        mean = np.float32(sums[i] / length)
        for y in range(length):
            found[many + i, y] = (found[many + i, y] - mean) * window[y]


@jit
def power(packed: Any, bands: Any, found: Any) -> None:
    """The mean power in bands of frequencies, (first, end) each, from OpenCV's packed spectra of lines (N, length).

    Such a spectrum is the real part of frequency 0, then real and imaginary part of each.
    """
    many, length = packed.shape
    for n in range(bands.shape[0]):
        total, first, end = np.float64(0), bands[n, 0], bands[n, 1]
        for i in range(many):
            part = np.float32(0)
            for x in range(2 * first - 1, 2 * end - 1):
                part += packed[i, x] * packed[i, x]
            total += np.float64(part)
        found[n] = total / many / length / (end - first)


@jit
def coefficients(luma: Any, waves: Any, modes: Any, quanta: Any, counts: Any) -> None:
    """Counts the quantised sizes of some DCT coefficients of the blocks of 8 x 8 pixels of luma.

    ``waves`` are the first of a DCT, (V, 8). Adds to ``counts`` (modes, values), for each mode (down, across) with its
    quantum, one for every block; what is larger than the last value counts as that.
    """
    height, width = luma.shape
    last = counts.shape[1] - 1
    upright = np.empty((waves.shape[0], width), np.float32)
    for top in range(0, height - 7, 8):
        upright[:] = 0
        for wave in range(waves.shape[0]):
            line = upright[wave]
            for i in range(8):
                weight, row = waves[wave, i], luma[top + i]
                for x in range(width):
                    line[x] += weight * np.float32(row[x])
        for mode in range(modes.shape[0]):
            line, weights, quantum, counted = upright[modes[mode, 0]], waves[modes[mode, 1]], quanta[mode], counts[mode]
            for left in range(0, width - 7, 8):
                total = np.float32(0)
                for i in range(8):
                    total += line[left + i] * weights[i]
                counted[min(np.int64(abs(np.rint(total / quantum))), last)] += 1


@jit
def rhythm(counts: Any, enough: Any, least: Any, cosines: Any, sines: Any) -> Any:
    """How strongly counts of values (modes, N) go up and down in a rhythm: the largest amplitude as a share of all.

    Each count from 2 on is compared with the mean of seven neighbours, mirrored at 0; one with a mean below ``enough``
    does not count, nor a mode with fewer than ``least`` in all. ``cosines`` and ``sines`` (values, rhythms) are those
    of the values from 2 on.
    """
    found = 0.0
    real, imaginary = np.empty(cosines.shape[1]), np.empty(cosines.shape[1])
    for mode in range(counts.shape[0]):
        real[:] = 0
        imaginary[:] = 0
        total = 0.0
        for n in range(cosines.shape[0]):
            around = 0
            for k in range(-1, 6):
                around += counts[mode, abs(n + k)]
            smooth = around / 7
            if smooth >= enough:
                total += smooth
                beyond = counts[mode, n + 2] - smooth
                for f in range(real.size):
                    real[f] += beyond * cosines[n, f]
                    imaginary[f] += beyond * sines[n, f]
        if total >= least:
            most = 0.0
            for f in range(real.size):
                most = max(most, real[f] * real[f] + imaginary[f] * imaginary[f])
            found = max(found, np.sqrt(most) / max(total, 1.0))
    return found
