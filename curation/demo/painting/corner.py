"""A corner of the demo world that a small model learns in minutes: six kinds of thing in five colours, one or two
of them in a picture, up to three of a kind, on plain ground.

Every kind has one colour (``reserved``) that no training picture shows it in: what a painter makes of such a prompt
it has put together itself.
"""

from __future__ import annotations

from dataclasses import replace

from curation.demo.layout import box_of, photo_of, relations_of
from curation.demo.truth import Instance, Rng, Scene, SceneObject, Setting, generator, pick, reserved
from curation.demo.vocabulary import COLUMNS, SIZES

KINDS = ("hat", "heart", "house", "moon", "star", "umbrella")
COLOURS = ("red", "yellow", "green", "blue", "purple")
TONES = ("cream", "peach", "mint", "lavender", "sky-blue", "ash", "rose", "sage")
MOST = 3
"""Things of a kind in one picture, at most."""
SIDE = 320
"""Pixels of a picture's side."""
TILES = 4
"""Things in a row in a wide scene; a square window shows two of them."""
_STREAM = 151  # keeps these scenes apart from the random streams of others
_WIDE = 173  # likewise wide ones
_EDGE = 0.06  # as in the world: nothing comes nearer to the picture's edge
_PITCH = 1.17
_SHAKE = 0.005  # what stands where follows from the text: a place that it leaves open is one more thing to learn


def corner_scene(seed: int, index: int, new: bool = False) -> Scene:
    """The ``index``-th scene of a corner. ``new`` ones hold at least one combination that no other scene shows."""
    rng = generator(seed, index, int(new), _STREAM)
    while True:
        objects = _objects(rng, new)
        held = any(reserved(o.kind, o.colour) for o in objects)
        if held == new and all(_inside(o) for o in objects):
            break
    setting = Setting("plain", (pick(rng, TONES),), int(rng.integers(2**31)))
    relations = relations_of(objects, SIDE, SIDE)
    return Scene(seed, index, "train", SIDE, SIDE, setting, objects, relations, None, photo_of(rng))


def wide_scene(seed: int, index: int, new: bool = False) -> Scene:
    """The ``index``-th scene of a corner that goes on to the right: ``TILES`` things in a row. ``new`` as in
    ``corner_scene``. A square window over two of its tiles cuts nothing."""
    rng = generator(seed, index, int(new), _WIDE)
    while True:
        kinds = [str(k) for k in rng.permutation(KINDS)[:TILES]]
        objects = tuple(_thing(rng, kind, new, "middle centre", 0.25, alone=False) for kind in kinds)
        held = any(reserved(o.kind, o.colour) for o in objects)
        if held == new and all(_inside(o, right=0.5, edge=_EDGE / 4) for o in objects):
            break
    row = tuple(_in_tile(thing, tile) for tile, thing in enumerate(objects))
    setting = Setting("plain", (pick(rng, TONES),), int(rng.integers(2**31)))
    width = SIDE // 2 * TILES
    photo = replace(photo_of(rng), degrees=0.0)  # a turn would move the ends of a long picture out of their tiles
    return Scene(seed, index, "train", width, SIDE, setting, row, relations_of(row, width, SIDE), None, photo)


def _in_tile(thing: SceneObject, tile: int) -> SceneObject:
    """A thing in the left half of a square, put into a tile of a wide picture."""

    def across(x: float) -> float:
        return round((2 * x + tile) / TILES, 5)

    drawn = tuple(replace(i, x=across(i.x)) for i in thing.instances)
    return replace(thing, x=across(thing.x), place=f"middle {COLUMNS[int(across(thing.x) * 3)]}", instances=drawn)


def _objects(rng: Rng, new: bool) -> tuple[SceneObject, ...]:
    alone = rng.random() < 0.25
    kinds = [str(k) for k in rng.permutation(KINDS)[: 1 if alone else 2]]
    columns = (("middle centre", 0.5),) if alone else (("middle left", 0.285), ("middle right", 0.715))
    return tuple(_thing(rng, k, new, *where, alone) for k, where in zip(kinds, columns, strict=True))


def _thing(rng: Rng, kind: str, new: bool, place: str, middle: float, alone: bool) -> SceneObject:
    colours = [c for c in COLOURS if new or not reserved(kind, c)]
    held = [c for c in COLOURS if reserved(kind, c)]
    colour = held[0] if new and rng.random() < 0.6 else pick(rng, colours)
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    x, y = middle + float(rng.uniform(-_SHAKE, _SHAKE)), 0.5 + float(rng.uniform(-_SHAKE, _SHAKE))
    return _group(rng, kind, colour, count, place, x, y, alone)


def _group(rng: Rng, kind: str, colour: str, count: int, place: str, x: float, y: float, alone: bool) -> SceneObject:
    """Things of one kind around a centre: side by side, or three as a triangle."""
    name = {1: "large" if alone else "medium", 2: "medium" if alone else "small"}.get(count, "small")
    size = SIZES[name] * float(rng.uniform(0.97, 1.03))
    step = size * _PITCH / 2
    offsets = {1: [(0.0, 0.0)], 2: [(-step, 0.0), (step, 0.0)]}.get(count, [(0.0, -step), (-step, step), (step, step)])
    mirrored = bool(rng.random() < 0.5)
    drawn = tuple(
        Instance(round(x + dx, 5), round(y + dy, 5), round(size, 5), round(float(rng.uniform(-3, 3)), 3), mirrored)
        for dx, dy in offsets
    )
    return SceneObject(kind, colour, name, count, place, round(x, 5), round(y, 5), drawn)


def _inside(thing: SceneObject, right: float = 1.0, edge: float = _EDGE) -> bool:
    """Whether a thing in a square keeps that far from all edges, the right one at ``right``."""
    x0, y0, x1, y1 = box_of(thing, SIDE, SIDE)
    return edge < x0 and edge < y0 and x1 < right - edge and y1 < 1 - edge
