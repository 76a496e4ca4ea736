"""Downloads one shard with img2dataset's ``Downloader``, into a tar in row order."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa

# img2dataset imports albumentations, which asks the network for news of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if TYPE_CHECKING:
    from img2dataset.downloader import Downloader

from curation.fetch.http import MAX_RETRY_AFTER
from curation.fetch.opener import RowFailed, RowOpener, reference
from curation.fetch.ordered import OrderedTar
from curation.fetch.process_row import Fetches, Settled, settle, turned_down
from curation.fetch.resizer import Resized, RowResizer
from curation.fetch.writer import RowWriter
from curation.images.pixels import Room
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, SourceRow

_SLACK = 30.0


class ShardStuck(Exception):
    """A shard makes no progress, and some of its rows were never looked at: it has to be tried again."""


def patience(settings: Download) -> float:
    """Seconds without one request ended or row settled after which a shard is stuck.

    Longer than a row takes once it has its places; for these it may wait however long others keep them, while
    their requests end one after the other.
    """
    tries = settings.retries + 1
    once = settings.timeout * (2 if settings.robots_txt else 1)
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
    opener: RowOpener,
    room: Room,
    stuck_after: float,
    ended: Callable[[], int] = lambda: 0,
) -> list[ImageRow]:
    """Writes the rows' images to ``tar`` and returns what became of each, in the order given.

    The shard is stuck when for ``stuck_after`` seconds no row was settled and ``ended``, the fetcher's count of
    requests that have ended, has not grown. Rows that were begun and not settled by then become TIMEOUT; where
    there are others, ``ShardStuck`` is raised, for nothing is known of them. Memory is bounded by
    ``settings.threads`` images and what waits for its turn, not by the number of rows. An exception that
    ``settle`` does not expect is raised here, after the threads have been told to stop.
    """
    _downloader_class()
    with OrderedTar(tar, spill, [f"{row.sample_id}.jpg" for row in rows]) as ordered:
        run = _Run(rows, settings, fetcher, room, ordered)
        with opener.serving(run) as name:
            worker = threading.Thread(target=run.work, args=(name,), name="img2dataset", daemon=True)
            worker.start()
            try:
                run.wait(stuck_after, ended)
            finally:
                run.stop()
        return run.finish()


class _Run:
    """A shard under way: what the opener, the resizer and the writer of img2dataset share."""

    def __init__(
        self, rows: Sequence[SourceRow], settings: Download, fetcher: Fetches, room: Room, ordered: OrderedTar
    ) -> None:
        self._rows = rows
        self._settings = settings
        self._fetcher = fetcher
        self._room = room
        self._ordered = ordered
        self._begun = [False] * len(rows)
        self._settled: list[Settled | None] = [None] * len(rows)
        self._written: list[ImageRow | None] = [None] * len(rows)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._stopped = False
        self._stuck: float | None = None
        self._progress = time.monotonic()
        self._error: Exception | None = None

    # Called by img2dataset's threads

    def open(self, row: int) -> bytes:
        if self._error is not None:
            raise RowFailed("its shard is over")
        with self._lock:
            if self._stopped:
                raise RowFailed("its shard is over")
            self._begun[row] = True
        try:
            settled = settle(self._rows[row], self._fetcher, self._settings, self._room)
        except Exception as error:
            self._error = self._error or error
            raise RowFailed(f"{type(error).__name__}: {error}") from error
        with self._lock:
            if self._stopped:
                raise RowFailed("its shard is over")
            self._settled[row] = settled
            self._progress = time.monotonic()
        if not settled.arrived:
            raise RowFailed(settled.row.reason.value if settled.row.reason else "")
        return b"%d" % row

    def resized(self, row: int) -> Resized:
        settled = self._settled[row]
        if settled is None or settled.data is None:
            reason = settled.row.reason if settled is not None else None
            return None, None, None, None, None, reason.value if reason else "its shard is over"
        image = settled.row
        return settled.data, image.width, image.height, image.original_width, image.original_height, None

    def write(self, row: int) -> None:
        with self._lock:
            settled = self._settled[row]
            if self._stopped or self._error is not None or settled is None:
                return
            try:
                self._ordered.put(row, settled.data)
            except Exception as error:
                self._error = error
                return
            self._written[row] = settled.row
            self._settled[row] = None

    def work(self, name: str) -> None:
        """Runs img2dataset; everything that it reads and writes by itself stays in memory."""
        folder = f"memory://lapidary-{uuid.uuid4().hex}"
        fs, root = fsspec.core.url_to_fs(folder)
        try:
            urls = pa.table({"url": pa.array([reference(name, i) for i in range(len(self._rows))], pa.string())})
            fs.pipe_file(f"{root}/rows.feather", _feather(urls))
            self._downloader(folder).download_shard((0, f"{folder}/rows.feather"))
        except Exception as error:
            self._error = self._error or error
        finally:
            try:
                if fs.exists(root):
                    fs.rm(root, recursive=True)
            finally:
                self._over.set()

    # Called by the stage's thread

    def wait(self, stuck_after: float, ended: Callable[[], int]) -> None:
        """Until img2dataset is done, or for so many seconds has settled no row and had no request end."""
        before = ended()
        while not self._over.wait(min(stuck_after / 4, 5.0)):
            if (now := ended()) != before:
                before = now
                self._progress = time.monotonic()
            elif time.monotonic() - self._progress > stuck_after:
                self._stuck = stuck_after
                return

    def stop(self) -> None:
        """From here on img2dataset's threads change nothing; those that wait for a host end by themselves."""
        with self._lock:
            self._stopped = True

    def finish(self) -> list[ImageRow]:
        if self._error is not None:
            raise self._error
        if self._stuck is not None and not all(self._begun):
            raise ShardStuck(
                f"{self._begun.count(False)} of {len(self._rows)} rows were not looked at when their shard had made no "
                f"progress for {self._stuck:g} seconds; run again to try it anew"
            )
        for row, settled in enumerate(self._settled):
            if self._written[row] is None:
                settled = settled or self._given_up(row)
                self._ordered.put(row, settled.data)
                self._written[row] = settled.row
        written = [row for row in self._written if row is not None]
        return [replace(row, offset=at) for row, at in zip(written, self._ordered.offsets, strict=True)]

    def _given_up(self, row: int) -> Settled:
        if self._stuck is None:
            raise RuntimeError(f"img2dataset ended without row {row}")
        detail = f"not settled when its shard had made no progress for {self._stuck:g} seconds"
        return Settled(turned_down(self._rows[row], Reason.TIMEOUT, detail))

    def _downloader(self, folder: str) -> Downloader:
        return _downloader_class()(
            sample_writer_class=partial(RowWriter, self),
            resizer=RowResizer(self),
            thread_count=max(1, min(self._settings.threads, len(self._rows))),
            save_caption=False,
            extract_exif=False,
            output_folder=folder,
            column_list=["url"],
            timeout=None,
            number_sample_per_shard=max(1, len(self._rows)),
            oom_shard_count=1,
            compute_hash=None,
            verify_hash_type=None,
            encode_format="jpg",
            retries=0,
            user_agent_token=None,
            disallowed_header_directives=None,
        )


def _downloader_class() -> type[Downloader]:
    """img2dataset's, which brings torch, wandb and albumentations along.

    Seconds the first time, which a run with nothing to fetch need not spend and no row is to be blamed for.
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
