"""A shard whose download was interrupted resumes by row: what was fetched and written is not asked for again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from curation.core.store import Store
from curation.fetch.spool import Spool
from tests.support.counting_web import CountingWeb
from tests.support.processes import run, started
from tests.support.runs import RESULT, command, counted, quick, refine
from tests.support.toy import fingerprint

pytestmark = pytest.mark.slow
PICTURES = 60
MISSING = frozenset({"/7.jpg", "/31.jpg"})


def settings(web: CountingWeb) -> list[str]:
    return [
        *(s for s in quick(web.host) if not s.startswith(("source.shard_rows", "download.threads"))),
        *("source.shard_rows=1000", "download.threads=4", "download.per_host=4", "download.timeout=20"),
    ]


def until(holds: object, what: str) -> None:
    for _ in range(6000):
        if holds():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError(f"it did not come to pass: {what}")


def records(root: Path) -> int:
    """Whole rows in the root's spools, read from a copy: a worker may hold the file."""
    found = 0
    for file in root.glob("unfinished/*.rows"):
        copy = root.parent / "copy.rows"
        copy.write_bytes(file.read_bytes())
        with Spool(copy, copy.read_bytes().partition(b"\n")[0].decode()) as spool:
            found += len(spool.rows)
    return found


def reference(web: CountingWeb, source: str, folder: Path) -> dict[str, str]:
    """The bytes of a run that nobody disturbed; its requests are not counted."""
    refine(str(folder / "undisturbed"), source, settings(web))
    web.requests.clear()
    return fingerprint(Store(str(folder / "undisturbed")), *RESULT)


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_after_ctrl_c_nothing_is_fetched_twice(engine: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    with CountingWeb(PICTURES, missing=MISSING) as web:
        source = web.write_list(tmp_path / "source")
        expected = reference(web, source, tmp_path)
        web.delay = 0.15
        words = command(root, engine, source, settings(web))
        with started(words, tmp_path, log=tmp_path / "log.txt") as process:
            until(lambda: process.poll() is not None or len(web.requests) >= PICTURES // 3, "some were asked for")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) != 0, (tmp_path / "log.txt").read_text()[-2000:]
        assert PICTURES // 3 <= len(web.requests) < PICTURES
        assert records(root) == len(web.requests)
        web.delay = 0.0
        done = run(words, tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert web.requests == dict.fromkeys(web.bodies, 1)
    assert fingerprint(Store(str(root)), *RESULT) == expected
    assert not (root / "unfinished").exists()
    counted(str(root))


@contextmanager
def interrupted(when: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C in this process once ``when`` holds."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.02):
            if when():
                os.kill(os.getpid(), signal.SIGINT)
                return

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        over.set()
        waiting.join()
        signal.signal(signal.SIGINT, before)


def test_a_root_in_an_object_store_resumes_from_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    root = f"memory://{tmp_path.name}/root"
    with CountingWeb(PICTURES, missing=MISSING) as web:
        source = web.write_list(tmp_path / "source")
        expected = reference(web, source, tmp_path)
        web.delay = 0.15
        with interrupted(lambda: len(web.requests) >= PICTURES // 3), pytest.raises(KeyboardInterrupt):
            refine(root, source, settings(web))
        assert PICTURES // 3 <= len(web.requests) < PICTURES
        (spool,) = cache.rglob("*.rows")
        with Spool(spool, spool.read_bytes().partition(b"\n")[0].decode()) as kept:
            assert len(kept.rows) == len(web.requests)
        web.delay = 0.0
        refine(root, source, settings(web))
        assert web.requests == dict.fromkeys(web.bodies, 1)
    stored = {name: sha for name, sha in expected.items() if name.startswith(("tables/", "images/"))}
    assert fingerprint(Store(root), "tables", "images") == stored
    assert not list(cache.rglob("*.rows"))


def test_after_a_kill_what_was_written_is_not_fetched_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with CountingWeb(PICTURES, missing=MISSING) as web:
        source = web.write_list(tmp_path / "source")
        expected = reference(web, source, tmp_path)
        web.delay = 0.1
        words = command(root, "local", source, settings(web))
        for share in (4, 2):  # killed twice, further on each time
            with started(words, tmp_path, log=tmp_path / "log.txt") as process:
                until(lambda: process.poll() is not None or records(root) >= PICTURES // share, "some were written")  # noqa: B023
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        written, asked = records(root), sum(web.requests.values())
        assert PICTURES // 2 <= written < PICTURES
        web.delay = 0.0
        done = run(words, tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert sum(web.requests.values()) - asked == PICTURES - written
    assert fingerprint(Store(str(root)), *RESULT) == expected
    counted(str(root))


def test_a_changed_setting_takes_nothing_from_an_unfinished_shard(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with CountingWeb(20) as web:
        source = web.write_list(tmp_path / "source")
        web.delay = 0.1
        with started(command(root, "local", source, settings(web)), tmp_path, log=tmp_path / "log.txt") as process:
            until(lambda: process.poll() is not None or records(root) >= 5, "some were written")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        web.delay = 0.0
        web.requests.clear()
        changed = [*settings(web), "download.quality=60"]
        refine(str(root), source, changed)
        refine(str(tmp_path / "fresh"), source, changed)
        assert web.requests == dict.fromkeys(web.bodies, 2)
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(tmp_path / "fresh")), *RESULT)
