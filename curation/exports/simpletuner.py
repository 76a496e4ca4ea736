"""Images with a Parquet of captions and sizes, and the data backend JSON: what SimpleTuner reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from curation.exports.form import Done, Facts, Place, Settings, as_json, by_split
from curation.exports.release import ReleaseTar, Sample

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("filename", pa.string()),
    ("caption", pa.string()),
    ("caption_kind", pa.string()),
    ("width", pa.int64()),
    ("height", pa.int64()),
]
_SCHEMA = pa.schema(_COLUMNS)


@dataclass(frozen=True)
class SimpleTuner:
    """Folders of images, a Parquet of captions and sizes for each split, and multidatabackend.json (SimpleTuner)

    Names in the Parquet are relative to ``instance_data_dir`` and have their endings. SimpleTuner reads that Parquet as
    a whole, so that there is one for each split; captions and sizes alone are in it.
    """

    name: ClassVar[str] = "simpletuner"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset({"buckets", "seen_as"})

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``<split>/<tar>/<id>.jpg``, and the rows of the Parquet."""
        folder = place.files / tar.split / tar.name
        folder.mkdir(parents=True)
        rows = []
        for sample in samples:
            file = f"{sample.sample_id}.{sample.extension}"
            (folder / file).write_bytes(sample.image)
            rows.append(
                {
                    "filename": f"{tar.name}/{file}",
                    "caption": sample.caption,
                    "caption_kind": sample.kind,
                    "width": sample.width,
                    "height": sample.height,
                }
            )
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), place.parts / f"{tar.name}.parquet", compression="zstd")
        return {}

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """``<split>.parquet`` and ``multidatabackend.json``, whose caches lie in ``cache``."""
        backends: list[dict[str, object]] = []
        for split, of_split in by_split(shards).items():
            with pq.ParquetWriter(place.files / f"{split}.parquet", _SCHEMA, compression="zstd") as writer:
                for shard in of_split:
                    writer.write_table(pq.read_table(place.parts / f"{shard.tar}.parquet"))
            backends.append(_images(split, settings))
        texts = {
            "id": "text-embeds",
            "dataset_type": "text_embeds",
            "default": True,
            "type": "local",
            "cache_dir": f"{settings.seen_as.rstrip('/')}/cache/text",
        }
        (place.files / "multidatabackend.json").write_bytes(as_json([*backends, texts]))


def _images(split: str, settings: Settings) -> dict[str, object]:
    at = settings.seen_as.rstrip("/")
    return {
        "id": split,
        "type": "local",
        "dataset_type": "image",
        "instance_data_dir": f"{at}/{split}",
        "cache_dir_vae": f"{at}/cache/vae/{split}",
        "caption_strategy": "parquet",
        "metadata_backend": "parquet",
        "parquet": {
            "path": f"{at}/{split}.parquet",
            "filename_column": "filename",
            "caption_column": "caption",
            "width_column": "width",
            "height_column": "height",
            "identifier_includes_extension": True,
        },
        "resolution": math.isqrt(settings.buckets.pixels),
        "resolution_type": "pixel_area",
        "crop": False,
    }
