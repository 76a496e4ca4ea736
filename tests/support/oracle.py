"""A captioner that knows the truth: a server that tells each picture's own scene, or what it is told to tell."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation.core.store import Store
from curation.demo.fates import load_truth
from curation.demo.phrases import dense_caption
from curation.demo.truth import Scene, generator
from schemas.records import ImageRow

Telling = Callable[[Scene], str]


def faithful(scene: Scene) -> str:
    """Everything that is true of the scene, in words of its own."""
    return dense_caption(scene, generator(scene.index, 5))


class Oracle:
    """What ``ChatServer.reply`` takes. It knows a picture by the bytes that the root's images table names."""

    def __init__(self, root: str, truth: Path, telling: Telling = faithful) -> None:
        self._store = Store(root)
        self._scenes = {row.sample_id: row.shown() for row in load_truth(truth)}
        self._telling = telling
        self._samples: dict[str, str] = {}

    def __call__(self, body: dict[str, Any]) -> str:
        image = _image(body)
        if image is None:
            return "There is no picture to look at."
        sha256 = hashlib.sha256(image).hexdigest()
        if sha256 not in self._samples:  # the images table is finished before anybody is asked
            self._samples = dict(self._images())
        # The run's own check of the server shows it a picture that is none of the world's.
        return self._telling(self._scenes[self._samples[sha256]]) if sha256 in self._samples else "A plain picture."

    def _images(self) -> list[tuple[str, str]]:
        found = []
        for shard in self._store.shards(ImageRow.table):
            table = self._store.read_table(ImageRow, shard, ["sample_id", "sha256"])
            found += [(r["sha256"], r["sample_id"]) for r in table.to_pylist() if r["sha256"]]
        return found


def _image(body: dict[str, Any]) -> bytes | None:
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                return base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return None
