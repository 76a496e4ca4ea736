from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curation.core.errors import StoreError
from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.images.reading import open_images

BODIES = [bytes([n]) * (n * 37 + 1) for n in range(40)]


def _filled(store: Store, folder: Path) -> list[int]:
    local = folder / "made.tar"
    with TarWriter(local) as tar:
        offsets = [tar.add(f"{n:032x}.jpg", body) for n, body in enumerate(BODIES)]
    store.publish(store.images_file("a"), local)
    return offsets


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_offset_and_size_give_back_what_the_tar_was_given(tmp_path: Path, scheme: str, whole: bool) -> None:
    store = Store(str(tmp_path / "root") if scheme == "file" else f"memory://{tmp_path.name}")
    offsets = _filled(store, tmp_path)
    with open_images(store, "a", whole=whole) as read:
        assert [read(at, len(body)) for at, body in zip(offsets, BODIES, strict=True)] == BODIES


def test_threads_share_a_reader(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    offsets = _filled(store, tmp_path)
    with open_images(store, "a") as read, ThreadPoolExecutor(8) as pool:
        order = [n * 7 % len(BODIES) for n in range(800)]
        assert list(pool.map(lambda n: read(offsets[n], len(BODIES[n])), order)) == [BODIES[n] for n in order]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_missing_or_short_tar_is_a_store_error(tmp_path: Path, scheme: str, whole: bool) -> None:
    store = Store(str(tmp_path / "root") if scheme == "file" else f"memory://{tmp_path.name}")
    with pytest.raises(StoreError, match=r"missing\.tar"):
        open_images(store, "missing", whole=whole)(0, 1)
    _filled(store, tmp_path)
    with open_images(store, "a", whole=whole) as read, pytest.raises(StoreError, match="ends at"):
        read(0, 10_000_000)


def test_a_tar_that_was_fetched_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"memory://{tmp_path.name}")
    offsets = _filled(store, tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with open_images(store, "a", whole=True) as read:
        assert read(offsets[1], len(BODIES[1])) == BODIES[1]
        assert list(scratch.iterdir()) == []  # nor would a killed reader


def test_a_shard_without_images_needs_no_tar(tmp_path: Path) -> None:
    with open_images(Store(str(tmp_path / "root")), "nothing") as read:
        read.close()
