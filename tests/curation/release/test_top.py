"""The best by a score are released, in tiers that hold each other, and growth takes nothing away."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from curation.catalog import connect, conservation
from curation.core.engines.local import LocalEngine
from curation.core.errors import RecipeError
from curation.core.recipes import load
from curation.core.run import Barrier, Step
from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from curation.release.pack_stage import PackReduce
from curation.release.top_reduce import TopReduce
from schemas.refine import RefineLaion
from tests.support.roots import Row, World, add_shard, make_world, recipe

TOP = ['export.top={score = "aesthetic", share = 0.25}', "export.tiers={nano = 0.1, lite = 0.4, full = 1}"]


def steps_of(world: World) -> list[Step]:
    """What makes the release, from the choice on."""
    steps = LAION_REFINED.steps(world.recipe, ())
    (at,) = (n for n, s in enumerate(steps) if isinstance(s, Barrier) and isinstance(s.reduce, TopReduce))
    return [s for s in steps[at:] if s.on]


def finish(world: World) -> None:
    for step in steps_of(world):
        assert not step.run(world.store, LocalEngine(), lambda _: None).failed


def rows(first: int, count: int) -> list[Row]:
    """Rows with an aesthetic score, one in ten without."""
    drawn = random.Random(first)
    return [Row(states={"aesthetic": None if n % 10 == 3 else round(drawn.uniform(3, 7), 4)}) for n in range(count)]


def world_of(folder: Path, sets: list[str], count: int = 80) -> World:
    made = load(RefineLaion, None, sets, base=recipe(scores=False, shard_size=50))
    return make_world(str(folder / "root"), made, [rows(0, count)])


def tiers(store: Store) -> dict[str, str]:
    """The tier of each released sample, as its .json has it."""
    with connect(store.url) as views:
        found = views.execute("SELECT sample_id, annotations::JSON ->> 'tier' FROM placements").fetchall()
    return dict(found)


def scores(store: Store) -> dict[str, float | None]:
    with connect(store.url) as views:
        return dict(views.execute("SELECT sample_id, aesthetic FROM rows").fetchall())


def test_the_best_are_released_and_growth_takes_nothing_away(tmp_path: Path) -> None:
    world = world_of(tmp_path, TOP)
    finish(world)
    found, before = scores(world.store), tiers(world.store)
    known = sorted((v for v in found.values() if v is not None), reverse=True)
    least = known[19]  # a quarter of 80
    assert {s for s, v in found.items() if v is not None and v >= least} == before.keys() and len(before) == 20
    assert conservation(world.store).ok
    with connect(world.store.url) as views:
        lost = views.execute("SELECT stage, reason, rows FROM funnel WHERE fate = 'rejected'").fetchall()
        assert lost == [("top", "not_in_top", 60)]
        assert views.execute("SELECT count(*) FROM samples WHERE detail = 'its score is unknown'").fetchone() == (8,)
    tars = {n: world.store.read(f"release/{n}") for n in world.store.names("release", ".tar")}
    add_shard(world, "later.parquet", rows(5, 40))
    finish(world)
    after = tiers(world.store)
    assert before.items() <= after.items(), "what was released stays, in its tier"
    later = scores(world.store)
    assert {s for s, v in later.items() if v is not None and v >= least} == after.keys()
    assert all(world.store.read(f"release/{n}") == data for n, data in tars.items())
    card = world.store.read("release/README.md").decode()
    assert "## Chosen by a score" in card and "| nano | 0.1 |" in card


def test_tiers_by_chance_hold_each_other_and_have_their_shares(tmp_path: Path) -> None:
    world = world_of(tmp_path, ["export.tiers={nano = 0.1, lite = 0.4, full = 1}"], count=400)
    finish(world)
    found = tiers(world.store)
    sizes = {t: sum(v == t for v in found.values()) for t in ("nano", "lite", "full")}
    assert len(found) == sum(sizes.values()) == 400
    assert 20 <= sizes["nano"] <= 65 and 120 <= sizes["nano"] + sizes["lite"] <= 200


def test_tiers_by_a_score_are_the_best_of_what_is_released(tmp_path: Path) -> None:
    world = world_of(tmp_path, [*TOP, "export.tier_score=source.aesthetic"])
    finish(world)
    found, score = tiers(world.store), scores(world.store)
    ranked = sorted(found, key=lambda s: -(score[s] or 0))
    assert [found[s] for s in ranked] == ["nano"] * 2 + ["lite"] * 6 + ["full"] * 12


def test_another_share_chooses_anew(tmp_path: Path) -> None:
    world = world_of(tmp_path, TOP)
    finish(world)
    other = load(RefineLaion, None, ["export.top.share=0.5"], base=world.recipe)
    world = dataclasses.replace(world, recipe=other)
    finish(world)
    assert len(tiers(world.store)) == 40


def test_without_the_keys_nothing_is_chosen_or_written(tmp_path: Path) -> None:
    world = world_of(tmp_path, [])
    assert not any(isinstance(p, TopReduce) for s in steps_of_plain(world) for p in s.active)
    (pack,) = (p for s in steps_of_plain(world) for p in s.parts if isinstance(p, PackReduce))
    assert "top" not in pack.criteria and "tiers" not in pack.criteria


def steps_of_plain(world: World) -> list[Step]:
    return LAION_REFINED.steps(world.recipe, ())


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (['export.top={score = "beauty", share = 0.2}'], "no score of an image"),
        (['export.top={score = "sharpnes", share = 0.2}'], "did you mean 'sharpness'"),
        (['export.top={score = "sharpness", share = 0.2}'], "add 'sharpness' to scores.compute"),
        (['export.top={score = "similarity"}'], "scores.model"),
        (["export.tiers={a = 0}"], "more than 0"),
        (["export.tiers={a = 0.5, b = 0.5}"], "same share"),
        (["export.top.share=0"], "expected more than 0.0, found 0"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused(tmp_path: Path, sets: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        for step in LAION_REFINED.steps(load(RefineLaion, None, sets, base=recipe(scores=False)), ()):
            if isinstance(step, Barrier) and isinstance(step.reduce, TopReduce):
                step.ready(None)
