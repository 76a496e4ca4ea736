"""Encodes the looks at the samples of one release shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from PIL import Image

from curation.core.errors import LapidaryError
from curation.core.stage import Shard
from curation.core.store import Store
from curation.features.earlier import Earlier
from curation.features.looks import Looked, looks_at, opened
from curation.features.shard_file import FeaturesWriter
from curation.features.visual_encoder import VisualEncoder
from curation.images.reading import ImageReader, open_images
from curation.load.features import SUFFIX, VISUAL, FeaturesFile
from schemas.arrow import rows_of, table_of
from schemas.records import Placement
from schemas.visual import Look, VisualFeatures

RELEASED = f"release/{VISUAL}"


@dataclass(frozen=True)
class _Wanted:
    """The different looks of a shard, sorted by key, with the sha256 of each one's image; and those to copy."""

    keys: tuple[bytes, ...]
    images: tuple[bytes, ...]
    copied: Mapping[int, tuple[FeaturesFile, int]]

    def fresh(self) -> dict[bytes, int]:
        """The numbers of those to encode."""
        return {key: number for number, key in enumerate(self.keys) if number not in self.copied}


class LookEncoder:
    """The work of the stage, with an open model."""

    def __init__(self, model: VisualEncoder, looks: Sequence[Look], batch: int, digest: str) -> None:
        """``digest`` is that of the stage."""
        self._model = model
        self._looks = looks
        self._batch = batch
        self._digest = digest
        self._earlier: Earlier | None = None  # what is set aside stays the same while a worker is open

    def __call__(self, shard: Shard) -> pa.Table:
        """Writes the states of a shard's looks, and returns a row for each sample, kind of look and window."""
        samples = list(rows_of(Placement, shard.read(Placement)))
        looked = {sample.sample_id: list(looks_at(sample, self._looks)) for sample in samples}
        shard.rows_in = len(samples)
        wanted = self._wanted(shard.store, looked)
        path = shard.scratch(f"{RELEASED}/{shard.name}{SUFFIX}")
        try:
            self._write(path, wanted, _seen(shard.store, samples, looked, wanted.fresh()), self._metadata(shard))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        shard.publish(f"{RELEASED}/{shard.name}{SUFFIX}", path)
        return table_of(VisualFeatures, (self._row(look) for looks in looked.values() for look in looks))

    def _wanted(self, store: Store, looked: Mapping[str, Sequence[Looked]]) -> _Wanted:
        if self._earlier is None:
            self._earlier = Earlier(store, self._model.sight.key, VISUAL)
        of = {look.key: bytes.fromhex(look.image_sha256) for looks in looked.values() for look in looks}
        keys = sorted(of)
        copied = {n: place for n, key in enumerate(keys) if (place := self._earlier.find(key)) is not None}
        return _Wanted(tuple(keys), tuple(of[key] for key in keys), copied)

    def _write(
        self, path: Path, wanted: _Wanted, seen: Iterator[tuple[int, Image.Image]], metadata: Mapping[str, str]
    ) -> None:
        sight, count = self._model.sight, len(wanted.keys)
        with FeaturesWriter(
            *(path, wanted.keys, [sight.tokens] * count, [0] * count),
            images=wanted.images,
            width=sight.width,
            stored=sight.stored,
            metadata=metadata,
        ) as writer:
            for number, (file, at) in wanted.copied.items():
                writer.put(number, file.words(at))
            batch: list[tuple[int, Image.Image]] = []
            for look in seen:
                batch.append(look)
                if len(batch) == self._batch:
                    self._put(writer, batch)
                    batch = []
            self._put(writer, batch)

    def _put(self, writer: FeaturesWriter, batch: Sequence[tuple[int, Image.Image]]) -> None:
        if batch:
            states = self._model.encode([image for _, image in batch])
            for (number, _), words in zip(batch, states, strict=True):
                writer.put(number, words)

    def _metadata(self, shard: Shard) -> dict[str, str]:
        sight = self._model.sight
        return {
            "encoder": sight.name,
            "encoder_key": sight.key,
            "keep": sight.keep,
            "layer": str(sight.layer),
            "looks": json.dumps(self._looks),
            "max_tokens": str(sight.tokens),
            "placements": shard.reads[shard.store.table_file(Placement.table, shard.name)],
            "stage": self._digest,
        }

    def _row(self, look: Looked) -> VisualFeatures:
        sight = self._model.sight
        size = sight.tokens * sight.width * 2
        place = (look.sample_id, look.look, look.index, look.key.hex())
        return VisualFeatures(*place, sight.tokens, size, sight.name, sight.key)


def _seen(
    store: Store, samples: Sequence[Placement], looked: Mapping[str, Sequence[Looked]], fresh: Mapping[bytes, int]
) -> Iterator[tuple[int, Image.Image]]:
    """What is to be encoded with its number, in the order of the samples: each picture is decoded once."""
    left = dict(fresh)
    with ExitStack() as stack:
        readers: dict[str, ImageReader] = {}
        for sample in samples:
            due = [(left.pop(look.key), look) for look in looked[sample.sample_id] if look.key in left]
            if not due:
                continue
            if sample.source_shard not in readers:
                readers[sample.source_shard] = stack.enter_context(open_images(store, sample.source_shard))
            image = opened(_pixels(store, readers[sample.source_shard], sample))
            for number, look in due:
                yield number, look.of(image)


def _pixels(store: Store, read: ImageReader, sample: Placement) -> bytes:
    data = read(sample.offset, sample.size)
    if hashlib.sha256(data).hexdigest() != sample.sha256:
        raise LapidaryError(
            f"images/{sample.source_shard}.tar holds other pixels than were placed (sample {sample.sample_id}). To "
            f"redo that shard, {store.how_to_redo('images', sample.source_shard)} and run again"
        )
    return data
