"""Wordings of statements about a scene, beyond those of captions; none is one that is kept for held-out scenes.

Every function draws from a stream of ``seed`` alone, so that two statements that differ in one thing are worded alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from curation.demo import phrases
from curation.demo.training.openings import CAPTION, PICTURES, SEEN, SEES, STANDS, listed, word
from curation.demo.truth import Relation, Rng, Scene, SceneObject, Setting, generator, pick
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
_SIDES = (
    "to the {} of", "{} of", "on the {} side of", "further to the {} than", "at the {} of", "more to the {} than",
    "farther to the {} than", "to the {} side of", "on the {}-hand side of", "just {} of", "off to the {} of",
    "some way to the {} of", "a bit to the {} of", "at the {} side of",
)  # fmt: skip
_RELATIONS: Mapping[str, tuple[str, ...]] = {
    "left of": tuple(side.format("left") for side in _SIDES),
    "right of": tuple(side.format("right") for side in _SIDES),
    "above": (
        "above", "higher than", "over", "higher up than", "further up than", "up above", "somewhere above",
        "farther up than", "at a point above", "right above",
    ),
    "below": (
        "below", "beneath", "under", "underneath", "lower than", "further down than", "lower down than", "down below",
        "somewhere below", "farther down than", "at a point below", "right below",
    ),
    "behind": (
        "behind", "partially covered by", "partly hidden by", "covered in part by", "overlapped by", "partly behind",
        "partly obscured by", "partially obscured by", "partly overlapped by", "half hidden by", "hidden in part by",
        "a bit behind", "obscured by", "partially hidden by", "right behind",
    ),
    "in front of": (
        "in front of", "partly in front of", "right in front of", "a bit in front of", "standing in front of",
    ),
}  # fmt: skip
# A thing that is partly hidden does any of these from behind another.
_PEERS = (
    "{A} {look} out from behind {b}.", "{A} {be} visible from behind {b}.", "{A} {show} from behind {b}.",
    "{A} {stick} out from behind {b}.", "From behind {b} {look} {a}.", "{A} {look} past {b} from behind.",
    "{A} {rest} half hidden behind {b}.", "{A} {verb} behind {b}.", "Partly hidden behind {b} {be} {a}.",
)  # fmt: skip
_COVERS = (
    "partially {covers}",
    "{covers} a part of",
    "{overlaps}",
    "{hides} a part of",
    "partly {hides}",
    "in part {hides}",
    "partly {overlaps}",
    "{covers} some of",
    "partially {overlaps}",
    "partially {hides}",
    "{overlaps} a part of",
)
_RELATION = (
    "{A} {be} {rel} {b}.", "{A} {stand} {rel} {b}.", "{Rel} {b} {be} {a}.", "{A} can be seen {rel} {b}.",
    "{A} {be} found {rel} {b}.", "One sees {a} {rel} {b}.", "{Rel} {b} one sees {a}.", "{A} {verb} {rel} {b}.",
    "{A} {verb} {rel} {b}.", "{Rel} {b} {verb} {a}.", "{Rel} {b} {sees} {a}.", "{Sees} {a} {rel} {b}.",
    "{Seen} {rel} {b} {be} {a}.",
)  # fmt: skip
# Together these are phrasings of captions of held-out scenes.
_HELD_OUT = ((_RELATION[0], "beneath"), (_RELATION[0], "underneath"))
_BACKGROUND = (
    "The background shows {bg}.", "Behind everything there is {bg}.", "The setting is {bg}.",
    "In the background is {bg}{detail}.",
    "{Bg}{detail} lies behind it all.", "It all takes place {adverb}.", "The picture plays {adverb}.",
    "The ground behind is {bg}.",
    "All of it is set {adverb}.", "{Bg} surrounds everything.", "It is {bg}.", "{Bg}{detail} makes up the background.",
    "{Bg} serves as the background.", "The backdrop is {bg}{detail}.", "Behind it all {sees} {bg}.",
    "Before {bg}{detail} all of this {shown}.", "The scenery is {bg}.", "As a background there is {bg}{detail}.",
    "All is shown against {bg}.", "It is all drawn {adverb}.", "Against {bg}{detail} one sees it all.",
)  # fmt: skip
# True of every scene of this world.
ALWAYS = (
    "The shading is flat.", "The lines are firm and clear.", "All contours are sharp.", "It is a simple drawing.",
    "The style is plain and even.", "The rest is empty.", "No other thing can be found.", "Nothing else appears.",
    "There is nothing more to see.", "Beyond that the picture is empty.", "The shapes have clear contours.",
    "Everything has an outline.", "Even shades fill the shapes.", "The drawing is kept simple.",
    "No further object is here.",
    "Plain shapes and firm lines mark the style.", "Nothing more is visible.",
    "Much of the space stays calm and empty.", "The picture has nothing more to show.",
    "Firm lines go around all shapes.",
    "There is plenty of space around everything.", "All is drawn in a plain way.", "No other things are there.",
    "Simple shades and clear lines make up the drawing.", "The remaining space holds nothing.",
    "It is a plain drawing.",
    "Nothing further is to be seen.", "The style of the drawing is even and clear.", "The rest of it is free.",
    "There are no more things.", "Each shape has a firm line around it.", "That is everything.",
)  # fmt: skip
# The share of those with words from long lists among the statements that no training caption has.
_LISTED = 0.35
_SLOTS = (
    "{Np} {verb} {place}.", "{Np} {verb} {place}.", "{Place} {verb} {np}.", "{Place} {sees} {np}.",
    "{Seen} {place} {be} {np}.", "{Sees} {np} {place}.", "{Np} {verb} there, {place}.", "{Place}, {sees} {np}.",
    "In this {pic} {np} {verb} {place}.", "{Place} in the {pic} {be} {np}.", "The {pic} has {np} {place}.",
)  # fmt: skip


def object_sentence(scene: Scene, thing: SceneObject, seed: int, placed: bool) -> str:
    """Count, size, colour, kind and place of an object; ``placed`` for one that states the place in any case."""
    draw = generator(seed, 1)
    if draw.random() < CAPTION:
        return phrases.object_sentence(draw, scene, thing, bool(draw.random() < 0.3))
    form = pick(draw, _SLOTS if draw.random() < _LISTED else _OBJECT)
    if placed and "lace}" not in form:
        form = _OBJECT[1]
    place, phrase = pick(draw, phrases.PLACE_PHRASES[thing.place]), phrases.noun_phrase(thing, draw)
    return form.format(
        np=phrase,
        Np=phrases.capital(phrase),
        place=place,
        Place=phrases.capital(place),
        **_verbs(thing),
        **_words(thing, draw),
    )


def _words(thing: SceneObject, draw: Rng) -> dict[str, str]:
    """Words that claim nothing; a verb agrees with the thing."""
    one, several = STANDS[int(draw.integers(len(STANDS)))]
    made = word(draw, ("",))
    verb = made + "s" * (thing.count == 1) if made else one if thing.count == 1 else several
    sees = pick(draw, SEES)
    return {
        "verb": verb, "sees": sees, "Sees": phrases.capital(sees), "Seen": word(draw, SEEN).capitalize(),
        "pic": word(draw, PICTURES),
    }  # fmt: skip


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
    if draw.random() < CAPTION:
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
    if (form, said) in _HELD_OUT or (said == "higher than" and form.startswith("{Rel}")):
        form = _RELATION[1]
    if name == "behind" and words < 0.4:
        form = pick(draw, _PEERS)
    return form.format(
        a=a, A=phrases.capital(a), b=b, rel=said, Rel=phrases.capital(said), **_verbs(one), **_words(one, draw)
    )


def background_sentence(scene: Scene, setting: Setting, seed: int) -> str:
    """What the background is."""
    draw = generator(seed, 7)
    shown = dataclasses.replace(scene, setting=setting)
    detailed = bool(draw.random() < 0.3)
    if draw.random() < CAPTION:
        return phrases.background_sentence(draw, shown, detailed)
    bg = phrases.setting_phrase(setting)
    detail = f", {BACKDROPS[setting.kind].detail}," if detailed else ""
    form = pick(draw, _BACKGROUND)
    return form.format(
        bg=bg,
        Bg=phrases.capital(bg),
        adverb=phrases.setting_adverb(setting),
        detail=detail,
        sees=pick(draw, SEES),
        shown=f"is {pick(draw, ('shown', 'drawn', 'set', 'placed', 'to be found'))}",
    ).replace(",.", ".")


def short_caption(scene: Scene, seed: int) -> str:
    """One sentence with the objects, as a caption has it or in other words."""
    draw = generator(seed, 14)
    return phrases.short_caption(scene, draw) if draw.random() < CAPTION else listed(scene, seed)


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
