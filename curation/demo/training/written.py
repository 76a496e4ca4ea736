"""Wordings of what is written in a picture, and that nothing is; none is one that is kept for held-out scenes.

Every function draws from a stream of ``seed`` alone, as those of ``wordings`` do.
"""

from __future__ import annotations

from curation.demo import phrases
from curation.demo.training.openings import CAPTION
from curation.demo.truth import Scene, generator, pick

_BOARD = (
    'The word "{word}" can be read.', 'There is a sign with the word "{word}".', 'The board says "{word}".',
    'A board carries the word "{word}".', 'It says "{word}".', 'The text reads "{word}".',
    'The written word is "{word}".',
    'One reads "{word}" on a sign.', 'The letters spell "{word}".', 'On a sign is the word "{word}".',
    'On a panel there is the word "{word}".', '"{word}" is written on a sign.', '"{word}" stands on a board.',
    'On a sign one reads "{word}".', 'A sign has "{word}" on it.', 'Somewhere it says "{word}".',
    'The only word is "{word}".', 'There is a board, and it says "{word}".',
)  # fmt: skip
_LOOKS = (
    "painted", "wooden", "white", "hanging", "little", "plain", "metal", "bright", "square", "light", "neat", "pale",
    "small", "simple", "clean",
)  # fmt: skip
_SIGNS = ("sign", "board", "plate", "notice", "panel", "label", "card")
_SAYS = (
    "reads", "says", "states", "shows", "displays", "carries the word", "has the word", "announces", "gives", "tells",
)  # fmt: skip
_NO_TEXT = (
    "No text is visible.", "There is no writing on it.", "There are no letters.", "No word can be read.",
    "There is no lettering.",
    "The picture carries no text.", "No writing is found here.", "It is free of words.", "It has no letters on it.",
    "There is no inscription.", "No text is part of it.", "One sees no writing.", "Words are not part of this picture.",
    "The picture shows no letters at all.",
)  # fmt: skip
SOME_TEXT = (
    "Some text is visible.",
    "There is writing on a board.",
    "A word can be read.",
    "Something is written on a board.",
)
MORE_WORDS = (
    "BEACH", "COFFEE", "SCHOOL", "TOYS", "BOOKS", "WATER", "SOUTH", "CLOSED", "BANK", "LUCK", "PASTA", "HOME",
)  # fmt: skip


def board_sentence(scene: Scene, word: str, seed: int) -> str:
    """Which word is written."""
    draw = generator(seed, 9)
    if draw.random() < CAPTION:
        return phrases.board_sentence(draw, scene, word)
    if draw.random() < 0.5:
        return f'A {pick(draw, _LOOKS)} {pick(draw, _SIGNS)} {pick(draw, _SAYS)} "{word}".'
    return pick(draw, _BOARD).format(word=word)


def no_text_sentence(scene: Scene, seed: int) -> str:
    """That nothing is written."""
    draw = generator(seed, 10)
    return phrases.phrase_of(draw, phrases.NO_TEXT, scene) if draw.random() < CAPTION else pick(draw, _NO_TEXT)
