"""Windows are squares in the picture that share what they say they share, and the same in every run."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from curation.expand.geometry import Box, describe_room, parts, squares
from schemas.expand import Parts, Windows
from schemas.windows import SIDES

SETTINGS = st.builds(
    Windows,
    share=st.floats(0.05, 1.0),
    overlap=st.floats(0.1, 0.9),
    min_side=st.integers(16, 64),
    fewest=st.integers(1, 3),
    most=st.integers(3, 16),
    seed=st.integers(0, 5),
)
LENGTH = st.integers(1, 3000)


def area(box: Box) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def common(a: Box, b: Box) -> Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


@given(LENGTH, LENGTH, st.text(max_size=8), SETTINGS)
def test_windows_are_squares_in_the_picture_whose_visible_part_is_that_of_the_window_before(
    width: int, height: int, sample: str, settings: Windows
) -> None:
    found = squares(width, height, sample, settings)
    assert found == squares(width, height, sample, settings)
    assert not found or settings.fewest <= len(found) <= settings.most
    assert len({s.side for s in found}) <= 1
    for square in found:
        left, top, right, bottom = square.box
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert right - left == bottom - top >= settings.min_side
        assert common(square.box, square.mask_box) == square.mask_box
        assert area(square.box) - area(square.mask_box) == square.overlap * (right - left) > 0 < area(square.mask_box)
    for before, after in pairwise(found):
        shown_again = common(before.box, after.box)
        assert area(shown_again) + area(after.mask_box) == area(after.box)
        assert area(common(shown_again, after.mask_box)) == 0
        moved = after.box[0] - before.box[0], after.box[1] - before.box[1]
        towards = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}[after.side]
        step = area(after.mask_box) // (after.box[2] - after.box[0])
        assert moved == (towards[0] * step, towards[1] * step)


def test_every_side_is_drawn_about_equally_often_and_windows_lie_everywhere() -> None:
    drawn = [squares(1600, 1200, f"sample {n}", Windows()) for n in range(800)]
    sides = Counter(row[0].side for row in drawn)
    assert set(sides) == set(SIDES) and min(sides.values()) > 140
    assert len({row[0].box for row in drawn}) > 700
    assert len({row[0].side for row in (squares(1600, 1200, "a", Windows(seed=n)) for n in range(40))}) == 4


def test_only_sides_with_room_that_the_recipe_names_are_drawn() -> None:
    whole = Windows(share=1.0)
    assert {squares(1600, 400, str(n), whole)[0].side for n in range(40)} == {"left", "right"}
    assert {squares(400, 1600, str(n), whole)[0].side for n in range(40)} == {"up", "down"}
    named = whole.model_copy(update={"sides": ["up"]})
    assert squares(1600, 400, "a", named) == [] and squares(400, 1600, "a", named)[0].side == "up"


def test_a_picture_without_room_says_which_sizes_were_found_and_wanted() -> None:
    assert squares(600, 300, "a", Windows()) == []
    assert describe_room(600, 300, Windows()) == "a window of 600x300 would have a side of 180, at least 256"
    whole = Windows(share=1.0)
    assert squares(500, 500, "a", whole) == []
    assert describe_room(500, 500, whole) == "500x500 has no room for 2 windows with a side of 500 that share 250"


PARTS = st.builds(Parts, max_aspect=st.floats(1.0, 4.0), overlap=st.floats(0, 0.75), most=st.integers(2, 16))


@given(st.integers(16, 3000), st.integers(16, 30_000), st.booleans(), PARTS)
def test_parts_cover_a_long_picture_and_overlap_by_what_is_wanted(
    short: int, long: int, tall: bool, settings: Parts
) -> None:
    short, long = min(short, long), max(short, long)
    width, height = (short, long) if tall else (long, short)
    found = parts(width, height, settings)
    if long <= settings.max_aspect * short:
        assert found == []
        return
    along = [(box[1], box[3]) if tall else (box[0], box[2]) for box in found]
    across = {(box[0], box[2]) if tall else (box[1], box[3]) for box in found}
    assert across == {(0, short)} and 2 <= len(found) <= settings.most
    assert along[0][0] == 0 and along[-1][1] == long
    lengths = {end - start for start, end in along}
    assert len(lengths) == 1 and (length := lengths.pop()) >= short
    assert length == short or len(found) == settings.most, "parts are squares unless they would be too many"
    for before, after in pairwise(along):
        assert before[1] - after[0] >= settings.overlap * length - 2


def test_parts_are_few_and_none_without_a_bound() -> None:
    assert parts(960, 320, Parts()) == [(0, 0, 320, 320), (213, 0, 533, 320), (427, 0, 747, 320), (640, 0, 960, 320)]
    assert parts(640, 360, Parts()) == [] and parts(960, 320, Parts(max_aspect=0)) == []
    assert len(parts(300, 2400, Parts())) == 8 and len(parts(300, 24_000, Parts())) == 8
    assert parts(300, 310, Parts(max_aspect=1)) == [(0, 0, 300, 300), (0, 10, 300, 310)]
