"""The samples that one worker reads in one epoch, in their order, which can be left and taken up again.

An order is drawn on the samples' numbers, and their bytes follow: so the place at which a training run ended is found
again without reading what it has had. Only what waited in the shuffle buffer is read once more.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import webdataset as wds

from curation.load.shards import Part, read_part

Sample = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What the order of a worker's samples depends on. ``shards`` are the tars in the release's order."""

    shards: tuple[str, ...]
    shuffle: int
    seed: int
    epoch: int
    even: str
    rank: int
    world_size: int
    worker: int
    workers: int

    def fingerprint(self) -> str:
        """Of all but the epoch, and of the tars' names alone: a release may be moved."""
        told = asdict(self) | {"shards": [url.rsplit("/", 1)[-1] for url in self.shards], "epoch": None}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def of_shards(self) -> list[str]:
        """The tars in the order in which they are read."""
        shards = list(self.shards)
        if self.shuffle:
            random.Random(f"{self.seed}:{self.epoch}").shuffle(shards)  # noqa: S311  # an order, not a secret
        return shards

    def mixed(self, found: Iterator[Any]) -> Iterator[Any]:
        """Through the shuffle buffer, whatever they are."""
        if self.shuffle <= 1:
            return found
        place = self.rank * self.workers + self.worker
        chance = random.Random(f"{self.seed}:{self.epoch}:{place}")  # noqa: S311  # an order, not a secret
        mixed: Iterator[Any] = wds.filters.shuffle(self.shuffle, initial=self.shuffle, rng=chance)(found)
        return mixed


class Samples(Iterator[Sample]):
    """The samples of one worker in one epoch. torchdata's StatefulDataLoader saves and restores its place."""

    def __init__(
        self,
        order: Order,
        parts_of_order: Callable[..., list[Part]],
        finish: Callable[[Sample, int], Sample],
    ) -> None:
        self._order = order
        self._parts = parts_of_order
        self._finish = finish
        self._read = 0
        self._samples: Iterator[Sample] | None = None

    @property
    def epoch(self) -> int:
        """The epoch that is read."""
        return self._order.epoch

    def __next__(self) -> Sample:
        if self._samples is None:
            found = self._parts(self._order, counted=self._read > 0)
            self._samples = read(self._order, found, self._read)
        sample = self._finish(next(self._samples), self._order.epoch)
        self._read += 1
        return sample

    def state_dict(self) -> dict[str, Any]:
        """Where it is: plain data, for ``load_state_dict`` of an iterator of the same dataset, rank and worker."""
        return {"epoch": self._order.epoch, "read": self._read, "order": self._order.fingerprint()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on behind the samples that were read when the state was saved: none comes twice, none is lost.

        Nothing of what they were is read again, but for the shuffle buffer. Raises ``ValueError`` for a state of
        another order (another release, split, shuffle, seed, ``even``, number of ranks or workers), and once samples
        were read.
        """
        if self._samples is not None:
            raise ValueError("samples were read already; load a state into an iterator that is new")
        if state["order"] != self._order.fingerprint():
            raise ValueError(
                "this state was saved with another order of samples; load it with the same release, split, shuffle, "
                "seed, even, ranks and workers, or begin the epoch anew"
            )
        self._order = replace(self._order, epoch=int(state["epoch"]))
        self._read = int(state["read"])


class Derived(Iterator[Sample]):
    """What is made of each sample in its epoch, with the place of the samples."""

    def __init__(self, samples: Samples, make: Callable[[Sample, int], Sample]) -> None:
        self._samples = samples
        self._make = make

    def __next__(self) -> Sample:
        sample = next(self._samples)
        return self._make(sample, self._samples.epoch)

    def state_dict(self) -> dict[str, Any]:
        """As that of ``Samples``."""
        return self._samples.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As that of ``Samples``."""
        self._samples.load_state_dict(state)


def read(order: Order, parts: Sequence[Part], skip: int = 0) -> Iterator[Sample]:
    """The samples of a worker as bytes by extension, with the tar's URL, without the first ``skip`` of its order.

    The parts must have counts where some are skipped.
    """
    if skip == 0:
        return order.mixed(_samples(parts))
    return _rest(order, parts, skip)


def _rest(order: Order, parts: Sequence[Part], skip: int) -> Iterator[Sample]:
    total = sum(part.count or 0 for part in parts)
    begun = 0  # numbers that have entered the buffer
    fetched: Iterator[Sample] = iter(())  # the samples that will
    cache: dict[int, Sample] = {}
    resumed = False

    def numbers() -> Iterator[int]:
        nonlocal begun
        for number in range(total):
            begun = number + 1
            if resumed:
                cache[number] = next(fetched)
            yield number

    mixed = order.mixed(numbers())
    waiting = bytearray(b"\1") * total
    for number in islice(mixed, skip):
        waiting[number] = 0
    cache.update(_wanted(parts, [n for n in range(begun) if waiting[n]]))
    fetched, resumed = _samples(_behind(parts, begun)), True
    for number in mixed:
        yield cache.pop(number)


def _samples(parts: Sequence[Part]) -> Iterator[Sample]:
    return ({"url": part.url} | sample for part in parts for sample in read_part(part))


def _behind(parts: Sequence[Part], first: int) -> list[Part]:
    """What is left of the parts behind their first samples."""
    left = []
    for part in parts:
        count = part.count or 0
        if first < count:
            left.append(replace(part, first=part.first + first, count=count - first))
        first = max(0, first - count)
    return left


def _wanted(parts: Sequence[Part], numbers: Sequence[int]) -> Iterator[tuple[int, Sample]]:
    """The samples with these numbers, which are sorted; tars that hold none of them are not opened."""
    start, at = 0, 0
    for part in parts:
        end = start + (part.count or 0)
        own = []
        while at < len(numbers) and numbers[at] < end:
            own.append(numbers[at] - start)
            at += 1
        if own:
            needed = replace(part, first=part.first + own[0], count=own[-1] - own[0] + 1)
            wanted = set(own)
            for place, sample in enumerate(_samples([needed]), own[0]):
                if place in wanted:
                    yield start + place, sample
        start = end
