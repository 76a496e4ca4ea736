"""Of what very many texts name so many are kept, rare entries lose nothing, and growth brings no sample back."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from curation.catalog import connect, conservation
from curation.core.engines.local import LocalEngine
from curation.core.errors import RecipeError
from curation.core.recipes import load
from curation.core.run import Barrier
from curation.core.store import Store
from curation.products.expand import EXPANSION
from curation.products.refine import LAION_REFINED
from curation.release.balance_reduce import BalanceReduce
from curation.release.remedies import remedy
from curation.takedown.proof import Traces, prove_file
from schemas.balance import BalancedText
from schemas.expand import ExpandImages
from schemas.records import SourceRow
from schemas.refine import RefineLaion
from tests.support.roots import Row, World, add_shard, make_world, recipe

MOST = 60


def texts(first: int, count: int, without: int = 0) -> list[Row]:
    """Rows with ``cat`` in all texts, ``dog`` in half of them, ``zebra`` in one of twenty; some texts name nothing."""
    words = [f"n{first + n} cat{' dog' * (n % 2)}{' zebra' * (n % 20 == 0)}" for n in range(count)]
    return [Row(alt_text=word) for word in (*words, *(f"nothing {first + n}" for n in range(without)))]


def world_of(folder: Path, shards: list[list[Row]], *more: str, entries: str = "cat\ndog\nzebra\nyak\n") -> World:
    folder.mkdir(exist_ok=True)
    (folder / "entries.txt").write_text(entries)
    sets = [f"balance.entries={folder}/entries.txt", f"balance.max_texts={MOST}", "balance.policy=reject", *more]
    made = load(RefineLaion, None, sets, base=recipe(scores=False, shard_size=500, val=0, test=0))
    return make_world(str(folder / "root"), made, shards)


def finish(world: World) -> None:
    """The balance, and what follows on the captions that the world has."""
    steps = [s for s in LAION_REFINED.steps(world.recipe, ()) if s.on]
    (at,) = (n for n, s in enumerate(steps) if isinstance(s, Barrier) and isinstance(s.reduce, BalanceReduce))
    (pack,) = (n for n, s in enumerate(steps) if s.name == "pack")
    for step in [steps[at], *steps[pack:]]:
        assert not step.ready(world.store).run(world.store, LocalEngine(), lambda _: None).failed


def judged(store: Store) -> dict[str, tuple[str, ...] | None]:
    """The entries of each sample that is kept, None of each that is not."""
    with connect(store.url) as views:
        found = views.execute("SELECT sample_id, entries, reason FROM balanced_texts").fetchall()
    return {sample: None if reason else tuple(entries) for sample, entries, reason in found}


def kept(store: Store) -> set[str]:
    return {sample for sample, entries in judged(store).items() if entries is not None}


def test_frequent_entries_keep_about_so_many_and_rare_ones_lose_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path, [texts(0, 600), texts(600, 400, without=5)])
    finish(world)
    found = judged(world.store)
    counts = Counter(entry for entries in found.values() if entries for entry in entries)
    assert len(found) == 1005 and sum(entries == () for entries in found.values()) == 5, "without an entry: kept"
    assert counts["zebra"] == 50, "a rare entry keeps every text"
    # Of 950 texts without zebra, half with a dog: each stays by 60 of 1000 cats, or by 60 of 500 dogs.
    cat, dog = MOST / 1000, MOST / 500
    expected = 500 * cat + 450 * (1 - (1 - cat) * (1 - dog))
    beyond = sum(bool(e) and "zebra" not in e for e in found.values() if e is not None)
    assert abs(beyond - expected) < 4 * np.sqrt(expected)
    assert conservation(world.store).ok
    with connect(world.store.url) as views:
        lost = views.execute("SELECT stage, reason, rows FROM funnel WHERE fate = 'rejected'").fetchall()
        assert lost == [("balance", "frequent_concepts", 1005 - len(kept(world.store)))]
        details = {d for (d,) in views.execute("SELECT DISTINCT detail FROM balanced_texts").fetchall()}
    assert details == {
        None,
        f"cat is the rarest of 1 entries, and in more than {MOST} texts",
        f"dog is the rarest of 2 entries, and in more than {MOST} texts",
    }
    assert "max_texts" in remedy("frequent_concepts") and "entries" in remedy("no_concept")


def test_the_card_shows_head_and_tail(tmp_path: Path) -> None:
    world = world_of(tmp_path, [texts(0, 200, without=3)])
    finish(world)
    card = world.store.read("release/README.md").decode()
    found = [entries for entries in judged(world.store).values() if entries]
    counts = Counter(entry for entries in found for entry in entries)
    assert "## Balance of concepts" in card and "of the list `entries.txt`" in card
    assert f"| cat | 200 | {counts['cat']} | {counts['cat']} |" in card
    assert "| zebra | 10 | 10 | 10 |" in card
    assert "| 10 to 60 | 1 | 10 | 3.2% | 10 |" in card and "| more than 60 | 2 | 300 | 96.8% |" in card
    assert "3 name none and are kept" in card


def test_a_root_that_grew_keeps_what_one_made_at_once_keeps_and_nothing_comes_back(tmp_path: Path) -> None:
    """Frequent entries of the old samples become more frequent, and a rare one becomes frequent."""
    later = [Row(alt_text=f"late {n} cat zebra") for n in range(150)]
    at_once = world_of(tmp_path / "at_once", [texts(0, 300), later])
    finish(at_once)
    grown = world_of(tmp_path / "grown", [texts(0, 300)])
    finish(grown)
    first, before = judged(grown.store), kept(grown.store)
    add_shard(grown, "part-1.parquet", later)
    finish(grown)
    after = kept(grown.store)
    assert judged(grown.store) == judged(at_once.store)
    assert after & first.keys() < before, "some went, and none came back"


def test_chance_hangs_on_the_seed_and_on_nothing_else(tmp_path: Path) -> None:
    world = world_of(tmp_path / "one", [texts(0, 200)])
    finish(world)
    other = world_of(tmp_path / "two", [texts(0, 200)], entries="yak\nzebra\nDog\ncat\n")
    finish(other)
    assert kept(world.store) != kept(other.store), "an entry's chance is that of its name"
    again = world_of(tmp_path / "three", [texts(0, 200)], entries="zebra\ndog\nyak\ncat\n")
    finish(again)
    assert kept(world.store) == kept(again.store), "the order of the list does not count"
    seeded = world_of(tmp_path / "four", [texts(0, 200)], "balance.seed=1")
    finish(seeded)
    assert kept(seeded.store) != kept(world.store)


def test_texts_that_name_nothing_may_be_rejected(tmp_path: Path) -> None:
    world = world_of(tmp_path, [texts(0, 40, without=7)], "balance.unmatched=reject")
    finish(world)
    with connect(world.store.url) as views:
        lost = views.execute("SELECT stage, reason, rows FROM funnel WHERE fate = 'rejected'").fetchall()
    assert lost == [("balance", "no_concept", 7)]
    assert "7 name none and are rejected" in world.store.read("release/README.md").decode()


def test_what_is_only_recorded_is_released(tmp_path: Path) -> None:
    world = world_of(tmp_path, [texts(0, 200)], "balance.policy=record")
    finish(world)
    assert len(kept(world.store)) < 200
    with connect(world.store.url) as views:
        assert views.execute("SELECT count(*) FROM released").fetchone() == (200,)
    assert "released all the same" in world.store.read("release/README.md").decode()


def test_captions_of_a_kind_are_balanced_where_the_recipe_names_it(tmp_path: Path) -> None:
    """All dense captions of the world show a red house; the steps before are those of the captions too."""
    world = world_of(tmp_path, [[*texts(0, 100), *[Row("refused") for _ in range(5)]]], "balance.text=dense",
                     entries="red house\nyak\n")  # fmt: skip
    finish(world)
    found = judged(world.store)
    assert len(found) == 100, "a sample without a caption is not counted"
    assert {e for e in found.values() if e is not None} == {("red house",)}
    assert abs(len(kept(world.store)) - MOST) < 4 * np.sqrt(100 * 0.6 * 0.4)
    assert conservation(world.store).ok


def test_a_text_that_is_an_entry_is_no_trace_of_its_sample(tmp_path: Path) -> None:
    """The proof of a takedown finds the text in the rows of its sample, and not in the entries of all others."""
    world = world_of(tmp_path, [[Row(alt_text="cat"), *texts(0, 20)]])
    finish(world)
    (shard,) = world.store.shards(BalancedText.table)
    traces = Traces.of([], texts=["cat"])
    assert prove_file(world.store, world.store.table_file(SourceRow.table, shard), traces)
    assert not prove_file(world.store, world.store.table_file(BalancedText.table, shard), traces)


def test_without_a_list_the_nouns_of_the_card_are_the_entries(tmp_path: Path) -> None:
    world = world_of(tmp_path, [[Row(alt_text=f"two dogs {n}") for n in range(20)]], "balance.entries=")
    finish(world)
    assert set(judged(world.store).values()) == {("dog",)}


def test_the_same_run_twice_is_finished_and_another_list_is_looked_for_anew(tmp_path: Path) -> None:
    world = world_of(tmp_path, [texts(0, 100)])
    finish(world)
    shard = world.store.shards(BalancedText.table)[0]
    made = world.store.read(world.store.table_file(BalancedText.table, shard))
    (tmp_path / "entries.txt").write_text("zebra\ncat\ndog\nyak\n")
    (step,) = (s for s in LAION_REFINED.steps(world.recipe, ()) if s.name == "balance")
    ready = step.ready(world.store)
    assert ready.run(world.store, LocalEngine(), lambda _: None).skipped == 1
    (tmp_path / "entries.txt").write_text("zebra\n")
    assert step.ready(world.store).run(world.store, LocalEngine(), lambda _: None).done == 1
    assert world.store.read(world.store.table_file(BalancedText.table, shard)) != made


@pytest.mark.parametrize(
    ("product", "sets", "said"),
    [
        (RefineLaion, ["balance.policy=reject", "balance.text=medium"], "neither alt_text nor a kind"),
        (ExpandImages, ["balance.policy=record", "balance.text=local"], "a picture has several"),
        (RefineLaion, ["balance.max_texts=0"], "expected 1 or more, found 0"),
    ],
)
def test_what_cannot_be_balanced_is_refused(product: type, sets: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load(product, None, [*sets, "caption.model=demo"])


def test_a_missing_list_is_refused_before_any_work(tmp_path: Path) -> None:
    made = load(RefineLaion, None, ["balance.policy=reject", f"balance.entries={tmp_path}/none.txt"], base=recipe())
    (step,) = (s for s in LAION_REFINED.steps(made, ()) if s.name == "balance")
    with pytest.raises(RecipeError, match="cannot be read"):
        step.ready(None)


def test_what_was_not_asked_for_stays_as_it_was() -> None:
    """Another list, seed or limit is another table; a recipe that does not ask has none of it in any step."""
    for product, model in ((LAION_REFINED, RefineLaion), (EXPANSION, ExpandImages)):
        plain = load(model, None, ["caption.model=demo"])
        assert not [s for s in product.steps(plain, ()) if s.name in ("balance", "limits") and s.on]
        asked = load(model, None, ["balance.policy=reject"], base=plain)
        names = [s.name for s in product.steps(asked, ()) if s.on]
        assert names.index("balance") < names.index("caption" if product is LAION_REFINED else "windows")
    reduce = BalanceReduce.of(asked.balance, ())
    assert dataclasses.replace(reduce, policy="record").listed == reduce.listed
