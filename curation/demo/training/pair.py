"""A pair of statements of which one is true."""

from __future__ import annotations

from dataclasses import dataclass

from curation.demo.truth import SceneObject, reserved


@dataclass(frozen=True)
class Pair:
    """``true`` holds for the scene, ``false`` does not; ``fault`` names what was changed."""

    true: str
    false: str
    fault: str


def never_true(thing: SceneObject, changed: SceneObject) -> bool:
    """Whether a change makes a combination of kind and colour that is kept for held-out scenes.

    No training scene shows one, so that its name alone would tell a verifier that a statement is false.
    """
    return (thing.kind, thing.colour) != (changed.kind, changed.colour) and reserved(changed.kind, changed.colour)
