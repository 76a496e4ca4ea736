"""Copies of far tars: fetched once, never more than their folder may hold, and always what the store has."""

from __future__ import annotations

import fcntl
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from curation.core.errors import RootError
from curation.load.cache import TarCache
from curation.load.loader import load
from tests.support.plain_release import plain_release

FAR = "memory://far"


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A store in memory, and what was read of it."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    read: list[str] = []
    known = MemoryFileSystem._open

    def counted(self: Any, path: str, mode: str = "rb", *more: Any, **most: Any) -> Any:
        if mode == "rb":
            read.append(path.rsplit("/", 1)[-1])
        return known(self, path, mode, *more, **most)

    monkeypatch.setattr(MemoryFileSystem, "_open", counted)
    return read


def _put(name: str, data: bytes) -> str:
    fsspec.filesystem("memory").pipe_file(f"/far/{name}", data)
    return f"{FAR}/{name}"


def _copies(folder: Path) -> int:
    found = {}
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # others are at work
            known = file.stat()
            found[known.st_ino] = known.st_size if file.suffix in (".tar", ".part") else 0
    return sum(found.values())


def _bytes(cache: TarCache, url: str) -> bytes:
    with cache.open(url) as file:
        return file.read()


def test_a_release_of_an_object_store_is_fetched_once_for_all_epochs(far: list[str], tmp_path: Path) -> None:
    root = plain_release(tmp_path / "near", [[(8, 8)] * 5, [(8, 8)] * 3, [(8, 8)] * 4])
    fsspec.filesystem("memory").put(root, "/far", recursive=True)
    release = load(FAR, cache=str(tmp_path / "copies"), shuffle=3)
    for epoch in range(3):
        release.set_epoch(epoch)
        assert {s["json"]["sample_id"] for s in release} == {s["json"]["sample_id"] for s in load(root)}
    again = load(FAR, cache=str(tmp_path / "copies")).bucketed(2)
    assert sum(len(batch["json"]) for batch in again) == 12
    assert sorted(name for name in far if name.endswith(".tar")) == [f"train-00000{n}.tar" for n in range(3)]


def test_a_local_release_needs_no_copies(tmp_path: Path) -> None:
    root = plain_release(tmp_path / "near", [[(8, 8)] * 5])
    assert len(list(load(root, cache=str(tmp_path / "copies")))) == 5
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("seed", range(5))
def test_the_folder_never_holds_more_than_it_may_and_gives_what_the_store_has(
    seed: int, far: list[str], tmp_path: Path
) -> None:
    chance = random.Random(seed)
    kept = {_put(f"{n}.tar", chance.randbytes(chance.randint(1, 500))): n for n in range(12)}
    known = {url: fsspec.filesystem("memory").cat_file(url) for url in kept}
    cache = TarCache(str(tmp_path), 900)
    wanted = [chance.choice(list(kept)) for _ in range(60)]

    def get(url: str) -> int:
        assert _bytes(cache, url) == known[url]
        return _copies(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(get, wanted)) <= 900


def test_what_was_not_used_for_longest_makes_room(far: list[str], tmp_path: Path) -> None:
    a, b, c = (_put(f"{name}.tar", name.encode() * 100) for name in "abc")
    cache = TarCache(str(tmp_path), 250)
    for at, url in enumerate((a, b, a)):
        _bytes(cache, url)
        for file in tmp_path.glob("*.tar"):  # no clock is so fine that it tells uses of a moment apart
            if file.read_bytes()[:1] == url[-5].encode():
                os.utime(file, (at, at))
    _bytes(cache, c)
    far.clear()
    _bytes(cache, a)
    assert far == []
    _bytes(cache, b)
    assert far == ["b.tar"]


def test_a_tar_that_was_replaced_is_fetched_anew(far: list[str], tmp_path: Path) -> None:
    cache = TarCache(str(tmp_path), 10_000)
    url = _put("a.tar", b"one")
    assert _bytes(cache, url) == b"one"
    fsspec.filesystem("memory").rm("/far/a.tar")
    _put("a.tar", b"two and more")
    assert _bytes(cache, url) == b"two and more"


def test_what_does_not_fit_is_read_from_afar(far: list[str], tmp_path: Path) -> None:
    url = _put("a.tar", b"x" * 300)
    assert _bytes(TarCache(str(tmp_path), 299), url) == b"x" * 300
    assert _copies(tmp_path) == 0


def test_a_copy_whose_process_died_is_cleared_away_and_one_in_work_is_not(far: list[str], tmp_path: Path) -> None:
    cache = TarCache(str(tmp_path), 300)
    (tmp_path / "dead.part").write_bytes(b"x" * 250)
    with (tmp_path / "alive.part").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        alive.truncate(100)
        _bytes(cache, _put("a.tar", b"x" * 200))
        assert not (tmp_path / "dead.part").exists()
        assert _copies(tmp_path) == 300
        assert _bytes(cache, _put("b.tar", b"y" * 201)) == b"y" * 201
        assert _copies(tmp_path) <= 300


def test_a_tar_that_ends_early_is_no_copy(far: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = _put("a.tar", b"x" * 100)
    monkeypatch.setattr(MemoryFileSystem, "size", lambda self, path: 200)
    with pytest.raises(RootError, match="ended after 100 bytes; get it again"):
        TarCache(str(tmp_path), 1000).open(url)
    monkeypatch.undo()
    assert _bytes(TarCache(str(tmp_path), 1000), url) == b"x" * 100


def test_a_cache_without_room_is_refused(tmp_path: Path) -> None:
    root = plain_release(tmp_path, [[(8, 8)]])
    with pytest.raises(ValueError, match="cache_bytes is 0; a number of bytes above 0"):
        load(root, cache=str(tmp_path / "copies"), cache_bytes=0)
