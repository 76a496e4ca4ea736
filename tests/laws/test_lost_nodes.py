"""A node of a cluster that is killed with all its workers costs a run nothing but time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from curation.core.watchdog import marked
from tests.laws.conftest import Site
from tests.laws.test_killed_servers import TABLES, ends_the_same, under_way, words
from tests.support.processes import started, until
from tests.support.ray_cluster import ray_nodes

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.chaos, pytest.mark.timeout(1500)]
MOMENTS = sorted(random.Random(11).sample([(table, entries) for table in TABLES for entries in range(1, 5)], 3))


@pytest.mark.parametrize("moment", MOMENTS, ids=[f"{table}-{n}" for table, n in MOMENTS])
def test_a_run_whose_cluster_loses_a_node_ends_the_same_without_help(
    moment: tuple[str, int], site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    root, log = tmp_path / "root", tmp_path / "log.txt"
    command = words(site, root, "--profile", "cluster")
    with ray_nodes(tmp_path) as cluster:
        others = [cluster.start() for _ in range(2)]
        with started(command, tmp_path, log=log, RAY_ADDRESS=cluster.address) as process:
            mark = under_way(process, root, moment, log)
            until(lambda: any(node.actors() for node in others))
            busy = [node for node in others if node.actors(".run")] or [node for node in others if node.actors()]
            random.Random(str(moment)).choice(busy).kill()
            assert process.wait(timeout=600) == 0, log.read_text()[-4000:]
            until(lambda: not marked(mark))
    ends_the_same(root, undisturbed)
