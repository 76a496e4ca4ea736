"""A window of a panorama is a scene of its own, whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curation.demo.judge import judge
from curation.demo.panorama import SHORT, panorama, view
from curation.demo.panorama_judge import naming
from curation.demo.panoramas import TRUTH, read_truth, write_panoramas
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.render import render
from curation.demo.truth import Scene, generator


def windows(shown: Scene) -> list[tuple[int, int, int, int]]:
    ends = range(0, max(shown.width, shown.height) - SHORT + 1, SHORT // 2)
    wide = shown.width > shown.height
    return [(at, 0, at + SHORT, SHORT) if wide else (0, at, SHORT, at + SHORT) for at in ends]


@pytest.mark.parametrize("tiles", [2, 3, 6])
def test_every_object_stands_whole_in_a_window_and_none_is_cut(tiles: int) -> None:
    for index in range(30):
        shown = panorama(1, index, tiles)
        assert sorted((shown.width, shown.height)) == sorted((SHORT, SHORT // 2 * tiles))
        kinds = [o.kind for o in shown.objects]
        assert len(set(kinds)) == len(kinds) >= tiles and (tiles > 3 or len(kinds) <= 5)
        found = [view(shown, box) for box in windows(shown)]
        assert {o.kind for part in found for o in part.objects} == set(kinds)
        assert sum(len(p.objects) for p in found[::2]) == len(kinds) or tiles % 2, (
            "windows that do not overlap share none"
        )


def test_a_truthful_caption_of_a_window_states_nothing_false() -> None:
    for index in range(40):
        shown = panorama(2, index)
        for number, box in enumerate(windows(shown)):
            part = view(shown, box)
            judged = judge(part, dense_caption(part, generator(index, number)))
            assert not judged.false and judged.recall > 0.9
        assert not judge(shown, short_caption(shown, generator(index))).false


def test_what_a_window_shows_is_where_its_truth_says() -> None:
    """Without its objects a panorama differs there, and nowhere else beyond noise."""
    shown = panorama(4, 1, 4)
    bare = Scene(**{**{f: getattr(shown, f) for f in shown.__dataclass_fields__}, "objects": (), "relations": ()})
    changed = np.abs(render(shown).astype(int) - render(bare).astype(int)).max(axis=2) > 60
    for box in windows(shown):
        left, top, right, bottom = box
        for thing in view(shown, box).objects:
            x, y = left + thing.x * (right - left), top + thing.y * (bottom - top)
            reach = round(thing.instances[0].size * SHORT * 0.7)
            near = changed[max(0, round(y) - reach) : round(y) + reach, max(0, round(x) - reach) : round(x) + reach]
            assert near.any(), thing.kind


def test_naming_counts_what_is_missing_and_what_is_not_there() -> None:
    shown = panorama(1, 2, 3)
    kinds = [o.kind for o in shown.objects]
    text = f"A {kinds[0]} and a dog."
    score = naming([(shown, text)])
    assert score.recall == pytest.approx(1 / len(kinds)) and score.f1 == pytest.approx(2 / (2 + len(kinds)))
    assert score.false > 0 and naming([]).texts == 0


def test_pictures_and_truth_are_the_same_bytes_each_time_and_grow(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_panoramas(tmp_path / name, count=3)
    assert [p.read_bytes() for p in sorted((tmp_path / "a").rglob("*.*"))] == [
        p.read_bytes() for p in sorted((tmp_path / "b").rglob("*.*"))
    ]
    before = read_truth(tmp_path / "a" / TRUTH)
    write_panoramas(tmp_path / "a", count=4)
    after = read_truth(tmp_path / "a" / TRUTH)
    assert before.items() <= after.items() and len(after) == 4


def test_a_panorama_has_two_to_six_tiles() -> None:
    with pytest.raises(ValueError, match="2 to 6"):
        panorama(0, 0, 7)
