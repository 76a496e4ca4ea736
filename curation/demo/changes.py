"""Changes of one thing of a scene, which make a caption of it false."""

from __future__ import annotations

import dataclasses

from curation.demo.truth import Rng, Scene, SceneObject, pick
from curation.demo.vocabulary import KINDS


def with_object(scene: Scene, at: int, thing: SceneObject) -> Scene:
    """The scene with another object at that place of its list."""
    return dataclasses.replace(scene, objects=(*scene.objects[:at], thing, *scene.objects[at + 1 :]))


def other(rng: Rng, options: tuple[str, ...], but: str) -> str:
    """One of the options, but not that one."""
    return pick(rng, [o for o in options if o != but])


def absent(scene: Scene, rng: Rng) -> str:
    """A kind that the scene does not show."""
    return pick(rng, [k for k in KINDS if scene.object_of(k) is None])
