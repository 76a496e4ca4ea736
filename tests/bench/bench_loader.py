"""The loader against bare webdataset on the same tars, with the same workers; rounds alternate which side begins.

``loader`` yields decoded images with a caption each, in a shuffled order that can be left and taken up again; the other
side shuffles, decodes and reads the .json alike. ``loader_buckets`` yields batches of one size; the other side fits
each image to the same bucket and collects the same batches by hand. ``loader_state`` asks for the state after each
sample, against the loader without.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
import webdataset as wds
from torch.utils.data import DataLoader

from curation.load.buckets import Buckets, stacked
from curation.load.loader import load
from tests.support.images import encoded, natural
from tests.support.plain_release import plain_release

BUCKETS = Buckets(pixels=512 * 512)
SIZES = ((512, 512), (512, 680), (700, 512), (900, 512), (512, 768))
BATCH, WORKERS, ROUNDS = 8, 2, 5


def _jpeg(width: int, height: int, number: int) -> bytes:
    return encoded(natural(width, height, seed=number % 40), "JPEG", quality=90)


def _bare(urls: list[str]) -> Iterator[Any]:
    return iter(wds.WebDataset(urls, shardshuffle=False, empty_check=False).shuffle(1000).decode("pilrgb"))


class _Bare(torch.utils.data.IterableDataset[Any]):
    def __init__(self, urls: list[str], finish: Callable[[Iterator[Any]], Iterator[Any]]) -> None:
        self.urls = urls
        self.finish = finish

    def __iter__(self) -> Iterator[Any]:
        return self.finish(_bare(self.urls))


def _as_is(samples: Iterator[Any]) -> Iterator[Any]:
    for sample in samples:
        yield sample["jpg"], sample["json"]["caption"]


def _in_buckets(samples: Iterator[Any]) -> Iterator[Any]:
    waiting: dict[int, list[Any]] = {}
    for sample in samples:
        width, height = sample["json"]["width"], sample["json"]["height"]
        [bucket] = BUCKETS.of(np.array([width]), np.array([height]))
        part, _ = BUCKETS.fitted(sample["jpg"], int(bucket), 0.0)
        group = waiting.setdefault(int(bucket), [])
        group.append(torch.from_numpy(np.array(part).transpose(2, 0, 1).copy()))
        if len(group) == BATCH:
            yield stacked(group)
            group.clear()


def _seconds(made: Callable[[], Iterable[Any]]) -> float:
    started = time.perf_counter()
    for _ in made():
        pass
    return time.perf_counter() - started


def _through_workers(dataset: Any) -> DataLoader[Any]:
    return DataLoader(dataset, batch_size=None, num_workers=WORKERS, collate_fn=_alone)


def _alone(sample: Any) -> int:
    """Images stay in their worker: what is measured is not how they come out of it, which is the same for both."""
    return 0


def _stated(dataset: Any) -> Iterator[Any]:
    samples = iter(dataset)
    for sample in samples:
        samples.state_dict()
        yield sample


def _tell(name: str, ours: Callable[[], Iterable[Any]], theirs: Callable[[], Iterable[Any]], images: int) -> None:
    rounds: list[tuple[float, float]] = []
    for number in range(ROUNDS + 1):
        if number % 2:
            own, other = _seconds(ours), _seconds(theirs)
        else:
            other, own = _seconds(theirs), _seconds(ours)
        rounds.append((own, other))
    own, other = (statistics.median(r[side] for r in rounds[1:]) for side in (0, 1))
    print(f"{name} ratio={other / own:.2f} ours={images / own:.0f}/s theirs={images / other:.0f}/s", flush=True)


def main(samples: int = 200) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [[SIZES[(k + n) % len(SIZES)] for k in range(samples)] for n in range(4)]
        root = plain_release(Path(folder), sizes, _jpeg, extension="jpg")
        open_release = partial(load, root, shuffle=1000)
        urls = [url.removeprefix("file://") for url in open_release().shards]
        total = 4 * samples
        plain, grouped = _Bare(urls, _as_is), _Bare(urls, _in_buckets)
        bucketed = open_release(even="drop", decode="tensor").bucketed(BATCH, BUCKETS)
        _tell("loader", open_release, lambda: plain, total)
        _tell("loader_buckets", lambda: bucketed, lambda: grouped, total)
        _tell("loader_state", lambda: _stated(open_release()), open_release, total)
        tail = f"_{WORKERS}_workers"
        _tell("loader" + tail, lambda: _through_workers(open_release()), lambda: _through_workers(plain), total)
        _tell("loader_buckets" + tail, lambda: _through_workers(bucketed), lambda: _through_workers(grouped), total)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
