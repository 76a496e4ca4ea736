"""Words around a claim that change nothing about it, and whole short captions that are made with them.

They are many, so that a verifier learns to read past words that it never met. Words of phrasings that are kept for
held-out scenes are not among them.
"""

from __future__ import annotations

import dataclasses

from curation.demo import phrases
from curation.demo.truth import Rng, Scene, SceneObject, generator, pick
from curation.demo.vocabulary import NUMBERS

# The share of statements in the phrases of training captions.
CAPTION = 0.4
PICTURES = (
    "picture", "image", "scene", "photo", "photograph", "composition", "shot", "illustration", "drawing", "sketch",
    "portrait", "snapshot", "glimpse", "sight", "print", "painting", "cartoon", "depiction", "study", "page", "poster",
    "display", "mix", "work", "design", "graphic", "look", "render", "showing", "postcard", "clip", "piece", "layout",
    "collage", "artwork", "figure", "panel", "tableau", "vista", "rendition", "record", "peep", "visual", "motif",
)  # fmt: skip
# What a thing does that is somewhere, of one and of several.
STANDS = (
    ("sits", "sit"), ("rests", "rest"), ("lies", "lie"), ("waits", "wait"), ("hangs", "hang"), ("floats", "float"),
    ("stays", "stay"), ("remains", "remain"), ("shines", "shine"), ("turns up", "turn up"), ("pops up", "pop up"),
    ("emerges", "emerge"), ("shows", "show"), ("takes its place", "take their place"), ("is set", "are set"),
    ("is situated", "are situated"), ("is positioned", "are positioned"), ("is depicted", "are depicted"),
    ("is displayed", "are displayed"), ("is pictured", "are pictured"), ("is drawn", "are drawn"),
    ("is arranged", "are arranged"), ("is kept", "are kept"), ("is portrayed", "are portrayed"),
    ("is spotted", "are spotted"), ("is noticed", "are noticed"), ("is observed", "are observed"),
    ("is on show", "are on show"), ("is to be found", "are to be found"), ("may be seen", "may be seen"),
    ("is noticeable", "are noticeable"), ("can be spotted", "can be spotted"), ("is present", "are present"),
    ("has been put", "have been put"), ("comes into sight", "come into sight"), ("dwells", "dwell"),
    ("is clear to see", "are clear to see"), ("meets the eye", "meet the eye"), ("is laid out", "are laid out"),
)  # fmt: skip
SEES = (
    "one notices", "you notice", "the viewer sees", "we notice", "the artist put", "someone placed", "you spot",
    "one discovers", "we spot", "one can spot", "we can see", "a viewer notes", "one observes", "I see",
    "one makes out", "the eye meets", "it shows", "you can tell",
)  # fmt: skip
SEEN = (
    "Seen", "Present", "Shown", "Drawn", "Found", "Depicted", "Situated", "Located", "Positioned", "Noticeable",
    "Displayed", "Pictured", "Recognisable", "Plain to see", "Spotted", "Observed", "Easy to spot", "Sketched",
)  # fmt: skip
_STAGED = (
    "shown", "set", "drawn", "pictured", "depicted", "displayed", "portrayed", "painted", "arranged", "all", "found",
    "located", "resting", "situated", "photographed", "captured", "put", "sketched", "everything", "placed", "put down",
    "noticed", "visible", "spotted", "presented", "viewed", "observed", "caught", "sighted", "in full sight",
)  # fmt: skip
_OPENINGS = (
    "A{n} {pic} of", "A{n} {pic} with", "The {pic} shows", "This {pic} shows", "This is a{n} {pic} of", "One sees",
    "Here we have", "This is", "This shows", "We look at", "The {pic} has", "There we find", "A simple {pic} of",
    "It shows", "{Pic} of", "{Pic} with", "In this {pic} we see", "A{n} {pic} showing", "A{n} {adjective} {pic} of",
    "The {adjective} {pic} has", "Some {pic} of", "What we see:", "In the {pic}:", "Just", "Here:", "The {pic} holds",
    "A{n} {pic} in which one sees", "The {pic} presents", "A{n} {pic}:",
)  # fmt: skip
_ADJECTIVES = (
    "simple", "neat", "fine", "calm", "clean", "friendly", "funny", "quick", "plain", "lovely", "careful", "modern",
)  # fmt: skip
_JOINS = (
    " and ", ", ", " as well as ", " together with ", " along with ", " plus ", " and also ", " with ", ", then ",
    " accompanied by ", " and ", " and ",
)  # fmt: skip
_SYLLABLES = ("ba", "ve", "lo", "ti", "gru", "zem", "pof", "nal", "ki", "wes", "dro", "mi", "sul", "ra", "vie", "chu")
# The share of words that are made up.
_MADE_UP = 0.1


def word(draw: Rng, words: tuple[str, ...]) -> str:
    """One of the words; now and then one that does not exist."""
    if draw.random() < _MADE_UP:
        return "".join(pick(draw, _SYLLABLES) for _ in range(int(draw.integers(2, 4))))
    return pick(draw, words)


def opening(draw: Rng) -> str:
    """The beginning of a caption, in front of a list of things."""
    pic, adjective = word(draw, PICTURES), pick(draw, _ADJECTIVES)
    form = pick(draw, _OPENINGS)
    n = "n" if pic[0] in "aeiou" and "{adjective}" not in form else ""
    return form.format(pic=pic, Pic=phrases.capital(pic), adjective=adjective, n=n)


def listed(scene: Scene, seed: int) -> str:
    """A caption of one sentence: some or all of the scene's objects, mostly with the background."""
    draw = generator(seed, 15)
    count = len(scene.objects)
    chosen = [scene.objects[int(i)] for i in draw.permutation(count)] if draw.random() < 0.3 else list(scene.objects)
    if draw.random() < 0.25:
        chosen = chosen[: int(draw.integers(1, count + 1))]
    stated = {"size": bool(draw.random() < 0.3), "colour": bool(draw.random() < 0.85)}
    text, join = "", pick(draw, _JOINS)
    related = next((r for r in scene.relations), None)
    for number, thing in enumerate(chosen):
        last = number == len(chosen) - 1
        text += (join if last else ", ") * bool(number) + _named(thing, stated)
    if related and draw.random() < 0.25:
        one, two = (_named(scene.objects[i], stated) for i in (related.subject, related.object))
        text = f"{one} {related.name} {two}"
    ending = _ending(scene, draw)
    if draw.random() < 0.25:
        return phrases.capital(text + ending)
    return f"{opening(draw)} {text}{ending}"


def _named(thing: SceneObject, stated: dict[str, bool]) -> str:
    blanks = {name: "" for name, kept in stated.items() if not kept}
    shown = dataclasses.replace(thing, **blanks)  # type: ignore[arg-type]
    if thing.count > 1:
        words = [NUMBERS[thing.count], *filter(None, (shown.size, shown.colour)), phrases.noun(thing.kind, thing.count)]
        return " ".join(words)
    return phrases.noun_phrase(shown)


def _ending(scene: Scene, draw: Rng) -> str:
    """The background, and the written word, as the end of a sentence."""
    where = phrases.setting_adverb(scene.setting)
    staged, form = word(draw, _STAGED), draw.random()
    part = f" {where}" if form < 0.2 else f", {where}" if form < 0.4 else f", {staged} {where}"
    part = f" {staged} {where}" if form > 0.85 else part
    part = "" if draw.random() < 0.15 else part
    if scene.board and draw.random() < 0.4:
        forms = (', with the word "{}"', ', and the word "{}"', '; a sign reads "{}"', ', with "{}" on a board')
        part += pick(draw, forms).format(scene.board.word)
    return part + "."
