"""A cluster of several nodes: which of them work, what becomes of those that join or end, and whose code they run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from curation.core.store import Store
from tests.support.processes import REPOSITORY, run, started, until
from tests.support.ray_cluster import RayCluster, ray_nodes
from tests.support.toy import write_numbers

pytestmark = [pytest.mark.ray, pytest.mark.slow]
# As a program of its own: Ray is told how to join a cluster before it is imported.
PROGRAM = """
import sys
from curation.core.engines.ray import RayEngine
from curation.core.errors import LapidaryError
from curation.core.pipeline import run_segment
from curation.core.stage import Resources
from curation.core.store import Store
from tests.support.toy import Double, Gather, Shift

store = Store(sys.argv[1])
try:
    totals = run_segment(
        store, RayEngine(address="auto"), [{stages}], sorted(store.entries("numbers")), lambda _: None
    )
except LapidaryError as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
print(totals.done, [(f.shard, f.error) for f in totals.failed])
"""


def program(root: Path, stages: str, shards: int) -> list[str]:
    """Words that run these toy stages over so many shards of a new root on the cluster at RAY_ADDRESS."""
    write_numbers(Store(str(root)), shards)
    return [sys.executable, "-c", PROGRAM.format(stages=stages), str(root)]


def finished(root: Path, table: str) -> int:
    return len(list(root.glob(f"manifest/{table}/*.json")))


def nodes_of(root: Path, table: str) -> set[str]:
    """The addresses of the nodes whose workers have finished shards of a table."""
    store = Store(str(root))
    found = (store.entry(table, shard) for shard in store.shards(table))
    return {entry.worker.partition(":")[0] for entry in found if entry is not None}


def disturbed(
    cluster: RayCluster,
    words: list[str],
    home: Path,
    begun: Callable[[], bool],
    disturb: Callable[[], object],
    cwd: Path = REPOSITORY,
) -> str:
    """Runs a program to its end, and does something once it has begun; what it printed."""
    log = home / "log.txt"

    def ended(process: Popen[str]) -> bool:
        return process.poll() is not None

    with started(words, home, cwd=cwd, log=log, RAY_ADDRESS=cluster.address) as process:
        until(lambda: begun() or ended(process))
        assert not ended(process), log.read_text()
        disturb()
        assert process.wait(300) == 0, log.read_text()
    return log.read_text()


def test_workers_are_on_every_node_and_those_that_ask_for_gpus_only_where_there_are_some(tmp_path: Path) -> None:
    """One of the two nodes with a GPU ends on the way: its shards go to the other."""
    root, met = tmp_path / "root", tmp_path / "met"
    met.mkdir()
    on_gpus = "Double(pause=0.5, resources=Resources(gpus=1.0))"
    with ray_nodes(tmp_path) as cluster:
        first, second, _ = (cluster.start(gpus=n) for n in (1, 1, 0))
        every = program(root, f"Gather(folder={str(met)!r}, nodes=4)", 10)
        ended = run(every, tmp_path, RAY_ADDRESS=cluster.address)
        assert (ended.returncode, ended.stdout) == (0, "10 []\n"), ended.stderr
        other = tmp_path / "other"
        words = program(other, f"{on_gpus}, Shift()", 16)
        printed = disturbed(cluster, words, tmp_path, lambda: finished(other, "doubled") >= 3, second.kill)
    assert nodes_of(root, "doubled") == {node.address for node in cluster.nodes}
    assert "32 []\n" in printed
    assert first.address in nodes_of(other, "doubled") <= {first.address, second.address}


def test_a_node_that_joins_late_is_used(tmp_path: Path) -> None:
    """All but two shards wait for it."""
    root, met = tmp_path / "root", tmp_path / "met"
    met.mkdir()
    with ray_nodes(tmp_path) as cluster:
        words = program(root, f"Gather(folder={str(met)!r}, nodes=2, after='s-00002')", 8)
        printed = disturbed(cluster, words, tmp_path, lambda: finished(root, "doubled") >= 2, cluster.start)
    assert printed.endswith("8 []\n")
    assert nodes_of(root, "doubled") == {node.address for node in cluster.nodes}


def copy_of_the_code(folder: Path) -> Path:
    for name in ("curation", "schemas", "tests/support"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_node_works_from_any_folder_as_long_as_it_has_the_code_of_the_run(tmp_path: Path) -> None:
    """The code is what the node's environment imports, here by PYTHONPATH, and is the same or refused in one line."""
    same, other, none = (tmp_path / name for name in ("same", "other", "none"))
    copy_of_the_code(same)
    with (copy_of_the_code(other) / "curation/core/job.py").open("a") as file:
        file.write("# another version\n")
    (none / "curation").mkdir(parents=True)
    (none / "curation/__init__.py").touch()
    empty = tmp_path / "empty"
    empty.mkdir()
    with ray_nodes(tmp_path, 0) as cluster:
        for at, (code, said) in enumerate([(same, ""), (other, "other code"), (none, "No module named")]):
            node = cluster.start(cwd=empty, PYTHONPATH=str(code))
            words = program(tmp_path / f"root-{at}", "Double(resources=Resources())", 3)
            ended = run(words, tmp_path, cwd=empty, RAY_ADDRESS=cluster.address)
            if said:
                last = ended.stderr.splitlines()[-1]
                assert ended.returncode == 1 and last.startswith("UsageError: "), ended.stderr
                assert said in last and node.address in last
            else:
                assert (ended.returncode, ended.stdout) == (0, "3 []\n"), ended.stderr
            node.kill()


def test_a_node_that_joins_late_with_other_code_is_left_out_and_the_run_goes_on(tmp_path: Path) -> None:
    root, met, other = tmp_path / "root", tmp_path / "met", tmp_path / "other"
    met.mkdir()  # it is the driver's folder too: Ray has workers import what lies there, whatever the node has
    with (copy_of_the_code(other) / "curation/core/job.py").open("a") as file:
        file.write("# another version\n")
    with ray_nodes(tmp_path) as cluster:
        words = program(root, f"Gather(folder={str(met)!r}, nodes=2, after='s-00002')", 8)

        def join() -> None:
            node = cluster.start(cwd=other, PYTHONPATH=str(other))
            until(lambda: "left out" in (tmp_path / "log.txt").read_text())
            (met / node.address).touch()  # the shards no longer wait for it

        printed = disturbed(cluster, words, tmp_path, lambda: finished(root, "doubled") >= 2, join, met)
    assert printed.endswith("8 []\n")
    assert "other code" in printed and cluster.nodes[1].address in printed
    assert nodes_of(root, "doubled") == {cluster.nodes[0].address}
