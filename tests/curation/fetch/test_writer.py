"""Members stand in row order whatever order they arrive in, and memory does not follow the disorder."""

from __future__ import annotations

import random
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.tar import TarWriter
from curation.fetch.output import OrderedTar, statistics


def write(folder: Path, order: list[int], bodies: list[bytes | None], spill_above: int) -> bytes:
    path = folder / "a.tar"
    with OrderedTar(path, folder / "spill", [f"{i}.jpg" for i in range(len(bodies))], spill_above) as tar:
        for row in order:
            tar.put(row, bodies[row])
        assert tar.written == len(bodies)
        data = path.read_bytes()
    data = path.read_bytes()
    for body, offset in zip(bodies, tar.offsets, strict=True):
        assert (body is None) == (offset is None)
        if body is not None and offset is not None:
            assert data[offset : offset + len(body)] == body
    assert not (folder / "spill").exists()
    return data


@given(st.lists(st.one_of(st.none(), st.binary(max_size=2000)), max_size=12), st.randoms(), st.integers(0, 4000))
@settings(max_examples=80, deadline=None)
def test_any_order_gives_the_same_tar(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes | None], mixed: random.Random, spill_above: int
) -> None:
    folder = tmp_path_factory.mktemp("tar")
    order = list(range(len(bodies)))
    mixed.shuffle(order)
    found = write(folder, order, bodies, spill_above)
    with TarWriter(folder / "plain.tar") as plain:
        for row, body in enumerate(bodies):
            if body is not None:
                plain.add(f"{row}.jpg", body)
    assert found == (folder / "plain.tar").read_bytes()


def test_what_waits_is_spilled_beyond_the_limit(tmp_path: Path) -> None:
    bodies: list[bytes | None] = [bytes([n]) * (1 << 20) for n in range(40)]
    tracemalloc.start()
    try:
        with OrderedTar(tmp_path / "a.tar", tmp_path / "spill", [f"{n}" for n in range(40)], 4 << 20) as tar:
            before, _ = tracemalloc.get_traced_memory()
            for row in range(39, -1, -1):
                body = bodies[row]
                bodies[row] = None
                tar.put(row, body)
            _, peak = tracemalloc.get_traced_memory()
            assert (tmp_path / "spill").stat().st_size >= 30 << 20
        assert peak < before + (4 << 20)
    finally:
        tracemalloc.stop()
    with tarfile.open(tmp_path / "a.tar") as archive:
        for number, member in enumerate(archive):
            file = archive.extractfile(member)
            assert file is not None
            assert set(file.read()) == {number}


def test_a_row_is_put_once(tmp_path: Path) -> None:
    with OrderedTar(tmp_path / "a.tar", tmp_path / "spill", ["a", "b", "c"]) as tar:
        tar.put(2, b"x")
        with pytest.raises(ValueError, match="row 2 is put twice"):
            tar.put(2, b"x")
        tar.put(0, None)
        with pytest.raises(ValueError, match="row 0 is put twice"):
            tar.put(0, b"x")


def test_statistics_of_nothing() -> None:
    assert b'"count": 0' in statistics([])
