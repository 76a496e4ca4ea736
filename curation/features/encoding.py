"""Encodes the captions of one release shard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from curation.core.stage import Shard
from curation.features.earlier import RELEASED, Earlier
from curation.features.encoder import TextEncoder, Tokens
from curation.features.shard_file import FeaturesWriter
from curation.load.features import SUFFIX, FeaturesFile, hash_of
from schemas.arrow import rows_of, table_of
from schemas.features import ALT_TEXT, CaptionFeatures
from schemas.records import Placement

_EMPTY = ""  # the prompt that stands in for a dropped caption; encoded always


@dataclass(frozen=True)
class _Captions:
    """The different captions of a shard, sorted by hash: those to copy, those to encode, and what each comes to."""

    hashes: tuple[bytes, ...]
    copied: Mapping[int, tuple[FeaturesFile, int]]
    fresh: Mapping[int, Tokens]

    def length(self, number: int) -> int:
        if number in self.fresh:
            return len(self.fresh[number].ids)
        file, at = self.copied[number]
        return file.length(at)

    def cut(self, number: int) -> int:
        if number in self.fresh:
            return self.fresh[number].cut
        file, at = self.copied[number]
        return file.cut(at)


class ShardEncoder:
    """The work of the stage, with an open model."""

    def __init__(self, model: TextEncoder, kinds: Sequence[str], batch_tokens: int, digest: str) -> None:
        """``digest`` is that of the stage."""
        self._model = model
        self._kinds = kinds
        self._batch_tokens = batch_tokens
        self._digest = digest
        self._earlier: Earlier | None = None  # what is set aside stays the same while a worker is open

    def __call__(self, shard: Shard) -> pa.Table:
        """Writes the states of a shard's captions, and returns a row for each sample and kind."""
        wanted = [
            (sample.sample_id, kind, caption, hash_of(caption))
            for sample in rows_of(Placement, shard.read(Placement))
            for kind, caption in captions_of(sample, self._kinds)
        ]
        shard.rows_in = len({sample_id for sample_id, *_ in wanted})
        captions = self._captions(shard, {found: caption for *_, caption, found in wanted})
        path = shard.scratch(f"{RELEASED}/{shard.name}{SUFFIX}")
        try:
            self._write(path, captions, self._metadata(shard))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        shard.publish(f"{RELEASED}/{shard.name}{SUFFIX}", path)
        return table_of(CaptionFeatures, self._rows(wanted, captions))

    def _captions(self, shard: Shard, texts: dict[bytes, str]) -> _Captions:
        if self._earlier is None:
            self._earlier = Earlier(shard.store, self._model.encoder.key)
        texts[hash_of(_EMPTY)] = _EMPTY
        hashes = sorted(texts)
        copied = {n: place for n, found in enumerate(hashes) if (place := self._earlier.find(found)) is not None}
        fresh = [number for number in range(len(hashes)) if number not in copied]
        tokens = self._model.tokenise([texts[hashes[number]] for number in fresh])
        return _Captions(tuple(hashes), copied, dict(zip(fresh, tokens, strict=True)))

    def _write(self, path: Path, captions: _Captions, metadata: Mapping[str, str]) -> None:
        every = range(len(captions.hashes))
        lengths, cut = [captions.length(n) for n in every], [captions.cut(n) for n in every]
        encoder = self._model.encoder
        with FeaturesWriter(
            *(path, captions.hashes, lengths, cut), width=encoder.width, stored=encoder.stored, metadata=metadata
        ) as writer:
            for number, (file, at) in captions.copied.items():
                writer.put(number, file.words(at))
            for batch in batches(captions.fresh, self._batch_tokens):
                states = self._model.encode([captions.fresh[number] for number in batch])
                for number, words in zip(batch, states, strict=True):
                    writer.put(number, words)

    def _metadata(self, shard: Shard) -> dict[str, str]:
        encoder = self._model.encoder
        return {
            "encoder": encoder.name,
            "encoder_key": encoder.key,
            "kinds": json.dumps(self._kinds),
            "layer": str(encoder.layer),
            "max_tokens": str(encoder.max_tokens),
            "placements": shard.reads[shard.store.table_file(Placement.table, shard.name)],
            "prefix": encoder.prefix,
            "stage": self._digest,
        }

    def _rows(self, wanted: Sequence[tuple[str, str, str, bytes]], captions: _Captions) -> Iterator[CaptionFeatures]:
        encoder = self._model.encoder
        places = {found: number for number, found in enumerate(captions.hashes)}
        for sample_id, kind, _, found in wanted:
            tokens, cut = captions.length(places[found]), captions.cut(places[found])
            size = tokens * encoder.width * 2
            yield CaptionFeatures(sample_id, kind, found.hex(), tokens, cut, size, encoder.name, encoder.key)


def captions_of(sample: Placement, kinds: Sequence[str]) -> list[tuple[str, str]]:
    """The captions of a sample to encode, with their kinds: the one in .txt, then those that are named, or all."""
    found = [(sample.caption_kind, sample.caption)]
    found += [(kind, text) for kind, text in sorted(json.loads(sample.captions).items()) if not kinds or kind in kinds]
    if ALT_TEXT in kinds and sample.alt_text.strip():
        found.append((ALT_TEXT, sample.alt_text))
    return list(dict.fromkeys(found))


def batches(tokens: Mapping[int, Tokens], budget: int) -> Iterator[list[int]]:
    """The numbers of captions to encode together: the longest first, at most ``budget`` tokens with their padding.

    A caption that is longer than that is alone.
    """
    batch: list[int] = []
    longest = 0
    for number in sorted(tokens, key=lambda n: (-len(tokens[n].ids), n)):
        if batch and (len(batch) + 1) * longest > budget:
            yield batch
            batch = []
        longest = longest if batch else len(tokens[number].ids)
        batch.append(number)
    if batch:
        yield batch
