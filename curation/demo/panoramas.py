"""Writes panoramas of the demo world as a folder of pictures with texts, and their truth beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from curation.demo.alt_text import web_alt_text
from curation.demo.panorama import panorama
from curation.demo.render import jpeg
from curation.demo.truth import Scene, generator

TRUTH = "truth.jsonl"
_STREAM = 137  # keeps alt texts apart from the random streams of the panoramas


def write_panoramas(folder: Path, *, seed: int = 0, count: int = 100, first: int = 0, tiles: int = 3) -> Path:
    """Writes ``count`` pictures from the ``first`` on and returns their folder; see ``write_scenes``."""
    return write_scenes(folder, (panorama(seed, index, tiles) for index in range(first, first + count)))


def write_scenes(folder: Path, scenes: Iterable[Scene]) -> Path:
    """Writes a picture of each scene and returns their folder; the same bytes for the same scenes.

    ``truth.jsonl``, which is not in that folder, gets a line for each: the sha256 of its file, and what it shows.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = []
    for shown in scenes:
        data = jpeg(shown)
        (pictures / f"{shown.index:06d}.jpg").write_bytes(data)
        text = web_alt_text(shown, generator(shown.seed, shown.index, _STREAM)).text
        (pictures / f"{shown.index:06d}.txt").write_text(text, encoding="utf-8")
        lines.append(json.dumps({"sha256": hashlib.sha256(data).hexdigest(), "scene": json.loads(shown.to_json())}))
    (folder / TRUTH).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return pictures


def read_truth(path: Path) -> dict[str, Scene]:
    """What each picture shows, by the sha256 of its file."""
    return dict(_lines(path))


def _lines(path: Path) -> Iterator[tuple[str, Scene]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        yield found["sha256"], Scene.from_json(json.dumps(found["scene"]))
