"""Resident memory of a download worker after 10 shards against after 100: it must not grow with their number."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core.stage import Shard
from curation.core.store import Store
from curation.fetch.download_stage import DownloadStage
from schemas.arrow import table_of
from schemas.recipe import Download
from schemas.records import Repeat, SourceRow
from tests.support.images import encoded, natural
from tests.support.source_rows import source_row
from tests.support.web import Reply, Web

EARLY, LATE, ROWS, PICTURES = 10, 100, 64, 16


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _worker(folder: str, host: str, urls: list[str], ends: Any) -> None:
    store = Store(folder)
    found = {}
    with DownloadStage(Download(allow_private_hosts=[host], per_host=32)).open() as work:
        for number in range(1, LATE + 1):
            name = f"{number:05d}"
            rows = [source_row(i, f"{url}?{number}.{i}") for i, url in enumerate(urls)]
            store.write_table(SourceRow, name, table_of(SourceRow, rows))
            store.write_table(Repeat, name, table_of(Repeat, []))
            images = work(Shard(name, store))
            if images.column("reason").null_count != len(urls):
                raise RuntimeError(f"failed: {images.column('reason').to_pylist()}")
            store.remove(Store.images_file(name))
            found[number] = resident()
    ends.put((found[EARLY], found[LATE]))


def main() -> None:
    replies = {f"/{i}.jpg": Reply(encoded(natural(500 + 40 * i, 650, seed=i), "JPEG")) for i in range(PICTURES)}
    context = multiprocessing.get_context("spawn")
    ends = context.Queue()
    with Web(replies) as web, tempfile.TemporaryDirectory() as folder:
        urls = [web.url(f"/{i % PICTURES}.jpg") for i in range(ROWS)]
        worker = context.Process(target=_worker, args=(folder, web.host, urls, ends))
        worker.start()
        early, late = ends.get(timeout=300)
        worker.join()
    mega = 1 << 20
    print(
        f"memory_100_shards ratio={late / early:.2f} ours={late / mega:.0f}MB theirs={early / mega:.0f}MB", flush=True
    )


if __name__ == "__main__":
    main()
