"""A training run that ends inside an epoch goes on behind its last sample: none comes twice, none is lost."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchdata.stateful_dataloader import StatefulDataLoader

from curation.load import stream
from curation.load.loader import ReleaseDataset, load
from curation.load.shards import Part
from tests.support.roots import Row, World, make_world, recipe, release


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(str(tmp_path_factory.mktemp("resuming") / "root"), recipe(), [[Row()] * 41])
    release(made)
    return made


def told(sample: dict[str, Any]) -> tuple[str, str]:
    return sample["json"]["sample_id"], sample["caption"]


def opened(world: World, **more: Any) -> ReleaseDataset:
    return load(world.store.url, captions={"dense": 1, "alt_text": 1}, decode="bytes", **more)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_what_follows_a_state_is_what_would_have_followed(world: World, data: st.DataObject) -> None:
    ranks = data.draw(st.integers(1, 3))
    more = {
        "shuffle": data.draw(st.sampled_from([0, 1, 2, 5, 16, 1000])),
        "seed": data.draw(st.integers(0, 3)),
        "epoch": data.draw(st.integers(0, 3)),
        "even": data.draw(st.sampled_from(["repeat", "drop", "none"])),
        **({} if ranks == 1 else {"rank": data.draw(st.integers(0, ranks - 1)), "world_size": ranks}),
    }
    whole = [told(s) for s in opened(world, **more)]
    ended = data.draw(st.integers(0, len(whole)))
    first = iter(opened(world, **more))
    had = [told(s) for s in islice(first, ended)]
    state = first.state_dict()
    again = iter(opened(world, **more | {"epoch": 0}))
    again.load_state_dict(state)
    after = data.draw(st.integers(0, len(whole) - ended))
    had += [told(s) for s in islice(again, after)]
    third = iter(opened(world, **more))
    third.load_state_dict(again.state_dict())
    assert had + [told(s) for s in third] == whole


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch", [None, 4])
def test_torchdata_s_loader_resumes_with_workers(workers: int, batch: int | None, world: World) -> None:
    def made() -> StatefulDataLoader[Any]:
        dataset = opened(world, shuffle=8, seed=2, epoch=5)
        return StatefulDataLoader(
            dataset, batch_size=batch, num_workers=workers, collate_fn=_told, multiprocessing_context=_context(workers)
        )

    whole = list(made())
    loader = made()
    had = list(islice(loader, 5))
    state = loader.state_dict()
    again = made()
    again.load_state_dict(state)
    assert had + list(again) == whole
    assert sorted(ids(whole)) == sorted(i for i, _ in map(told, opened(world, shuffle=0)))


def _told(samples: Any) -> Any:
    return [told(s) for s in samples] if isinstance(samples, list) else told(samples)


def _context(workers: int) -> str | None:
    return "fork" if workers else None


def ids(found: list[Any]) -> list[str]:
    return [i for item in found for i, _ in (item if isinstance(item, list) else [item])]


def test_an_epoch_that_ended_has_nothing_left(world: World) -> None:
    first = iter(opened(world))
    list(first)
    again = iter(opened(world))
    again.load_state_dict(first.state_dict())
    assert list(again) == []


def test_what_was_read_is_not_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Part] = []
    known = stream.read_part

    def counting(part: Part) -> Any:
        parts.append(part)
        return known(part)

    first = iter(opened(world, shuffle=4))
    list(islice(first, 15))
    monkeypatch.setattr(stream, "read_part", counting)
    again = iter(opened(world, shuffle=4))
    again.load_state_dict(first.state_dict())
    list(again)
    read = sum(part.count or 0 for part in parts)
    total = len(list(opened(world, shuffle=0)))
    size = max(part.first + (part.count or 0) for part in parts)
    assert total - 15 <= read <= total - 15 + 3 * size < total, "what waits in the buffer lies in a few tars"


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"shuffle": 7}, {"rank": 0, "world_size": 2}, {"split": "val"}, {"even": "none"}]
)
def test_a_state_of_another_order_is_refused(other: dict[str, Any], tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), recipe(val=0.2), [[Row()] * 20])
    release(made)
    first = iter(opened(made))
    next(first)
    with pytest.raises(ValueError, match="another order of samples; load it with the same release, split, shuffle"):
        iter(opened(made, **other)).load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="iterator that is new"):
        first.load_state_dict(first.state_dict())


def test_a_release_that_was_moved_is_the_same(world: World, tmp_path: Path) -> None:
    first = iter(opened(world))
    had = [told(s) for s in islice(first, 9)]
    shutil.copytree(world.store.path("release"), tmp_path / "elsewhere")
    again = iter(load(str(tmp_path / "elsewhere"), captions={"dense": 1, "alt_text": 1}, decode="bytes"))
    again.load_state_dict(first.state_dict())
    assert had + [told(s) for s in again] == [told(s) for s in opened(world)]


def test_the_epoch_of_a_dataset_is_restored(world: World) -> None:
    dataset, other = opened(world, epoch=3), opened(world)
    other.load_state_dict(dataset.state_dict())
    assert other.epoch == 3
