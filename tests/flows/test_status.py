"""How a run is doing, as another process sees it by the root alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from curation.core.errors import LockLost
from curation.core.job import Outcome, Report
from curation.core.lock import hold
from curation.core.owner import LOCK, Owner
from curation.core.pipeline import Engine, Totals
from curation.core.run import RunRecord, Step
from curation.core.run_status import SUFFIX, TableProgress, publish, status
from curation.core.store import Store
from curation.core.under_way import Progress
from flows import progress, tasks
from flows.status import lines, main, registry
from schemas.manifest import ShardFailure
from schemas.part import Part

IMAGES = TableProgress("images", 3, 4, 213, 1, 0, 0.6, 176.0, 1, 92, 93, {"slow.example": 2})


class Toy(Step):
    """A step of two shards; it does between them what the test wants."""

    name = "toy"

    def __init__(self, between: Callable[[], None]) -> None:
        self._between = between

    @property
    def tables(self) -> tuple[str, ...]:
        return ("images",)

    def shards(self, store: Store) -> int | None:
        return 2

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        report(Outcome(0, "images", "a", "done", rows_in=5, rows_out=5))
        self._between()
        report(Outcome(0, "images", "b", "done", rows_in=5, rows_out=5))
        return Totals()


class Idle:
    """An engine that has a shard in work."""

    def under_way(self) -> list[Progress]:
        return [Progress("images", "b", 7, 9, {"slow.example": 3})]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps run without Prefect, and whatever is to be said is said at once."""
    monkeypatch.setattr(tasks, "task", lambda **told: lambda work: work)
    monkeypatch.setattr(progress, "create_progress_artifact", lambda *words, **told: None)
    monkeypatch.setattr(progress, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(progress, "_PUBLISH_SECONDS", 0.0)
    monkeypatch.setattr("curation.core.lock._BEAT_SECONDS", 0.02)


def run(store: Store, between: Callable[[], None]) -> RunRecord:
    return tasks.run_steps(store, Idle(), Part(), [Toy(between)], "lapidary refine …")  # type: ignore[arg-type]


@contextmanager
def recorded(store: Store, **told: Any) -> Any:
    record = RunRecord("lapidary refine --root r", **told)
    record.write(store)
    yield record


@pytest.mark.usefixtures("quick")
def test_a_run_tells_how_far_it_is_until_it_ends(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    seen: list[str] = []

    def between() -> None:
        while not ((found := status(store)).tables and found.tables[0].working and found.tables[0].shards):
            time.sleep(0.01)
        seen.extend(lines(store.url, found))

    run(store, between)
    assert "state           running" in "\n".join(seen)
    assert any(
        line.startswith("images          1/2 shards, 5 rows, 7 of 9 rows of 1 shard, waiting for slow.example (3)")
        for line in seen
    )
    after = status(store)
    assert after.state == "completed" and after.tables[0].shards == 2
    assert not store.names("runs", SUFFIX)


class Named(Toy):
    """A step of some tables; of some it has finished shards already."""

    def __init__(self, *tables: str, finished: Sequence[str] = ()) -> None:
        self.name = "-".join(tables)
        self._tables, self._finished = tables, finished

    @property
    def tables(self) -> tuple[str, ...]:
        return self._tables

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        for table in (*self._finished, *self._tables):
            report(Outcome(0, table, "a", "skipped" if table in self._finished else "done", rows_out=5))
        return Totals()


@pytest.mark.usefixtures("quick")
def test_a_finished_run_lists_its_tables_in_the_order_in_which_it_made_them(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    steps = [Named("rows"), Named("images", "captions", finished=["captions"]), Named("absent", "exported")]
    tasks.run_steps(store, Idle(), Part(), steps, "lapidary refine …")  # type: ignore[arg-type]
    shown = [line.split()[0] for line in lines(store.url, status(store)) if "shard" in line]
    assert shown == ["rows", "images", "captions", "absent", "exported"]
    with recorded(store, done={"rows": 1, "images": 2}, status="completed") as record:
        old = {key: value for key, value in asdict(record).items() if key != "tables"}
        store.write(f"runs/{record.run_id}.json", json.dumps(old | {"started": time.time() + 9}).encode())
    assert {table.table for table in status(store).tables} == {"rows", "images"}, "of an earlier version"


@pytest.mark.usefixtures("quick")
def test_a_run_that_lost_its_root_stops_at_the_next_shard(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/r")
    other = Owner("elsewhere", 7, time.time(), time.time(), "theirs", "another machine", "1")

    def between() -> None:
        store.write(LOCK, json.dumps(asdict(other)).encode())
        time.sleep(0.5)  # some heartbeats

    with pytest.raises(LockLost, match="process 7 on elsewhere"):
        run(store, between)
    record = status(store)
    assert record.state == "error" and record.tables[0].shards == 1


@pytest.mark.usefixtures("quick")
def test_what_a_killed_run_published_goes_with_the_next(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with recorded(store) as killed:
        publish(store, killed.run_id, [IMAGES])
    kept: list[str] = []
    run(store, lambda: kept.extend(store.names("runs", f"{killed.run_id}{SUFFIX}")))
    assert not kept


def test_states(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/r")
    with recorded(store) as record, hold(store):
        publish(store, record.run_id, [IMAGES])
        mine = Owner(**json.loads(store.read(LOCK)))
        assert status(store).state == "running"
        assert f"process {mine.pid}" in next(x for x in lines("r", status(store)) if x.startswith("run"))
        store.write(LOCK, json.dumps(asdict(replace(mine, started="1"))).encode())
        assert status(store).state == "killed"
        away = replace(mine, machine="another")
        store.write(LOCK, json.dumps(asdict(away)).encode())
        assert status(store).state == "running"
        name = f"runs/{record.run_id}"
        for file in (f"{name}.json", f"{name}{SUFFIX}"):
            said = json.loads(store.read(file))
            said |= {"started": said["started"] - 300} if "started" in said else {"at": said["at"] - 300}
            store.write(file, json.dumps(said).encode())
        assert status(store).state == "silent"
        store.remove(LOCK)
    assert status(store).state == "killed", "it says that it is running, and nobody holds the root"


def test_failures_are_said_on_one_line_each_and_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(str(tmp_path))
    with recorded(store, status="failed shards", failed={"images": [f"s-{n}" for n in range(7)]}):
        for n in range(7):
            store.commit_failure(ShardFailure("images", f"s-{n}", "ValueError: \x1b[2J\nboom", "", "w", 1))
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and said.count("boom") == 5
    assert "and 2 more: python -m curation.catalog" in said
    assert "images          7 shards, 7 failed" in said
    assert main([str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["failures"]) == 7


@pytest.mark.parametrize("root", ["{}/nothing", "zip://a.zip"])
def test_a_root_without_runs_is_one_line(root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([root.format(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ") and "name" in said[0]


def test_what_another_release_published_is_passed_over(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for said in (b"", b"{", b"[]", b'{"at": 1, "tables": [{"news": 2}]}', b'{"at": 1}'):
        with recorded(store) as record:
            store.write(f"runs/{record.run_id}{SUFFIX}", said)
        assert status(store).tables == ()


def test_prometheus_reads_it_from_another_process(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with recorded(store) as record, hold(store):
        publish(store, record.run_id, [IMAGES])
        text = generate_latest(registry(store)).decode()
        for said in (
            "lapidary_running 1.0",
            'lapidary_shards{table="images"} 3.0',
            'lapidary_shards_expected{table="images"} 4.0',
            'lapidary_rows_per_second{table="images"} 0.6',
            'lapidary_seconds_left{table="images"} 176.0',
        ):
            assert f"\n{said}\n" in text
        words = [sys.executable, "-m", "flows.status", str(tmp_path), "--metrics", "0"]
        # A group of its own: a background shell's children ignore Ctrl-C otherwise.
        server = subprocess.Popen(
            [sys.executable, "-c", _DEFAULT_INTERRUPT, *words[1:]], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(url, timeout=60) as reply:
                assert 'lapidary_rows{table="images"} 213.0' in reply.read().decode()
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


_DEFAULT_INTERRUPT = (
    "import signal, sys, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "sys.argv = sys.argv[2:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def test_every_prints_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("flows.status.time.sleep", sleep)
    with recorded(store, status="completed"):
        assert main([str(tmp_path), "--every", "7"]) == 0
    assert slept == [7, 7, 7] and capsys.readouterr().out.count("state           completed") == 3
