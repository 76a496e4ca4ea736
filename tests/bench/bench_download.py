"""The download stage against plain img2dataset, and against what the same cores could do without a network.

Both sides run in the same number of processes with the same number of threads, fetch the same images from
the same server, and are timed from the moment that all their processes are warm. img2dataset gets its
fastest settings: no Exif, no captions. ``download_img2dataset`` is img2dataset as it comes, which averages areas;
``…_lanczos`` is img2dataset set to a Lanczos filter, the nearest to ours that it has.

`download_bare_limit` compares with decoding, resizing and encoding alone, as img2dataset does them;
`download_own_bare_limit` with our own, faster way of doing the same.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import cv2
import imagehash
import numpy as np
import pyarrow as pa
from img2dataset.downloader import Downloader
from img2dataset.resizer import Resizer
from img2dataset.writer import WebDatasetSampleWriter
from PIL import Image

from curation.core.cores import use_cores
from curation.core.stage import Shard
from curation.core.store import Store
from curation.fetch.download_stage import DownloadStage
from curation.images.decode import decode
from curation.images.encode import encode
from curation.images.headers import read_header
from curation.images.shrink import shrunk, target
from schemas.arrow import table_of
from schemas.recipe import Download
from schemas.records import Repeat, SourceRow
from schemas.signals import Signals
from tests.support.images import encoded, natural
from tests.support.source_rows import source_row
from tests.support.web import Reply, Web

THREADS = 32
PICTURES = 48


def pictures(side: int, quality: int) -> list[bytes]:
    return [encoded(natural(side, side, seed=i), "JPEG", quality=quality) for i in range(PICTURES)]


def theirs(folder: Path, urls: list[str], shard: int, downscale: str = "area") -> None:
    """Plain img2dataset."""
    rows = pa.table({"url": urls})
    with pa.OSFile(str(folder / f"{shard}.feather"), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    resizer = Resizer(512, "keep_ratio", True, downscale_interpolation=downscale, encode_quality=95)
    Downloader(
        WebDatasetSampleWriter, resizer, THREADS, False, False, str(folder), ["url"], 10, 10_000, 5, "sha256",
        None, "jpg", 0, None, ["noai", "noimageai", "noindex", "noimageindex"],
    ).download_shard((shard, str(folder / f"{shard}.feather")))  # fmt: skip


def theirs_by_lanczos(folder: Path, urls: list[str], shard: int) -> None:
    theirs(folder, urls, shard, "lanczos")


def hashed(folder: Path, urls: list[str], shard: int) -> None:
    """imagehash.phash over a shard of img2dataset's."""
    with tarfile.open(folder / f"{shard:05d}.tar") as archive:
        for member in archive:
            if member.name.endswith(".jpg"):
                file = archive.extractfile(member)
                assert file is not None
                imagehash.phash(Image.open(io.BytesIO(file.read())))


class Ours:
    """Opened once a process, as in an actor."""

    def __init__(self, signals: Signals | None = None) -> None:
        self._work: Any = None
        self._signals = signals

    def __call__(self, folder: Path, urls: list[str], shard: int) -> None:
        store = Store(str(folder))
        if self._work is None:
            host = urls[0].split("/")[2]
            settings = Download(allow_private_hosts=[host], threads=THREADS, per_host=THREADS, quality=95)
            self._context = DownloadStage(settings, signals=self._signals).open()
            self._work = self._context.__enter__()
        name = f"{shard:05d}"
        store.write_table(SourceRow, name, table_of(SourceRow, [source_row(i, url) for i, url in enumerate(urls)]))
        store.write_table(Repeat, name, table_of(Repeat, []))
        images = self._work(Shard(name, store))
        if images.column("reason").null_count != len(urls):
            raise RuntimeError(f"failed: {images.column('reason').to_pylist()}")


def bare(images: list[bytes]) -> None:
    resizer = Resizer(512, "keep_ratio", True, encode_quality=95)
    cv2.setNumThreads(1)
    for data in images:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        resized = cv2.resize(decoded, (512, 512), interpolation=resizer.downscale_interpolation)
        cv2.imencode(".jpg", resized, resizer.encode_params)


def own_bare(images: list[bytes]) -> None:
    cv2.setNumThreads(1)
    settings = Download(quality=95)
    for data in images:
        header = read_header(data, settings.max_pixels)
        size = target(header.width, header.height, settings)
        decoded = decode(header, size)
        encode(shrunk(decoded.pixels, *size, decoded.extent), settings)


@dataclass(frozen=True)
class Task:
    """``job(*arguments)`` for each of ``calls``, shared out among the processes, after ``job(*warm)`` in each
    (a shard's number there is the first of as many as there are processes)."""

    name: str
    job: Callable[..., None]
    warm: tuple[Any, ...]
    calls: list[tuple[Any, ...]]


def _worker(tasks: list[Task], number: int, processes: int, barrier: Any, ends: Any) -> None:
    use_cores((os.cpu_count() or 1) / processes)  # as workers of Ray do
    for task in tasks:
        *warm, last = task.warm
        task.job(*warm, last + number if isinstance(last, int) else last)
        barrier.wait()
        for arguments in task.calls[number::processes]:
            task.job(*arguments)
        ends.put(time.monotonic())
        barrier.wait()


def timed(tasks: list[Task], processes: int) -> dict[str, float]:
    """Seconds that so many processes take for each task, once all of them are warm."""
    context = multiprocessing.get_context("spawn")
    barrier, ends = context.Barrier(processes + 1), context.Queue()
    workers = [
        context.Process(target=_worker, args=(tasks, n, processes, barrier, ends), daemon=True)
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    seconds = {}
    for task in tasks:
        barrier.wait(timeout=120)
        started = time.monotonic()
        seconds[task.name] = max(ends.get(timeout=300) for _ in workers) - started
        barrier.wait(timeout=120)
    for worker in workers:
        worker.join()
    return seconds


def line(name: str, ours: float, theirs: float) -> None:
    print(f"{name} ratio={ours / theirs:.2f} ours={ours:.0f}/s theirs={theirs:.0f}/s", flush=True)


def compare(processes: int, web: Web, images: list[bytes], rows: int, folder: Path) -> None:
    """Pictures that are a little too large, as most of a list are."""
    shards = 2 * processes
    urls = [web.url(f"/{i % PICTURES}.jpg?{i}") for i in range(rows)]
    small = [web.url(f"/small/{i % PICTURES}.jpg?{i}") for i in range(rows)]
    first, second, third = folder / "ours", folder / "theirs", folder / "lanczos"
    second.mkdir(parents=True)
    third.mkdir()
    ours = Ours()
    mine = [(first, urls, n) for n in range(shards)]
    other = [(second, urls, n) for n in range(shards)]
    bytes_alone = [([images[i % PICTURES] for i in range(rows)],)] * shards
    tasks = [
        Task("ours", ours, (first, urls[:40], 90), mine),
        Task("signals", Ours(Signals()), (first, urls[:40], 70), [(first, urls, 30 + n) for n in range(shards)]),
        Task("theirs", theirs, (second, urls[:40], 90), other),
        Task("lanczos", theirs_by_lanczos, (third, urls[:40], 90), [(third, urls, n) for n in range(shards)]),
        Task("hashes", hashed, (second, urls, 90), other),
        Task("bare", bare, (images[:8],), bytes_alone),
        Task("own bare", own_bare, (images[:8],), bytes_alone),
        Task("pass through", ours, (first, small[:40], 95), [(first, small, 50 + n) for n in range(shards)]),
    ]
    took = timed(tasks, processes)
    total = shards * rows
    rate = {name: total / seconds for name, seconds in took.items()}
    tail = f"_{processes}p"
    line("download_img2dataset" + tail, rate["ours"], rate["theirs"])
    line("download_img2dataset_lanczos" + tail, rate["ours"], rate["lanczos"])
    line("download_img2dataset_phash" + tail, rate["ours"], total / (took["theirs"] + took["hashes"]))
    line("download_bare_limit" + tail, rate["ours"], rate["bare"])
    line("download_own_bare_limit" + tail, rate["ours"], rate["own bare"])
    line("download_with_signals" + tail, rate["signals"], rate["ours"])
    line("download_pass_through" + tail, rate["pass through"], rate["ours"])


def compare_large(web: Web, path: str, rows: int, folder: Path) -> None:
    """Two processes, and pictures that are much too large."""
    urls = [web.url(f"{path}/{i % PICTURES}.jpg?{i}") for i in range(rows)]
    folders = {name: folder / name for name in ("ours", "theirs", "lanczos")}
    jobs: dict[str, Callable[..., None]] = {"ours": Ours(), "theirs": theirs, "lanczos": theirs_by_lanczos}
    for made in folders.values():
        made.mkdir(parents=True)
    tasks = [
        Task(name, job, (folders[name], urls[:16], 90), [(folders[name], urls, n) for n in range(4)])
        for name, job in jobs.items()
    ]
    rate = {name: 4 * rows / seconds for name, seconds in timed(tasks, 2).items()}
    line(f"download_img2dataset{path.replace('/', '_')}", rate["ours"], rate["theirs"])
    line(f"download_img2dataset_lanczos{path.replace('/', '_')}", rate["ours"], rate["lanczos"])


def main(rows: int = 500) -> None:
    images = pictures(650, 95)
    small = pictures(512, 95)
    print(f"# {len(images)} images of {sum(map(len, images)) / len(images) / 1000:.0f} kB, {THREADS} threads a process")
    replies = {f"/{i}.jpg": Reply(d) for i, d in enumerate(images)}
    replies |= {f"/small/{i}.jpg": Reply(d) for i, d in enumerate(small)}
    large = {"/1024_pixels": pictures(1024, 90), "/1600_pixels": pictures(1600, 85)}
    replies |= {f"{path}/{i}.jpg": Reply(d) for path, made in large.items() for i, d in enumerate(made)}
    with Web(replies) as web, tempfile.TemporaryDirectory() as folder:
        for processes in (1, 2):
            compare(processes, web, images, rows, Path(folder) / str(processes))
        for path in large:
            compare_large(web, path, rows // 2, Path(folder) / path[1:])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
