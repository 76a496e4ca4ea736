"""Laws of the demo world's scenes and pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import subprocess
import sys

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from curation.demo.drawings import DRAWINGS
from curation.demo.layout import _apart, box_of, hidden_share, placing
from curation.demo.render import jpeg, render
from curation.demo.shapes import Placing, bounds, draw, silhouette
from curation.demo.truth import INVERSE, Photo, Scene, place_of, reserved
from curation.demo.vocabulary import BACKDROPS, COLOURS, KINDS, SIZES
from curation.demo.world import scene

INDICES = st.integers(0, 50_000)
SPLITS = st.sampled_from(["train", "heldout"])


def test_the_world_is_as_rich_as_promised() -> None:
    assert len(KINDS) >= 30
    assert KINDS.keys() == DRAWINGS.keys()
    assert len(COLOURS) >= 8
    assert len(BACKDROPS) >= 8
    seen = [scene(0, i) for i in range(300)]
    assert {o.kind for s in seen for o in s.objects} == KINDS.keys()
    assert {o.colour for s in seen for o in s.objects} == COLOURS.keys()
    assert {s.setting.kind for s in seen} == BACKDROPS.keys()
    assert {len(s.objects) for s in seen} == {1, 2, 3, 4, 5}
    assert {o.count for s in seen for o in s.objects} == {1, 2, 3, 4}
    assert {r.name for s in seen for r in s.relations} >= {"left of", "above", "behind"}
    assert any(s.board for s in seen)


_DIGEST = """
import hashlib
from curation.demo.world import scene
from curation.demo.render import jpeg
digest = hashlib.sha256()
for split in ("train", "heldout"):
    for index in range(12):
        digest.update(scene(11, index, split).to_json().encode())
        digest.update(jpeg(scene(11, index, split)))
print(digest.hexdigest())
"""


def test_another_process_sees_the_same_world() -> None:
    digest = hashlib.sha256()
    for split in ("train", "heldout"):
        for index in range(12):
            digest.update(scene(11, index, split).to_json().encode())  # type: ignore[arg-type]
            digest.update(jpeg(scene(11, index, split)))  # type: ignore[arg-type]
    other = subprocess.run(
        [sys.executable, "-c", _DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == digest.hexdigest()


def test_scenes_differ_by_seed_index_and_split() -> None:
    found = {scene(s, i, p).to_json() for s in (0, 1) for i in (0, 1) for p in ("train", "heldout")}  # type: ignore[arg-type]
    assert len(found) == 8


@given(INDICES, SPLITS)
@settings(max_examples=150, deadline=None)
def test_every_stated_fact_is_clear(index: int, split: str) -> None:
    s = scene(3, index, split)  # type: ignore[arg-type]
    assert 1 <= len(s.objects) <= 5
    assert 320 <= min(s.width, s.height) <= 512
    assert max(s.width, s.height) <= 640
    assert len({o.kind for o in s.objects}) == len(s.objects)
    backdrop = BACKDROPS[s.setting.kind]
    for o in s.objects:
        assert o.place == place_of(o.x, o.y)
        assert o.count == len(o.instances)
        assert o.colour not in backdrop.avoid_colours
        assert o.kind not in backdrop.avoid_kinds
        assert all(abs(i.size / SIZES[o.size] - 1) < 0.07 for i in o.instances)
        assert all(0 < edge < 1 for edge in box_of(o, s.width, s.height))


@given(INDICES, SPLITS)
@settings(max_examples=150, deadline=None)
def test_things_touch_only_where_one_stands_behind_the_other(index: int, split: str) -> None:
    s = scene(3, index, split)  # type: ignore[arg-type]
    behind = {(r.subject, r.object) for r in s.relations if r.name == "behind"}
    for (i, a), (j, b) in itertools.combinations(enumerate(s.objects), 2):
        if (i, j) in behind:
            assert 0.1 < hidden_share(a, b, s.width, s.height) < 0.4
        else:
            assert _apart(box_of(a, s.width, s.height), box_of(b, s.width, s.height), s.width, s.height)


@given(INDICES, SPLITS)
@settings(max_examples=150, deadline=None)
def test_relations_hold_and_their_opposites_do_not(index: int, split: str) -> None:
    s = scene(3, index, split)  # type: ignore[arg-type]
    assert [(r.subject, r.object) for r in s.relations] == [(i, i + 1) for i in range(len(s.objects) - 1)]
    for r in s.relations:
        a, b = s.objects[r.subject].kind, s.objects[r.object].kind
        assert s.holds(a, r.name, b)
        assert s.holds(b, INVERSE[r.name], a)
        assert not s.holds(b, r.name, a)
        assert not s.holds(a, INVERSE[r.name], b)


@given(INDICES, SPLITS)
@settings(max_examples=60, deadline=None)
def test_a_scene_survives_json(index: int, split: str) -> None:
    s = scene(3, index, split)  # type: ignore[arg-type]
    assert Scene.from_json(s.to_json()) == s


def test_reserved_combinations_are_never_trained_on() -> None:
    train = [(o.kind, o.colour) for i in range(300) for o in scene(1, i).objects]
    held = [(o.kind, o.colour) for i in range(300) for o in scene(1, i, "heldout").objects]
    assert not any(reserved(k, c) for k, c in train)
    assert np.mean([reserved(k, c) for k, c in held]) > 0.3
    assert all(sum(reserved(k, c) for c in COLOURS) == 1 for k in KINDS)


def test_a_wrong_split_or_number_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        scene(0, 0, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        scene(0, -1)


def _studio_photo(s: Scene) -> Scene:
    """The same scene without any effect of the camera."""
    return dataclasses.replace(s, photo=Photo(0, 1, 0, 0, 0, 0, 95, s.photo.seed))


def test_colours_stay_the_nearest_to_themselves_in_the_photograph() -> None:
    palette = cv2.cvtColor(np.array([list(COLOURS.values())], np.uint8), cv2.COLOR_RGB2LAB).astype(int)[0]
    names = list(COLOURS)
    right = total = 0
    for index in range(60):
        s = scene(5, index)
        s = dataclasses.replace(s, photo=dataclasses.replace(s.photo, degrees=0.0))
        clean, taken = render(_studio_photo(s)).astype(int), cv2.cvtColor(render(s), cv2.COLOR_RGB2LAB).astype(int)
        for o in s.objects:
            covered = silhouette(DRAWINGS[o.kind], placing(o.instances[0], s.width, s.height), clean.shape[:2]) > 0
            mask = covered & (np.abs(clean - COLOURS[o.colour]).max(axis=2) < 4)
            assert mask.sum() > 40
            mean = np.median(taken[mask], axis=0)
            nearest = names[int(np.argmin(((palette - mean) ** 2).sum(axis=1)))]
            right += nearest == o.colour
            total += 1
    assert right == total


def test_kinds_are_told_apart_at_96_pixels() -> None:
    pictures = {}
    for kind, drawing in DRAWINGS.items():
        assert max(abs(edge) for edge in bounds(drawing)) < 1.05
        canvas = np.full((96, 96, 3), 200, np.uint8)
        draw(canvas, drawing, Placing(48, 48, 42), COLOURS["red"], (44, 40, 50))
        pictures[kind] = cv2.GaussianBlur(canvas, (0, 0), 1.5).astype(int)
    for a, b in itertools.combinations(pictures, 2):
        assert np.abs(pictures[a] - pictures[b]).mean() > 9, (a, b)


def test_different_scenes_are_hardly_ever_near_duplicates() -> None:
    hashes = np.array(
        [int(str(imagehash.phash(Pictures.fromarray(render(scene(7, i))))), 16) for i in range(400)], np.uint64
    )
    near = np.triu(np.bitwise_count(hashes[:, None] ^ hashes) <= 4, 1)
    assert near.any(axis=1).sum() < 0.01 * len(hashes)
