"""The rows of one shard while img2dataset works on them: what its seams do, and what becomes of each row.

The bytes travel through img2dataset. What cannot (status, final URL, opt-out, reason) is kept here by the number of the
URL, and the finished rows by theirs.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from curation.core.cores import cores
from curation.core.files import is_remote
from curation.core.losses import Losses
from curation.core.under_way import DRAIN_SECONDS
from curation.fetch.faults import fault_of, host_of
from curation.fetch.http import Fetched
from curation.fetch.limiter import DecodeLimiter
from curation.fetch.output import OrderedTar
from curation.fetch.process_row import Fetches, RowResult, not_fetched, prepared_row, process_row, with_image_signs
from curation.fetch.rejected import FetchRejected
from curation.fetch.seams import Preparing, RowFailed
from curation.fetch.spool import Spool
from curation.images.picture import Look
from curation.images.pixels import Prepared, prepare
from curation.signals.policy import Policy
from schemas.recipe import Download
from schemas.records import ImageRow, SourceRow


class ShardRows:
    """Safe to call from many threads. ``error`` is the first unexpected exception of any of them.

    ``urls`` are the distinct URLs in the order of their first row, ``local`` the numbers of rows that are read from
    files, by so many ``readers``. ``begun`` and ``written`` have an entry for every row.
    """

    def __init__(
        self,
        rows: Sequence[SourceRow],
        settings: Download,
        fetcher: Fetches,
        limiter: DecodeLimiter,
        ordered: OrderedTar,
        *,
        spool: Spool | None = None,
        losses: Losses | None = None,
        look: Look | None = None,
        buried: Collection[str] = (),
        policy: Policy | None = None,
    ) -> None:
        kept = set(spool.rows) if spool is not None else set()
        self.local = [row for row, source in enumerate(rows) if source.local_file is not None and row not in kept]
        # What is read from files of this machine waits for nothing: more readers only take turns with each other.
        self.readers = settings.threads if any(_is_far(rows[row]) for row in self.local) else cores() + 1
        self.urls, self._rows_of, self._numbers = _by_url(rows, kept)
        self.begun = [False] * len(rows)
        self.written: list[ImageRow | None] = [None] * len(rows)
        self.done = 0
        self.error: Exception | None = None
        self.progress = time.monotonic()
        self._rows = rows
        self._settings = settings
        self._fetcher = fetcher
        self._limiter = limiter
        self._ordered = ordered
        self._evidence: list[Fetched | FetchRejected | None] = [None] * len(self.urls)
        # More than it has cores gain nothing: they only push each other's pictures out of the caches.
        threads = min(settings.threads, cores())
        self._decoders = ThreadPoolExecutor(threads, "decode")
        self._undecoded = threading.Semaphore(2 * threads)
        self._lock = threading.Lock()
        self._stopped = False
        self._draining = False
        self._spool = spool
        self._losses = losses
        self._look = look
        self._buried = buried
        self._policy = policy
        for row in sorted(kept):
            self._take(row)

    def fetch(self, url: str) -> bytes:
        """As ``ShardUnderWay``."""
        number = self._numbers[url]
        self._begin(self._rows_of[number])
        try:
            fetched = with_image_signs(self._fetcher.fetch(self.urls[number]), self._policy)
        except FetchRejected as rejected:
            self._evidence[number] = rejected
            self.progress = time.monotonic()
            raise RowFailed(rejected.reason.value) from rejected
        except Exception as error:
            self.fail(error)
            raise RowFailed(f"{type(error).__name__}: {error}") from error
        self._evidence[number] = replace(fetched, data=b"")  # img2dataset carries the bytes
        self.progress = time.monotonic()
        return fetched.data

    def prepare(self, data: bytes) -> Preparing:
        """As ``ShardUnderWay``."""
        self._undecoded.acquire()
        return Preparing(data, self._decoders.submit(self._decode, data))

    def write(self, number: int, image: Preparing | None) -> None:
        """As ``ShardUnderWay``."""
        if image is None:
            self._finish_url(number, None)
        else:
            image.pixels.add_done_callback(lambda pixels: self._finish_url(number, image))

    def process(self, row: int) -> None:
        """Fetch or read, prepare and write a row that img2dataset has no part in. Never raises."""
        try:
            self._begin([row])
            source, hold = self._rows[row], self._limiter.hold
            result = process_row(
                *(source, self._fetcher, self._settings, hold, self._look), buried=self._buried, policy=self._policy
            )
            self._put([(row, result)])
        except RowFailed:
            return
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Note an unexpected exception; rows that are not begun are left alone from here on."""
        self.error = self.error or error

    def end(self) -> None:
        """Wait until every image that was handed to ``prepare`` is written, and end the decoding threads."""
        self._decoders.shutdown()

    def drain(self, over: threading.Event) -> None:
        """Begin no further row, and give those that were begun some seconds to be finished and kept."""
        self._draining = True
        deadline = time.monotonic() + DRAIN_SECONDS
        while not over.wait(0.05) and time.monotonic() < deadline:
            if sum(self.begun) == self.done:
                return

    def stop(self) -> None:
        """From here on no thread changes anything; those that wait for a host end by themselves."""
        with self._lock:
            self._stopped = True

    def _begin(self, rows: list[int]) -> None:
        with self._lock:
            if self._stopped or self._draining or self.error is not None:
                raise RowFailed("its shard is over")
            for row in rows:
                self.begun[row] = True

    def _decode(self, data: bytes) -> Prepared:
        try:
            return prepare(data, self._settings, self._limiter.hold, self._look)
        finally:
            self._undecoded.release()

    def _finish_url(self, number: int, image: Preparing | None) -> None:
        """Never raises: neither img2dataset nor a future would pass it on."""
        evidence = self._evidence[number]
        rows = self._rows_of[number]
        try:
            if image is not None and isinstance(evidence, Fetched):
                fetched = replace(evidence, data=image.data)
                self._put(
                    [
                        (row, prepared_row(self._rows[row], fetched, image.pixels.result, self._settings, self._buried))
                        for row in rows
                    ]
                )
            elif isinstance(evidence, FetchRejected):
                self._put([(row, not_fetched(self._rows[row], evidence)) for row in rows])
            else:  # urllib refuses a URL without a scheme by itself; the fetcher says why
                for row in rows:
                    self.process(row)
        except Exception as error:
            self.fail(error)

    def _put(self, results: list[tuple[int, RowResult]]) -> None:
        with self._lock:
            if self._stopped or self.error is not None:
                return
            if self._spool is not None:
                self._spool.add((row, r) for row, r in results if _is_far(self._rows[row]))
            for row, result in results:
                self._ordered.put(row, result.data)
                self._finish(row, result.row)
        if self._losses is not None:
            for row, result in results:
                self._losses.count(*fault_of(result.row), host_of(self._rows[row].url))

    def _take(self, row: int) -> None:
        """Take over a row that an earlier run finished; as if it had come now."""
        if self._spool is not None:
            self.begun[row] = True
            result = self._spool.result(row)
            self._ordered.put(row, result.data)
            self._finish(row, result.row)

    def _finish(self, row: int, image: ImageRow) -> None:
        self.written[row] = image
        self.done += 1
        self.progress = time.monotonic()


def _is_far(row: SourceRow) -> bool:
    """Whether the row's image has to come over a network."""
    return row.local_file is None or is_remote(row.local_file)


def _by_url(rows: Sequence[SourceRow], kept: Collection[int]) -> tuple[list[str], list[list[int]], dict[str, int]]:
    """The distinct URLs, the rows of each, and the number of each by the form in which urllib writes it."""
    urls: list[str] = []
    rows_of: list[list[int]] = []
    numbers: dict[str, int] = {}
    for row, source in enumerate(rows):
        if source.local_file is not None or row in kept:
            continue
        url = source.url or ""
        try:
            request = urllib.request.Request(url)  # noqa: S310 - nothing is opened
            written = request.full_url
        except ValueError:
            written = url
        if written not in numbers:
            numbers[written] = len(urls)
            urls.append(url)
            rows_of.append([])
        rows_of[numbers[written]].append(row)
    return urls, rows_of, numbers
