"""MDS shards, as MosaicML's streaming reads them.

A shard (format version 2) is: the number of samples; where each sample begins, and the end, as bytes from the start of
the file; the columns as JSON; the samples. A sample is the sizes of its columns that have no fixed one, then the
values. Numbers are little-endian uint32, columns stand in the order of their names. Source: the package
mosaicml-streaming 0.13 (Apache-2.0).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from curation.exports.form import Done, Facts, Place, Settings, as_json, by_split
from curation.exports.release import ReleaseTar, Sample

_SHARD_BYTES = 1 << 26  # streaming's own default
_COLUMNS = {"caption": "str", "caption_kind": "str", "height": "int", "image": "bytes", "sample_id": "str"} | {
    "width": "int"
}
_FIXED = {"int": 8}
_CONFIG: dict[str, Any] = {
    "version": 2,
    "format": "mds",
    "compression": None,
    "hashes": [],
    "size_limit": _SHARD_BYTES,
    "column_names": list(_COLUMNS),
    "column_encodings": list(_COLUMNS.values()),
    "column_sizes": [_FIXED.get(encoding) for encoding in _COLUMNS.values()],
}
_HEADER = json.dumps(_CONFIG, sort_keys=True).encode()


@dataclass(frozen=True)
class Mds:
    """MDS shards of at most 64 MB and an index for each split (MosaicML's streaming and diffusion)"""

    name: ClassVar[str] = "mds"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset()

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``<split>/<tar>.00000.mds`` and so on."""
        folder = place.files / tar.split
        folder.mkdir()
        written: list[dict[str, Any]] = []
        held: list[bytes] = []
        size = 0

        def write() -> None:
            name = f"{tar.name}.{len(written):05d}.mds"
            length = _write(folder / name, held)
            written.append({"basename": name, "bytes": length, "samples": len(held)})

        for sample in samples:
            encoded = _encoded(sample)
            if held and size + len(encoded) + 4 > _SHARD_BYTES - len(_HEADER) - 8:
                write()
                held, size = [], 0
            held.append(encoded)
            size += len(encoded) + 4
        if held:
            write()
        return {"shards": written}

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """``<split>/index.json``."""
        for split, of_split in by_split(shards).items():
            told = [
                _CONFIG
                | {
                    "samples": found["samples"],
                    "raw_data": {"basename": found["basename"], "bytes": found["bytes"], "hashes": {}},
                    "zip_data": None,
                }
                for shard in of_split
                for found in shard.facts["shards"]
            ]
            (place.files / split).mkdir()
            (place.files / split / "index.json").write_bytes(as_json({"version": 2, "shards": told}))


def _encoded(sample: Sample) -> bytes:
    texts = {"caption": sample.caption, "caption_kind": sample.kind, "sample_id": sample.sample_id}
    numbers = {"height": sample.height, "width": sample.width}
    values = {name: text.encode() for name, text in texts.items()} | {"image": sample.image}
    values |= {name: struct.pack("<q", number) for name, number in numbers.items()}
    sizes = [len(values[name]) for name, encoding in _COLUMNS.items() if encoding not in _FIXED]
    return struct.pack(f"<{len(sizes)}I", *sizes) + b"".join(values[name] for name in _COLUMNS)


def _write(path: Path, samples: Sequence[bytes]) -> int:
    """Writes a shard; returns its number of bytes."""
    at = 4 * (len(samples) + 2) + len(_HEADER)
    places = [at]
    for sample in samples:
        at += len(sample)
        places.append(at)
    with path.open("wb") as file:
        file.write(struct.pack(f"<I{len(places)}I", len(samples), *places))
        file.write(_HEADER)
        file.writelines(samples)
    return at
