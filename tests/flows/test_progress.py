"""How far the shards in work are is said: plain lines where no terminal is, a rewritten line on one."""

from __future__ import annotations

import io
import re
import threading
from uuid import UUID, uuid4

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from rich.console import Console

from curation.core.job import Outcome
from curation.core.under_way import Progress
from flows import progress as module
from flows.progress import RunProgress


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class World:
    """A run that the test drives: what is in work, the clock, and what was printed."""

    def __init__(self, *, terminal: bool) -> None:
        self.clock = Clock()
        self.in_work: list[Progress] = []
        self.out = io.StringIO()
        console = Console(file=self.out, force_terminal=terminal, width=200)
        self.progress = RunProgress(artifacts=False, console=console, look=lambda: list(self.in_work))

    def look(self, seconds: float, *in_work: Progress) -> str:
        """What is printed for these shards, so many seconds later."""
        self.clock.now += seconds
        self.in_work = list(in_work)
        before = len(self.out.getvalue())
        self.progress.look()
        return self.out.getvalue()[before:]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(terminal=False)
    monkeypatch.setattr(module, "time", made.clock)
    made.progress.expect("images", 4)
    return made


def test_prefect_is_left_alone_for_a_while_once_it_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was killed would be asked, with its client's pauses, at every shard."""
    asked: list[tuple[float, int]] = []
    world = World(terminal=False)
    world.progress._artifacts = True

    def update(artifact: UUID, progress: float) -> None:
        asked.append((world.clock.now, PREFECT_CLIENT_MAX_RETRIES.value()))
        if 1012 < world.clock.now < 1200:
            raise ConnectionError("connection refused")

    monkeypatch.setattr(module, "time", world.clock)
    monkeypatch.setattr(module, "create_progress_artifact", lambda *told, **more: uuid4())
    monkeypatch.setattr(module, "update_progress_artifact", update)
    world.progress.expect("images", 900)
    for _ in range(100):
        world.clock.now += 6
        world.progress(Outcome(0, "images", "s", "done", rows_out=1))
    assert [at for at, _ in asked if at <= 1018] == [1006, 1012, 1018]
    assert [at for at, _ in asked if 1018 < at <= 1330] == [1318, 1324, 1330]
    assert {retries for _, retries in asked} == {0}


def shard(done: int, total: int = 100, name: str = "s-0", **waiting: int) -> Progress:
    return Progress("images", name, done, total, {k.replace("_", "."): n for k, n in waiting.items()})


def outcome(rows: int, name: str = "s-0") -> Outcome:
    return Outcome(stage=0, table="images", shard=name, status="done", rows_in=rows, rows_out=rows)


def test_a_shard_in_work_gets_a_line_of_its_own_every_ten_seconds(world: World) -> None:
    assert world.look(9, shard(10)) == ""
    assert world.look(2, shard(22)) == "images          0/4 shards, 22 of 100 rows of 1 shard, 2.0 rows/s\n"
    assert world.look(9, shard(30)) == "", "not before ten seconds have passed again"
    assert "40 of 100 rows" in world.look(2, shard(40))


def test_it_names_the_hosts_that_are_waited_for_the_busiest_first(world: World) -> None:
    line = world.look(11, shard(1, a_example=2, b_example=9, c_example=1, d_example=3))
    assert "waiting for b.example (9), d.example (3), a.example (2) and 1 more" in line


def test_hosts_cannot_steer_the_terminal(world: World) -> None:
    line = world.look(11, Progress("images", "s-0", 0, 9, {"a\x1b[2J\n.example": 1}))
    assert line.count("\n") == 1 and "\x1b" not in line


def test_shards_in_work_together_are_one_line_and_count_together(world: World) -> None:
    line = world.look(11, shard(10), shard(5, 50, "s-1"), Progress("captions", "s-0", 7, 9))
    assert line.count("\n") == 1 and "15 of 150 rows of 2 shards" in line


def test_a_finished_shard_counts_once(world: World) -> None:
    world.look(1, shard(90))
    world.progress(outcome(100))
    assert re.fullmatch(
        r"images +1/4 shards, 100 rows, 10 of 100 rows of 1 shard, .*\n", world.look(19, shard(10, name="s-1"))
    )
    world.progress.finish(("images",))
    assert world.look(100, shard(50, name="s-1")) == "", "what is finished gets no further lines"


def test_a_run_without_shards_in_work_prints_nothing(world: World) -> None:
    assert world.look(3600) == ""


def test_a_terminal_s_line_is_rewritten_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World(terminal=True)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 3600.0)  # the test looks itself
    with made.progress:
        made.progress.expect("images", 4)
        made.look(0, shard(22, a_example=2))
        made.progress._bars.refresh()
        made.look(0, shard(23, a_example=2))
        made.progress._bars.refresh()
    printed = made.out.getvalue()
    assert "22 of 100 rows of 1 shard, waiting for a.example (2)" in printed
    assert "23 of 100 rows" in printed.rpartition("\x1b[2K")[2], "the line was erased before it was written anew"


def test_a_look_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's workers may be gone when they are asked; the thread goes on and shows what it sees next."""
    looked: list[int] = []

    def look() -> list[Progress]:
        looked.append(1)
        if len(looked) < 3:
            raise RuntimeError("the worker is gone")
        shown.set()
        return []

    shown = module.threading.Event()
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)
    with RunProgress(artifacts=False, console=Console(file=io.StringIO()), look=look):
        assert shown.wait(60)


def test_artifacts_go_to_the_run_s_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect starts another server where it knows of none, and its settings do not reach a thread by themselves."""
    asked: list[object] = []
    looked = threading.Event()

    def update(artifact: UUID, progress: float) -> None:
        asked.append(PREFECT_API_URL.value())
        looked.set()

    monkeypatch.setattr(module, "create_progress_artifact", lambda *_, **__: uuid4())
    monkeypatch.setattr(module, "update_progress_artifact", update)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "_ARTIFACT_SECONDS", -1.0)
    url = "http://127.0.0.1:9/api"
    console = Console(file=io.StringIO())
    with (
        temporary_settings({PREFECT_API_URL: url}),
        RunProgress(artifacts=True, console=console, look=lambda: [shard(10)]) as progress,
    ):
        progress.expect("images", 4)
        assert looked.wait(60)
    assert set(asked) == {url}
