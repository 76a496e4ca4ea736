"""A shard ends: hosts that never answer, fetchers that hang and errors that no one expects included."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from curation.fetch.http import Fetched
from curation.fetch.limiter import DecodeLimiter
from curation.fetch.output import OrderedTar
from curation.fetch.process_row import Fetches
from curation.fetch.rejected import FetchRejected
from curation.fetch.seams import installed
from curation.fetch.shard import ShardStuck, download, patience
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, SourceRow
from tests.support.fetchers import fetcher as fetcher_for
from tests.support.hostile_web import HostileWeb, body, hang
from tests.support.images import jpeg, natural
from tests.support.source_rows import source_row

IMAGE = jpeg(natural(60, 50))
ROWS = [source_row(n, f"http://x/{n}") for n in range(12)]


class Scripted:
    """Answers by the number at the end of the URL."""

    def __init__(self, hang: frozenset[int] = frozenset(), broken: int | None = None) -> None:
        self.release = threading.Event()
        self.calls = 0
        self._hang = hang
        self._broken = broken

    def fetch(self, url: str) -> Fetched:
        self.calls += 1
        number = int(url.rsplit("/", 1)[1])
        if number in self._hang:
            self.release.wait()
        if number == self._broken:
            raise ZeroDivisionError("a bug")
        if number == 3:
            raise FetchRejected(Reason.HTTP_404, "status 404", status=404)
        return Fetched(IMAGE, 200)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """The first import of img2dataset takes seconds, which are none of a shard's."""
    import img2dataset.downloader  # noqa: F401


@contextmanager
def released(fetcher: Scripted) -> Iterator[Scripted]:
    try:
        yield fetcher
    finally:
        fetcher.release.set()


def run(
    folder: Path,
    fetcher: Fetches,
    stuck_after: float = 30.0,
    threads: int = 4,
    rows: Sequence[SourceRow] = ROWS,
    ended: Callable[[], int] = lambda: 0,
) -> list[ImageRow]:
    settings = Download(min_side=1, threads=threads)
    with installed() as opener:
        return download(
            rows,
            folder / "a.tar",
            folder / "spill",
            settings=settings,
            fetcher=fetcher,
            opener=opener,
            limiter=DecodeLimiter(),
            stuck_after=stuck_after,
            ended=ended,
        )


def clock_that_waits_for(monkeypatch: pytest.MonkeyPatch, ready: Callable[[], bool]) -> None:
    """Lets the shard's time begin once ``ready``, a second at each look at it, however busy the machine is."""
    now = 0.0

    def monotonic() -> float:
        nonlocal now
        now += 1.0 if ready() else 0.0
        return now

    for module in ("shard", "shard_rows"):
        monkeypatch.setattr(f"curation.fetch.{module}.time", SimpleNamespace(monotonic=monotonic))


def test_rows_that_hang_become_timeouts_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = OrderedTar.put
    rows: list[int] = []

    def noting(self: OrderedTar, row: int, data: bytes | None) -> None:
        put(self, row, data)
        rows.append(row)

    monkeypatch.setattr(OrderedTar, "put", noting)
    clock_that_waits_for(monkeypatch, lambda: len(rows) >= 10)
    with released(Scripted(hang=frozenset({0, 5}))) as fetcher:
        images = run(tmp_path, fetcher, stuck_after=0.4)
    reasons = {n: i.reason for n, i in enumerate(images) if i.reason is not None}
    assert reasons == {0: Reason.TIMEOUT, 3: Reason.HTTP_404, 5: Reason.TIMEOUT}
    tar = (tmp_path / "a.tar").read_bytes()
    for image in images:
        if image.reason is None:
            assert image.offset is not None
            assert tar[image.offset :].startswith(IMAGE)
    assert not (tmp_path / "spill").exists()


def test_a_shard_whose_every_thread_hangs_fails_for_nothing_is_known_of_the_other_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = Scripted(hang=frozenset(range(4)))
    clock_that_waits_for(monkeypatch, lambda: fetcher.calls >= 4)
    with released(fetcher), pytest.raises(ShardStuck, match="8 of 12 rows were not begun"):
        run(tmp_path, fetcher, stuck_after=0.4)
    assert fetcher.calls == 4


def test_a_host_that_answers_nobody_costs_its_own_rows_only(tmp_path: Path) -> None:
    # No row is settled for as long as all of them have their first try, one after the other.
    names = {"dead.test": ["127.0.0.1"], "alive.test": ["127.0.0.1"]}
    with HostileWeb() as web:
        for n in range(20):
            web.page(f"/{n}", hang() if n < 12 else body(IMAGE))
        rows = [source_row(n, web.url(f"/{n}", host="dead.test" if n < 12 else "alive.test")) for n in range(20)]
        with fetcher_for(*names, names=names, timeout=0.25, retries=1, threads=12, per_host=1) as fetch:
            images = run(tmp_path, fetch, stuck_after=2.0, threads=12, rows=rows, ended=lambda: fetch.ended)
        assert [web.asked(f"/{n}") for n in range(20)] == [2] * 12 + [1] * 8
    assert [i.reason for i in images] == [Reason.TIMEOUT] * 12 + [None] * 8


def test_a_slow_shard_is_not_a_stuck_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Scripted):
        """By the test's own clock each row takes most of the time after which a shard is stuck."""

        now = 0.0

        def fetch(self, url: str) -> Fetched:
            self.now += 0.03
            time.sleep(0.02)  # so that the shard is looked at meanwhile
            return super().fetch(url)

    fetcher = Slow()
    clock = SimpleNamespace(monotonic=lambda: fetcher.now)
    monkeypatch.setattr("curation.fetch.shard.time", clock)
    monkeypatch.setattr("curation.fetch.shard_rows.time", clock)
    images = run(tmp_path, fetcher, stuck_after=0.04, threads=1)
    assert [i.reason for i in images] == [Reason.HTTP_404 if n == 3 else None for n in range(12)]


def test_what_no_one_expects_stops_the_shard_at_once(tmp_path: Path) -> None:
    fetcher = Scripted(broken=2)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(tmp_path, fetcher, threads=1)
    assert fetcher.calls == 3


def test_a_full_disk_stops_the_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from curation.core.tar import TarWriter

    def full(self: TarWriter, name: str, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TarWriter, "add", full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, Scripted())


def test_patience_outlasts_every_row() -> None:
    settings = Download(timeout=10, retries=2, backoff=1)
    assert patience(settings) > 3 * 10 + 2 * 30
    assert patience(Download(host_rate=0.01)) > 100


def test_nothing_of_img2dataset_is_left_in_memory(tmp_path: Path) -> None:
    import fsspec

    fs = fsspec.filesystem("memory")

    def kept() -> set[str]:
        return {f for f in (*fs.find("/"), *fs.ls("/", detail=False)) if "lapidary" in f}

    # Threads that other tests gave up may still be clearing up after themselves.
    before = kept()
    run(tmp_path, Scripted())
    assert kept() <= before
