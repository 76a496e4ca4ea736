"""Workers that hold GPUs are placed all at once or refused in one line; a run asks only for what it has left to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.core.engines.local import LocalEngine
from curation.core.engines.placement import Node, allot, roomiest
from curation.core.errors import UsageError
from curation.core.pipeline import Engine, Pool, run_segment
from curation.core.run import check_workers, segment
from curation.core.stage import Resources, Stage
from curation.core.store import Store
from tests.support.toy import Double, Number, Shift, write_numbers

NODES = st.lists(st.integers(0, 4).map(float), max_size=3)
# Tensor parallelism comes in powers of two.
HOLDING = st.lists(st.tuples(st.sampled_from([1.0, 2.0, 4.0]), st.integers(1, 2)), min_size=1, max_size=3)


def holding(gpus: float, workers: int) -> Stage:
    return Double(resources=Resources(gpus=gpus, workers=workers))


def can_be_placed(demands: Sequence[float], nodes: Sequence[float]) -> bool:
    """By trying every node for every worker."""
    if not demands:
        return True
    return any(
        can_be_placed(demands[1:], [*nodes[:at], left - demands[0], *nodes[at + 1 :]])
        for at, left in enumerate(nodes)
        if left >= demands[0]
    )


@given(HOLDING, NODES)
def test_workers_are_placed_exactly_where_there_is_a_way_to_place_them(
    found: list[tuple[float, int]], nodes: list[float]
) -> None:
    stages = [holding(*t) for t in found]
    if can_be_placed([gpus for gpus, workers in found for _ in range(workers)], nodes):
        assert allot(stages, nodes, cpus=2) == [workers for _, workers in found]
    else:
        with pytest.raises(UsageError, match="too few GPUs"):
            allot(stages, nodes, cpus=2)


@pytest.mark.parametrize(
    ("nodes", "stages", "counts"),
    [
        ([4], [(1, 0), (1, 1)], [3, 1]),
        ([1, 1], [(1, 0)], [2]),
        ([2, 3], [(2, 0)], [2]),
        ([4], [(2, 0), (1, 0)], [1, 2]),
        ([1], [(1, 1), (0, 0)], [1, 2]),
        ([], [(0, 0), (0, 3)], [2, 3]),
    ],
)
def test_a_stage_that_names_no_number_takes_what_the_others_leave(
    nodes: list[float], stages: list[tuple[float, int]], counts: list[int]
) -> None:
    assert allot([holding(*t) for t in stages], nodes, cpus=2) == counts


@given(st.lists(st.integers(0, 8), min_size=1, max_size=4), st.integers(1, 30))
def test_workers_stand_on_nodes_in_proportion_to_their_cores(cores: list[int], workers: int) -> None:
    nodes = [Node(f"node-{at}", float(n), 0.0, ("127.0.0.1", at)) for at, n in enumerate(cores)]
    held: Counter[str] = Counter()
    for _ in range(workers):
        node = roomiest(nodes, held)
        assert node is not None
        held[node.id] += 1
    if any(cores):
        share = workers / sum(cores)
        assert all(abs(held[node.id] - share * node.cpus) <= max(1.0, node.cpus) for node in nodes)
        assert not any(held[node.id] for node in nodes if not node.cpus)
    assert roomiest([], held) is None


def test_the_refusal_says_what_was_found_what_is_needed_and_what_to_set() -> None:
    with pytest.raises(UsageError) as found:
        allot([holding(2.0, 3), Shift()], [2.0, 0.0, 2.0], cpus=8)
    words = str(found.value)
    assert "\n" not in words
    assert all(
        part in words for part in ("need 6", "double 3 x 2", "4 (2 + 2", "workers", 'device to "auto"', "--profile")
    )
    with pytest.raises(UsageError, match=r"Ray has 0; .*nvidia-smi"):
        allot([holding(1.0, 1)], [0.0], cpus=1)


@given(HOLDING)
def test_only_who_has_more_than_one_worker_is_told_to_lower_them(found: list[tuple[float, int]]) -> None:
    with pytest.raises(UsageError) as refused:
        allot([holding(*t) for t in found], [0.5], cpus=2)
    assert ("lower their workers" in str(refused.value)) == any(workers > 1 for _, workers in found)


class Remembering:
    """Runs stages in this process, and keeps which ones it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def check(self, stages: Sequence[Stage]) -> None:
        self.asked.append([s.name for s in stages])

    @contextmanager
    def pool(self, store: Store, stages: Sequence[Stage]) -> Iterator[Pool]:
        with LocalEngine().pool(store, stages) as pool:
            yield pool


def test_a_run_asks_for_the_gpus_of_what_it_has_left_to_do_and_for_no_others(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    double, shift = Double(resources=Resources(gpus=1.0)), Shift(resources=Resources(gpus=1.0))
    steps = [segment("cheap", [Double()], over=Number), segment("numbers", [double, shift], over=Number)]

    def asked() -> list[list[str]]:
        engine = Remembering()
        fits: Engine = engine
        check_workers(store, fits, steps)
        return engine.asked

    assert asked() == [["double", "shift"]], "a new root: shards may yet come"
    shards = write_numbers(store, 2)
    run_segment(store, LocalEngine(), [double], shards, lambda _: None)
    assert asked() == [["shift"]]
    run_segment(store, LocalEngine(), [double, shift], shards, lambda _: None)
    assert asked() == [[]]


def test_a_worker_that_is_not_open_waits_for_gpus_only_where_its_stage_has_some() -> None:
    assert "GPU" in Resources(gpus=0.5).opening
    assert "GPU" not in Resources().opening
