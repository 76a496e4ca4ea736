"""A host is asked for its files once, however many workers want them and however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_segment
from curation.core.store import Store
from curation.core.url import parse
from curation.fetch.download_stage import DownloadStage
from curation.fetch.host_files import KEPT_SECONDS, HostFiles
from curation.fetch.http import Fetcher
from curation.fetch.rejected import FetchRejected
from curation.fetch.shared_answers import NAMES, SharedAnswers, remove
from curation.fetch.spool import folder_of
from curation.signals.policy import Policy
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.signals import Signals
from tests.support.counting_web import HOST_FILES, CountingWeb
from tests.support.processes import REPOSITORY

ROBOTS = b"User-agent: *\nDisallow: /3.jpg\n"
# A worker: it fetches the pictures whose numbers it is given, of a host that is slow to speak of itself.
WORKER = """
import sys
from pathlib import Path
from curation.fetch.http import Fetcher, FetchRejected
from schemas.recipe import Download
from schemas.signals import Signals
host, folder, *numbers = sys.argv[1:]
with Fetcher(Download(allow_private_hosts=[host], timeout=30), signals=Signals()) as fetcher:
    fetcher.share_host_files(Path(folder))
    for number in numbers:
        try:
            print(number, len(fetcher.fetch(f"http://{host}/{number}.jpg").data) > 0, flush=True)
        except FetchRejected as rejected:
            print(number, rejected.reason, flush=True)
"""


def started(web: CountingWeb, folder: Path, *numbers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, web.host, str(folder), *map(str, numbers)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def test_workers_in_several_processes_ask_a_host_once(tmp_path: Path) -> None:
    with CountingWeb(6) as web:
        web.files["/robots.txt"] = ROBOTS
        workers = [started(web, tmp_path / "shared", *numbers) for numbers in ((0, 1, 3), (2, 3), (3, 4, 5))]
        told = [worker.communicate(timeout=300)[0].split("\n") for worker in workers]
        assert [line for lines in told for line in lines if line] == [
            *("0 True", "1 True", "3 robots_txt", "2 True", "3 robots_txt", "3 robots_txt", "4 True", "5 True")
        ]
        assert web.asked == dict.fromkeys(HOST_FILES, 1) and "/3.jpg" not in web.requests


class _Host:
    """Speaks of itself slowly, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.lost: FetchRejected | None = None
        self.let_go = threading.Event()
        self.let_go.set()
        self.data = ROBOTS

    def __call__(self, url: str) -> _Host:
        if not url.endswith("robots.txt"):
            raise FetchRejected(Reason.HTTP_404, "status 404", status=404)
        self.asked += 1
        self.let_go.wait(60)
        if self.lost is not None:
            raise self.lost
        return self


def files(host: _Host, folder: Path, *, agent: str = "lapidary", wall: float | None = None) -> HostFiles:
    made = HostFiles(host, Policy.of_recipe(Download(), Signals()))
    made.share(folder, agent)
    if wall is not None:
        assert made._shared is not None
        made._shared.clock = lambda: wall
    return made


def test_those_who_come_while_a_host_is_asked_wait_for_the_answer(tmp_path: Path) -> None:
    host = _Host()
    host.let_go.clear()
    workers = [files(host, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(worker.signs, parse("http://h.example/3.jpg")) for worker in workers * 2]
        deadline = time.monotonic() + 60
        while not host.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        other = SharedAnswers(tmp_path, "")
        with other.alone("http://g.example"):  # of another host, nobody waits
            assert not any(f.done() for f in found)
        host.let_go.set()
        assert [len(f.result(60)) for f in found] == [1] * 8
    assert host.asked == 1


def test_an_answer_is_kept_for_a_day_and_other_agents_ask_for_themselves(tmp_path: Path) -> None:
    host, target = _Host(), parse("http://h.example/3.jpg")
    for wall, agent, asked in (
        *((1000.0, "lapidary", 1), (999 + KEPT_SECONDS, "lapidary", 1), (1000.0, "another", 2)),
        *((1001 + KEPT_SECONDS, "lapidary", 3), (900.0, "lapidary", 4)),  # of a clock that was set back
    ):
        assert len(files(host, tmp_path, agent=agent, wall=wall).signs(target)) == 1
        assert host.asked == asked


def test_a_worker_keeps_an_old_answer_no_longer_than_a_day_in_all(tmp_path: Path) -> None:
    host, now, wall = _Host(), [0.0], [1000.0]
    files(host, tmp_path, wall=1000.0).signs(parse("http://h.example/"))
    late = HostFiles(host, Policy.of_recipe(Download(), Signals()), clock=lambda: now[0])
    late.share(tmp_path, "lapidary")
    assert late._shared is not None
    late._shared.clock = lambda: wall[0]
    wall[0] += KEPT_SECONDS - 10
    late.signs(parse("http://h.example/"))
    assert host.asked == 1
    now[0], wall[0] = 11.0, wall[0] + 11
    late.signs(parse("http://h.example/"))
    assert host.asked == 2


def test_a_failure_is_nobody_elses(tmp_path: Path) -> None:
    host = _Host()
    host.lost = FetchRejected(Reason.TIMEOUT, "late", transient=True)
    with pytest.raises(FetchRejected):
        files(host, tmp_path).signs(parse("http://h.example/3.jpg"))
    host.lost = None
    assert len(files(host, tmp_path).signs(parse("http://h.example/3.jpg"))) == 1
    assert host.asked == 2


def test_a_worker_that_is_killed_while_it_asks_holds_nobody_up(tmp_path: Path) -> None:
    with CountingWeb(2) as web:
        web.files["/robots.txt"] = ROBOTS
        asked, answer = threading.Event(), threading.Event()
        plain = web.asked.__class__.__setitem__

        class Slow(type(web.asked)):  # type: ignore[misc]
            def __setitem__(self, path: str, count: int) -> None:
                plain(self, path, count)
                if count == 1 and path == "/robots.txt":
                    web._counting.release()
                    asked.set()
                    answer.wait(60)
                    web._counting.acquire()

        web.asked = Slow()
        worker = started(web, tmp_path, 0)
        assert asked.wait(120)
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
        answer.set()
        with Fetcher(Download(allow_private_hosts=[web.host], timeout=30), signals=Signals()) as fetcher:
            fetcher.share_host_files(tmp_path)
            assert fetcher.fetch(f"http://{web.host}/1.jpg").data
        assert web.asked["/robots.txt"] == 2


def test_where_nothing_can_be_kept_each_worker_asks(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    host = _Host()
    for _ in range(2):
        assert len(files(host, tmp_path / "file").signs(parse("http://h.example/3.jpg"))) == 1
    assert host.asked == 2 and SharedAnswers.open(tmp_path / "file", "") is None


def test_damage_costs_a_request_and_nothing_else(tmp_path: Path) -> None:
    host = _Host()
    files(host, tmp_path).signs(parse("http://h.example/"))
    remove_wal = [tmp_path / name for name in NAMES[1:3]]
    for path in remove_wal:
        path.unlink(missing_ok=True)
    (tmp_path / NAMES[0]).write_bytes(b"no database" * 1000)
    assert len(files(host, tmp_path).signs(parse("http://h.example/3.jpg"))) == 1 and host.asked == 2
    remove(tmp_path)
    assert not tmp_path.exists()


def test_a_finished_download_leaves_no_answers_behind(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    files(_Host(), folder_of(store)).signs(parse("http://h.example/"))
    assert (folder_of(store) / NAMES[0]).exists()
    run_segment(store, LocalEngine(), [DownloadStage(Download())], [], lambda outcome: None)
    assert not folder_of(store).exists()
