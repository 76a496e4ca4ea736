"""Captions of the demo world that read well and are false: only a look at the picture can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from curation.demo.changes import absent, other, with_object
from curation.demo.phrases import dense_caption, relation_sentence
from curation.demo.truth import SETTINGS, Board, Relation, Rng, Scene, generator, pick
from curation.demo.vocabulary import COLOURS, INVERSE, PLACES, SIZES, WORDS
from curation.demo.world import scene

SEED = 31  # of a world of its own


def _any(shown: Scene, rng: Rng) -> int:
    return int(rng.integers(len(shown.objects)))


def swapped_colours(shown: Scene, rng: Rng) -> str:
    first = shown.objects[0].colour
    at = next((i for i, o in enumerate(shown.objects) if o.colour != first), None)
    if at is None:
        return dense_caption(_coloured(shown, 0, other(rng, tuple(COLOURS), first)), rng)
    return dense_caption(_coloured(_coloured(shown, 0, shown.objects[at].colour), at, first), rng)


def _coloured(shown: Scene, at: int, colour: str) -> Scene:
    return with_object(shown, at, replace(shown.objects[at], colour=colour))


def wrong_count(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    thing = shown.objects[at]
    return dense_caption(with_object(shown, at, replace(thing, count=thing.count + 1)), rng)


def wrong_size(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    thing = shown.objects[at]
    return dense_caption(with_object(shown, at, replace(thing, size=other(rng, tuple(SIZES), thing.size))), rng)


def invented_object(shown: Scene, rng: Rng) -> str:
    colour, place = pick(rng, tuple(COLOURS)), pick(rng, PLACES)
    return f"{dense_caption(shown, rng)} A small {colour} {absent(shown, rng)} stands in the {place}."


def wrong_object(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    return dense_caption(with_object(shown, at, replace(shown.objects[at], kind=absent(shown, rng))), rng)


def wrong_place(shown: Scene, rng: Rng) -> str:
    at = _any(shown, rng)
    thing = shown.objects[at]
    return dense_caption(with_object(shown, at, replace(thing, place=other(rng, PLACES, thing.place))), rng)


def wrong_relation(shown: Scene, rng: Rng) -> str:
    if not shown.relations:
        return wrong_place(shown, rng)
    true = shown.relations[0]
    wrong = relation_sentence(rng, shown, Relation(true.subject, INVERSE[true.name], true.object))
    return f"{dense_caption(replace(shown, relations=()), rng)} {wrong}"


def wrong_background(shown: Scene, rng: Rng) -> str:
    plain = tuple(k for k in SETTINGS if k not in ("plain", "gradient"))
    setting = replace(shown.setting, kind=other(rng, plain, shown.setting.kind), tones=())
    return dense_caption(replace(shown, setting=setting), rng)


def invented_word(shown: Scene, rng: Rng) -> str:
    board = Board(other(rng, WORDS, shown.board.word if shown.board else ""), 0.5, 0.1)
    return dense_caption(replace(shown, board=board), rng)


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
