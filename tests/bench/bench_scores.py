"""The pixel scores' share of the download stage's time: the same stage with and without them, in one run.

Downloads alternate, so that both meet the same machine. ``scores_share`` is the time that scores add, over the time of
the download without them (processor seconds of the whole process; and wall seconds). Then, for a root that was made
without scores: images a second from its stored pictures.

    python tests/bench/bench_scores.py [ROWS [ROUNDS]]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_segment
from curation.core.stage import Shard, Work
from curation.core.store import Store
from curation.fetch.download_stage import DownloadStage
from curation.scores.chosen import ChosenScores
from schemas.arrow import table_of
from schemas.manifest import ShardEntry
from schemas.recipe import Download
from schemas.records import Repeat, SourceRow
from schemas.scores import ImageScores
from tests.support.images import encoded, natural
from tests.support.source_rows import source_row
from tests.support.web import Reply, Web

PICTURES = 48
THREADS = 32
SCORES = ChosenScores.of(ImageScores(compute=["pixels"]))


def stage(host: str, *, scored: bool) -> DownloadStage:
    settings = Download(allow_private_hosts=[host], threads=THREADS, per_host=THREADS, quality=95)
    return DownloadStage(settings, look=SCORES.in_download if scored else None)


def download(work: Work, store: Store, name: str, urls: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of one shard."""
    reads = {}
    for record, rows in ((SourceRow, [source_row(i, url) for i, url in enumerate(urls)]), (Repeat, [])):
        sha, _ = store.write_table(record, name, table_of(record, rows))
        reads[store.table_file(record.table, name)] = sha
        entry = ShardEntry(record.table, name, "", {}, {store.table_file(record.table, name): sha}, 0, 0, 0, 0, "")
        store.commit(entry)
    wall, processor = time.perf_counter(), time.process_time()
    images = work(Shard(name, store, reads))
    took = time.process_time() - processor, time.perf_counter() - wall
    if images.column("reason").null_count != len(urls):
        raise RuntimeError(f"failed: {images.column('reason').to_pylist()}")
    return took


def shares(title: str, web: Web, paths: list[str], rounds: int, folder: Path) -> None:
    urls = [web.url(f"{path}?{i}") for i, path in enumerate(paths)]
    plain, scored = [], []
    with stage(web.host, scored=False).open() as without, stage(web.host, scored=True).open() as with_scores:
        for n in range(rounds + 1):
            store = Store(str(folder / f"{title}-{n}"))
            both = [(without, "plain", plain), (with_scores, "scored", scored)]
            for work, name, times in both if n % 2 else reversed(both):
                took = download(work, store, name, urls)
                if n:  # the first round warms up
                    times.append(took)
    for at, clock in enumerate(("processor", "wall")):
        ratios = [s[at] / p[at] - 1 for s, p in zip(scored, plain, strict=True)]
        base, more = (min(t[at] for t in times) for times in (plain, scored))
        print(
            f"scores_share {title} {clock} median={statistics.median(ratios):.1%} ({min(ratios):.1%} to "
            f"{max(ratios):.1%}), of the least times={more / base - 1:.1%} download={1e3 * base / len(urls):.2f} ms "
            f"scores={1e3 * (more - base) / len(urls):.2f} ms an image",
            flush=True,
        )


def stored(web: Web, paths: list[str], folder: Path) -> None:
    """A finished root, scored from its stored pictures in one process."""
    store = Store(str(folder / "stored"))
    made = stage(web.host, scored=False)
    urls = [web.url(f"{path}?{i}") for i, path in enumerate(paths)]
    with made.open() as work:
        download(work, store, "00000", urls)
    run_segment(store, LocalEngine(), [made], ["00000"], lambda outcome: None)
    started = time.process_time()
    SCORES.step.run(store, LocalEngine(), lambda outcome: None)
    print(f"scores_stored {len(urls) / (time.process_time() - started):.0f} images/s of one core", flush=True)


def main(rows: int = 500, rounds: int = 5) -> None:
    sides = {"650 pixels": (650, 95), "512 pixels, kept as they are": (512, 95), "1024 pixels": (1024, 90)}
    replies, paths = {}, {}
    for title, (side, quality) in sides.items():
        names = [f"/{side}/{i}.jpg" for i in range(PICTURES)]
        made = [encoded(natural(side, side, seed=i), "JPEG", quality=quality) for i in range(PICTURES)]
        replies |= {name: Reply(data) for name, data in zip(names, made, strict=True)}
        paths[title] = [names[i % PICTURES] for i in range(rows)]
    with Web(replies) as web, tempfile.TemporaryDirectory() as folder:
        for title, wanted in paths.items():
            shares(title, web, wanted, rounds, Path(folder))
        stored(web, paths["650 pixels"], Path(folder))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
