"""Composes a scene: picks its objects and gives each one an unambiguous place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from curation.demo.drawings import DRAWINGS
from curation.demo.shapes import Placing, bounds, silhouette
from curation.demo.truth import (
    SETTINGS,
    Board,
    Instance,
    Photo,
    Relation,
    Rng,
    Scene,
    SceneObject,
    Setting,
    pick,
    place_of,
    reserved,
)
from curation.demo.vocabulary import BACKDROPS, COLOURS, COLUMNS, KINDS, PLACES, ROWS, SIZES, TONES, WORDS

Box = tuple[float, float, float, float]
# A clear third of the picture: its middle, away from the borders of the ninths.
_CLEAR_THIRDS = ((0.06, 0.29), (0.38, 0.62), (0.71, 0.94))
_EDGE = 0.06
_GAP = 0.025
_BOARD_HEIGHT = 0.12
# Kinds that stay recognisable when partly hidden: broad, closed shapes.
_BROAD = (
    "apple", "balloon", "bell", "book", "bottle", "clock", "cloud", "envelope", "guitar", "heart", "house", "mushroom",
    "rocket", "star", "tree", "umbrella",
)  # fmt: skip
_HIDDEN = (0.12, 0.32)


@dataclass
class _Wish:
    """An object before it has a place; ``front`` is the wish that stands before it."""

    kind: str
    colour: str
    size: str
    count: int
    front: _Wish | None = None


def compose(seed: int, index: int, split: str, rng: Rng) -> Scene:
    """Composes a scene in which every fact holds by a clear margin."""
    shorter = int(rng.integers(320, 513))
    longer = min(640, round(shorter * rng.choice([1.0, 1.25, 1.33, 1.5]) * rng.uniform(0.96, 1.04)))
    longer = max(shorter, longer)
    width, height = (longer, shorter) if rng.random() < 0.65 else (shorter, longer)
    setting = _setting(rng)
    while True:
        board = _board(rng) if rng.random() < 0.25 else None
        wishes = _wishes(rng, setting, split)
        # Several tries for the same wishes; otherwise scenes with many objects would be rare.
        tries = (_arrange(rng, wishes, width, height, board) for _ in range(8))
        objects = next((found for found in tries if found is not None), None)
        if objects is not None:
            break
    behind = next(((w.kind, w.front.kind) for w in wishes if w.front), None)
    relations = relations_of(objects, width, height, behind)
    return Scene(seed, index, split, width, height, setting, objects, relations, board, photo_of(rng))


def _setting(rng: Rng) -> Setting:
    kind = pick(rng, SETTINGS)
    tones = list(rng.permutation(list(TONES)))
    count = {"plain": 1, "gradient": 2}.get(kind, 0)
    return Setting(kind, tuple(str(t) for t in tones[:count]), int(rng.integers(2**31)))


def _board(rng: Rng) -> Board:
    y = 0.1 if rng.random() < 0.5 else 0.9
    return Board(pick(rng, WORDS), round(float(rng.uniform(0.4, 0.6)), 4), y)


def photo_of(rng: Rng) -> Photo:
    return Photo(
        degrees=round(float(rng.uniform(-3, 3)), 3),
        exposure=round(float(rng.uniform(0.9, 1.07)), 3),
        contrast=round(float(rng.uniform(0.02, 0.08)), 3),
        vignette=round(float(rng.uniform(0.0, 0.15)), 3),
        blur=round(float(max(0.0, rng.uniform(-0.5, 1.1))), 3),
        noise=round(float(rng.uniform(0.0, 7.0)), 3),
        quality=int(rng.integers(72, 96)),
        seed=int(rng.integers(2**31)),
    )


def _wishes(rng: Rng, setting: Setting, split: str) -> list[_Wish]:
    groups = int(rng.choice([1, 2, 3, 4, 5], p=[0.14, 0.26, 0.28, 0.2, 0.12]))
    backdrop = BACKDROPS[setting.kind]
    kinds = [str(k) for k in rng.permutation([k for k in KINDS if k not in backdrop.avoid_kinds])[:groups]]
    wishes = []
    for kind in kinds:
        colour = _colour(rng, kind, split, backdrop.avoid_colours)
        count = int(rng.choice([1, 2, 3, 4], p=[0.7, 0.14, 0.1, 0.06])) if groups < 5 else 1
        wishes.append(_Wish(kind, colour, _size(rng, groups, count), count))
    back = next((w for w in wishes if w.kind in _BROAD), None)
    if groups > 1 and back is not None and rng.random() < 0.4:
        front = next(w for w in wishes if w is not back)
        back.size, back.count, back.front = "large" if groups < 4 else "medium", 1, front
        front.size, front.count = "medium" if groups < 4 else "small", 1
        if front.colour == back.colour:
            front.colour = _colour(rng, front.kind, split, (*backdrop.avoid_colours, back.colour))
    return wishes


def _colour(rng: Rng, kind: str, split: str, but: Sequence[str]) -> str:
    colours = [c for c in COLOURS if c not in but]
    held = [c for c in colours if reserved(kind, c)]
    if held and split == "heldout" and rng.random() < 0.5:
        return held[0]
    return pick(rng, [c for c in colours if not reserved(kind, c)])


def _size(rng: Rng, groups: int, count: int) -> str:
    if count > 2 or groups * count > 6:
        return "small"
    if count == 2 or groups > 3:
        return pick(rng, ("small", "medium"))
    return pick(rng, tuple(SIZES) if groups < 3 else ("small", "medium", "medium", "large"))


def _arrange(
    rng: Rng, wishes: list[_Wish], width: int, height: int, board: Board | None
) -> tuple[SceneObject, ...] | None:
    """Places for all wishes with no two touching, unless one stands behind the other; None when none was found."""
    fronts = [w.front for w in wishes if w.front]
    ordered = sorted((w for w in wishes if not any(w is f for f in fronts)), key=lambda w: -SIZES[w.size] * w.count)
    taken: list[Box] = [_board_box(board, width, height)] if board else []
    placed: dict[str, SceneObject] = {}
    cells: set[str] = set()
    for wish in ordered:
        for _ in range(14):
            found = _try(rng, wish, [p for p in PLACES if p not in cells], width, height)
            if found is None:
                continue
            boxes = [box_of(o, width, height) for o in found]
            if all(_apart(b, t, width, height) for b in boxes for t in taken):
                placed.update((o.kind, o) for o in found)
                cells.update(o.place for o in found)
                taken.extend(boxes)
                break
        else:
            return None
    objects = sorted(placed.values(), key=lambda o: _order(o, [w.front for w in wishes if w.front], placed, wishes))
    return tuple(objects)


def _order(
    thing: SceneObject, fronts: list[_Wish], placed: dict[str, SceneObject], wishes: list[_Wish]
) -> tuple[int, int, int]:
    """Column, row, and the hidden one before what hides it."""
    anchor, rank = thing, 0
    if any(f.kind == thing.kind for f in fronts):
        back = next(w for w in wishes if w.front and w.front.kind == thing.kind)
        anchor, rank = placed[back.kind], 1
    row, column = anchor.place.split()
    return COLUMNS.index(column), ROWS.index(row), rank


def _try(rng: Rng, wish: _Wish, free: Sequence[str], width: int, height: int) -> list[SceneObject] | None:
    row, column = divmod(PLACES.index(pick(rng, free)), 3)
    x, y = float(rng.uniform(*_CLEAR_THIRDS[column])), float(rng.uniform(*_CLEAR_THIRDS[row]))
    back = _object(rng, wish, x, y, width, height)
    if back is None or wish.front is None:
        return [back] if back else None
    reach = (SIZES[wish.size] + SIZES[wish.front.size]) / 2 * min(width, height)
    angle = rng.uniform(0, 2 * np.pi)
    step = rng.uniform(0.5, 0.85) * reach
    front_x, front_y = x + step * np.cos(angle) / width, y + step * abs(np.sin(angle)) / height
    front = _object(rng, wish.front, float(front_x), float(front_y), width, height)
    if (
        front is None
        or front.place not in free
        or not _HIDDEN[0] <= hidden_share(back, front, width, height) <= _HIDDEN[1]
    ):
        return None
    return [back, front]


def _object(rng: Rng, wish: _Wish, x: float, y: float, width: int, height: int) -> SceneObject | None:
    """The object around a centre, if it lies inside the picture and its place is clear."""
    shorter = min(width, height)
    size = SIZES[wish.size] * float(rng.uniform(0.94, 1.06))
    pitch = size * 1.17
    match wish.count:
        case 1:
            offsets = [(0.0, 0.0)]
        case 4:
            offsets = [(dx * pitch, dy * pitch) for dy in (-0.5, 0.5) for dx in (-0.5, 0.5)]
        case 3 if rng.random() < 0.4:
            offsets = [(0.0, -0.5 * pitch), (-0.5 * pitch, 0.5 * pitch), (0.5 * pitch, 0.5 * pitch)]
        case n:
            offsets = [((i - (n - 1) / 2) * pitch, 0.0) for i in range(n)]
    place = place_of(x, y)
    reach_x, reach_y = _reach(wish.kind, size, width, height)
    spread_x = max(dx for dx, _ in offsets) * shorter / width + reach_x
    spread_y = max(abs(dy) for _, dy in offsets) * shorter / height + reach_y
    inside = x - spread_x > _EDGE and x + spread_x < 1 - _EDGE and y - spread_y > _EDGE and y + spread_y < 1 - _EDGE
    if place is None or not inside:
        return None
    mirrored = bool(rng.random() < 0.5)
    instances = tuple(
        Instance(
            round(x + dx * shorter / width, 5),
            round(y + dy * shorter / height, 5),
            round(size, 5),
            round(float(rng.uniform(-7, 7)), 3),
            mirrored,
        )
        for dx, dy in offsets
    )
    return SceneObject(wish.kind, wish.colour, wish.size, wish.count, place, round(x, 5), round(y, 5), instances)


def _reach(kind: str, size: float, width: int, height: int) -> tuple[float, float]:
    """Half of what one thing takes in width and height, as shares of the picture's; turned corners included."""
    x0, y0, x1, y1 = _kind_bounds(kind)
    unit = size / 2 * min(width, height)
    return (max(-x0, x1) * 1.04 + 0.06) * unit / width, (max(-y0, y1) * 1.04 + 0.06) * unit / height


def box_of(thing: SceneObject, width: int, height: int) -> Box:
    """x0, y0, x1, y1 around all instances, in shares of width and height; turned corners included."""
    half_x, half_y = _reach(thing.kind, thing.instances[0].size, width, height)
    xs, ys = [i.x for i in thing.instances], [i.y for i in thing.instances]
    return min(xs) - half_x, min(ys) - half_y, max(xs) + half_x, max(ys) + half_y


@cache
def _kind_bounds(kind: str) -> Box:
    return bounds(DRAWINGS[kind])


def _board_box(board: Board, width: int, height: int) -> Box:
    shorter = min(width, height)
    half_x = (0.045 * len(board.word) + 0.05) * shorter / width
    half_y = _BOARD_HEIGHT / 2 * shorter / height
    return board.x - half_x, board.y - half_y, board.x + half_x, board.y + half_y


def _apart(a: Box, b: Box, width: int, height: int) -> bool:
    gap_x = _GAP * min(width, height) / width
    gap_y = _GAP * min(width, height) / height
    return a[2] + gap_x < b[0] or b[2] + gap_x < a[0] or a[3] + gap_y < b[1] or b[3] + gap_y < a[1]


def hidden_share(back: SceneObject, front: SceneObject, width: int, height: int) -> float:
    """How much of ``back`` its neighbour covers, 0 to 1, measured on the silhouettes."""
    scale = 160 / max(width, height)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    masks = [
        silhouette(DRAWINGS[o.kind], placing(o.instances[0], width * scale, height * scale), shape)
        for o in (back, front)
    ]
    return float((masks[0] & masks[1]).sum() / max(1, masks[0].sum()))


def placing(instance: Instance, width: float, height: float) -> Placing:
    """Where an instance is drawn on a canvas of that size."""
    unit = instance.size / 2 * min(width, height)
    return Placing(instance.x * width, instance.y * height, unit, instance.degrees, instance.mirrored)


def relations_of(
    objects: tuple[SceneObject, ...], width: int, height: int, behind: tuple[str, str] | None = None
) -> tuple[Relation, ...]:
    """Each object with the next one, along the axis on which they are further apart."""
    found = []
    for i, (a, b) in enumerate(pairwise(objects)):
        if behind == (a.kind, b.kind):
            name = "behind"
        elif abs(b.x - a.x) * width >= abs(b.y - a.y) * height:
            name = "left of" if b.x > a.x else "right of"
        else:
            name = "above" if b.y > a.y else "below"
        found.append(Relation(i, name, i + 1))
    return tuple(found)
