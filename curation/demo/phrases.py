"""Writes captions from a scene's truth, in many phrasings; they state only facts of the scene.

Some phrasings are kept for held-out scenes: they never occur in captions of training scenes.
"""

from __future__ import annotations

from collections.abc import Mapping

from curation.demo.truth import Relation, Rng, Scene, SceneObject, Setting, pick
from curation.demo.vocabulary import BACKDROPS, INVERSE, KINDS, NUMBERS

WORDS = (50, 110)
# The name of an object of unknown kind. A scene to be described may leave a size, a colour, a place and a
# written word empty in the same way: its captions then do not state them.
SOMETHING = "object"

# In each list the first entries are for training scenes, the last ones for held-out scenes.
Pool = tuple[tuple[str, ...], tuple[str, ...]]

PLACE_PHRASES: Mapping[str, tuple[str, ...]] = {
    "upper left": ("in the upper left", "in the top left corner", "at the upper left"),
    "upper centre": ("at the top centre", "in the upper middle", "at the top in the centre"),
    "upper right": ("in the upper right", "in the top right corner", "at the upper right"),
    "middle left": ("on the left side", "on the left at mid-height", "halfway up on the left"),
    "middle centre": ("in the centre", "in the middle", "in the very centre"),
    "middle right": ("on the right side", "on the right at mid-height", "halfway up on the right"),
    "lower left": ("in the lower left", "in the bottom left corner", "at the lower left"),
    "lower centre": ("at the bottom centre", "in the lower middle", "at the bottom in the centre"),
    "lower right": ("in the lower right", "in the bottom right corner", "at the lower right"),
    "": ("in the picture",),
}
_OBJECT: Pool = (
    ("{Np} {stand} {place}{detail}.", "There {be} {np} {place}{detail}.", "{Place} there {be} {np}{detail}.",
     "{Np}{aside} can be seen {place}."),
    ("{Np} {appear} {place}{detail}.", "{Place} one finds {np}{detail}.", "Visible {place} {be} {np}{detail}."),
)  # fmt: skip
_BACKGROUND: Pool = (
    ("The background is {bg}{detail}.", "The scene is set against {bg}{detail}.",
     "{Bg}{detail} fills the background.", "The whole picture is set in or before {bg}{detail}."),
    ("{Bg}{detail} forms the backdrop.", "Everything is seen against {bg}{detail}."),
)  # fmt: skip
_RELATIONS: Mapping[str, Pool] = {
    "left of": (
        ("{A} {be_a} to the left of {b}.", "{A} {stand_a} left of {b}.", "To the left of {b} {be_a} {a}."),
        ("{A} {be_a} further left than {b}.", "{A} {be_a} on the left of {b}."),
    ),
    "right of": (
        ("{A} {be_a} to the right of {b}.", "{A} {stand_a} right of {b}.", "To the right of {b} {be_a} {a}."),
        ("{A} {be_a} further right than {b}.", "{A} {be_a} on the right of {b}."),
    ),
    "above": (
        ("{A} {be_a} above {b}.", "{A} {be_a} higher up than {b}.", "Above {b} {be_a} {a}."),
        ("{A} {be_a} placed above {b}.", "Higher than {b} {be_a} {a}."),
    ),
    "below": (
        ("{A} {be_a} below {b}.", "{A} {be_a} lower than {b}.", "Below {b} {be_a} {a}."),
        ("{A} {be_a} underneath {b}.", "{A} {be_a} beneath {b}."),
    ),
    "behind": (
        ("{A} {be_a} partly hidden behind {b}.", "{A} {stand_a} behind {b}.", "Behind {b} {be_a} {a}."),
        ("{A} {be_a} partly covered by {b}.", "{A} {peek_a} out from behind {b}."),
    ),
    "in front of": (
        ("{A} {be_a} in front of {b}.", "{A} {stand_a} in front of {b}.", "In front of {b} {be_a} {a}."),
        ("{A} partly {cover_a} {b}.", "{A} {be_a} placed in front of {b}."),
    ),
}  # fmt: skip
_BOARD: Pool = (
    ('A pale board reads "{word}".', 'The word "{word}" is written on a board.', 'A small sign says "{word}".'),
    ('On a board stands the word "{word}".', 'A framed sign spells "{word}".'),
)
_ILLEGIBLE = "Something is written on a board."
NO_TEXT: Pool = (
    ("There is no text to read.", "No written words appear.", "Nothing is written anywhere."),
    ("It shows no writing at all.", "No lettering can be found."),
)
_ALONE: Pool = (
    ("{A} {be_a} all that is shown, with plenty of empty space around, and nothing covers any part of {it}.",
     "Apart from this, nothing else is shown, and no part of {it} is cut off or covered."),
    ("Nothing else is part of this picture, and every bit of {it} is free to see.",
     "Nothing else shares the space, so that a good deal of it stays empty and calm."),
)  # fmt: skip
_NOTHING_ELSE: Pool = (
    ("Nothing else is shown.", "That is all there is to see.", "Apart from these, nothing else is shown."),
    ("No further thing is visible.", "The rest of the picture is empty."),
)
STYLE: Pool = (
    (
        "All shapes are drawn with a clear outline and flat shading.",
        "The drawing style is simple, with clear outlines.",
    ),
    ("Clear contours and even shades mark the drawing style.", "Everything is drawn plainly, with firm outlines."),
)
_SHORT: Pool = (
    ("{list} {bg}.", "{list}, {bg}.", "Picture of {list} {bg}."),
    ("{list}, seen {bg}.", "A view of {list} {bg}."),
)


def phrase_of(rng: Rng, pool: Pool, scene: Scene) -> str:
    return pick(rng, pool[1] if scene.split == "heldout" else pool[0])


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def noun(kind: str, count: int) -> str:
    """The kind's name in singular or plural."""
    if kind == SOMETHING:
        return kind if count == 1 else f"{kind}s"
    return kind if count == 1 else KINDS[kind].plural


def noun_phrase(thing: SceneObject, rng: Rng | None = None) -> str:
    """Count, size, colour and kind: "three small red apples"."""
    size = "medium-sized" if thing.size == "medium" else thing.size
    words = [*filter(None, (size, thing.colour)), noun(thing.kind, thing.count)]
    if thing.count > 1:
        return " ".join([NUMBERS[thing.count], *words])
    if rng is not None and rng.random() < 0.1:
        return " ".join(["one", *words])
    return " ".join([_article(words[0]), *words])


def reference(thing: SceneObject, rng: Rng) -> str:
    """A reference to an object already named; its kind alone identifies it in the scene."""
    name = noun(thing.kind, thing.count)
    return f"the {thing.colour} {name}" if rng.random() < 0.4 and thing.colour else f"the {name}"


def setting_phrase(setting: Setting) -> str:
    """The background with an article: "a plain cream surface"."""
    match setting.kind:
        case "plain":
            return f"a plain {setting.tones[0]} surface"
        case "gradient":
            return f"a gradient from {setting.tones[0]} to {setting.tones[1]}"
        case "snow":
            return "a snowy field"
        case "sea":
            return "the open sea"
        case kind:
            return f"a {kind}"


def setting_adverb(setting: Setting) -> str:
    """Where the scene plays: "on a beach"."""
    preposition = {
        "meadow": "in", "beach": "on", "night sky": "under", "brick wall": "before", "wooden table": "on",
        "snow": "in", "room": "in", "sea": "on", "desert": "in", "forest": "in",
    }.get(setting.kind, "on")  # fmt: skip
    return f"{preposition} {setting_phrase(setting)}"


def _verbs(thing: SceneObject, suffix: str = "") -> dict[str, str]:
    s = "s" if thing.count == 1 else ""
    be = "is" if thing.count == 1 else "are"
    verbs = {"be": be, "stand": f"stand{s}", "appear": f"appear{s}", "peek": f"peek{s}", "cover": f"cover{s}"}
    return {k + suffix: v for k, v in verbs.items()}


def object_sentence(rng: Rng, scene: Scene, thing: SceneObject, detailed: bool) -> str:
    place, phrase = pick(rng, PLACE_PHRASES[thing.place]), noun_phrase(thing, rng)
    each = "each with" if thing.count > 1 else "with"
    detail = f", {each} {KINDS[thing.kind].detail}" if detailed and thing.kind != SOMETHING else ""
    return phrase_of(rng, _OBJECT, scene).format(
        Np=capital(phrase),
        np=phrase,
        place=place,
        Place=capital(place),
        detail=detail,
        aside=f"{detail}," if detail else "",
        **_verbs(thing),
    )


def relation_sentence(rng: Rng, scene: Scene, relation: Relation) -> str:
    """A sentence that states the relation, from either side."""
    a, b, name = scene.objects[relation.subject], scene.objects[relation.object], relation.name
    if rng.random() < 0.3:
        a, b, name = b, a, INVERSE[name]
    one, other = reference(a, rng), reference(b, rng)
    return phrase_of(rng, _RELATIONS[name], scene).format(
        A=capital(one), a=one, B=capital(other), b=other, **_verbs(a, "_a")
    )


def background_sentence(rng: Rng, scene: Scene, detailed: bool) -> str:
    phrase = setting_phrase(scene.setting)
    detail = f", {BACKDROPS[scene.setting.kind].detail}," if detailed else ""
    sentence = phrase_of(rng, _BACKGROUND, scene).format(bg=phrase, Bg=capital(phrase), detail=detail)
    return sentence.replace(",.", ".")


def board_sentence(rng: Rng, scene: Scene, word: str) -> str:
    return phrase_of(rng, _BOARD, scene).format(word=word) if word else _ILLEGIBLE


def _closing(rng: Rng, scene: Scene) -> list[str]:
    """Sentences that may follow, best first."""
    last = [phrase_of(rng, STYLE, scene)]
    if scene.board is None:
        last.insert(0, phrase_of(rng, NO_TEXT, scene))
    if len(scene.objects) == 1:
        thing = scene.objects[0]
        it = "it" if thing.count == 1 else "them"
        alone = phrase_of(rng, _ALONE, scene).format(A=capital(reference(thing, rng)), it=it, **_verbs(thing, "_a"))
        return [alone, *last]
    return [*last, phrase_of(rng, _NOTHING_ELSE, scene)]


def dense_caption(scene: Scene, rng: Rng) -> str:
    """50 to 110 words: every object with colour, count, size and place, the relations, background and written words."""
    hidden = {r.subject for r in scene.relations if r.name == "behind"}
    target = int(rng.integers(56, 92))
    detailed: set[int] = set()
    order = [int(i) for i in rng.permutation(len(scene.objects) + 1) if int(i) not in hidden]
    closing = _closing(rng, scene)
    relations = [relation_sentence(rng, scene, r) for r in scene.relations]
    board = [board_sentence(rng, scene, scene.board.word)] if scene.board else []
    objects = [object_sentence(rng, scene, o, False) for o in scene.objects]
    background = background_sentence(rng, scene, False)
    # Details are added one by one, so that crowded scenes stay within the limit.
    for i in order:
        if len(" ".join([background, *objects, *relations, *board]).split()) >= target:
            break
        detailed.add(i)
        if i == len(scene.objects):
            background = background_sentence(rng, scene, True)
        else:
            objects[i] = object_sentence(rng, scene, scene.objects[i], True)
    body = [background, *objects] if rng.random() < 0.5 else [*objects, background]
    body += relations + board
    for sentence in closing:
        if len(" ".join(body).split()) >= target:
            break
        body.append(sentence)
    return " ".join(body)


def short_caption(scene: Scene, rng: Rng) -> str:
    """One sentence of at most about 30 words: the objects with their colours and counts, and the background."""
    sized = rng.random() < 0.3 and len(scene.objects) < 4
    names = []
    for thing in scene.objects:
        adjectives = [thing.size, thing.colour] if sized else [thing.colour]
        words = [*filter(None, adjectives), noun(thing.kind, thing.count)]
        names.append(" ".join([NUMBERS[thing.count] if thing.count > 1 else _article(words[0]), *words]))
    if len(names) == 2 and scene.relations and rng.random() < 0.5:
        listing = f"{names[0]} {scene.relations[0].name} {names[1]}"
    else:
        listing = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    caption = phrase_of(rng, _SHORT, scene).format(list=listing, bg=setting_adverb(scene.setting))
    if scene.board and rng.random() < 0.5 and scene.board.word:
        caption = caption[:-1] + f', with the word "{scene.board.word}".'
    return capital(caption)
