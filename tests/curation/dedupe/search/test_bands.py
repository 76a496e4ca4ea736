"""Laws of the planner: its bands miss no pair, whatever the size of the search."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedupe.search.bands import Band, Plan, chance_pairs, plan

SIZES = st.integers(0, 4_000_000_000)
EVERYTHING = (Band(0, 0, 0, 0),)  # one band of no bits: every pair is compared


def assert_misses_nothing(chosen: Plan, distance: int, words: int) -> None:
    """Disjoint bands inside their words whose radii leave no room for ``distance`` differing bits."""
    bits = [(band.word, band.shift + bit) for band in chosen.bands for bit in range(band.width)]
    assert len(bits) == len(set(bits))
    assert all(0 <= word < words and 0 <= bit < 64 for word, bit in bits)
    if chosen.bands != EVERYTHING:
        assert sum(band.radius + 1 for band in chosen.bands) > distance
        assert all(band.radius <= band.width for band in chosen.bands)


@settings(deadline=None, max_examples=150)
@given(SIZES, st.integers(0, 16), st.sampled_from([1, 2, 4]))
def test_every_plan_keeps_the_pigeonhole_principle(n: int, distance: int, words: int) -> None:
    assert_misses_nothing(plan(n, distance, words), distance, words)


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(0, 16))
def test_a_larger_search_is_expected_to_take_longer_but_never_quadratically(n: int, distance: int) -> None:
    few, many = plan(n, distance).seconds, plan(2 * n, distance).seconds
    assert few <= many <= 4.01 * few or n < 2


def test_bands_grow_with_the_number_of_hashes() -> None:
    """So that buckets stay small: that is what keeps the search near linear."""
    for distance in (2, 4):
        sizes = (10**4, 10**6, 10**8)
        widths = [max(band.width for band in plan(n, distance).bands) for n in sizes]
        assert all(n / 2**width < 64 for n, width in zip(sizes, widths, strict=True))
        assert widths == sorted(set(widths))


def test_small_searches_compare_everything() -> None:
    assert plan(100, 4).bands == EVERYTHING


@pytest.mark.parametrize("distance", [-1, 17])
def test_distances_out_of_range_are_named(distance: int) -> None:
    with pytest.raises(ValueError, match=f"distance is {distance}.*0 to 16"):
        plan(10, distance)


def test_chance_pairs_are_pairs_times_the_share_of_a_ball() -> None:
    assert chance_pairs(1.0, 64) == pytest.approx(1.0)
    assert chance_pairs(2.0**64, 1) == pytest.approx(65)
    assert chance_pairs(2.0**256, 2, words=4) == pytest.approx(1 + 256 + math.comb(256, 2))
