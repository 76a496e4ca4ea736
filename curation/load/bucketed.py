"""A release as batches of one size each; see ``curation.load.buckets``. Made by ``ReleaseDataset.bucketed``.

Which samples make a batch follows from their sizes in the release's metadata, before any is read. So all ranks know
how many batches each of them has, and a training run goes on behind its last batch without reading what it has had.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from curation.load.buckets import Buckets, Numbers, opened, stacked
from curation.load.captions import fraction
from curation.load.shards import Part, part_of, parts, share, sizes_of_images
from curation.load.stream import Order, Place, Reader, Sample

if TYPE_CHECKING:
    from curation.load.loader import ReleaseDataset

log = logging.getLogger(__name__)


class BucketedRelease(IterableDataset[Sample]):
    """Yields batches: dicts of ``image``, ``caption``, ``caption_kind``, ``json`` and, for SDXL's conditions,
    ``original_size``, ``crop_top_left`` and ``target_size`` (int64 (batch, 2), height or top first)."""

    def __init__(self, release: ReleaseDataset, buckets: Buckets, batch: int) -> None:
        self._release = release
        self._buckets = buckets
        self._batch = batch
        self._of: dict[str, Numbers] = {}

    def set_epoch(self, epoch: int) -> None:
        """As that of ``ReleaseDataset``."""
        self._release.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """As that of ``ReleaseDataset``."""
        return self._release.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As that of ``ReleaseDataset``."""
        self._release.load_state_dict(state)

    def __iter__(self) -> Batches:
        return Batches(self._release.order(), self._plan, self._finish)

    def _plan(self, order: Order) -> tuple[list[Part], Groups]:
        """What a worker reads, and how it is grouped."""
        shards = order.of_shards()
        if not self._of:
            for url, sizes in zip(shards, sizes_of_images(shards), strict=True):
                self._of[url] = self._buckets.of(sizes[:, 0], sizes[:, 1])
        every = np.concatenate([self._of[url] for url in shards])
        spans = [
            part_of(*share(len(every), order.world_size, rank, order.even), order.workers, order.worker)
            for rank in range(order.world_size)
        ]
        counts = [_batches(_own(every, *span), self._batch, order.even) for span in spans]
        number = counts[order.rank]
        if order.even != "none":
            number = (min if order.even == "drop" else max)(counts)
        span = spans[order.rank]
        found = parts(shards, [len(self._of[url]) for url in shards], *span, self._release.cache)
        return found, Groups(order, _own(every, *span), self._batch, number)

    def _finish(self, samples: Sequence[Sample], bucket: int, epoch: int) -> Sample:
        rows = [self._release.told(sample, epoch) for sample in samples]
        sizes, corners = [], []
        for row in rows:
            image = opened(row["image"])
            chance = fraction(self._release.seed, epoch, f"crop:{row['json']['sample_id']}")
            part, corner = self._buckets.fitted(image, bucket, chance)
            row["image"] = self._release.prepared(part)
            sizes.append((image.height, image.width))
            corners.append(corner)
        width, height = self._buckets.sizes[bucket]
        return {key: stacked([row[key] for row in rows]) for key in rows[0]} | {
            "original_size": torch.tensor(sizes),
            "crop_top_left": torch.tensor(corners),
            "target_size": torch.tensor([(height, width)] * len(rows)),
        }


class Groups:
    """The batches of a worker in an epoch, by the numbers of its samples, each with its bucket's number.

    ``bucket_of`` has the bucket of each sample. With ``even="drop"`` samples are left out at the end that fill no
    batch; with "none" the last batch of each bucket is smaller; with "repeat" it is filled up with samples of that
    bucket, and the first batches come once more until there are ``number``.
    """

    def __init__(self, order: Order, bucket_of: Numbers, size: int, number: int) -> None:
        self.place = Place(order, len(bucket_of))
        self._even = order.even
        self._bucket_of = bucket_of
        self._size = size
        self._number = number

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        return islice(self._all(), self._number)

    def _all(self) -> Iterator[tuple[int, list[int]]]:
        waiting: dict[int, list[int]] = {}
        first: list[tuple[int, list[int]]] = []
        # Only so many can be wanted again: what ranks differ by is less than the number of buckets.
        kept = len(np.unique(self._bucket_of)) if self._even == "repeat" else 0
        for number in self.place:
            bucket = int(self._bucket_of[number])
            group = waiting.setdefault(bucket, [])
            group.append(number)
            if len(group) == self._size:
                del waiting[bucket]
                if len(first) < kept:
                    first.append((bucket, group))
                yield bucket, group
        if self._even == "drop":
            return
        for bucket, group in sorted(waiting.items()):
            full = (bucket, self._filled(bucket, group) if self._even == "repeat" else group)
            if len(first) < kept:
                first.append(full)
            yield full
        while first and self._even == "repeat":
            yield from first

    def _filled(self, bucket: int, group: list[int]) -> list[int]:
        """A batch that is too small, with other samples of its bucket, or its own again where there are no others."""
        others = np.setdiff1d(np.flatnonzero(self._bucket_of == bucket), group)
        more = [*map(int, others), *group]
        return group + [more[at % len(more)] for at in range(self._size - len(group))]


class Batches(Iterator[Sample]):
    """The batches of one worker in one epoch. torchdata's StatefulDataLoader saves and restores its place."""

    def __init__(
        self,
        order: Order,
        plan: Callable[[Order], tuple[list[Part], Groups]],
        finish: Callable[[Sequence[Sample], int, int], Sample],
    ) -> None:
        self._order = order
        self._plan = plan
        self._finish = finish
        self._read = 0
        self._batches: Iterator[tuple[int, list[Sample]]] | None = None

    def __next__(self) -> Sample:
        if self._batches is None:
            self._batches = self._from(self._read)
        bucket, samples = next(self._batches)
        batch = self._finish(samples, bucket, self._order.epoch)
        self._read += 1
        return batch

    def _from(self, skip: int) -> Iterator[tuple[int, list[Sample]]]:
        found, groups = self._plan(self._order)
        numbers = iter(groups)
        had = {number for _, group in islice(numbers, skip) for number in group}
        reader = Reader(found, groups.place.begun, had)
        for bucket, group in numbers:
            yield bucket, reader.take(group)

    def state_dict(self) -> dict[str, Any]:
        """Where it is: plain data, for ``load_state_dict`` of an iterator of the same dataset, rank and worker."""
        return self._order.state(self._read)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on behind the batches that were read when the state was saved. Raises ``ValueError`` as ``Samples``."""
        if self._batches is not None:
            raise ValueError("batches were read already; load a state into an iterator that is new")
        self._order, self._read = self._order.of_state(state)


def _own(every: Numbers, first: int, count: int) -> Numbers:
    """The buckets of ``count`` samples from the ``first`` on, counted on from the end to the beginning again."""
    return every[(first + np.arange(count)) % max(1, len(every))]


def _batches(buckets: Numbers, size: int, even: str) -> int:
    """How many batches these samples make."""
    counts = np.bincount(buckets)
    return int((counts // size if even == "drop" else -(-counts // size)).sum())
