"""Laws of roots with thumbnails: growth in steps, components in batches, images of which no thumbnail is known."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.dedupe import decide, earlier
from curation.dedupe.decide import rule_for
from curation.dedupe.reduce import DedupeReduce
from curation.dedupe.search.colours import LOOK_WORDS
from curation.dedupe.search.kernels import Rule, near
from curation.dedupe.search.symmetry import all_turns
from schemas.recipe import Dedupe
from tests.support.pictures import Picture, World, build, decisions, pictures_of, search_row, worlds, written

recipes = st.builds(Dedupe, distance=st.integers(0, 6), confirmed_distance=st.integers(0, 14), symmetries=st.booleans())


@pytest.fixture(autouse=True)
def small_and_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of few images, and an index that answers however little it holds."""
    monkeypatch.setattr(decide, "_BATCH", 5)
    monkeypatch.setattr(earlier, "_FEW", 0)
    monkeypatch.setattr(earlier, "_WRITTEN", 7)


def growth(steps: int = 3) -> st.SearchStrategy[list[World]]:
    """Shards of which the first may be older than colours or thumbnails."""
    shards = st.tuples(st.booleans(), st.booleans()).flatmap(
        lambda old: st.tuples(
            *(
                worlds(prefix=f"{n}", looked=True, coloured=n > 0 or old[0], pictured=n > 0 or old[1])
                for n in range(steps)
            )
        )
    )
    return shards.map(list)


def run(store: Store, recipe: Dedupe) -> None:
    failed: list[str] = []
    run_reduce(store, DedupeReduce(recipe), lambda o: failed.append(o.shard) if o.status == "failed" else None)
    assert not failed


def row(picture: Picture, recipe: Dedupe) -> np.ndarray:
    words = search_row(picture)
    turned = all_turns(np.ascontiguousarray(words[None, :5]))[0] if recipe.symmetries else words[:5]
    return np.concatenate([turned, words[5:]])


@settings(deadline=None, max_examples=12, report_multiple_bugs=False)
@given(growth(), recipes)
def test_growth_in_steps_follows_brute_force_and_a_keeper_stays(steps: list[World], recipe: Dedupe) -> None:
    rule = rule_for(recipe)._replace(colours=LOOK_WORDS)
    rows: dict[str, np.ndarray] = {}
    before: dict[str, tuple[str | None, str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        asking, looking = Store(folder), build({})
        for world in steps:
            for store in (asking, looking):
                build(world, store)
                run(store, recipe)
            assert written(asking) == written(looking)
            rows |= {i: row(p, recipe) for i, p in pictures_of(world).items()}
            found = {i: (d.reason, d.keeper_id, d.cluster_id) for i, d in decisions(asking).items()}
            assert {i: found[i] for i in before} == before
            kept = {i for i in found if found[i][0] is None}
            assert not [p for p in itertools.combinations(sorted(kept), 2) if near(rows[p[0]], rows[p[1]], rule)]
            for i, (_, keeper, cluster) in found.items():
                assert keeper in kept and (keeper == i or near(rows[i], rows[keeper], rule))
                chain = _chain(i, rows, rule) if i not in before else set()
                assert i in before or cluster == min([before[j][2] for j in chain if j in before] or chain)
            before = found
        assert not [path for path in Path(folder).iterdir() if path.is_file()]


def _chain(i: str, rows: dict[str, np.ndarray], rule: Rule) -> set[str]:
    """The images that near pairs link to one."""
    chain, ends = {i}, [i]
    while ends:
        end = ends.pop()
        more = {j for j in rows.keys() - chain if near(rows[end], rows[j], rule)}
        chain |= more
        ends += more
    return chain


@settings(deadline=None, max_examples=10, report_multiple_bugs=False)
@given(worlds(looked=True, coloured=True, pictured=True), recipes, st.booleans())
def test_the_size_of_batches_changes_nothing(world: World, recipe: Dedupe, enabled: bool) -> None:
    recipe = recipe.model_copy(update={"enabled": enabled})
    results = []
    for size in (1, 1 << 16):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decide, "_BATCH", size)
            store = build(world)
            run(store, recipe)
        results.append(written(store))
    assert results[0] == results[1]


@settings(deadline=None, max_examples=10, report_multiple_bugs=False)
@given(worlds(looked=True, coloured=True, pictured=True))
def test_where_no_thumbnails_are_known_hashes_and_colours_decide(world: World) -> None:
    bare = {shard: [replace(p, thumbnail=None) for p in pictures] for shard, pictures in world.items()}
    some = {shard: [replace(p, thumbnail=None) for p in pictures] for shard, pictures in world.items()}
    unlike = Picture("f" * 32, 0, look=3, thumbnail=bytes([1]) + bytes(263))  # so that thumbnails are compared
    for shard in some:
        some[shard].append(replace(unlike, id=f"{shard:f>32}"))
        bare[shard].append(replace(unlike, id=f"{shard:f>32}", thumbnail=None))
    stores = [build(bare), build(some)]
    for store in stores:
        run(store, Dedupe(distance=0, confirmed_distance=14))
    assert [(d.sample_id, d.keeper_id) for d in decisions(stores[0]).values()] == [
        (d.sample_id, d.keeper_id) for d in decisions(stores[1]).values()
    ]
