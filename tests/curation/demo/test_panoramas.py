"""A window of a panorama is a scene of its own, whose truth is known."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.caption.model.chat import ChatReply, ChatRequest
from curation.demo.joining import joined
from curation.demo.judge import judge
from curation.demo.panorama import SHORT, panorama, view
from curation.demo.panorama_judge import naming
from curation.demo.panorama_looks import LOOKS, score, squared, told
from curation.demo.panoramas import TRUTH, read_truth, write_panoramas
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.render import render
from curation.demo.truth import Scene, generator
from curation.expand.geometry import parts
from schemas.expand import Parts


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


def test_what_parts_of_a_panorama_tell_is_told_of_the_whole() -> None:
    scenes = [panorama(2, index, 6) for index in range(4)]

    class Telling:
        """Names what stands in the scene whose turn it is: all of it in a whole, the first object in each part."""

        def complete(self, requests: Iterator[ChatRequest]) -> Iterator[ChatReply]:
            for number, request in enumerate(requests):
                with Image.open(io.BytesIO(request.image or b"")) as image:
                    sizes.append(image.size)
                shown = scenes[number if number < 4 else (number - 4) // 4]
                said = shown if max(sizes[-1]) == 960 else replace(shown, objects=shown.objects[:1], relations=())
                yield ChatReply(request.key, dense_caption(said, generator(0, said.index)))

    sizes: list[tuple[int, int]] = []
    looks = {"the picture": LOOKS["the picture"], "parts of the flow": LOOKS["parts of the flow"]}
    found = told(Telling(), scenes, looks)  # type: ignore[arg-type]
    assert [max(size) for size in sizes] == [960] * 4 + [320] * 16
    whole, parts = (score(scenes, found[look]) for look in looks)
    assert (whole.texts, whole.recall, whole.false) == (4, 1.0, 0.0)
    assert 0 < parts.recall < 0.2 and parts.false == 0
    assert squared(Image.new("RGB", (960, 320))).size == (960, 960)


def test_joined_captions_name_everything_once_and_nothing_that_no_part_shows() -> None:
    for index in range(30):
        shown = panorama(5, index, 6)
        seen = [view(shown, box) for box in parts(shown.width, shown.height, Parts())]
        told = [dense_caption(part, generator(index, number)) for number, part in enumerate(seen)]
        text = joined(told)
        judged = naming([(shown, text)])
        assert judged.recall == 1.0 and judged.false == 0.0, text
        assert all(text.count(f" {o.kind}") == 1 for o in shown.objects) and text.count(".") == 1
        assert len(text.split()) < len(" ".join(told).split()) / 4
    assert joined(["A red car.", "Two blue cars and a cat.", "Two blue cars."]) == "Two blue cars and a cat."
    assert joined([]) == "Nothing."
