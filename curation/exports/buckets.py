"""WebDataset tars of one aspect bucket each, with a manifest: a trainer takes each batch from one bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from curation.core.tar import TarWriter
from curation.exports.form import Done, Facts, Place, Settings, as_json, by_split
from curation.exports.kohya import bucket_of
from curation.exports.release import ReleaseTar, Sample


@dataclass(frozen=True)
class BucketTars:
    """WebDataset tars by aspect bucket, and manifest.json with each bucket's size, samples and tars

    Images stay as they are: the bucket is the size to which a trainer resizes and crops them. Each tar of the release
    gives one tar for each bucket that it has images of.
    """

    name: ClassVar[str] = "buckets"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset({"buckets"})

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``<split>/<width>x<height>/<tar>.tar`` of .jpg, .txt and .json members."""
        writers: dict[tuple[int, int], TarWriter] = {}
        counts: dict[str, int] = {}
        with ExitStack() as stack:
            for sample in samples:
                width, height = bucket_of(settings.buckets, sample.width, sample.height)
                bucket = f"{width}x{height}"
                if (width, height) not in writers:
                    path = place.files / tar.split / bucket / f"{tar.name}.tar"
                    path.parent.mkdir(parents=True)
                    writers[width, height] = stack.enter_context(TarWriter(path))
                told = {"caption": sample.caption, "caption_kind": sample.kind, "bucket": [width, height]}
                writer, name = writers[width, height], sample.sample_id
                writer.add(f"{name}.{sample.extension}", sample.image)
                writer.add(f"{name}.txt", sample.caption.encode())
                text = json.dumps(sample.annotation | told, ensure_ascii=False, sort_keys=True)
                writer.add(f"{name}.json", text.encode())
                counts[bucket] = counts.get(bucket, 0) + 1
        return counts

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """``manifest.json``: for each split its buckets, from the tallest to the widest."""
        told: dict[str, list[dict[str, Any]]] = {}
        for split, of_split in by_split(shards).items():
            told[split] = []
            for width, height in settings.buckets.sizes:
                bucket = f"{width}x{height}"
                tars = [
                    {"path": f"{split}/{bucket}/{s.tar}.tar", "samples": s.facts[bucket]}
                    for s in of_split
                    if bucket in s.facts
                ]
                if tars:
                    total = sum(t["samples"] for t in tars)
                    sizes = {"bucket": bucket, "width": width, "height": height}
                    told[split].append(sizes | {"samples": total, "tars": tars})
        (place.files / "manifest.json").write_bytes(as_json({"splits": told}))
