"""Statements about a scene in pairs: one that is true, and the same with one thing changed, which is false.

The phrasings are those of training captions and others with a wider vocabulary; none is one of those that are kept for
held-out scenes. A pair is drawn with the same random numbers, so that both say the same up to what was changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from curation.caption.verify.statements import split
from curation.demo import phrases
from curation.demo.changes import absent, other, with_object
from curation.demo.judge import judge
from curation.demo.training import wordings, written
from curation.demo.training.doubts import Doubt
from curation.demo.training.pair import Pair, never_true
from curation.demo.training.relation_pairs import foreign_reference, turned_relation
from curation.demo.truth import SETTINGS, Rng, Scene, SceneObject, Setting, generator, pick
from curation.demo.vocabulary import (
    BACKDROPS,
    COLOURS,
    NEVER_SHOWN,
    PLACES,
    SIZES,
    TONES,
    WORDS,
)

# The share of statements that are cut out of a whole caption.
_WHOLE = 0.25


def pairs(shown: Scene, stranger: Scene, rng: Rng, count: int) -> list[Pair]:
    """``count`` pairs about a scene; ``stranger`` is another scene, whose statements are mostly false here."""
    scene, stranger = (dataclasses.replace(s, split="train") for s in (shown, stranger))
    found: list[Pair] = []
    while len(found) < count:
        pair = _pair(scene, stranger, rng)
        if pair is not None and pair.true != pair.false:
            found.append(pair)
    return found


def doubtful_pair(shown: Scene, doubt: Doubt, rng: Rng) -> Pair | None:
    """What is true, and what the picture may be taken for; None where that cannot be said."""
    scene, seed = dataclasses.replace(shown, split="train"), int(rng.integers(2**31))
    if doubt.what == "word":
        if scene.board is None:
            return None
        true, false = (written.board_sentence(scene, word, seed) for word in (scene.board.word, str(doubt.value)))
        pair: Pair | None = Pair(true, false, "text")
    elif doubt.what == "kind" and scene.object_of(str(doubt.value)) is not None:
        return None
    else:
        fault = "object" if doubt.what == "kind" else doubt.what
        pair = _changed_object(scene, doubt.at, seed, fault, **{doubt.what: doubt.value})
    return pair if pair is not None and pair.true != pair.false else None


def _pair(scene: Scene, stranger: Scene, rng: Rng) -> Pair | None:
    fault = pick(rng, _FAULTS)
    seed = int(rng.integers(2**31))
    return _CHANGES[fault](scene, stranger, rng, seed)


def _about_object(scene: Scene, rng: Rng, seed: int, fault: str, **values: object) -> Pair | None:
    """A pair about one object, whose ``values`` are changed; every attribute that is changed is also stated."""
    at = int(rng.integers(len(scene.objects)))
    return _changed_object(scene, at, seed, fault, **values)


def _changed_object(scene: Scene, at: int, seed: int, fault: str, **values: object) -> Pair | None:
    thing = scene.objects[at]
    changed = dataclasses.replace(thing, **values)  # type: ignore[arg-type]
    if changed == thing or never_true(thing, changed):
        return None
    draw = generator(seed)
    if draw.random() < _WHOLE:
        return _within_caption(scene, with_object(scene, at, changed), seed, fault)
    if "kind" not in values and draw.random() < 0.35:
        return _atoms(thing, changed, seed, fault)
    blanks = _blanks(draw, set(values))
    one, two = dataclasses.replace(thing, **blanks), dataclasses.replace(changed, **blanks)  # type: ignore[arg-type]
    if two.kind == phrases.SOMETHING and any(_looks_like(o, two) for o in scene.objects):
        return None
    placed = "place" in values
    true, false = (wordings.object_sentence(scene, o, seed, placed) for o in (one, two))
    return Pair(true, false, fault)


def _blanks(draw: Rng, kept: set[str]) -> dict[str, str]:
    """Attributes that a statement leaves out, as captions do with what cannot be told."""
    found = {name: "" for name in ("size", "colour", "place") if name not in kept and draw.random() < 0.2}
    if "kind" not in kept and draw.random() < 0.06:
        found["kind"] = phrases.SOMETHING
    return found


def _looks_like(thing: SceneObject, said: SceneObject) -> bool:
    """Whether a statement about an object of unknown kind holds for a thing."""
    told = ((said.colour, thing.colour), (said.size, thing.size), (said.place, thing.place))
    return said.count == thing.count and all(a in ("", b) for a, b in told)


def _atoms(thing: SceneObject, changed: SceneObject, seed: int, fault: str) -> Pair | None:
    """A statement of one or two attributes of an object that is taken as given."""
    forms = wordings.atom_forms(thing, changed)
    if not forms:
        return None
    form = pick(generator(seed, 2), forms)
    return Pair(wordings.atom(thing, form, seed), wordings.atom(changed, form, seed), fault)


def _within_caption(scene: Scene, changed: Scene, seed: int, fault: str) -> Pair | None:
    """A statement that the change changed, of a caption of the whole scene."""
    own = split(phrases.dense_caption(scene, generator(seed, 4)))
    other = split(phrases.dense_caption(changed, generator(seed, 4)))
    if len(own) != len(other):
        return None
    differ = [(a.asked, b.asked) for a, b in zip(own, other, strict=True) if a.text != b.text]
    # Some sentences differ in their wording only.
    wrong = [(a, b) for a, b in differ if judge(scene, b).false and not judge(scene, a).false]
    if not wrong:
        return None
    true, false = wrong[int(generator(seed, 5).integers(len(wrong)))]
    return Pair(true, false, fault)


def _kind(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    return _about_object(scene, rng, seed, "object", kind=absent(scene, rng))


def _colour(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    at = int(rng.integers(len(scene.objects)))
    near = [o.colour for o in scene.objects if o.colour != scene.objects[at].colour]
    colour = pick(rng, near) if near and rng.random() < 0.4 else pick(rng, tuple(COLOURS))
    return _changed_object(scene, at, seed, "colour", colour=colour)


def _count(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    return _about_object(scene, rng, seed, "count", count=int(rng.integers(1, 6)))


def _size(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    return _about_object(scene, rng, seed, "size", size=pick(rng, tuple(SIZES)))


def _place(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    at = int(rng.integers(len(scene.objects)))
    taken = [o.place for o in scene.objects]
    place = pick(rng, taken) if rng.random() < 0.4 else pick(rng, PLACES)
    row, column = place.split()
    if row == "middle" and column != "centre" and scene.objects[at].place.endswith(column):
        return None  # "on the left side" is said of all heights
    return _changed_object(scene, at, seed, "place", place=place)


def _background(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    now, kind = scene.setting, pick(rng, SETTINGS)
    tones = tuple(pick(rng, tuple(TONES)) for _ in range({"plain": 1, "gradient": 2}.get(kind, 0)))
    # A gradient's tones are named in either order, and two equal ones are none.
    same = kind == now.kind and set(tones) == set(now.tones)
    if same or len(set(tones)) < len(tones) or kind in BACKDROPS[now.kind].allows:
        return None
    true, false = (wordings.background_sentence(scene, s, seed) for s in (now, Setting(kind, tones, now.seed)))
    return Pair(true, false, "background")


def _written(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    draw = generator(seed, 8)
    nothing = written.no_text_sentence(dataclasses.replace(scene, board=None), seed)
    if scene.board is None:
        word = written.board_sentence(scene, pick(rng, WORDS), seed)
        return Pair(nothing, word if rng.random() < 0.6 else pick(draw, written.SOME_TEXT), "text")
    true = written.board_sentence(scene, scene.board.word, seed)
    if rng.random() < 0.2:
        return Pair(true if rng.random() < 0.5 else pick(draw, written.SOME_TEXT), nothing, "text")
    word = pick(rng, written.MORE_WORDS) if rng.random() < 0.2 else other(rng, WORDS, scene.board.word)
    return Pair(true, written.board_sentence(scene, word, seed), "text")


def _invented(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    """A thing that is not there, beside a true statement of another kind."""
    at = int(rng.integers(len(scene.objects)))
    thing = scene.objects[at]
    # Often with the looks or the place of a thing that is there.
    mine = dataclasses.replace(
        thing,
        kind=absent(scene, rng),
        colour=thing.colour if rng.random() < 0.3 else pick(rng, tuple(COLOURS)),
        size=thing.size if rng.random() < 0.3 else pick(rng, tuple(SIZES)),
        count=thing.count if rng.random() < 0.3 else 1,
        place=thing.place if rng.random() < 0.3 else pick(rng, PLACES),
    )
    if never_true(thing, mine):
        return None
    false = wordings.object_sentence(scene, mine, seed, False)
    if mine.count == 1 and rng.random() < 0.15:
        false = false.replace(mine.kind, pick(rng, NEVER_SHOWN))
    return Pair(
        wordings.object_sentence(scene, scene.objects[int(rng.integers(len(scene.objects)))], seed, False),
        false,
        "invented",
    )


def _stranger(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    """An object of another picture, as that one's caption has it; beside something that is true of every picture."""
    thing = stranger.objects[int(rng.integers(len(stranger.objects)))]
    mine = scene.object_of(thing.kind)
    if mine is not None and _looks_like(mine, thing):
        return None
    draw = generator(seed, 11)
    if mine is not None:
        true = wordings.object_sentence(scene, mine, seed, True)
        return Pair(true, phrases.object_sentence(draw, stranger, thing, False), "stranger")
    true = pick(draw, wordings.ALWAYS) if draw.random() < 0.5 else _always_caption(scene, seed)
    return Pair(true, wordings.object_sentence(stranger, thing, seed, False), "stranger")


def _always_caption(scene: Scene, seed: int) -> str:
    """A closing sentence of a caption, with what it refers to."""
    said = split(phrases.dense_caption(scene, generator(seed, 12)))
    last = [s.asked for s in said if not s.classes or s.classes == ("other",)]
    return pick(generator(seed, 13), last) if last else phrases.phrase_of(generator(seed, 13), phrases.STYLE, scene)


def _short(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    """A short caption of the whole scene, with one thing changed."""
    at = int(rng.integers(len(scene.objects)))
    thing = scene.objects[at]
    other_thing, setting = thing, scene.setting
    match int(rng.integers(5)):
        case 0:
            other_thing = dataclasses.replace(thing, colour=other(rng, tuple(COLOURS), thing.colour))
        case 1:
            other_thing = dataclasses.replace(thing, kind=absent(scene, rng))
        case 2:
            other_thing = dataclasses.replace(thing, count=1 + thing.count % 4)
        case 3:
            other_thing = dataclasses.replace(thing, size=other(rng, tuple(SIZES), thing.size))
        case _:
            kind = other(rng, SETTINGS[2:], scene.setting.kind)
            if kind in BACKDROPS[scene.setting.kind].allows:
                return None
            setting = Setting(kind, (), 0)
    if never_true(thing, other_thing):
        return None
    changed = dataclasses.replace(with_object(scene, at, other_thing), setting=setting)
    one, two = (wordings.short_caption(s, seed) for s in (scene, changed))
    return Pair(one, two, "short") if one != two else None


_Change = Callable[[Scene, Scene, Rng, int], Pair | None]
_CHANGES: Mapping[str, _Change] = {
    "object": _kind, "colour": _colour, "count": _count, "size": _size, "place": _place, "relation": turned_relation,
    "reference": foreign_reference, "background": _background, "text": _written, "invented": _invented,
    "stranger": _stranger, "short": _short,
}  # fmt: skip
# How often each is drawn: what is hard to see more often.
_FAULTS = (
    *["object"] * 3, *["colour"] * 3, *["count"] * 2, *["size"] * 3, *["place"] * 3, *["relation"] * 6, "reference",
    "background", *["text"] * 2, *["invented"] * 2, "stranger", *["short"] * 3,
)  # fmt: skip
