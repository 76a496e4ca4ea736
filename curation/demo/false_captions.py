"""Captions of the demo world that read well and are false: only a look at the picture can tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from curation.demo.phrases import dense_caption, relation_sentence
from curation.demo.truth import SETTINGS, Board, Relation, Rng, Scene, generator
from curation.demo.vocabulary import COLOURS, INVERSE, KINDS, PLACES, SIZES, WORDS
from curation.demo.world import scene

SEED = 31  # of a world of its own


def _other(rng: Rng, options: tuple[str, ...], but: str) -> str:
    left = [o for o in options if o != but]
    return left[int(rng.integers(len(left)))]


def _with(shown: Scene, at: int, **values: object) -> Scene:
    """The scene with other values of one of its objects."""
    thing = dataclasses.replace(shown.objects[at], **values)  # type: ignore[arg-type]
    return dataclasses.replace(shown, objects=(*shown.objects[:at], thing, *shown.objects[at + 1 :]))


def _any(shown: Scene, rng: Rng) -> int:
    return int(rng.integers(len(shown.objects)))


def swapped_colours(shown: Scene, rng: Rng) -> str:
    first = shown.objects[0].colour
    other = next((i for i, o in enumerate(shown.objects) if o.colour != first), None)
    if other is None:
        return dense_caption(_with(shown, 0, colour=_other(rng, tuple(COLOURS), first)), rng)
    swapped = _with(_with(shown, 0, colour=shown.objects[other].colour), other, colour=first)
    return dense_caption(swapped, rng)


def wrong_count(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    return dense_caption(_with(shown, at, count=shown.objects[at].count + 1), rng)


def wrong_size(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    return dense_caption(_with(shown, at, size=_other(rng, tuple(SIZES), shown.objects[at].size)), rng)


def invented_object(shown: Scene, rng: Rng) -> str:
    colour, place = _other(rng, tuple(COLOURS), ""), _other(rng, PLACES, "")
    return f"{dense_caption(shown, rng)} A small {colour} {_other(rng, _absent(shown), '')} stands in the {place}."


def wrong_object(shown: Scene, rng: Rng) -> str:
    return dense_caption(_with(shown, _any(shown, rng), kind=_other(rng, _absent(shown), "")), rng)


def _absent(shown: Scene) -> tuple[str, ...]:
    return tuple(k for k in KINDS if shown.object_of(k) is None)


def wrong_place(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    return dense_caption(_with(shown, at, place=_other(rng, PLACES, shown.objects[at].place)), rng)


def wrong_relation(shown: Scene, rng: Rng) -> str:
    if not shown.relations:
        return wrong_place(shown, rng)
    true = shown.relations[0]
    wrong = relation_sentence(rng, shown, Relation(true.subject, INVERSE[true.name], true.object))
    return f"{dense_caption(dataclasses.replace(shown, relations=()), rng)} {wrong}"


def wrong_background(shown: Scene, rng: Rng) -> str:
    plain = tuple(k for k in SETTINGS if k not in ("plain", "gradient"))
    setting = dataclasses.replace(shown.setting, kind=_other(rng, plain, shown.setting.kind), tones=())
    return dense_caption(dataclasses.replace(shown, setting=setting), rng)


def invented_word(shown: Scene, rng: Rng) -> str:
    board = Board(_other(rng, WORDS, shown.board.word if shown.board else ""), 0.5, 0.1)
    return dense_caption(dataclasses.replace(shown, board=board), rng)


def another_picture(shown: Scene, rng: Rng) -> str:
    return dense_caption(scene(SEED, shown.index + 100_003), rng)


FALSE: dict[str, Callable[[Scene, Rng], str]] = {
    "swapped colours": swapped_colours,
    "wrong count": wrong_count,
    "wrong size": wrong_size,
    "invented object": invented_object,
    "wrong object": wrong_object,
    "wrong place": wrong_place,
    "wrong relation": wrong_relation,
    "wrong background": wrong_background,
    "invented written word": invented_word,
    "another picture's caption": another_picture,
}


def false_caption(kind: str, shown: Scene) -> str:
    """The scene's caption with this fault; the same for the same scene."""
    return FALSE[kind](shown, generator(shown.index, 17))
