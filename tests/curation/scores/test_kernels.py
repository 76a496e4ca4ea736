"""Laws of the scorers' compiled loops: they find what the plain formulas find, of every picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.images import picture, pixels
from curation.images.grey import luma_of, padded, value_counts
from curation.images.picture import Picture
from curation.scores.colourfulness import Colourfulness
from curation.scores.jpeg_history import _modes, _rhythms, _waves
from curation.scores.kernels import laplacian, ready, steps, tones
from curation.scores.spectra import coefficients, lines_of, power, rhythm
from schemas.recipe import Download
from tests.support.images import encoded, natural

Pixels = NDArray[np.uint8]
SIDES = st.integers(3, 40)


def grey(height: int, width: int, seed: int, levels: int) -> Pixels:
    """Noise of some levels, so that equal and near neighbours come up as well as others."""
    random = np.random.default_rng(seed)
    return (random.integers(0, levels, (height, width)) * (255 // max(1, levels - 1))).astype(np.uint8)


greys = st.builds(grey, SIDES, SIDES, st.integers(0, 10_000), st.sampled_from([1, 2, 40, 128, 256]))
tall = st.builds(grey, st.integers(1020, 1100), st.just(3), st.integers(0, 9), st.just(2))


@given(greys | tall)
def test_the_laplacian_s_moments_are_opencv_s(plane: Pixels) -> None:
    values = np.asarray(cv2.Laplacian(plane, cv2.CV_16S, ksize=1), np.int64)
    assert laplacian(padded(plane)) == (values.sum(), (values**2).sum())


@given(greys | tall)
def test_steps_are_counted_as_the_definition_says(plane: Pixels) -> None:
    height, width = plane.shape
    columns, rows = np.zeros(width - 1, np.int64), np.zeros(height - 1, np.int64)
    found = steps(padded(plane), np.uint8(10), np.uint8(32), np.uint8(3), columns, rows)
    wide = plane.astype(int)
    across, down = np.abs(np.diff(wide, axis=1)), np.abs(np.diff(wide, axis=0))
    assert (columns == (across > 10).sum(axis=0)).all() and (rows == (down > 10).sum(axis=1)).all()
    square = np.ones((3, 3), np.uint8)
    flat = cv2.subtract(cv2.dilate(plane, square), cv2.erode(plane, square)) < 3
    one, other = across[:-1], down[:, :-1]
    strong = np.maximum(one, other) > 32
    assert found == (flat.sum(), strong.sum(), (strong & (np.minimum(one, other) < 3)).sum())


@given(greys)
def test_values_are_counted_and_summed_up(plane: Pixels) -> None:
    counts = value_counts(plane)
    assert (counts == np.bincount(plane.ravel(), minlength=256)).all()
    found = np.empty(5)
    tones(counts / plane.size, 16, 250, found)
    share = counts[counts > 0] / plane.size
    moments = [max(0.0, -(share * np.log2(share)).sum()), plane.mean(), plane.std()]
    assert found == pytest.approx([*moments, (plane < 16).mean(), (plane >= 250).mean()], abs=1e-5)


@given(seed=st.integers(0, 10_000), height=st.integers(1, 30), width=st.integers(1, 30))
def test_colours_are_those_of_opencv_and_of_the_paper(seed: int, height: int, width: int) -> None:
    some = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    some[: height // 2] //= 64  # dark pixels, whose saturation is coarse
    whole = np.repeat(np.repeat(some, 6, 0), 6, 1)
    saturation = cv2.cvtColor(some, cv2.COLOR_BGR2HSV)[..., 1].mean() / 255
    blue, green, red = (some[..., c].astype(float) for c in range(3))
    one, other = red - green, (red + green) / 2 - blue
    expected = np.hypot(one.std(), other.std()) + 0.3 * np.hypot(one.mean(), other.mean())
    with Colourfulness().open() as measure:
        assert measure(Picture(whole)) == pytest.approx([saturation, expected], abs=1e-5)


@given(seed=st.integers(0, 1000), height=st.integers(1, 4), width=st.integers(1, 6), quantum=st.integers(1, 30))
def test_coefficients_are_those_of_the_dct(seed: int, height: int, width: int, quantum: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, (8 * height, 8 * width), np.uint8)
    counts = np.zeros((9, 29), np.int64)
    coefficients(plane, _waves(), _modes(), np.full(9, quantum, np.float32), counts)
    blocks = plane.reshape(height, 8, width, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    whole = np.stack([np.asarray(cv2.dct(block.astype(np.float64))) for block in blocks])
    for mode, (down, across) in enumerate(_modes()):
        values = np.abs(whole[:, down, across]) / quantum
        if np.abs(values % 1 - 0.5).min() > 1e-3:  # nearer, and 32 bits may round the other way
            kept = np.minimum(np.rint(values), 28).astype(int)
            assert (counts[mode] == np.bincount(kept, minlength=29)).all()


def test_a_rhythm_is_its_amplitude_and_what_is_smooth_has_none() -> None:
    steady = np.full((1, 29), 70)
    assert rhythm(steady, 3, 100, *_rhythms()) == 0
    every_other = steady + 35 * (-1) ** np.arange(29)
    assert rhythm(every_other, 3, 100, *_rhythms()) == pytest.approx(0.5, abs=0.08)
    assert rhythm(every_other // 35, 3, 100, *_rhythms()) == 0, "too few to say anything"


@given(seed=st.integers(0, 1000), height=st.integers(64, 90), width=st.integers(64, 90))
def test_lines_are_rows_and_columns_less_their_mean(seed: int, height: int, width: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    window, found = np.hanning(40).astype(np.float32), np.empty((8, 40), np.float32)
    lines_of(plane, (2, 5), (7, 3), 11, 13, window, found)
    chosen = np.concatenate([plane[2:46:11, 7:47], plane[5:45, 3:55:13].T]).astype(float)
    assert found == pytest.approx((chosen - chosen.mean(axis=1, keepdims=True)) * window, abs=1e-3)


@given(seed=st.integers(0, 1000), length=st.integers(20, 64))
def test_power_is_that_of_the_spectrum(seed: int, length: int) -> None:
    lines = np.random.default_rng(seed).normal(size=(6, length)).astype(np.float32)
    found, bands = np.empty(2), np.array([[1, 3], [4, 8]])
    power(np.asarray(cv2.dft(lines, flags=cv2.DFT_ROWS)), bands, found)
    spectra = np.abs(np.fft.rfft(lines, axis=1)) ** 2 / length
    assert found == pytest.approx([spectra[:, a:b].mean() for a, b in bands], rel=1e-4)


def test_pixels_are_copied_only_where_the_loops_need_it() -> None:
    whole = natural(40, 30)
    whole = np.ascontiguousarray(whole)
    assert ready(whole) is whole
    fixed = whole.view()
    fixed.flags.writeable = False
    for other in (fixed, whole[::-1], whole[..., ::-1]):
        made = ready(other)
        assert made.flags.writeable and made.flags.c_contiguous and (made == other).all()


def test_a_fetched_picture_has_one_grey_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thumbnail's and the scorers' are the same: it is made once."""
    made: list[Pixels] = []

    def counted(plain: Pixels, order: str) -> Pixels:
        made.append(luma_of(plain, "bgr"))
        return made[-1]

    monkeypatch.setattr(pixels, "luma_of", counted)
    monkeypatch.setattr(picture, "luma_of", counted)

    def look(seen: Picture) -> bytes:
        assert seen.luma is made[0] and (seen.luma == cv2.cvtColor(seen.pixels, cv2.COLOR_BGR2GRAY)).all()
        return b"seen"

    found = pixels.prepare(encoded(natural(300, 200), "JPEG", quality=90), Download(), look=look)
    assert found.looks == b"seen" and len(made) == 1
