"""The export stage against a plain copy of the same bytes into tars, member by member with tarfile.

Both sides read the same images in the same shuffled order and write the same members. The plain copy gets
its texts ready-made, verifies nothing and hashes nothing.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import tarfile
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_segment
from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.release.export_stage import ExportStage
from curation.release.members import annotation_bytes
from schemas.arrow import rows_of, table_of
from schemas.manifest import ShardEntry
from schemas.records import Placement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--bytes", type=int, default=100_000, help="of an average image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None, help="where to work; a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store = Store(str(Path(folder) / "root"))
        samples = _make(store, options.samples, options.bytes)
        moved = sum(s.size for s in samples)
        ours, theirs = [], []
        for index in range(options.rounds + 1):
            theirs.append(_timed(lambda: _copy(store, samples, Path(folder) / "copy")))
            ours.append(_timed(lambda: _export(store)))
            if index == 0:  # warms the page cache and imports
                ours, theirs = [], []
        ratio = statistics.median(theirs) / statistics.median(ours)
        rate = moved / 1e6
        print(
            f"export ratio={ratio:.2f} ours={rate / statistics.median(ours):.0f}MB/s "
            f"theirs={rate / statistics.median(theirs):.0f}MB/s"
        )


def _timed(work: object) -> float:
    os.sync()
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


def _export(store: Store) -> None:
    for shard in store.shards("released"):
        store.retire("released", shard)
    totals = run_segment(store, LocalEngine(), [ExportStage()], store.shards("placements"), lambda _: None)
    assert not totals.failed and totals.done


def _copy(store: Store, samples: list[Placement], target: Path) -> None:
    target.mkdir(exist_ok=True)
    sources = {s.source_shard: open(store.path(store.images_file(s.source_shard)), "rb") for s in samples}  # noqa: SIM115, PTH123
    texts = _texts(samples)
    by_shard: dict[str, list[Placement]] = {}
    for sample in samples:
        by_shard.setdefault(sample.shard, []).append(sample)
    for shard, members in by_shard.items():
        with tarfile.open(target / f"{shard}.tar", "w") as tar:
            for sample in members:
                source = sources[sample.source_shard]
                source.seek(sample.offset)
                for ending, data in (("jpg", source.read(sample.size)), *texts[sample.sample_id]):
                    info = tarfile.TarInfo(f"{sample.sample_id}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    for source in sources.values():
        source.close()


_TEXTS: dict[str, tuple[tuple[str, bytes], ...]] = {}


def _texts(samples: list[Placement]) -> dict[str, tuple[tuple[str, bytes], ...]]:
    """Made once, outside of the timing after the first round."""
    if not _TEXTS:
        for s in samples:
            _TEXTS[s.sample_id] = (("txt", s.caption.encode()), ("json", annotation_bytes(s)))
    return _TEXTS


def _make(store: Store, count: int, size: int) -> list[Placement]:
    """Random bytes stand for images: neither side looks into them."""
    import hashlib
    import json

    chance = random.Random(0)
    found: list[Placement] = []
    per_source = max(1, count // 4)
    for first in range(0, count, per_source):
        shard = f"source-{first:06d}"
        path = store.scratch(store.images_file(shard))
        with TarWriter(path) as tar:
            for index in range(first, min(count, first + per_source)):
                data = chance.randbytes(chance.randint(size // 2, size + size // 2))
                ident = hashlib.sha256(b"%d" % index).hexdigest()[:32]
                caption = "A red house beside a long river under a wide sky. " * 6
                fields = {
                    "sample_id": ident, "split": "train", "shard": "", "position": 0, "source_shard": shard,
                    "offset": tar.add(f"{ident}.jpg", data), "size": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(), "phash": index, "width": 512, "height": 512,
                    "source_file": "part-0.parquet", "source_row": index, "url": f"http://pictures.example/{index}",
                    "license": None, "alt_text": f"picture {index} of a house", "alt_text_words": 5,
                    "alt_text_clip_tokens": 6, "caption": caption, "caption_kind": "dense", "words": 60,
                    "clip_tokens": 72, "sentence_end_77": 200, "captions": json.dumps({"dense": caption}),
                    "prompt": "dense@1", "model": "some/captioner", "similarity": None, "alt_text_similarity": None,
                }  # fmt: skip
                found.append(Placement(**fields))  # type: ignore[arg-type]
        store.publish(store.images_file(shard), path)
    chance.shuffle(found)
    table = table_of(Placement, found)
    placed: list[Placement] = []
    for number, start in enumerate(range(0, count, 1000)):
        part = table.slice(start, 1000)
        name = f"train-{number:06d}"
        part = part.set_column(part.schema.get_field_index("shard"), "shard", pa.array([name] * part.num_rows))
        part = part.set_column(
            part.schema.get_field_index("position"), "position", pa.array(range(part.num_rows), pa.int32())
        )
        sha, _ = store.write_table(Placement, name, part)
        writes = {store.table_file("placements", name): sha}
        store.commit(ShardEntry("placements", name, "", {}, writes, part.num_rows, part.num_rows, 0, 0.0, "bench"))
        placed += rows_of(Placement, part)
    return placed


if __name__ == "__main__":
    main()
