"""Ranks and workers read what they should: evenly, all of it, and nothing in silence."""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from curation.core.errors import RootError
from curation.load.loader import load
from curation.load.shards import Even, Part, count_samples, part_of, parts, read_part, share

SIZES = st.lists(st.integers(0, 7), min_size=1, max_size=6)
EVEN: tuple[Even, ...] = ("repeat", "drop", "none")


def read(sizes: list[int], ranks: int, workers: int, even: Even) -> list[list[list[tuple[str, int]]]]:
    """Which samples each worker of each rank reads."""
    urls = [str(n) for n in range(len(sizes))]
    return [
        [
            [
                (part.url, part.first + n)
                for part in parts(urls, sizes, *part_of(*share(sum(sizes), ranks, rank, even), workers, worker))
                for n in range(part.count or 0)
            ]
            for worker in range(workers)
        ]
        for rank in range(ranks)
    ]


@given(SIZES, st.integers(1, 9), st.integers(1, 4), st.sampled_from(EVEN))
def test_every_rank_and_worker_reads_its_share(sizes: list[int], ranks: int, workers: int, even: Even) -> None:
    total = sum(sizes)
    if even == "drop" and 0 < total < ranks:
        with pytest.raises(RootError, match="too few"):
            read(sizes, ranks, workers, even)
        return
    found = read(sizes, ranks, workers, even)
    by_rank = [[s for worker in rank for s in worker] for rank in found]
    counts = Counter(s for rank in by_rank for s in rank)
    every = {(str(n), at) for n, size in enumerate(sizes) for at in range(size)}
    assert counts.keys() <= every
    lengths = [len(rank) for rank in by_rank]
    assert max(lengths) - min(lengths) <= (even == "none")
    assert min(lengths) > 0 or total < ranks
    assert even != "repeat" or min(lengths) > 0 or not total
    assert all(len(set(rank)) == len(rank) for rank in by_rank)
    match even:
        case "repeat":
            assert counts.keys() == every and sum(counts.values()) - total < ranks
        case "drop":
            assert set(counts.values()) <= {1} and total - len(counts) < ranks
        case "none":
            assert counts.keys() == every and set(counts.values()) <= {1}
    if even != "none":
        # Workers make the batches: of one number they must read equally many in every rank.
        assert len({tuple(len(worker) for worker in rank) for rank in found}) == 1


def tar(path: Path, members: list[tuple[str, bytes]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as written:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
    return str(path)


def sample(key: str) -> list[tuple[str, bytes]]:
    fields = {"sample_id": key, "alt_text": "alt", "caption": key, "caption_kind": "dense"}
    return [(f"{key}.jpg", key.encode()), (f"{key}.txt", key.encode()), (f"{key}.json", json.dumps(fields).encode())]


def release(folder: Path, sizes: list[int]) -> str:
    number = iter(range(1000))
    for n, size in enumerate(sizes):
        tar(folder / f"train-{n:06d}.tar", [m for _ in range(size) for m in sample(f"s{next(number):03d}")])
    return str(folder)


def keys(dataset: Any) -> list[str]:
    return [s["json"]["sample_id"] for s in dataset]


@pytest.mark.parametrize("sizes", [[3, 3, 3], [9], [1] * 9, [8, 1], [0, 9, 0]])
@pytest.mark.parametrize("world", [2, 3, 4, 9, 10])
@pytest.mark.parametrize("shuffle", [0, 5])
def test_by_default_all_ranks_read_equally_many_and_every_sample(
    sizes: list[int], world: int, shuffle: int, tmp_path: Path
) -> None:
    url = release(tmp_path, sizes)
    found = [keys(load(url, rank=rank, world_size=world, decode="bytes", shuffle=shuffle)) for rank in range(world)]
    assert len({len(rank) for rank in found}) == 1 and found[0]
    assert {s for rank in found for s in rank} == {f"s{n:03d}" for n in range(9)}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_all_ranks_make_equally_many_batches(workers: int, tmp_path: Path) -> None:
    url = release(tmp_path, [4, 5, 2])
    batches = []
    for rank in range(2):
        dataset = load(url, rank=rank, world_size=2, decode="bytes")
        loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=list)
        batches.append([len(batch) for batch in loader])
    assert batches[0] == batches[1] and sum(batches[0]) == 6


def test_ranks_that_differ_are_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = release(tmp_path, [4, 5])
    with caplog.at_level(logging.WARNING):
        load(url, rank=0, world_size=3, even="none")
        assert caplog.records == []
        load(url, rank=0, world_size=2, even="none")
    assert "9 samples do not divide by 2 ranks" in caplog.text


def test_a_reader_that_is_alone_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.load.loader.count_samples", lambda _: int("no"))
    assert len(keys(load(release(tmp_path, [2, 3]), decode="bytes"))) == 5


def test_samples_are_counted_once_whatever_the_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("curation.load.loader.count_samples", lambda urls: asked.append(1) or count_samples(urls))
    dataset = load(release(tmp_path, [2, 3]), rank=0, world_size=2, decode="bytes")
    for epoch in range(3):
        dataset.set_epoch(epoch)
        assert len(keys(dataset)) == 3
    assert asked == [1]


def _train(rank: int, url: str, meeting: str, found: Any) -> None:
    """A rank that meets the others at every step, as DDP does when gradients are shared."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    try:
        steps = 0
        loader = DataLoader(load(url, decode="bytes"), batch_size=2, num_workers=2, collate_fn=list)
        for batch in loader:
            total = torch.tensor([len(batch)])
            torch.distributed.all_reduce(total)
            steps += 1
        torch.distributed.barrier()
        found[rank] = steps
    finally:
        torch.distributed.destroy_process_group()


def test_ranks_that_meet_at_every_step_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    url = release(tmp_path / "release", [1, 4, 2])
    found = torch.multiprocessing.get_context("spawn").Manager().dict()
    torch.multiprocessing.spawn(_train, (url, str(tmp_path / "meeting"), found), nprocs=2)
    assert dict(found) == {0: 2, 1: 2}


# What a tar holds


ODD: dict[str, tuple[list[tuple[str, bytes]], int, int]] = {
    # members, samples, members that are not read
    "as released": (sample("a") + sample("b"), 2, 0),
    "dots in the name": (sample("photo v2.0") + sample("photo v2.1"), 2, 0),
    "a folder in front": (sample("x/a") + sample("y.d/a"), 2, 0),
    "an image without .json": ([*sample("a"), ("b.jpg", b"b"), *sample("c")], 2, 1),
    "an image twice": ([*sample("a"), ("a.jpg", b"other")], 1, 1),
    "extensions in capitals": ([("a.JPG", b"a"), ("a.JSON", b"{}")], 1, 0),
    "no extension": ([("README", b"text"), *sample("a"), (".hidden", b"")], 1, 2),
    "further members": ([("a.jpg", b"a"), ("a.json", b"{}"), ("a.npy", b"1"), ("a.seg.png", b"2")], 1, 1),
    "a name webdataset passes over": ([("__meta__/a.jpg", b"a"), *sample("a")], 1, 1),
    "nothing": ([], 0, 0),
}


@pytest.mark.parametrize("name", ODD)
def test_every_member_of_a_tar_is_read_or_counted(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    members, samples, unread = ODD[name]
    url = tar(tmp_path / "train-000000.tar", members)
    with caplog.at_level(logging.WARNING):
        found = list(read_part(Part(url)))
    assert (count_samples([url]), len(found)) == ([samples], samples)
    assert sum(len(s) for s in found) + unread == len(members)
    assert [r.getMessage() for r in caplog.records if f"{unread} members are not read" in r.getMessage()] or not unread


def test_a_damaged_tar_is_an_error_that_names_it(tmp_path: Path) -> None:
    url = tar(tmp_path / "train-000000.tar", [m for n in range(4) for m in sample(f"s{n}")])
    whole = Path(url).read_bytes()
    for size in (len(whole) - 10240, 3 * 512, 5 * 512 + 7, 100):
        Path(url).write_bytes(whole[:size])
        with pytest.raises(RootError, match=r"train-000000\.tar"):
            list(read_part(Part(url, 0, 4)))
    Path(url).write_bytes(b"no tar at all" * 100)
    with pytest.raises(RootError, match=r"train-000000\.tar is damaged"):
        list(read_part(Part(url)))


@pytest.mark.parametrize("data", [b"{", b"[1]", b"\xff"])
def test_a_json_that_is_none_is_an_error_that_names_its_tar(data: bytes, tmp_path: Path) -> None:
    tar(tmp_path / "train-000000.tar", [("a.jpg", b"a"), ("a.json", data)])
    with pytest.raises(RootError, match=r"train-000000\.tar has a \.json"):
        list(load(str(tmp_path), decode="bytes"))
