"""Scenes and their truth: objects, places, colours and background, as plain data.

All facts that a caption may state follow from it. The captioner never sees it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from curation.demo.vocabulary import BACKDROPS, COLOURS, COLUMNS, INVERSE, KINDS, ROWS

Split = Literal["train", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "heldout")
Rng = np.random.Generator
# Centres nearer than this are neither left nor right of each other (share of the picture's side).
CLEAR = 0.06


@dataclass(frozen=True)
class Instance:
    """One drawn thing: centre and diameter as shares of width, height and shorter side."""

    x: float
    y: float
    size: float
    degrees: float
    mirrored: bool


@dataclass(frozen=True)
class SceneObject:
    """``count`` things of one kind, colour and size that stand together. No two objects share a kind."""

    kind: str
    colour: str
    size: str
    count: int
    place: str
    x: float
    y: float
    instances: tuple[Instance, ...]


@dataclass(frozen=True)
class Relation:
    """``subject`` and ``object`` index the scene's objects."""

    subject: int
    name: str
    object: int


@dataclass(frozen=True)
class Setting:
    """The background; ``tones`` name the colours of a plain one (one) or of a gradient (two)."""

    kind: str
    tones: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Board:
    """A written word on a board, centred at (x, y) in shares of width and height."""

    word: str
    x: float
    y: float


@dataclass(frozen=True)
class Photo:
    """How the scene was taken: turn in degrees, blur sigma in pixels, noise in grey levels, JPEG quality."""

    degrees: float
    exposure: float
    contrast: float
    vignette: float
    blur: float
    noise: float
    quality: int
    seed: int


@dataclass(frozen=True)
class Scene:
    """A picture's truth. Objects stand column by column from the left, top first; relations chain them."""

    seed: int
    index: int
    split: str
    width: int
    height: int
    setting: Setting
    objects: tuple[SceneObject, ...]
    relations: tuple[Relation, ...]
    board: Board | None
    photo: Photo

    def object_of(self, kind: str) -> SceneObject | None:
        """The object of that kind, where there is one."""
        return next((o for o in self.objects if o.kind == kind), None)

    def holds(self, subject: str, relation: str, other: str) -> bool:
        """Whether the relation between these kinds is true beyond doubt."""
        a, b = self.object_of(subject), self.object_of(other)
        if a is None or b is None:
            return False
        match relation:
            case "left of":
                return b.x - a.x >= CLEAR
            case "above":
                return b.y - a.y >= CLEAR
            case "right of" | "below" | "in front of":
                return self.holds(other, INVERSE[relation], subject)
            case "behind":
                i, j = self.objects.index(a), self.objects.index(b)
                return any(r.name == "behind" and (r.subject, r.object) == (i, j) for r in self.relations)
        return False

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """Raises ``KeyError`` or ``TypeError`` when the text is no scene."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            seed=data["seed"],
            index=data["index"],
            split=data["split"],
            width=data["width"],
            height=data["height"],
            setting=Setting(data["setting"]["kind"], tuple(data["setting"]["tones"]), data["setting"]["seed"]),
            objects=tuple(_object(o) for o in data["objects"]),
            relations=tuple(Relation(**r) for r in data["relations"]),
            board=Board(**data["board"]) if data["board"] else None,
            photo=Photo(**data["photo"]),
        )


def _object(data: dict[str, Any]) -> SceneObject:
    return SceneObject(**{**data, "instances": tuple(Instance(**i) for i in data["instances"])})


def generator(*key: int) -> Rng:
    """A random stream of its own for every key; the same on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def pick(rng: Rng, options: Sequence[str]) -> str:
    """One of the options, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def reserved(kind: str, colour: str) -> bool:
    """Whether the combination is kept for held-out scenes: exactly one colour of every kind is."""
    return (3 * _KIND_NUMBER[kind] + 7 * _COLOUR_NUMBER[colour]) % 10 == 0


def place_of(x: float, y: float) -> str | None:
    """The ninth of the picture that a centre clearly lies in; None near a border between two."""
    cells = []
    for value, names in ((y, ROWS), (x, COLUMNS)):
        cell = min(2, int(value * 3))
        if any(abs(value - edge) < 0.03 for edge in (1 / 3, 2 / 3)):
            return None
        cells.append(names[cell])
    return " ".join(cells)


_KIND_NUMBER = {k: i for i, k in enumerate(KINDS)}
_COLOUR_NUMBER = {c: i for i, c in enumerate(COLOURS)}
SETTINGS = tuple(BACKDROPS)
