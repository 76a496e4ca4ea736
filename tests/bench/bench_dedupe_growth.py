"""The dedupe stage when a finished root grows by one shard, against deciding everything anew.

A root of made-up images with hashes and colours, 10 % of them near copies, gets one more shard of 10,000 images: the
stage asks the root's index and reads the new shard only. Theirs is the same stage over the same shards without a
memory of the last run.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time

import numpy as np
import pyarrow as pa

from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.dedupe.reduce import DedupeReduce
from curation.dedupe.search.colours import COLOUR_WORDS, LOOK_WORDS
from schemas.arrow import conform, schema_of
from schemas.manifest import ShardEntry
from schemas.recipe import Dedupe
from schemas.records import Colours, Duplicate, ImageRow, Thumbnail

ROWS = 10_000


def put(store: Store, shard: str, hashes: np.ndarray, random: np.random.Generator) -> None:
    """A shard of images with these words: five of hashes, then those of colours and of a thumbnail."""
    n = len(hashes)
    ids = [random.bytes(16).hex() for _ in range(n)]
    columns = {name: pa.nulls(n, schema_of(ImageRow).field(name).type) for name in schema_of(ImageRow).names}
    looks = np.ascontiguousarray(hashes[:, 1:5])
    columns["sample_id"] = pa.array(ids)
    columns["sha256"] = pa.array([random.bytes(32).hex() for _ in range(n)])
    columns["phash"] = pa.array(hashes[:, 0])
    columns["phash256"] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), n, [None, pa.py_buffer(looks)])
    columns["width"] = columns["height"] = pa.array(random.integers(200, 512, n).astype(np.int32))
    sha, size = store.write_table(ImageRow, shard, pa.table(columns))
    written = {store.table_file(ImageRow.table, shard): sha}
    colours, thumbnails = np.split(hashes[:, 5:], [COLOUR_WORDS], axis=1)
    for record, name, words in ((Colours, "blocks", colours), (Thumbnail, "luma", thumbnails)):
        buffer = pa.py_buffer(np.ascontiguousarray(words))
        told = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8 * words.shape[1]), n, [None, buffer])
        table = conform(record, pa.table({"sample_id": columns["sample_id"], name: told}))
        written[store.table_file(record.table, shard)] = store.write_table(record, shard, table)[0]
    store.commit(ShardEntry(ImageRow.table, shard, "", {}, written, n, n, size, 0.0, "bench"))


def images(n: int, random: np.random.Generator) -> np.ndarray:
    """Hashes and looks; the last tenth are copies of earlier ones with some bits of their hashes turned over."""
    words = random.integers(0, 2**64, (n, 5 + LOOK_WORDS), dtype=np.uint64)
    words[:, 4 + COLOUR_WORDS] = 0x2040  # a quarter is ground, an eighth has colour
    words[:, 5 + COLOUR_WORDS] = 1  # a thumbnail of the whole picture
    copies = n // 10
    words[n - copies :] = words[random.integers(0, n - copies, copies)]
    for word in (0, 0, 1, 2, 3, 4):
        words[n - copies :, word] ^= np.uint64(1) << random.integers(0, 64, copies, dtype=np.uint64)
    return words


def timed(store: Store) -> float:
    """Processor seconds, which others on the machine change least."""
    started = time.process_time()
    run_reduce(store, DedupeReduce(Dedupe()), lambda _: None)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="a root that grows by one shard")
    parser.add_argument("--shards", type=int, default=30, help="of 10,000 images")
    options = parser.parse_args()
    random = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        words = images((options.shards + 1) * ROWS, random)
        words = words[random.permutation(len(words))]
        put(store, "warm", images(100, random), random)
        timed(store)
        store.retire(ImageRow.table, "warm")
        for shard in range(options.shards):
            put(store, f"s{shard:05}", words[shard * ROWS : (shard + 1) * ROWS], random)
        timed(store)
        put(store, f"s{options.shards:05}", words[-ROWS:], random)
        ours = timed(store)
        shutil.rmtree(store.path(f"manifest/{Duplicate.table}"))
        theirs = timed(store)
    told = f"ours={ours:.2f}s theirs={theirs:.2f}s images={options.shards * ROWS} new={ROWS}"
    print(f"dedupe_growth ratio={theirs / ours:.1f} {told}")


if __name__ == "__main__":
    main()
