"""The engines write the same bytes; a dead actor costs its shard at most, and that only after retries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from curation.core.engines import ray_crew
from curation.core.engines.local import LocalEngine
from curation.core.engines.placement import Node
from curation.core.engines.ray import RayEngine
from curation.core.engines.ray_crew import Crew, Worker
from curation.core.engines.ray_pool import ATTEMPTS
from curation.core.errors import EndpointsGone, LapidaryError, ModelError, UsageError
from curation.core.pipeline import run_segment
from curation.core.stage import Resources
from curation.core.store import Store
from schemas.arrow import rows_of
from tests.support.processes import REPOSITORY, free_port
from tests.support.toy import CountCores, Double, Doubled, Meet, NeverOpens, Shift, fingerprint, write_numbers

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[RayEngine]:
    """Ray with two cores and, whatever the machine has, one GPU: no stage here computes on it."""
    engine = RayEngine(cpus=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_OVERRIDE_RESOURCES", '{"GPU": 1}')
        engine.start()
    yield engine
    engine.stop()


@pytest.mark.parametrize("before", ["", "import ray\n"])
def test_ray_starts_where_there_is_a_token_with_workers_as_nice_as_the_command_and_leaves_no_folder_behind(
    before: str, tmp_path: Path
) -> None:
    """In a process of its own, since this one has Ray already. Its folder must be near the top: sockets lie in it.

    A notebook may have imported Ray before us.
    """
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0" * 64)
    script = before + (
        "from curation.core.engines.ray import RayEngine\n"
        "from pathlib import Path\n"
        "import os\n"
        "engine = RayEngine(cpus=1)\n"
        "engine.start()\n"
        "print(len(list(Path(os.environ['RAY_TMPDIR']).glob('ray/session_2*'))), flush=True)\n"
        "import ray\n"
        "print(ray.get(ray.remote(lambda: os.nice(0)).remote()), flush=True)\n"
        "engine.stop()\n"
    )
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        environment = {**os.environ, "RAY_TMPDIR": folder, "HOME": str(tmp_path)}
        del environment["RAY_worker_niceness"]  # which the engine sets
        run = subprocess.run(
            ["nice", "-n", "3", sys.executable, "-c", script],
            env=environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        assert (run.returncode, run.stdout) == (0, f"1\n{os.nice(0) + 3}\n"), run.stderr
        assert list(Path(folder).glob("ray/session_2*")) == []


def test_both_engines_write_the_same_bytes(ray_engine: RayEngine, tmp_path: Path) -> None:
    roots = [Store(str(tmp_path / name)) for name in ("local", "ray")]
    for root, engine in zip(roots, (LocalEngine(), ray_engine), strict=True):
        totals = run_segment(root, engine, [Double(), Shift()], write_numbers(root, 8), lambda _: None)
        assert (totals.done, totals.failed) == (16, [])
    assert fingerprint(roots[0], "tables", "files") == fingerprint(roots[1], "tables", "files")


def test_a_killed_actor_costs_nothing_but_time(ray_engine: RayEngine, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 8)
    marker = tmp_path / "may-die-once"
    marker.touch()
    double = Double(bad_shard=shards[2], fault="kill", marker=str(marker))
    totals = run_segment(store, ray_engine, [double, Shift()], shards, lambda _: None)
    assert (totals.done, totals.failed) == (16, [])
    assert not marker.exists()


def test_what_an_actor_committed_before_it_was_killed_is_not_done_again(ray_engine: RayEngine, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 6)
    double = Double(bad_shard=shards[2], fault="kill behind commit")  # each time that it is done
    totals = run_segment(store, ray_engine, [double, Shift()], shards, lambda _: None)
    assert (totals.done, totals.failed) == (12, [])


def test_a_shard_that_kills_every_actor_is_given_up_and_the_others_finish(
    ray_engine: RayEngine, tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 6)
    double = Double(bad_shard=shards[2], fault="kill")
    totals = run_segment(store, ray_engine, [double, Shift()], shards, lambda _: None)
    assert totals.done == 10
    assert [f.shard for f in totals.failed] == [shards[2]]
    assert store.failures("doubled")[shards[2]].attempts == ATTEMPTS


def test_a_worker_has_as_many_shards_in_flight_as_its_stage_overlaps(ray_engine: RayEngine, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    totals = run_segment(store, ray_engine, [Meet()], write_numbers(store, 6), lambda _: None)
    assert (totals.done, totals.failed) == (6, [])


@pytest.mark.parametrize("held", [1.0, 2.0])
def test_a_worker_on_ray_uses_the_cores_that_its_stage_holds(
    ray_engine: RayEngine, tmp_path: Path, held: float
) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 2)
    run_segment(store, ray_engine, [CountCores(Resources(cpus=held))], shards, lambda _: None)
    seen = [row.value for name in shards for row in rows_of(Doubled, store.read_table(Doubled, name))]
    assert set(seen) == {int(held)}


def test_a_worker_in_this_process_uses_all_its_cores(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 1)
    run_segment(store, LocalEngine(), [CountCores()], shards, lambda _: None)
    seen = [row.value for row in rows_of(Doubled, store.read_table(Doubled, shards[0]))]
    assert set(seen) == {len(os.sched_getaffinity(0))}


def test_of_shards_in_flight_together_only_the_one_that_kills_is_given_up(
    ray_engine: RayEngine, tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 7)
    together = Resources(workers=1, overlap=3)
    double = Double(bad_shard=shards[2], fault="kill", pause=0.2, resources=together)
    totals = run_segment(store, ray_engine, [double], shards, lambda _: None)
    assert totals.done == 6
    assert [f.shard for f in totals.failed] == [shards[2]]
    assert store.failures("doubled")[shards[2]].attempts == ATTEMPTS


def test_an_exception_costs_its_shard(ray_engine: RayEngine, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 4)
    totals = run_segment(store, ray_engine, [Double(bad_shard=shards[0]), Shift()], shards, lambda _: None)
    assert totals.done == 6
    assert store.failures("doubled")[shards[0]].error == "RuntimeError: told to fail"


def test_lost_servers_stop_the_run(ray_engine: RayEngine, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 4)
    with pytest.raises(EndpointsGone, match="no server answers"):
        run_segment(store, ray_engine, [Double(bad_shard=shards[0], fault="gone")], shards, lambda _: None)


@pytest.mark.parametrize("engine_name", ["local", "ray"])
def test_a_stage_that_cannot_open_ends_the_run_with_its_own_error(
    engine_name: str, ray_engine: RayEngine, tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "root"))
    engine = ray_engine if engine_name == "ray" else LocalEngine()
    with pytest.raises(ModelError, match="no model here"):
        run_segment(store, engine, [NeverOpens()], write_numbers(store, 2), lambda _: None)
    assert issubclass(ModelError, LapidaryError)


@pytest.mark.parametrize("times", [2, 99])
def test_an_actor_that_ends_before_it_began_is_begun_again_some_times(
    times: int, ray_engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ray ends some at once after a driver was killed: it takes the new one for the old."""
    begin, begun = Crew._actor, 0

    def ended(self: Crew, stage: int, node: Node | None) -> Worker:
        nonlocal begun
        worker = begin(self, stage, node)
        begun += 1
        if begun <= times:
            ray.kill(worker.actor)
        return worker

    monkeypatch.setattr(Crew, "_actor", ended)
    monkeypatch.setattr(ray_crew, "_NEVER_RAN_SECONDS", 4.0)
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 2)
    if times > 2:
        with pytest.raises(UsageError, match=r"a worker of double cannot start on .*: The actor is dead because"):
            run_segment(store, ray_engine, [Double()], shards, lambda _: None)
        assert begun < 30
    else:
        assert not run_segment(store, ray_engine, [Double()], shards, lambda _: None).failed
        assert begun > times


def on_gpus(workers: int) -> Resources:
    return Resources(gpus=1.0, workers=workers)


def test_workers_that_would_wait_for_gpus_for_ever_are_refused_before_any_work(
    ray_engine: RayEngine, tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 2)
    for stages in (
        [Double(resources=on_gpus(2))],
        [Double(resources=on_gpus(1)), Shift(resources=on_gpus(1))],
        [Double(resources=on_gpus(0)), Shift(resources=on_gpus(1))],
    ):
        with pytest.raises(UsageError, match=r"need 2 .* but Ray has 1;"):
            ray_engine.check(stages)
        with pytest.raises(UsageError, match=r"need 2 .* but Ray has 1;"):
            run_segment(store, ray_engine, stages, shards, lambda _: None)
    assert store.count("doubled") == 0


def test_gpus_suffice_for_stages_that_have_work_and_for_those_that_share_what_there_is(
    ray_engine: RayEngine, tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 3)
    ray_engine.check([Double(resources=on_gpus(0)), Shift()])
    totals = run_segment(store, ray_engine, [Double(resources=on_gpus(0))], shards, lambda _: None)
    assert (totals.done, totals.failed) == (3, [])
    again = [Double(resources=on_gpus(1)), Shift(resources=on_gpus(1))]
    totals = run_segment(store, ray_engine, again, shards, lambda _: None)
    assert (totals.done, totals.skipped, totals.failed) == (3, 3, [])


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_is_not_there_ends_the_run_in_one_line(
    scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # those of other tests
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:{free_port()}")
    store = Store(str(tmp_path / "root"))
    with pytest.raises(UsageError, match="no Ray cluster answers at RAY_ADDRESS") as found:
        run_segment(store, RayEngine(address="auto"), [Double()], write_numbers(store, 2), lambda _: None)
    assert "\n" not in str(found.value)


def test_an_interrupt_that_ray_wraps_is_an_interrupt(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RayEngine().pool(Store(str(tmp_path)), []):
        raise SystemError("wait returned a result with an exception set") from KeyboardInterrupt()
    with pytest.raises(SystemError), RayEngine().pool(Store(str(tmp_path)), []):
        raise SystemError("something else") from ValueError()


def test_a_finished_segment_starts_no_ray(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    shards = write_numbers(store, 2)
    run_segment(store, LocalEngine(), [Double()], shards, lambda _: None)

    class Fresh(RayEngine):
        def start(self) -> None:
            raise AssertionError("Ray was started for nothing")

    assert run_segment(store, Fresh(), [Double()], shards, lambda _: None).skipped == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_on_ray_is_stopped_in_good_order(number: signal.Signals) -> None:
    """Containers and services are stopped by SIGTERM; Ray's own handlers would abort the run."""
    program = (
        "import signal, sys, time\n"
        "from curation.core.engines.ray import RayEngine\n"
        "def stop(number, frame):\n    raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGINT, stop), signal.signal(signal.SIGTERM, stop)\n"
        "engine = RayEngine(cpus=1)\n"
        "engine.start()\n"
        "try:\n    print('started', flush=True)\n    time.sleep(120)\n"
        "except KeyboardInterrupt:\n    engine.stop()\n    print('in good order', flush=True)\n    sys.exit(130)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "started\n"
        run.send_signal(number)
        assert run.stdout.read() == "in good order\n"
        assert run.wait(60) == 130
    finally:
        run.kill()
        run.wait()
