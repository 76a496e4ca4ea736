"""Downloads one shard with img2dataset's ``Downloader``, into a tar in row order; README.md says who does what."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa

# img2dataset imports albumentations, which asks the network for news of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if TYPE_CHECKING:
    from img2dataset.downloader import Downloader

from curation.core.losses import Losses
from curation.core.under_way import Interrupted, stopping
from curation.fetch.http import MAX_RETRY_AFTER
from curation.fetch.limiter import DecodeLimiter
from curation.fetch.output import OrderedTar
from curation.fetch.process_row import Fetches, not_fetched
from curation.fetch.rejected import FetchRejected
from curation.fetch.seams import GuardedOpener, PixelResizer, TarSampleWriter
from curation.fetch.shard_rows import ShardRows
from curation.fetch.spool import Spool
from curation.images.picture import Look
from curation.signals.policy import Policy
from schemas.changed import changed
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, SourceRow

_SLACK = 30.0


class ShardStuck(Exception):
    """A shard makes no progress, and some of its rows were never begun: it has to be tried again."""


def patience(settings: Download, policy: Policy | None = None) -> float:
    """Seconds without one ended request or finished row after which a shard is stuck.

    It is longer than one row takes once it may ask its host. It may wait for that however long, since the requests
    of other rows end in the meantime.
    """
    tries = settings.retries + 1
    files = int(policy.robots) + int(policy.tdmrep) if policy is not None else 0
    once = settings.timeout * (1 + files)
    wait = max(settings.backoff * 2.0**settings.retries * 1.25, MAX_RETRY_AFTER)
    turn = 1.0 / settings.host_rate if settings.host_rate else 0.0
    return tries * (once + wait) + turn + _SLACK


def download(
    rows: Sequence[SourceRow],
    tar: Path,
    spill: Path,
    *,
    settings: Download,
    fetcher: Fetches,
    opener: GuardedOpener,
    limiter: DecodeLimiter,
    stuck_after: float,
    ended: Callable[[], int] = lambda: 0,
    at: int = 0,
    spool: Spool | None = None,
    losses: Losses | None = None,
    look: Look | None = None,
    buried: Collection[str] = (),
    policy: Policy | None = None,
    follow: Callable[[ShardRows], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> list[ImageRow]:
    """Write the rows' images to ``tar``, behind its first ``at`` bytes; return what became of each, in the order given.

    A URL that several rows name is fetched once. The shard is stuck when for ``stuck_after`` seconds no row was
    finished and ``ended``, the fetcher's count of requests that have ended, has not grown. Rows that were begun and
    not finished by then become TIMEOUT; where there are others, ``ShardStuck`` is raised, for nothing is known of
    them. Memory is bounded by two bodies for each of ``settings.threads`` and by what waits for its turn, not by the
    number of rows. An unexpected exception is raised here, once the threads have been told to stop.

    Rows that the ``spool`` holds are not fetched again, and those that are finished now go into it. Where the run is
    interrupted, rows that were begun get some seconds to be finished first. ``buried``: see ``process_row``.
    """
    kept = set(spool.rows) if spool is not None else set()
    if any(row.local_file is None for number, row in enumerate(rows) if number not in kept):
        _downloader_class()
    with OrderedTar(tar, spill, [f"{row.sample_id}.{settings.extension}" for row in rows], at=at) as ordered:
        shard = ShardRows(
            rows,
            settings,
            fetcher,
            limiter,
            ordered,
            spool=spool,
            losses=losses,
            look=look,
            buried=buried,
            policy=policy,
        )
        over = threading.Event()
        with opener.serving(shard) as token, follow(shard):
            threading.Thread(
                target=_work, args=(shard, settings.threads, token, over), name="img2dataset", daemon=True
            ).start()
            try:
                stuck = not _wait(shard, over, stuck_after, ended)
            except (KeyboardInterrupt, Interrupted):
                shard.drain(over)
                raise
            finally:
                shard.stop()
        return _finished(rows, shard, ordered, stuck_after if stuck else None)


def _work(shard: ShardRows, threads: int, token: str, over: threading.Event) -> None:
    """Process all rows: local ones by ourselves, then URLs by img2dataset, whose own files stay in memory."""
    folder = f"memory://lapidary-{uuid.uuid4().hex}"
    fs, root = fsspec.core.url_to_fs(folder)
    try:
        if shard.local:
            with ThreadPool(min(threads, shard.readers, len(shard.local))) as readers:
                for _ in readers.imap_unordered(shard.process, shard.local):
                    pass
        if shard.urls:
            urls = pa.table({"url": pa.array(shard.urls, pa.string())})
            fs.pipe_file(f"{root}/rows.feather", _feather(urls))
            _downloader(shard, threads, folder, token).download_shard((0, f"{folder}/rows.feather"))
    except Exception as error:
        shard.fail(error)
    finally:
        try:
            shard.end()
            if fs.exists(root):
                fs.rm(root, recursive=True)
        finally:
            over.set()


def _wait(shard: ShardRows, over: threading.Event, stuck_after: float, ended: Callable[[], int]) -> bool:
    """Whether all rows were done, and not for so many seconds no row finished and no request ended."""
    before = ended()
    while not over.wait(min(stuck_after / 4, 1.0)):
        if stopping():
            raise Interrupted(f"stopped after {shard.done} rows")
        if (now := ended()) != before:
            before = now
            shard.progress = time.monotonic()
        elif time.monotonic() - shard.progress > stuck_after:
            return False
    return True


def _finished(rows: Sequence[SourceRow], shard: ShardRows, ordered: OrderedTar, stuck: float | None) -> list[ImageRow]:
    """All rows with their offsets; ``stuck`` are the seconds without progress that ended the shard, if any did."""
    if shard.error is not None:
        raise shard.error
    if stuck is not None and not all(shard.begun):
        raise ShardStuck(
            f"{shard.begun.count(False)} of {len(rows)} rows were not begun when their shard had made no progress for "
            f"{stuck:g} seconds; run again to retry the shard"
        )
    finished: list[ImageRow] = []
    for number, row in enumerate(rows):
        written = shard.written[number]
        if written is None:
            if stuck is None:
                raise RuntimeError(f"img2dataset ended without row {number}")
            detail = f"not finished when its shard had made no progress for {stuck:g} seconds"
            written = not_fetched(row, FetchRejected(Reason.TIMEOUT, detail)).row
            ordered.put(number, None)
        finished.append(written)
    return [changed(row, offset=at) for row, at in zip(finished, ordered.offsets, strict=True)]


def _downloader(shard: ShardRows, threads: int, folder: str, token: str) -> Downloader:
    """img2dataset's downloader with our opener (by ``token``), resizer and writer, and without its own care."""
    return _downloader_class()(
        sample_writer_class=partial(TarSampleWriter, shard),
        resizer=PixelResizer(shard),
        thread_count=min(threads, len(shard.urls)),
        save_caption=False,
        extract_exif=False,
        output_folder=folder,
        column_list=["url"],
        timeout=None,
        number_sample_per_shard=len(shard.urls),
        oom_shard_count=1,
        compute_hash=None,
        verify_hash_type=None,
        encode_format="jpg",
        retries=0,
        user_agent_token=token,
        disallowed_header_directives=None,
    )


def _downloader_class() -> type[Downloader]:
    """Import img2dataset, which brings torch, wandb and albumentations along.

    This takes seconds the first time: a run with nothing to fetch must not spend them, and no row may pay for them.
    """
    from img2dataset.downloader import Downloader

    found: type[Downloader] = Downloader
    return found


def _feather(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data
