"""The world's words: kinds of objects and backgrounds, and their names. Phrases and claims share them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Kind:
    """A kind of object: its plural, other names that mean it, and what its drawing always shows."""

    plural: str
    synonyms: tuple[str, ...] = ()
    detail: str = ""


KINDS: Mapping[str, Kind] = {
    "apple": Kind("apples", (), "a short stem and one small leaflet"),
    "ball": Kind("balls", ("beach ball",), "curved seams across its round surface"),
    "balloon": Kind("balloons", (), "a tight knot and a short curly string"),
    "bell": Kind("bells", (), "a small loop, a shiny rim and a dark clapper"),
    "bicycle": Kind("bicycles", ("bike",), "two spoked wheels, a saddle and handlebars"),
    "bird": Kind("birds", (), "an orange beak, one round eye and thin legs"),
    "boat": Kind("boats", ("sailboat", "sailing boat", "ship"), "two pale sails on a thin mast"),
    "book": Kind("books", (), "a closed cover, a title field and pale pages"),
    "bottle": Kind("bottles", (), "a narrow neck, a cap and a pale label"),
    "butterfly": Kind("butterflies", (), "two pairs of spotted wings and long feelers"),
    "candle": Kind("candles", (), "a burning flame and melted wax"),
    "car": Kind("cars", ("automobile", "auto"), "dark wheels and two pale windows"),
    "cat": Kind("cats", ("kitten", "kitty"), "pointed ears, wide eyes and a curled tail"),
    "chair": Kind("chairs", (), "four legs and a slatted back"),
    "clock": Kind("clocks", ("alarm clock",), "a pale dial, two hands and twin domes"),
    "cloud": Kind("clouds", (), "a puffy round outline"),
    "crown": Kind("crowns", (), "three points that end in small knobs"),
    "cup": Kind("cups", ("mug", "teacup", "coffee cup"), "a curved handle, a saucer and a dark drink inside"),
    "envelope": Kind("envelopes", (), "a folded flap held by a small round seal"),
    "fish": Kind("fish", (), "a forked tail, one fin and a round eye"),
    "flower": Kind("flowers", ("blossom",), "six petals, a dark core and a leafy stalk"),
    "guitar": Kind("guitars", (), "a round sound hole, a long neck and pale strings"),
    "hat": Kind("hats", ("top hat",), "a tall body, a band and a wide brim"),
    "heart": Kind("hearts", (), "two rounded lobes and a pointed tip"),
    "house": Kind("houses", ("cottage",), "a pitched roof, a chimney, a door and two windows"),
    "key": Kind("keys", (), "a round bow and two short teeth"),
    "kite": Kind("kites", (), "a diamond shape and a bowed tail"),
    "ladder": Kind("ladders", (), "two long rails and five rungs"),
    "lamp": Kind("lamps", ("table lamp", "desk lamp"), "a wide shade, a thin stand and a pull cord"),
    "leaf": Kind("leaves", (), "a pointed tip and clearly drawn veins"),
    "moon": Kind("moons", ("crescent", "crescent moon"), "a curved shape and a few small craters"),
    "mushroom": Kind("mushrooms", ("toadstool",), "a domed cap, pale dots and a thick stalk"),
    "rocket": Kind("rockets", ("spaceship", "spacecraft"), "a round porthole, two fins and a fiery exhaust"),
    "star": Kind("stars", (), "five points and a paler core"),
    "tree": Kind("trees", (), "a round leafy top on a sturdy trunk"),
    "umbrella": Kind("umbrellas", ("parasol",), "a scalloped canopy and a hooked handle"),
}

COLOURS: Mapping[str, Rgb] = {
    "red": (214, 44, 46),
    "orange": (245, 132, 28),
    "yellow": (248, 210, 44),
    "green": (52, 158, 70),
    "blue": (36, 98, 212),
    "purple": (130, 58, 176),
    "pink": (246, 146, 190),
    "brown": (124, 76, 42),
    "black": (40, 40, 46),
    "white": (244, 244, 240),
}

# Other colour words: those that mean one of ours, and those that mean none (which is then never true).
COLOUR_SYNONYMS: Mapping[str, str] = {
    "crimson": "red", "scarlet": "red", "golden": "yellow", "gold": "yellow", "violet": "purple",
    "lilac": "purple", "navy": "blue", "azure": "blue", "rosy": "pink", "magenta": "pink", "emerald": "green",
    "lime": "green", "tan": "brown", "chocolate": "brown", "snow-white": "white", "jet-black": "black",
}  # fmt: skip
FOREIGN_COLOURS = ("grey", "gray", "silver", "turquoise", "teal", "beige", "cyan", "maroon", "indigo", "bronze")

# Diameter as a share of the picture's shorter side; the gaps between them keep the words unambiguous.
SIZES: Mapping[str, float] = {"small": 0.20, "medium": 0.29, "large": 0.42}
SIZE_SYNONYMS: Mapping[str, str] = {
    "small": "small", "little": "small", "tiny": "small", "smallish": "small", "miniature": "small",
    "medium": "medium", "medium-sized": "medium", "mid-sized": "medium", "midsize": "medium",
    "medium-size": "medium", "moderately-sized": "medium",
    "large": "large", "big": "large", "huge": "large", "oversized": "large", "giant": "large",
}  # fmt: skip

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COLUMNS = ("left", "centre", "right")
ROWS = ("upper", "middle", "lower")
PLACES = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)
RELATIONS = ("left of", "right of", "above", "below", "behind", "in front of")
INVERSE: Mapping[str, str] = {
    "left of": "right of", "right of": "left of", "above": "below", "below": "above",
    "behind": "in front of", "in front of": "behind",
}  # fmt: skip

WORDS = (
    "OPEN", "SALE", "HELLO", "CAFE", "EXIT", "STOP", "MENU", "TAXI", "HOTEL", "MUSIC", "LUCKY", "PIZZA",
    "BAKERY", "MARKET", "SUMMER", "WINTER", "GARDEN", "PARK", "ZEBRA", "FRESH", "NORTH", "JOY", "LEMON", "QUIET",
)  # fmt: skip


@dataclass(frozen=True)
class Backdrop:
    """A kind of background: words that mean it, scenery words it allows, what it always shows, what it excludes."""

    names: tuple[str, ...]
    detail: str
    allows: tuple[str, ...] = ()
    avoid_colours: tuple[str, ...] = ()
    avoid_kinds: tuple[str, ...] = ()


TONES: Mapping[str, Rgb] = {
    "cream": (240, 228, 200),
    "peach": (246, 206, 178),
    "mint": (190, 226, 204),
    "lavender": (206, 198, 232),
    "sky-blue": (176, 210, 236),
    "ash": (186, 186, 186),
    "rose": (236, 196, 204),
    "sage": (172, 190, 160),
}

BACKDROPS: Mapping[str, Backdrop] = {
    "plain": Backdrop(
        ("plain background", "plain backdrop", "plain wall", "plain surface"), "evenly coloured and free of any pattern"
    ),
    "gradient": Backdrop(("gradient", "colour gradient"), "with one tone fading softly into the other"),
    "meadow": Backdrop(
        ("meadow", "grassy field", "lawn", "pasture"),
        "with fresh grass below and a pale sky above",
        ("grass",),
        ("green",),
    ),
    "beach": Backdrop(
        ("beach", "sandy shore", "seaside"),
        "with bright sand below and a strip of water under the sky",
        ("sea", "sand"),
    ),
    "night sky": Backdrop(
        ("night sky", "dark sky"),
        "deep blue and sprinkled with tiny points of light",
        (),
        ("black", "blue"),
        ("cloud",),
    ),
    "brick wall": Backdrop(
        ("brick wall", "wall of bricks"), "with rows of reddish blocks and pale mortar", (), ("brown", "red")
    ),
    "wooden table": Backdrop(
        ("wooden table", "wooden tabletop", "wooden surface", "wooden planks"),
        "with visible grain and long seams between the boards",
        (),
        ("brown", "orange"),
    ),
    "snow": Backdrop(
        ("snowy field", "snow", "snowy landscape"), "with soft pale drifts under a cold bright sky", (), ("white",)
    ),
    "room": Backdrop(
        ("room", "indoor room", "interior"), "with a striped wall and a plain floor below it", ("floor",), ("brown",)
    ),
    "sea": Backdrop(("sea", "ocean", "open water"), "with rows of waves reaching up to the horizon", (), ("blue",)),
    "desert": Backdrop(
        ("desert", "sand dunes"),
        "with smooth dunes of warm sand under a hazy sky",
        ("sand",),
        ("orange", "yellow"),
    ),
    "forest": Backdrop(
        ("forest", "woods"),
        "dim and misty, with dark trunks standing in rows",
        (),
        ("black", "green", "brown"),
        ("tree",),
    ),
}

# Common things that no scene ever shows: to name one is a false statement.
NEVER_SHOWN = (
    "dog", "puppy", "man", "woman", "men", "women", "person", "people", "child", "children", "boy", "girl", "horse",
    "cow", "elephant", "lion", "sofa", "couch", "bed", "pizza", "burger", "cake", "banana", "pear", "bus", "truck",
    "train", "airplane", "plane", "motorcycle", "laptop", "computer", "phone", "camera", "television", "backpack",
    "shoe", "shoes", "dress", "shirt", "ring", "necklace", "snail", "rabbit", "robot", "dragon", "castle", "bridge",
    "street", "city", "mountain", "mountains", "waterfall", "vase", "plate", "spoon", "knife", "fork", "teapot",
    "window frame", "mirror", "piano", "violin", "drum", "sword", "tent", "bench", "fence", "sheep", "duck", "frog",
    "spider", "bee", "snake", "turtle", "whale", "shark", "dolphin", "penguin", "owl", "bear", "monkey", "skyscraper",
)  # fmt: skip
