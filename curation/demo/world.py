"""The demo world: scenes whose truth is known.

A scene is a pure function of (seed, index, split). Held-out scenes use combinations of kind and colour
that no training scene shows, so a captioner is measured on combinations that it never saw.
"""

from __future__ import annotations

from curation.demo.layout import compose
from curation.demo.truth import (
    SPLITS,
    Board,
    Instance,
    Photo,
    Relation,
    Scene,
    SceneObject,
    Setting,
    Split,
    generator,
    reserved,
)

__all__ = [
    "SPLITS",
    "Board",
    "Instance",
    "Photo",
    "Relation",
    "Scene",
    "SceneObject",
    "Setting",
    "Split",
    "generator",
    "reserved",
    "scene",
]


def scene(seed: int, index: int, split: Split = "train") -> Scene:
    """The ``index``-th scene of a world. Raises ``ValueError`` for an unknown split or a negative index."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {SPLITS}")
    if seed < 0 or index < 0:
        raise ValueError(f"seed {seed} and index {index} must not be negative")
    return compose(seed, index, split, generator(seed, index, SPLITS.index(split)))
