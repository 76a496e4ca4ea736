"""Wide and tall scenes of the demo world, and the part of one that a window shows.

A panorama is an ordinary scene in a long picture: a row (or a column) of tiles, each half as long as the picture's
shorter side, with one or two objects inside of each. A square window over two neighbouring tiles therefore cuts no
object, and looks like a scene of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from curation.demo.layout import box_of, photo_of, relations_of
from curation.demo.truth import Instance, Rng, Scene, SceneObject, Setting, generator, pick, reserved
from curation.demo.vocabulary import BACKDROPS, COLOURS, COLUMNS, KINDS, ROWS, SIZES

Axis = Literal["across", "down"]
Box = tuple[int, int, int, int]
SHORT = 320
"""Pixels of a panorama's shorter side."""
_STREAM = 131  # keeps panoramas apart from the random streams of scenes and captions
# Backgrounds that look the same in every part of a picture: along a wide one, along a tall one.
_GROUNDS: dict[Axis, tuple[str, ...]] = {
    "across": (
        "plain",
        "meadow",
        "beach",
        "night sky",
        "brick wall",
        "wooden table",
        "snow",
        "sea",
        "desert",
        "forest",
    ),
    "down": ("plain", "brick wall", "wooden table"),
}
_TONES = ("cream", "peach", "mint", "lavender")
_MIDDLE = (0.43, 0.57)  # of a tile: clearly on one side of each window that shows it
_LANES = (0.18, 0.5, 0.82)  # where objects stand across the picture's length
_MOST_IN_SHORT = 5  # objects of a panorama of up to three tiles: what a scene of the world holds at most


def panorama(seed: int, index: int, tiles: int = 6) -> Scene:
    """The ``index``-th panorama of a world, wide and tall ones in turn; no two of its objects share a kind.

    Raises ``ValueError`` for less than two tiles or more than six, which is as large as pictures of the world get.
    """
    if not 2 <= tiles <= 6:
        raise ValueError(f"{tiles} tiles; a panorama has 2 to 6")
    rng = generator(seed, index, _STREAM)
    axis: Axis = "across" if index % 3 else "down"
    ground = pick(rng, _GROUNDS[axis])
    tones = (pick(rng, _TONES),) if ground == "plain" else ()
    backdrop = BACKDROPS[ground]
    kinds = [str(k) for k in rng.permutation([k for k in KINDS if k not in backdrop.avoid_kinds])]
    objects: list[SceneObject] = []
    for tile in range(tiles):
        room = tiles > 3 or len(objects) + tiles - tile < _MOST_IN_SHORT
        lanes = (_LANES[0], _LANES[2]) if room and rng.random() < 0.5 else (_LANES[int(rng.integers(3))],)
        for lane in lanes:
            kind = kinds.pop()
            colours = [c for c in COLOURS if c not in backdrop.avoid_colours and not reserved(kind, c)]
            objects.append(_object(rng, kind, pick(rng, colours), axis, tile, tiles, lane))
    long = SHORT // 2 * tiles
    width, height = (long, SHORT) if axis == "across" else (SHORT, long)
    ordered = tuple(sorted(objects, key=lambda o: (o.x, o.y)))
    photo = replace(photo_of(rng), degrees=0.0)  # a turn would move the ends of a long picture out of their tiles
    setting = Setting(ground, tones, int(rng.integers(2**31)))
    return Scene(
        seed, index, "train", width, height, setting, ordered, relations_of(ordered, width, height), None, photo
    )


def _object(rng: Rng, kind: str, colour: str, axis: Axis, tile: int, tiles: int, lane: float) -> SceneObject:
    size = pick(rng, ("small", "medium"))
    along = (tile + float(rng.uniform(*_MIDDLE))) / tiles
    x, y = (along, lane) if axis == "across" else (lane, along)
    share = SIZES[size] * float(rng.uniform(0.94, 1.06))
    drawn = Instance(x, y, round(share, 5), round(float(rng.uniform(-7, 7)), 3), bool(rng.random() < 0.5))
    return SceneObject(kind, colour, size, 1, _ninth(x, y), x, y, (drawn,))


def view(scene: Scene, box: Sequence[int]) -> Scene:
    """What a window shows: the objects that lie in it whole, with their places in it.

    ``box`` is left, top, right, bottom in pixels. Sizes keep their names only where the window is as large as the
    picture's shorter side.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    inside = [_moved(o, scene, box) for o in scene.objects if _lies_in(o, scene, box)]
    ordered = tuple(sorted(inside, key=lambda o: (COLUMNS.index(o.place.split()[1]), ROWS.index(o.place.split()[0]))))
    relations = relations_of(ordered, width, height)
    return replace(scene, width=width, height=height, objects=ordered, relations=relations)


def _lies_in(thing: SceneObject, scene: Scene, box: Sequence[int]) -> bool:
    x0, y0, x1, y1 = box_of(thing, scene.width, scene.height)
    left, top, right, bottom = box
    return (
        x0 * scene.width >= left
        and y0 * scene.height >= top
        and x1 * scene.width <= right
        and y1 * scene.height <= bottom
    )


def _moved(thing: SceneObject, scene: Scene, box: Sequence[int]) -> SceneObject:
    left, top, right, bottom = box
    scale = min(scene.width, scene.height) / min(right - left, bottom - top)

    def across(x: float) -> float:
        return (x * scene.width - left) / (right - left)

    def down(y: float) -> float:
        return (y * scene.height - top) / (bottom - top)

    x, y = across(thing.x), down(thing.y)
    drawn = tuple(replace(i, x=across(i.x), y=down(i.y), size=i.size * scale) for i in thing.instances)
    return replace(thing, x=x, y=y, place=_ninth(x, y), instances=drawn)


def _ninth(x: float, y: float) -> str:
    return f"{ROWS[min(2, int(y * 3))]} {COLUMNS[min(2, int(x * 3))]}"
