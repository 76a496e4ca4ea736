"""Captions without a fault, in many phrasings, for measuring false alarms. Written without a look at the detectors."""

from __future__ import annotations

import random
from pathlib import Path

_FILE = Path(__file__).with_suffix(".tsv")

# (caption, alt text). Awkward but right: quoted signs, abbreviations, lists of the like, capitals with a reason.
_ROWS = [line.split("\t") for line in _FILE.read_text(encoding="utf-8").splitlines()]
WRITTEN = [(caption, alt_text) for kind, alt_text, caption in _ROWS if kind == "dense"]
# Sound captions of things that faults are made of: quoted signs, times, brackets, notes, numbers, cameras.
_LINES = _FILE.with_name("clean_captions_lookalikes.tsv").read_text(encoding="utf-8").splitlines()
LOOKALIKES = [(caption, alt_text, kind) for kind, alt_text, caption in (line.split("\t") for line in _LINES)]
SHORT = [(caption, alt_text) for kind, alt_text, caption in _ROWS if kind == "short"]

_THINGS = [
    "kettle",
    "lamp",
    "bicycle",
    "teapot",
    "umbrella",
    "pumpkin",
    "sailboat",
    "drum",
    "guitar",
    "snail",
    "lighthouse",
    "windmill",
    "cactus",
    "ladder",
    "suitcase",
    "watering can",
    "mushroom",
    "kite",
    "clock",
    "birdhouse",
    "candle",
    "backpack",
    "telescope",
    "wheelbarrow",
    "scooter",
    "accordion",
    "globe",
    "anvil",
    "lantern",
    "toaster",
    "pinwheel",
    "harp",
    "canoe",
    "mailbox",
    "robot",
    "abacus",
    "hourglass",
    "weathervane",
    "sundial",
    "gramophone",
]
_COLOURS = [
    "red",
    "dark blue",
    "yellow",
    "olive-green",
    "white",
    "pale pink",
    "black",
    "orange",
    "violet",
    "silver",
    "cream-colored",
    "turquoise",
]
_SURFACES = [
    "a cobbled courtyard",
    "a plain wooden table",
    "a checkered tablecloth",
    "wet sand",
    "a mossy stone wall",
    "a polished floor",
    "fresh snow",
    "a woven rug",
    "a gravel path",
    "a marble counter",
]
_BACKS = [
    "a brick wall with peeling posters",
    "a row of leafless trees",
    "rolling hills under a hazy sky",
    "a curtain with thin stripes",
    "a foggy lake",
    "shelves crowded with jars",
    "a plain gray backdrop",
    "a distant town with two church spires",
    "a hedge trimmed into arches",
    "tall windows with half-drawn blinds",
]
_SIGNS = [
    "Open daily",
    "Fresh eggs $3",
    "Keep off the grass",
    "Platform 9",
    "No parking Mon.-Fri.",
    "Sale",
    "Do not touch",
    "Bakery",
    "Exit",
    "I ♥ tea",
]
_LIGHT = [
    "soft light from the left",
    "harsh midday sun",
    "the glow of a single bulb",
    "late-afternoon light",
    "cool diffuse light",
    "a spotlight from above",
]


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def generated(seed: int) -> tuple[str, str]:
    """A caption of 35 to 120 words, put together anew for every seed, and its alt text."""
    r = random.Random(seed)
    a, b, c = r.sample(_THINGS, 3)
    ca, cb, cc = (r.choice(_COLOURS) for _ in range(3))
    n = r.choice(["Two", "Three", "Four", "Five"])
    surface, back, light, sign = r.choice(_SURFACES), r.choice(_BACKS), r.choice(_LIGHT), r.choice(_SIGNS)
    A, B, C = _article(f"{ca} {a}"), _article(f"{cb} {b}"), _article(f"{cc} {c}")
    openings = [
        f"{A[0].upper()}{A[1:]} stands on {surface}, with {B} to its right and {C} a little farther back.",
        f"On {surface}, {A} leans against {B}.",
        f"{n} {ca} {a}s are lined up on {surface}, and beside them lies {B}.",
        f"Photographed from above, {A} and {B} lie next to each other on {surface}.",
        f"{ca[0].upper()}{ca[1:]} {a} on {surface}, partly hidden by {B}.",
        f"There is {A} in the foreground; {B} can be seen behind it on {surface}.",
    ]
    middles = [
        f"To the left of the {a} stands {C}, about half as tall.",
        f"{C[0].upper()}{C[1:]} completes the group; it is the smallest of the three, roughly 20 cm high.",
        f"The {b} is in front of {C}, which overlaps it slightly.",
        f'A handwritten card propped against the {b} reads "{sign}".',
        f"The {a} has a scratched surface and a dent near its base, while the {b} looks brand-new.",
        f"Between the {a} and the {b} there is a gap of about 1.5 m.",
        f"A tag with the words ‘{sign}’ hangs from the {c}, which is {cc}.",
        f"Both the {a} and the {b} cast long shadows to the right.",
    ]
    ends = [
        f"Behind the group there is {back}, slightly out of focus.",
        f"The background is {back}, lit by {light}.",
        f"In the distance one sees {back}.",
        f"{back[0].upper()}{back[1:]} fills the rest of the frame.",
        f"Everything is lit by {light}, and {back} closes off the view.",
    ]
    extras = [
        f"Nothing else stands on {surface}.",
        "Raindrops cover parts of the lens.",
        "The picture is grainy and tilted a few degrees to the left.",
        f"A second {b}, also {cb}, is cut off by the right edge.",
        "Dust floats in the air.",
        "A narrow strip of shade runs along the bottom.",
    ]
    text = " ".join([r.choice(openings), *r.sample(middles, r.choice([1, 2, 3])), r.choice(ends), *r.sample(extras, 1)])
    alts = ["", f"{ca} {a}", f"DSC_{seed:05d}.jpg", f"Buy {a} online | free shipping | best {b}", f"{a} and {b}"]
    return text, r.choice(alts)


def clean_captions(count: int) -> list[tuple[str, str, str]]:
    """(caption, alt text, kind): all the written ones, then generated ones up to ``count``."""
    found = [(t, a, "dense") for t, a in WRITTEN] + [(t, a, "short") for t, a in SHORT]
    return found + [(*generated(seed), "dense") for seed in range(count - len(found))]
