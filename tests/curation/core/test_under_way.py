"""Shards in work can be looked at from other threads, and only while they are in work."""

from __future__ import annotations

import threading

import pytest

from curation.core.engines.local import LocalEngine
from curation.core.under_way import Progress, followed, under_way


def test_a_shard_is_seen_while_its_block_runs_and_as_far_as_it_is_then() -> None:
    done = 0
    with followed(lambda: Progress("images", "s-0", done, 3, {"a.example": 2})):
        for done in range(4):
            assert under_way() == [Progress("images", "s-0", done, 3, {"a.example": 2})]
    assert under_way() == []


def test_a_shard_that_fails_is_seen_no_longer() -> None:
    with pytest.raises(ValueError, match="no good"), followed(lambda: Progress("images", "s-0", 0, 3)):
        raise ValueError("no good")
    assert under_way() == []


def test_the_same_look_may_follow_two_shards() -> None:
    def look() -> Progress:
        return Progress("images", "s-0", 1, 3)

    with followed(look):
        with followed(look):
            assert len(under_way()) == 2
        assert len(under_way()) == 1


def test_the_local_engine_sees_shards_of_all_threads() -> None:
    met = threading.Barrier(3)

    def work(name: str) -> None:
        with followed(lambda: Progress("images", name, 0, 1)):
            met.wait()
            met.wait()

    threads = [threading.Thread(target=work, args=(f"s-{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    met.wait()
    seen = sorted(p.shard for p in LocalEngine().under_way())
    met.wait()
    for thread in threads:
        thread.join()
    assert seen == ["s-0", "s-1"] and under_way() == []
