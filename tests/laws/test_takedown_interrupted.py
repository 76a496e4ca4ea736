"""A takedown that is killed anywhere, in a folder or an object store, ends as one that nobody disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from curation.core.errors import RootError
from curation.core.lock import PENDING, hold
from curation.core.owner import BEAT, LOCK
from curation.core.store import Store
from curation.sources.tombstones import OWN
from curation.takedown.carry_out import resume
from curation.takedown.choice import choose
from curation.takedown.proof import Traces, prove
from flows.takedown import main
from tests.support.buried import COPIED, SETTINGS, TWICE, Listed, asked, take_down
from tests.support.kills import changes, every_kill, killed_at
from tests.support.object_store import bucket
from tests.support.picture_web import PictureWeb
from tests.support.processes import run, started
from tests.support.runs import counted
from tests.support.toy import fingerprint

__all__ = ["bucket"]

RESULTS = ("tables", "images", "release", "replies", OWN)


@pytest.mark.slow
def test_a_takedown_killed_anywhere_ends_byte_identical(
    made: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    wanted = {"urls": [made.web.url(COPIED)], "samples": [made.sample(TWICE)]}
    roots = iter(range(10_000))

    def fresh() -> str:
        root = tmp_path / str(next(roots))
        shutil.copytree(made.url, root)
        return str(root)

    whole = fresh()
    take_down(whole, **wanted)
    expected = fingerprint(Store(whole), *RESULTS)
    at: list[str] = []

    def prepare() -> Callable[[], object]:
        at.append(fresh())
        return lambda: take_down(at[-1], **wanted)

    kills = 0
    for _ in every_kill(prepare, monkeypatch, step=3 if request.config.getoption("--chaos") else 23):
        if Store(at[-1]).exists(PENDING):  # a run would find a root between two states
            with pytest.raises(RootError, match="interrupted"), hold(Store(at[-1])):
                pass
        take_down(at[-1], **wanted)
        assert fingerprint(Store(at[-1]), *RESULTS) == expected
        assert not Store(at[-1]).names("takedown")
        shutil.rmtree(at[-1])
        kills += 1
    assert kills >= 5


@pytest.mark.slow
def test_the_command_killed_by_the_system_ends_byte_identical(made: Listed, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(made.url, whole)
    options = ["--url", made.web.url(COPIED), "--reason", "r", "--reference", "1", "--yes"]
    assert main([str(whole), *options]) == 0
    words = [sys.executable, "-m", "flows.takedown"]
    killed = 0
    for number, places in enumerate((0, 12, 40)):
        root = tmp_path / str(number)
        shutil.copytree(made.url, root)
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}
        with started([*words, str(root), *options], tmp_path, log=tmp_path / "log.txt") as process:
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                if (root / PENDING).exists() and _moved(root, before) >= places:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    killed += 1
        done = run([*words, str(root)], tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert fingerprint(Store(str(root)), *RESULTS) == fingerprint(Store(str(whole)), *RESULTS)
        assert not (root / "takedown").exists()
        counted(str(root))
    assert killed >= 2


def _moved(root: Path, before: dict[Path, int]) -> int:
    """How many files are no longer as they were."""
    found = 0
    for path, when in before.items():
        try:
            found += path.stat().st_mtime_ns != when
        except FileNotFoundError:
            found += 1
    return found


@pytest.mark.slow
def test_a_takedown_on_an_object_store_ends_as_one_in_a_folder(
    bucket: str, long: bool, pictures: PictureWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of an object store costs hundreds of requests: the root has few files, but for ``make chaos``."""
    listed = Listed.of(pictures, tmp_path / "made")
    listed.settings = SETTINGS if long else (*SETTINGS, "source.shard_rows=30", "export.shard_size=12")
    listed.run()
    wanted = {"urls": [pictures.url(COPIED)], "samples": [listed.sample(TWICE)]}
    store = Store(f"{bucket}/some/prefix")
    store.filesystem.put(f"{listed.url}/", f"{store.path('')}", recursive=True)
    store.remove(LOCK)  # the folder's, which is nothing but a name there, without a heartbeat
    choice = choose(listed.store, asked(**wanted))
    total = changes(lambda: take_down(listed.url, **wanted), monkeypatch)
    for change in (total // 4, total * 3 // 4) if long else (total * 3 // 4,):  # before anything happened; amid moves
        assert killed_at(change, lambda: take_down(store.url, **wanted), monkeypatch), change
        store.remove_all([LOCK, BEAT])
    with pytest.raises(RootError, match="interrupted"), hold(store):
        pass
    with hold(store, amid_takedown=True) as lock:
        assert resume(store, lock)
    if long:
        take_down(store.url, **wanted)  # nothing is left to do
    compared = ("tables", "images", "release", OWN)
    assert fingerprint(store, *compared) == fingerprint(listed.store, *compared)
    assert prove(store, Traces.of(choice.stones, choice.texts, choice.clear)) == []
    assert not store.names("takedown") and not store.names("", LOCK)
    counted(store.url)
