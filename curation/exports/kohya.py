"""Folders of images with their captions, as kohya's sd-scripts, OneTrainer and ai-toolkit read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tomli_w

from curation.exports.form import Done, Facts, Place, Settings, as_json, by_split
from curation.exports.release import ReleaseTar, Sample
from curation.load.buckets import Buckets


@dataclass(frozen=True)
class Kohya:
    """Folders of images with a .txt beside each; a metadata JSON with tags and sizes, and a dataset TOML (sd-scripts)

    A JSON's keys are names without endings, which old and new versions find in ``image_dir``. New versions take
    ``image_size`` and open no image to plan their buckets; old ones take ``train_resolution``, the size of the bucket.
    """

    name: ClassVar[str] = "kohya"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset({"tags", "buckets", "seen_as"})

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``<tar>/<id>.jpg`` and ``.txt``, and ``<tar>.json`` beside the folder."""
        folder = place.files / tar.name
        folder.mkdir()
        told: dict[str, dict[str, Any]] = {}
        for sample in samples:
            (folder / f"{sample.sample_id}.{sample.extension}").write_bytes(sample.image)
            (folder / f"{sample.sample_id}.txt").write_text(sample.line, encoding="utf-8", newline="")
            told[sample.sample_id] = {
                "caption": sample.line,
                "image_size": [sample.width, sample.height],
                "train_resolution": list(bucket_of(settings.buckets, sample.width, sample.height)),
            } | _tags(sample, settings.tags)
        (place.files / f"{tar.name}.json").write_bytes(as_json(told))
        return {}

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """``<split>.toml`` for ``--dataset_config``."""
        at = settings.seen_as.rstrip("/")
        for split, of_split in by_split(shards).items():
            subsets = [
                {"image_dir": f"{at}/{s.tar}", "metadata_file": f"{at}/{s.tar}.json"} for s in of_split if s.samples
            ]
            dataset = {
                "resolution": math.isqrt(settings.buckets.pixels),
                "enable_bucket": True,
                "bucket_reso_steps": settings.buckets.step,
                "subsets": subsets,
            }
            told = tomli_w.dumps({"general": {"caption_extension": ".txt"}, "datasets": [dataset]})
            (place.files / f"{split}.toml").write_text(told, encoding="utf-8")


def bucket_of(buckets: Buckets, width: int, height: int) -> tuple[int, int]:
    """Width and height in pixels of an image's bucket."""
    return buckets.sizes[int(buckets.of(np.array([width]), np.array([height]))[0])]


def _tags(sample: Sample, kind: str | None) -> dict[str, str]:
    """The sample's tags, where it has such a caption and it is not the drawn one already."""
    captions = sample.annotation.get("captions") or {}
    if kind is None or kind == sample.kind or not isinstance(captions.get(kind), str):
        return {}
    return {"tags": " ".join(captions[kind].split())}
