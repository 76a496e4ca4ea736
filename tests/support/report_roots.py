"""Roots for reports: a world of every fate, with what verification found; and large ones whose pictures are shared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.report.write import PAGE
from schemas.captions import Caption, CaptionCheck, Statement
from schemas.records import ImageRow
from schemas.refine import RefineLaion
from tests.support import roots
from tests.support.roots import Row, World, every_ending, make_world, write_table

CAPTION = "A red cube lies on a table. It is made of glass. A blue ball floats above it."


_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)


def data_of(store: Store, page: str = PAGE) -> dict[str, Any]:
    """What the page of a root holds."""
    (found,) = _DATA.findall(store.read(page).decode())
    made: dict[str, Any] = json.loads(found)
    return made


def statements(world: World, shard: str, sample_ids: Sequence[str], caption: str = CAPTION) -> None:
    """The first sentence of these samples' dense captions is true, the others are false."""
    rows = []
    for ident in sample_ids:
        start = 0
        for index, sentence in enumerate(caption.split(". ")):
            end = start + len(sentence)
            verdict, probability = ("true", 0.9) if index == 0 else ("false", 0.1)
            rows.append(
                Statement(
                    *(ident, "dense", index, start, end, sentence, None, ["other"], probability, verdict, None),
                    *("some/verifier", "main", "verify@1", hashlib.sha256(f"{ident}{index}".encode()).hexdigest()),
                )
            )
            start = end + 2
    write_table(world.store, Statement, shard, rows)


def say(world: World, shard: str, texts: Mapping[str, str]) -> None:
    """Puts these texts into the dense captions of a shard, by sample_id; before the release is made."""
    store = world.store
    captions = [Caption(**row) for row in store.read_table(Caption, shard).to_pylist()]
    checks = [CaptionCheck(**row) for row in store.read_table(CaptionCheck, shard).to_pylist()]
    for n, row in enumerate(captions):
        if row.kind == "dense" and row.sample_id in texts:
            captions[n] = dataclasses.replace(row, text=texts[row.sample_id])
    for n, check in enumerate(checks):
        if check.kind == "dense" and check.sample_id in texts:
            checks[n] = dataclasses.replace(check, caption=texts[check.sample_id])
    write_table(store, Caption, shard, captions)
    write_table(store, CaptionCheck, shard, checks)


def large_root(url: str, shards: int, rows: int, pictures: Sequence[bytes], recipe: RefineLaion) -> World:
    """A root of so many shards of so many rows, one in twenty of them rejected. ``pictures`` stand for all images.

    The rows of a shard share the bytes of its tar; each image has a sha256 of its own all the same.
    """
    world = make_world(url, recipe, [])
    kept = [Row() for _ in range(rows - rows // 20)]
    lost = (every_ending(0) * (rows // 20 // len(every_ending(0)) + 1))[: rows - len(kept)]
    for number in range(shards):
        with mock.patch.object(roots, "picture", lambda seed: seed.to_bytes(8, "big")):
            name = roots.add_shard(world, f"large-{number}.parquet", [*kept, *lost])
        _share(world, name, pictures)
    return world


def _share(world: World, shard: str, pictures: Sequence[bytes]) -> None:
    store = world.store
    path = store.scratch(store.images_file(shard))
    with TarWriter(path) as tar:
        places = [(tar.add(f"{n:032x}.jpg", data), len(data)) for n, data in enumerate(pictures)]
    store.publish(store.images_file(shard), path)
    images = [ImageRow(**row) for row in store.read_table(ImageRow, shard).to_pylist()]
    there = [n for n, row in enumerate(images) if row.sha256 is not None]
    for n in there:
        offset, size = places[n % len(places)]
        images[n] = dataclasses.replace(images[n], offset=offset, size=size)
    write_table(store, ImageRow, shard, images)
