"""Embeddings: the stage beside a bare batched loop, pairs beside brute force, and search over many vectors.

Parts: ``stage``, ``pairs``, ``search``. Each prints its sizes and the machine's load.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa

from curation.core.store import Store
from curation.embed.index import _made
from curation.embed.pairs import like_pairs
from curation.embed.vectors import Vectors

ROUNDS = 5
GOAL = 0.95
ASKED = 20
SAMPLED = 2000  # rows whose pairs are found by brute force too


def load() -> str:
    return Path("/proc/loadavg").read_text().split()[0]


def drawn(count: int, width: int, topics: int, seed: int = 0) -> Vectors:
    """Vectors around topics, one in ten a copy of another with noise, whose cosines with it are 0.9 to 1."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(topics, width)).astype(np.float32)
    rows = np.empty((count, width), np.float16)
    for at in range(0, count, 16_384):
        n = min(16_384, count - at)
        block = centres[rng.integers(topics, size=n)] + 0.9 * rng.normal(size=(n, width)).astype(np.float32)
        rows[at : at + n] = block / np.linalg.norm(block, axis=1, keepdims=True)
    copies = rng.choice(count, count // 10, replace=False)
    for some in np.array_split(copies, max(1, len(copies) // 16_384)):
        noise = rng.normal(size=(len(some), width)).astype(np.float32) / np.sqrt(width)
        block = rows[rng.integers(count, size=len(some))] + noise * rng.uniform(0, 0.45, (len(some), 1))
        rows[some] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return Vectors(rows, pa.array([f"{n:032x}" for n in range(count)]), (("all", 0, count),))


def bench_pairs(count: int, width: int, threshold: float = 0.95) -> None:
    """Seconds of pairs at the default number of clusters, and the recall of those of some rows, by all comparisons."""
    vectors = drawn(count, width, max(10, count // 300))
    started, cpu = time.perf_counter(), time.process_time()
    a, b, _ = like_pairs(vectors, threshold)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    found = a * count + b
    some = np.sort(np.random.default_rng(1).choice(count, min(count, SAMPLED), replace=False))
    rows, wanted = vectors.block(some), []
    for at in range(0, count, 16_384):
        x, y = np.nonzero(rows @ vectors.block(slice(at, at + 16_384)).T >= threshold)
        x, y = some[x], y + at
        wanted.append((np.minimum(x, y) * count + np.maximum(x, y))[x != y])
    every = np.unique(np.concatenate(wanted))
    recall = np.isin(every, found).mean()
    print(f"pairs_{count}x{width} seconds={seconds:.1f} cpu={cpu:.1f} load={load()} found={len(found)} "
          f"of_sampled={len(every)} recall={recall:.4f} goal>=0.98 peak={peak:.2f}GB", flush=True)  # fmt: skip


def bench_search(count: int, width: int) -> None:
    """Milliseconds of a search, and how many of the ten likest an index of many vectors finds."""
    vectors = drawn(count, width, max(10, count // 300))

    class Given:
        def __enter__(self) -> Vectors:
            return vectors

        def __exit__(self, *_: object) -> None:
            return

    asked = np.random.default_rng(1).choice(count, ASKED, replace=False)
    queries = vectors.block(asked)
    cosines = np.concatenate([vectors.block(slice(at, at + 65_536)) @ queries.T for at in range(0, count, 65_536)])
    likest = np.argpartition(-cosines, 10, axis=0)[:10].T
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        with mock.patch("curation.embed.index.all_vectors", lambda *_: Given()):
            index = _made(Store(folder), {"all": ""}, 200_000)
        made, cpu = time.perf_counter() - started, time.process_time() - cpu
        # By codes alone, as before there were vectors beside them, and then as it is.
        for way, one in (("codes", replace(index, exact=None)), ("codes+vectors", index)):
            took, hits, spent = [], [], time.process_time()
            for query, best in zip(queries, likest, strict=True):
                started = time.perf_counter()
                found = one.search(query, 24)
                took.append(1000 * (time.perf_counter() - started))
                hits.append(np.isin(best, [int(h.sample_id, 16) for h in found]).mean())
            spent = 1000 * (time.process_time() - spent) / len(queries)
            print(f"search_{count}x{width} by={way} ms={median(took):.1f} worst={max(took):.1f} goal<=50 "
                  f"cpu_ms={spent:.1f} ten_in_24={np.mean(hits):.3f} goal>=0.9 made={made:.0f}s made_cpu={cpu:.0f}s "
                  f"load={load()}", flush=True)  # fmt: skip


def bench_stage(images: int) -> None:
    """Images a second of the stage and of a bare loop over the same images, in turns."""
    from curation.caption.check.similarity import SimilarityModel, decode
    from curation.core.stage import Shard
    from curation.embed.embed_stage import EmbedStage
    from curation.images.reading import open_images
    from schemas.embed import Embed
    from schemas.records import ImageRow
    from tests.support.images import jpeg, natural
    from tests.support.report_roots import large_root
    from tests.support.roots import recipe
    from tests.support.tiny_clip import make_tiny_clip

    with tempfile.TemporaryDirectory() as folder:
        clip = str(make_tiny_clip(Path(folder) / "clip"))
        large_root(f"{folder}/root", 1, images, [jpeg(natural(512, 384, seed=n), 90) for n in range(32)], recipe())
        store = Store(f"{folder}/root")
        (shard,) = store.shards(ImageRow.table)
        table = store.read_table(ImageRow, shard)
        kept = table.filter(pa.compute.is_valid(table["offset"]))
        places = list(zip(kept["offset"].to_pylist(), kept["size"].to_pylist(), strict=True))
        stage, model = EmbedStage.declared(Embed(model=clip)).ready(None), SimilarityModel(clip)
        ratios = []
        with stage.open() as work:
            for _ in range(ROUNDS):
                started = time.perf_counter()
                rows = work(Shard(shard, store)).num_rows
                ours = rows / (time.perf_counter() - started)
                started = time.perf_counter()
                with open_images(store, shard, whole=True) as read:
                    for at in range(0, len(places), stage.batch):
                        model.embed_pictures([decode(read(*p)) for p in places[at : at + stage.batch]])
                bare = len(places) / (time.perf_counter() - started)
                ratios.append(ours / bare)
        print(f"embed_stage images={rows} ours={ours:.0f}/s bare={bare:.0f}/s ratio={median(ratios):.3f} goal>={GOAL} "
              f"load={load()}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["stage", "pairs", "search"])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rows", type=int, default=20_000, help="of pairs")
    parser.add_argument("--searched", type=int, default=250_000)
    parser.add_argument("--width", type=int, default=512)
    asked = parser.parse_args()
    if "stage" in asked.parts:
        bench_stage(asked.images)
    if "pairs" in asked.parts:
        bench_pairs(asked.rows, asked.width)
    if "search" in asked.parts:
        bench_search(asked.searched, asked.width)


if __name__ == "__main__":
    main()
