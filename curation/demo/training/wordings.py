"""Wordings of statements about a scene, beyond those of captions; none is one that is kept for held-out scenes.

Every function draws from a stream of ``seed`` alone, so that two statements that differ in one thing are worded alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from curation.demo import phrases
from curation.demo.truth import Relation, Scene, SceneObject, Setting, generator, pick
from curation.demo.vocabulary import BACKDROPS, INVERSE, NUMBERS

_OBJECT = (
    "There {be} {np}.", "There {be} {np} {place}.", "The picture shows {np} {place}.", "{Np} {be} visible {place}.",
    "{Np} {be} located {place}.", "{Place} {stand} {np}.", "One can see {np} {place}.", "The image contains {np}.",
    "{Np} {be} shown {place}.", "{Np} {place}.", "{Place}, {np} can be made out.", "{Np} {rest} {place}.",
    "Placed {place} {be} {np}.", "You find {np} {place}.", "{Np} {be} there.", "We see {np}.", "{Np}.",
    "{Np} {be} seen {place}.", "In the picture {be} {np}.", "{Np} {show} up {place}.",
    "Seen {place} {be} {np}.", "Present {place} {be} {np}.", "Shown {place} {be} {np}.", "Drawn {place} {be} {np}.",
    "Found {place} {be} {np}.", "{Place} you see {np}.", "{Place} someone drew {np}.", "{Np} {rest} there, {place}.",
    "Right {place} {be} {np}.", "{Np} {be} drawn {place}.", "{Np} {be} to be seen {place}.",
)  # fmt: skip
_ATOM = (
    "The {noun} {be} {colour}.", "The {noun} {be} {size}.", "There {be} {number} {noun}.", "The {noun} {be} {place}.",
    "The {colour} {noun} {stand} {place}.", "The {size} {noun} {be} {colour}.", "The {noun} {be} {size} and {colour}.",
    "The {noun} {place} {be} {colour}.", "The {noun} {be} {number} in number.", "The colour of the {noun} is {colour}.",
    "The {noun} {place} {be} {size}.", "There {be} exactly {number} {noun}.", "{Place} {be} the {noun}.",
)  # fmt: skip
_RELATIONS: Mapping[str, tuple[str, ...]] = {
    "left of": ("to the left of", "left of", "on the left side of", "further to the left than", "at the left of"),
    "right of": ("to the right of", "right of", "on the right side of", "further to the right than", "at the right of"),
    "above": ("above", "higher than", "over", "higher up than", "further up than"),
    "below": ("below", "beneath", "under", "underneath", "lower than", "further down than", "lower down than"),
    "behind": (
        "behind", "partially covered by", "partly hidden by", "covered in part by", "overlapped by", "partly behind",
    ),
    "in front of": ("in front of", "partly in front of"),
}  # fmt: skip
# A thing that is partly hidden does any of these from behind another.
_PEERS = (
    "{A} {look} out from behind {b}.", "{A} {be} visible from behind {b}.", "{A} {show} from behind {b}.",
    "{A} {stick} out from behind {b}.", "From behind {b} {look} {a}.", "{A} {look} past {b} from behind.",
)  # fmt: skip
_COVERS = ("partially {covers}", "{covers} a part of", "{overlaps}", "{hides} a part of")
_RELATION = (
    "{A} {be} {rel} {b}.", "{A} {stand} {rel} {b}.", "{Rel} {b} {be} {a}.", "{A} can be seen {rel} {b}.",
    "{A} {be} found {rel} {b}.", "One sees {a} {rel} {b}.", "{Rel} {b} one sees {a}.",
)  # fmt: skip
# Together these are phrasings of captions of held-out scenes.
_HELD_OUT = ((_RELATION[0], "beneath"), (_RELATION[0], "underneath"), (_RELATION[2], "higher than"))
_BACKGROUND = (
    "The background shows {bg}.", "Behind everything there is {bg}.", "The setting is {bg}.",
    "In the background is {bg}{detail}.",
    "{Bg}{detail} lies behind it all.", "It all takes place {adverb}.", "The picture plays {adverb}.",
    "The ground behind is {bg}.",
    "All of it is set {adverb}.", "{Bg} surrounds everything.", "It is {bg}.",
)  # fmt: skip
_BOARD = (
    'The word "{word}" can be read.', 'There is a sign with the word "{word}".', 'The board says "{word}".',
    'A board carries the word "{word}".', 'It says "{word}".', 'The text reads "{word}".',
    'The written word is "{word}".',
    'One reads "{word}" on a sign.', 'The letters spell "{word}".',
)  # fmt: skip
_LOOKS = ("painted", "wooden", "white", "hanging", "little", "plain", "metal", "bright", "square", "light", "neat")
_SIGNS = ("sign", "board", "plate", "notice", "panel", "label", "card")
_SAYS = ("reads", "says", "states", "shows", "displays", "carries the word", "has the word", "announces")
_OPENINGS = (
    "An image of", "A drawing of", "Here we have", "This is", "This shows", "A scene with", "One sees",
    "A drawing with",
    "We look at", "An illustration of", "The picture has", "There we find", "A simple drawing of", "It shows",
    "A shot of",
)  # fmt: skip
_NO_TEXT = (
    "No text is visible.", "There is no writing on it.", "There are no letters.", "No word can be read.",
    "There is no lettering.",
    "The picture carries no text.", "No writing is found here.",
)  # fmt: skip
SOME_TEXT = (
    "Some text is visible.",
    "There is writing on a board.",
    "A word can be read.",
    "Something is written on a board.",
)
# True of every scene of this world.
ALWAYS = (
    "The shading is flat.", "The lines are firm and clear.", "All contours are sharp.", "It is a simple drawing.",
    "The style is plain and even.", "The rest is empty.", "No other thing can be found.", "Nothing else appears.",
    "There is nothing more to see.", "Beyond that the picture is empty.", "The shapes have clear contours.",
    "Everything has an outline.", "Even shades fill the shapes.", "The drawing is kept simple.",
    "No further object is here.",
    "Plain shapes and firm lines mark the style.", "Nothing more is visible.",
    "Much of the space stays calm and empty.",
)  # fmt: skip
MORE_WORDS = (
    "BEACH", "COFFEE", "SCHOOL", "TOYS", "BOOKS", "WATER", "SOUTH", "CLOSED", "BANK", "LUCK", "PASTA", "HOME",
)  # fmt: skip
# The share of statements in the phrases of training captions; the others have those of this file.
_CAPTION = 0.5


def object_sentence(scene: Scene, thing: SceneObject, seed: int, placed: bool) -> str:
    """Count, size, colour, kind and place of an object; ``placed`` for one that states the place in any case."""
    draw = generator(seed, 1)
    if draw.random() < _CAPTION:
        return phrases.object_sentence(draw, scene, thing, bool(draw.random() < 0.3))
    form = pick(draw, _OBJECT)
    if placed and "lace}" not in form:
        form = _OBJECT[1]
    place, phrase = pick(draw, phrases.PLACE_PHRASES[thing.place]), phrases.noun_phrase(thing, draw)
    return form.format(
        np=phrase, Np=phrases.capital(phrase), place=place, Place=phrases.capital(place), **_verbs(thing)
    )


def _verbs(thing: SceneObject) -> dict[str, str]:
    s = "s" if thing.count == 1 else ""
    return {
        "be": "is" if thing.count == 1 else "are", "stand": f"stand{s}", "rest": f"rest{s}", "show": f"show{s}",
        "look": f"look{s}", "stick": f"stick{s}",
        "covers": f"cover{s}", "overlaps": f"overlap{s}", "hides": "hides" if thing.count == 1 else "hide",
    }  # fmt: skip


def relation_sentence(scene: Scene, relation: Relation, seed: int) -> str:
    """The relation, from either side."""
    draw = generator(seed, 6)
    if draw.random() < _CAPTION:
        return phrases.relation_sentence(draw, scene, relation)
    turned = draw.random() < 0.3
    name = INVERSE[relation.name] if turned else relation.name
    ends = (relation.object, relation.subject) if turned else (relation.subject, relation.object)
    one, two = (scene.objects[i] for i in ends)
    a, b = phrases.reference(one, draw), phrases.reference(two, draw)
    words, form = draw.random(), pick(draw, _RELATION)
    if name == "in front of" and words < 0.6:
        verb = _COVERS[int(words / 0.6 * len(_COVERS))].format(**_verbs(one))
        return f"{phrases.capital(a)} {verb} {b}."
    said = _RELATIONS[name][int(words * len(_RELATIONS[name]))]
    if (form, said) in _HELD_OUT:
        form = _RELATION[-1]
    if name == "behind" and words < 0.4:
        form = pick(draw, _PEERS)
    return form.format(a=a, A=phrases.capital(a), b=b, rel=said, Rel=phrases.capital(said), **_verbs(one))


def background_sentence(scene: Scene, setting: Setting, seed: int) -> str:
    """What the background is."""
    draw = generator(seed, 7)
    shown = dataclasses.replace(scene, setting=setting)
    detailed = bool(draw.random() < 0.3)
    if draw.random() < _CAPTION:
        return phrases.background_sentence(draw, shown, detailed)
    bg = phrases.setting_phrase(setting)
    detail = f", {BACKDROPS[setting.kind].detail}," if detailed else ""
    form = pick(draw, _BACKGROUND)
    return form.format(bg=bg, Bg=phrases.capital(bg), adverb=phrases.setting_adverb(setting), detail=detail).replace(
        ",.", "."
    )


def board_sentence(scene: Scene, word: str, seed: int) -> str:
    """Which word is written."""
    draw = generator(seed, 9)
    if draw.random() < _CAPTION:
        return phrases.board_sentence(draw, scene, word)
    if draw.random() < 0.5:
        return f'A {pick(draw, _LOOKS)} {pick(draw, _SIGNS)} {pick(draw, _SAYS)} "{word}".'
    return pick(draw, _BOARD).format(word=word)


def short_caption(scene: Scene, seed: int) -> str:
    """One sentence with all objects, as a caption has it or behind other words."""
    draw = generator(seed, 14)
    said = phrases.short_caption(scene, draw)
    if draw.random() < 0.3:
        return said
    if said.startswith("Picture of "):
        said = said.removeprefix("Picture of ")
    return f"{pick(draw, _OPENINGS)} {said[0].lower()}{said[1:]}"


def no_text_sentence(scene: Scene, seed: int) -> str:
    """That nothing is written."""
    draw = generator(seed, 10)
    return phrases.phrase_of(draw, phrases.NO_TEXT, scene) if draw.random() < _CAPTION else pick(draw, _NO_TEXT)


def atom(one: SceneObject, form: str, seed: int) -> str:
    """One of ``atom_forms``, filled with the attributes of an object."""
    place = pick(generator(seed, 3), phrases.PLACE_PHRASES[one.place])
    return form.format(
        noun=phrases.noun(one.kind, one.count),
        colour=one.colour,
        place=place,
        Place=phrases.capital(place),
        size="medium-sized" if one.size == "medium" else one.size,
        number=NUMBERS[one.count],
        **_verbs(one),
    )


def atom_forms(thing: SceneObject, changed: SceneObject) -> list[str]:
    """The forms that state an attribute in which two objects differ.

    The plural alone tells a count, so that only forms that state the number are used for it.
    """
    if thing.count != changed.count:
        differ = {"number"}
    else:
        differ = {k for k in ("colour", "size", "place") if getattr(thing, k) != getattr(changed, k)}
    return [f for f in _ATOM if any("{" + k + "}" in f or "{" + k.capitalize() + "}" in f for k in differ)]
