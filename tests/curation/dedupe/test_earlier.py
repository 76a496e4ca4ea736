"""Laws of growth: asking a root's index decides as a look at everything does, whatever became of the index."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.core.errors import TooMuchMemory
from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.dedupe import earlier
from curation.dedupe.reduce import DedupeReduce
from curation.dedupe.search.colours import agree
from curation.dedupe.search.index import HashIndex
from curation.dedupe.thumbnail_file import ThumbnailFile
from schemas.recipe import Dedupe
from schemas.records import Duplicate, ImageRow, SourceRow
from tests.support.pictures import PALETTE, Picture, World, build, decisions, pictures_of, worlds, written

LOOK = int("5" * 64, 16)
recipes = st.builds(
    Dedupe,
    distance=st.integers(0, 6),
    confirmed_distance=st.integers(0, 14),
    symmetries=st.booleans(),
    grey_copies=st.booleans(),
)


def growth(steps: int = 3) -> st.SearchStrategy[list[World]]:
    """Roots of before there were colours that grow by shards with them, and roots with colours from the start."""
    shards = st.booleans().flatmap(
        lambda old: st.tuples(*(worlds(prefix=f"{n}", looked=True, coloured=n > 0 or not old) for n in range(steps)))
    )
    return shards.map(list)


@contextmanager
def root() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        yield Store(folder)


@pytest.fixture(autouse=True)
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few there are."""
    monkeypatch.setattr(earlier, "_FEW", 0)


def run(store: Store, recipe: Dedupe | None = None) -> list[str]:
    """The shards that were decided on."""
    done: list[str] = []
    run_reduce(store, DedupeReduce(recipe or Dedupe(distance=4)), lambda o: done.append(f"{o.status} {o.shard}"))
    return [name.removeprefix("done ") for name in done if name.startswith("done ")]


def near(a: Picture, b: Picture, recipe: Dedupe) -> bool:
    first = (a.phash ^ b.phash).bit_count()
    confirmed = bool(a.look and b.look) and ((a.look or 0) ^ (b.look or 0)).bit_count() <= recipe.second_distance
    alike = a.colours is None or b.colours is None or agree(*(words(p) for p in (a, b)), recipe.grey_copies, False)
    return alike and (first <= recipe.distance or (first <= recipe.confirmed_distance and confirmed))


def words(picture: Picture) -> NDArray[np.uint64]:
    return np.frombuffer(picture.colours or b"", np.uint64)


@settings(deadline=None, max_examples=10, report_multiple_bugs=False)
@given(growth(), recipes)
def test_a_root_that_asks_its_index_gets_the_bytes_of_one_that_looks_at_everything(
    steps: list[World], recipe: Dedupe
) -> None:
    looking = build({})
    with root() as asking:
        for world in steps:
            for store in (asking, looking):
                build(world, store)
                assert run(store, recipe) == sorted(world)
            assert written(asking) == written(looking)
        last = [store.reduce_entry("duplicates") for store in (asking, looking)]
        assert last[0] is not None and last[1] is not None and last[0].state == last[1].state


@settings(deadline=None, max_examples=10, report_multiple_bugs=False)
@given(growth(), st.integers(0, 6), st.integers(0, 14))
def test_new_images_get_the_lowest_name_of_their_chain_and_keepers_stay_apart(
    steps: list[World], distance: int, confirmed: int
) -> None:
    recipe = Dedupe(distance=distance, confirmed_distance=confirmed)
    names: dict[str, str] = {}
    seen: dict[str, Picture] = {}
    with root() as store:
        for world in steps:
            build(world, store)
            run(store, recipe)
            found, young = decisions(store), pictures_of(world)
            seen |= young
            chains = {i: i for i in seen}
            pairs = [(a, b) for a, b in itertools.combinations(seen, 2) if near(seen[a], seen[b], recipe)]
            while changed := [(a, b) for a, b in pairs if chains[a] != chains[b]]:
                for a, b in changed:
                    chains[a] = chains[b] = min(chains[a], chains[b])
            for i in young:
                chain = [j for j in seen if chains[j] == chains[i]]
                assert found[i].cluster_id == min([names[j] for j in chain if j in names] or chain)
            assert all(found[i].cluster_id == name for i, name in names.items())
            names |= {i: found[i].cluster_id for i in young}
            kept = [i for i in seen if found[i].reason is None]
            assert not [p for p in itertools.combinations(kept, 2) if near(seen[p[0]], seen[p[1]], recipe)]
            assert all(found[i].keeper_id in kept for i in seen)


def grown(store: Store, *worlds: World) -> Store:
    for world in worlds:
        build(world, store)
        run(store)
    return store


OLD: World = {"a": [Picture("1", 0), Picture("2", 1), Picture("3", 7 << 40, look=LOOK)], "b": [Picture("4", 3 << 20)]}
NEW: World = {"c": [Picture("5", 1, side=300), Picture("6", (7 << 40) | 0x1F0F, look=LOOK ^ 7), Picture("7", 9 << 9)]}
MORE: World = {"d": [Picture("8", 9 << 9), Picture("9", 3)]}


def test_shards_decided_before_are_neither_read_nor_written_again(tmp_path: Path) -> None:
    store = grown(Store(str(tmp_path)), OLD)
    for record in (ImageRow, SourceRow, Duplicate):
        for shard in OLD:
            (tmp_path / store.table_file(record.table, shard)).rename(tmp_path / f"{record.table}-{shard}")
    build(NEW, store)
    assert run(store) == ["c"]
    whole = grown(build({}), OLD, NEW)
    assert store.read("tables/duplicates/c.parquet") == whole.read("tables/duplicates/c.parquet")


class Killed(BaseException):
    pass


def killing(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ends the process, as it were, before the rename number ``at``."""
    done = itertools.count()
    rename = Path.rename

    def or_die(path: Path, target: Path) -> Path:
        if next(done) == at:
            raise Killed
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", or_die)


@pytest.mark.parametrize("at", range(6))
def test_a_kill_while_the_index_is_written_changes_nothing(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = grown(build({}), OLD, NEW, MORE)
    store = grown(Store(str(tmp_path)), OLD)
    build(NEW, store)
    with monkeypatch.context() as patch:
        killing(patch, at)
        try:
            run(store)
        except Killed:
            assert at < 5, "a run's end, an index.json, a file of decisions, and notes twice are renamed"
    run(store)
    build(MORE, store)
    run(store)
    assert written(store) == written(whole)
    kept = earlier.Earlier.of(store, _told(store), ThumbnailFile(store))
    assert len(kept) == 9 and not list(tmp_path.rglob(".tmp-*.arrow"))


def _told(store: Store) -> dict[str, tuple[str, str]]:
    images, decided = store.entries("images"), store.entries("duplicates")
    return {
        s: (images[s].writes[f"tables/images/{s}.parquet"], decided[s].writes[f"tables/duplicates/{s}.parquet"])
        for s in images
    }


def _garble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _turn(path: Path) -> None:
    """Turns the bits of its middle over, where no reader of Arrow looks for damage."""
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half - 64 : half + 64] = bytes(byte ^ 0xFF for byte in data[half - 64 : half + 64])
    path.write_bytes(data)


WAYS: dict[str, Callable[[Path], object]] = {
    "gone": shutil.rmtree,
    "without its file": lambda index: [p.unlink() for p in (index / "decided").iterdir()],
    "without its hashes": lambda index: shutil.rmtree(index / "phash"),
    "short of a run": lambda index: (index / "phash" / "index.json").write_text('{"format": 1, "runs": []}'),
    "of another format": lambda index: (index / "phash" / "index.json").write_text('{"format": 9, "runs": []}'),
    "with a damaged run": lambda index: [_garble(p) for p in (index / "phash").glob("*.arrow")],
    "without a run that it names": lambda index: next((index / "phash").glob("run-*.arrow")).unlink(),
    "with an empty run": lambda index: [p.write_bytes(b"") for p in (index / "phash").glob("*.arrow")],
    "with a folder for a run": lambda index: [(p.unlink(), p.mkdir()) for p in (index / "phash").glob("*.arrow")],
    "with a damaged file": lambda index: [_garble(p) for p in (index / "decided").iterdir()],
    "with a file whose bits were turned over": lambda index: [_turn(p) for p in (index / "decided").iterdir()],
    "with a run whose bits were turned over": lambda index: [_turn(p) for p in (index / "phash").glob("*.arrow")],
    "without its notes": lambda index: (index / "sums.json").unlink(),
    "with damaged notes": lambda index: (index / "sums.json").write_text('{"phash/index.json": 3}'),
    "with a stranger's file": lambda index: (index / "decided" / "notes.txt").write_text("mine"),
    "with a stranger's folder": lambda index: (index / "decided" / "notes.arrow").mkdir(),
    "that is a file": lambda index: (shutil.rmtree(index), index.write_text("mine")),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_index_that_is_damaged_is_made_anew(way: str, tmp_path: Path) -> None:
    store = grown(Store(str(tmp_path)), OLD)
    WAYS[way](tmp_path / "index")
    grown(store, NEW)
    assert written(store) == written(grown(build({}), OLD, NEW))
    index = HashIndex(tmp_path / "index" / "phash")
    assert len(index) == 7
    assert len(list((tmp_path / "index" / "decided").glob("*.arrow"))) == 2


def test_an_index_that_lacks_a_run_is_made_anew_though_it_holds_more_of_a_file_that_is_damaged(tmp_path: Path) -> None:
    apart: World = {"a": [Picture(str(n), 0xFFFF << (16 * n)) for n in range(4)]}
    first: World = {"b": [Picture("5", 0xF0F0F0F0F0F0F0F0)]}
    again: World = {"c": [Picture("6", 0xF0F0F0F0F0F0F0F0)]}
    store = grown(Store(str(tmp_path)), apart)
    before = (tmp_path / "index" / "phash" / "index.json").read_text()
    (crowded,) = (tmp_path / "index" / "decided").iterdir()
    grown(store, first)
    _garble(crowded)
    (tmp_path / "index" / "phash" / "index.json").write_text(before)
    grown(store, again)
    assert decisions(store)["6"].keeper_id == "5"


def test_a_copy_of_an_index_is_believed_by_its_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown(Store(str(tmp_path / "root")), OLD)
    shutil.copytree(tmp_path / "root", tmp_path / "copy", copy_function=shutil.copyfile)
    monkeypatch.setattr(earlier.Earlier, "_write", None)  # nothing is written again
    store = Store(str(tmp_path / "copy"))
    assert len(earlier.Earlier.of(store, _told(store), ThumbnailFile(store))) == 4


def test_shards_that_are_others_today_leave_the_index(tmp_path: Path) -> None:
    changed: World = {"a": [Picture("1", 0xFFFF), Picture("2", 1)]}
    store = grown(Store(str(tmp_path)), OLD, NEW, changed)
    assert written(store) == written(grown(build({}), {**OLD, **NEW, **changed}))
    build(MORE, store)
    run(store)
    assert written(store) == written(grown(build({}), {**OLD, **NEW, **changed}, MORE))


def test_a_crowd_of_copies_takes_one_place_and_a_dense_one_is_walked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [Picture(f"{n:05}", 5, look=LOOK) for n in range(500)]
    dense = [Picture(f"{n:05}", (n * 0x10001) & 0xFF00FF, look=LOOK) for n in range(500, 900)]
    first: World = {"a": crowd[:400], "b": dense[:300]}
    second: World = {"c": crowd[400:], "d": dense[300:]}
    whole = grown(build({}), first, second)
    store = grown(Store(str(tmp_path / "one")), first, second)
    assert written(store) == written(whole)
    assert len(HashIndex(tmp_path / "one" / "index" / "phash")) < 400
    walked: list[int] = []

    def refuse(*found: object, **more: object) -> None:
        walked.append(1)
        raise TooMuchMemory("too many pairs")

    store = grown(Store(str(tmp_path / "two")), first)
    monkeypatch.setattr(HashIndex, "near", refuse)
    monkeypatch.setattr(earlier.Earlier, "_answers", lambda self: True)
    grown(store, second)
    assert walked and written(store) == written(whole)


@pytest.mark.parametrize("local", [True, False])
def test_a_root_that_is_older_than_colours_keeps_its_decisions(local: bool, tmp_path: Path) -> None:
    red, blue, grey, _ = PALETTE
    old: World = {"a": [Picture("1", 5, side=90), Picture("2", 5)]}
    new: World = {"b": [Picture("3", 5, colours=red), Picture("4", 0xFFFF << 30, colours=red)]}
    more: World = {"c": [Picture("5", 0xFFFF << 30, colours=blue), Picture("6", 0xFFFF << 30, colours=grey)]}
    store = grown(Store(str(tmp_path)) if local else build({}), old)
    before = written(store)
    grown(store, new, more)
    assert {s: written(store)[s] for s in before} == before
    kept = {i: d.keeper_id for i, d in decisions(store).items()}
    # Whoever has no colours agrees with all; the grey one is a copy of the red one, and the blue one is of none.
    assert kept == {"1": "2", "2": "2", "3": "2", "4": "4", "5": "5", "6": "4"}


def test_colours_that_come_to_be_known_decide_all_anew(tmp_path: Path) -> None:
    plain: World = {"a": [Picture("1", 5), Picture("2", 5)]}
    store = grown(Store(str(tmp_path)), plain)
    assert decisions(store)["2"].keeper_id == "1"
    coloured: World = {"a": [Picture("1", 5, colours=PALETTE[0]), Picture("2", 5, colours=PALETTE[1])]}
    grown(store, coloured, MORE)
    assert decisions(store)["2"].keeper_id == "2"


def test_runs_are_merged_after_some_dozens_of_appends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "_RUNS", 3)
    store, whole = Store(str(tmp_path)), build({})
    for n in range(8):
        for grows in (store, whole):
            grown(grows, {f"s{n}": [Picture(f"{n}{k}", 3 << (5 * k + n % 3)) for k in range(4)]})
    assert written(store) == written(whole)
    index = HashIndex(tmp_path / "index" / "phash")
    assert index.runs <= 4 and len(index) >= 12
