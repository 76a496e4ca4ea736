"""Writes pictures of the corner as a folder with texts like those of the web, some of them again and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curation.demo.alt_text import web_alt_text
from curation.demo.near import transformed
from curation.demo.painting.corner import corner_scene
from curation.demo.render import jpeg, render
from curation.demo.truth import Scene, generator

_STREAM = 157  # keeps alt texts apart from the random streams of the scenes
_KNOWN = 8  # pictures that the web shows again and again
_CHANGES = ("re-encoded at 30", "cropped by 5 %", "watermarked")


def write_pictures(folder: Path, *, seed: int = 0, count: int = 1000, copies: int = 0) -> Path:
    """Writes ``count`` different pictures and ``copies`` near copies of a few of them; returns their folder.

    The same bytes for the same arguments. Beside each picture stands its alt text; a copy has one of its own.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for number in range(count + copies):
        shown = shown_in(number, seed=seed, count=count)
        data = jpeg(shown)
        if number >= count:
            data = transformed(np.asarray(render(shown)), _CHANGES[number % len(_CHANGES)])
        (pictures / f"{number:06d}.jpg").write_bytes(data)
        text = web_alt_text(shown, generator(seed, number, _STREAM)).text
        (pictures / f"{number:06d}.txt").write_text(text, encoding="utf-8")
    return pictures


def shown_in(number: int, *, seed: int, count: int) -> Scene:
    """What picture ``number`` shows: the truth that no captioner sees."""
    return corner_scene(seed, number if number < count else (number - count) % min(_KNOWN, count))
