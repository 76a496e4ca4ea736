"""Parquet with images inside, as the library datasets and the hub's viewer read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from curation.exports.form import Done, Facts, Place, Settings, by_split
from curation.exports.release import ReleaseTar, Sample, in_groups

_VALUES = {"sample_id": "string", "caption": "string", "caption_kind": "string", "alt_text": "string"}
_SIZES = {"width": "int32", "height": "int32"}
_FEATURES: dict[str, dict[str, str]] = {"image": {"_type": "Image"}} | {
    name: {"dtype": dtype, "_type": "Value"} for name, dtype in (_VALUES | _SIZES).items()
}
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_SCHEMA = pa.schema(
    [
        ("image", _IMAGE),
        *((name, pa.string()) for name in _VALUES),
        *((name, pa.int32()) for name in _SIZES),
    ],
    # Where the library looks for a column's type; without it, images would be structs of bytes.
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


@dataclass(frozen=True)
class Datasets:
    """Parquet with images inside, and a card that names its splits (datasets, diffusers, the hub's viewer)"""

    name: ClassVar[str] = "datasets"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset()

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``data/<tar>.parquet``."""
        folder = place.files / "data"
        folder.mkdir()
        with pq.ParquetWriter(folder / f"{tar.name}.parquet", _SCHEMA, compression="zstd") as writer:
            for group in in_groups(samples):
                writer.write_table(pa.Table.from_pylist([_row(sample) for sample in group], _SCHEMA))
        return {}

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """The card, whose front matter says which file is of which split."""
        lines = [f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in by_split(shards)]
        text = "---\nconfigs:\n- config_name: default\n  data_files:\n" + "".join(lines) + "---\n\n"
        text += "Images with one caption each, exported from a release of Lapidary; `export.json` says from which.\n"
        (place.files / "README.md").write_text(text, encoding="utf-8")


def _row(sample: Sample) -> dict[str, Any]:
    return {
        "image": {"bytes": sample.image, "path": f"{sample.sample_id}.{sample.extension}"},
        "sample_id": sample.sample_id,
        "caption": sample.caption,
        "caption_kind": sample.kind,
        "alt_text": sample.alt_text,
        "width": sample.width,
        "height": sample.height,
    }
