"""The classes that the vision tower learns for every patch and for the whole scene.

A patch of an object carries everything that a caption says about the object, including what only the whole scene
shows: its count, its position in the caption's order, and its relation to the next object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.demo.training.corpus import CHANNELS as DRAWN
from curation.demo.training.corpus import CLASSES, KIND_NUMBERS, SETTINGS
from curation.demo.truth import Scene
from curation.demo.vocabulary import PLACES, RELATIONS, TONES

# Class 0 is "nothing here" in every channel.
CHANNELS: Mapping[str, int] = {
    **dict(zip(DRAWN, CLASSES, strict=True)),
    "place": len(PLACES) + 1,
    "order": 6,
    "next": len(RELATIONS) + 1,
}
SCENE_CHANNELS: Mapping[str, int] = {
    "setting": len(SETTINGS),
    "first tone": len(TONES) + 1,
    "second tone": len(TONES) + 1,
}
_PLACES = {p: i + 1 for i, p in enumerate(PLACES)}
_RELATIONS = {r: i + 1 for i, r in enumerate(RELATIONS)}
_TONES = {t: i + 1 for i, t in enumerate(TONES)}


def patch_targets(scenes: Sequence[Scene], labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(n, len(CHANNELS), patches) from the drawn labels (n, drawn channels, grid, grid)."""
    flat = labels.reshape(len(scenes), len(DRAWN), -1).astype(np.int64)
    # No two objects of a scene share a kind, so a patch's kind identifies its object.
    more = np.stack([_by_kind(scene)[:, kinds] for scene, kinds in zip(scenes, flat[:, 0], strict=True)])
    return np.concatenate([flat, more], axis=1)


def scene_targets(scene: Scene) -> list[int]:
    """The classes of ``SCENE_CHANNELS``."""
    tones = [_TONES[t] for t in scene.setting.tones] + [0, 0]
    return [SETTINGS.index(scene.setting.kind), tones[0], tones[1]]


def _by_kind(scene: Scene) -> NDArray[np.int64]:
    """(3, kinds + 1): place, order and relation to the next object, by the number of the kind."""
    table = np.zeros((3, CHANNELS["kind"]), np.int64)
    following = {r.subject: _RELATIONS[r.name] for r in scene.relations}
    for at, thing in enumerate(scene.objects):
        table[:, KIND_NUMBERS[thing.kind]] = _PLACES[thing.place], at + 1, following.get(at, 0)
    return table
