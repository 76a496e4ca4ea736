"""The samples that one worker reads in one epoch, in their order, which can be left and taken up again.

An order is drawn on the samples' numbers, and their bytes follow: so the place at which a training run ended is found
again without reading what it has had. Only what waited in the shuffle buffer is read once more.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import webdataset as wds

from curation.load.shards import Even, Part, read_part

Sample = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What the order of a worker's samples depends on. ``shards`` are the tars in the release's order."""

    shards: tuple[str, ...]
    shuffle: int
    seed: int
    epoch: int
    even: Even
    rank: int
    world_size: int
    worker: int
    workers: int

    def fingerprint(self) -> str:
        """Of all but the epoch, and of the tars' names alone: a release may be moved."""
        told = asdict(self) | {"shards": [url.rsplit("/", 1)[-1] for url in self.shards], "epoch": None}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def state(self, read: int) -> dict[str, Any]:
        """The state of an iterator that has yielded so much."""
        return {"epoch": self.epoch, "read": read, "order": self.fingerprint()}

    def of_state(self, state: Mapping[str, Any]) -> tuple[Order, int]:
        """The order in a state's epoch, and how much was yielded. Raises ``ValueError`` for that of another order."""
        if state["order"] != self.fingerprint():
            raise ValueError(
                "this state was saved with another order of samples; load it with the same release, split, shuffle, "
                "seed, even, ranks and workers, or begin the epoch anew"
            )
        return replace(self, epoch=int(state["epoch"])), int(state["read"])

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

    def __next__(self) -> Sample:
        if self._samples is None:
            found = self._parts(self._order, counted=self._read > 0)
            self._samples = read(self._order, found, self._read)
        sample = self._finish(next(self._samples), self._order.epoch)
        self._read += 1
        return sample

    def state_dict(self) -> dict[str, Any]:
        """Where it is: plain data, for ``load_state_dict`` of an iterator of the same dataset, rank and worker."""
        return self._order.state(self._read)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on behind the samples that were read when the state was saved: none comes twice, none is lost.

        Nothing of what they were is read again, but for the shuffle buffer. Raises ``ValueError`` for a state of
        another order (another release, split, shuffle, seed, ``even``, number of ranks or workers), and once samples
        were read.
        """
        if self._samples is not None:
            raise ValueError("samples were read already; load a state into an iterator that is new")
        self._order, self._read = self._order.of_state(state)


def read(order: Order, parts: Sequence[Part], skip: int = 0) -> Iterator[Sample]:
    """The samples of a worker as bytes by extension, with the tar's URL, without the first ``skip`` of its order.

    The parts must have counts where some are skipped.
    """
    if skip == 0:
        return order.mixed(_samples(parts))
    return _rest(order, parts, skip)


def _rest(order: Order, parts: Sequence[Part], skip: int) -> Iterator[Sample]:
    place = Place(order, sum(part.count or 0 for part in parts))
    had = set(islice(place, skip))
    reader = Reader(parts, place.begun, had)
    for number in place:
        yield from reader.take([number])


class Place(Iterator[int]):
    """The numbers of a worker's samples in its order; ``begun`` of them have entered the shuffle buffer."""

    def __init__(self, order: Order, total: int) -> None:
        self.begun = 0
        self._mixed = order.mixed(self._numbers(total))

    def _numbers(self, total: int) -> Iterator[int]:
        for number in range(total):
            self.begun = number + 1
            yield number

    def __next__(self) -> int:
        return int(next(self._mixed))


class Reader:
    """Reads samples by their number, nearly in order. What is passed over waits in memory.

    Of the first ``begun`` numbers those in ``had`` are not read; tars that hold nothing else are not opened.
    The parts must have counts.
    """

    def __init__(self, parts: Sequence[Part], begun: int = 0, had: Collection[int] = ()) -> None:
        self._parts = parts
        self._waiting = dict(_wanted(parts, [number for number in range(begun) if number not in had]))
        self._samples = _samples(_behind(parts, begun))
        self._next = begun

    def take(self, numbers: Sequence[int]) -> list[Sample]:
        """The samples with these numbers. Those that were taken before are read once more."""
        while numbers and self._next <= max(numbers):
            self._waiting[self._next] = next(self._samples)
            self._next += 1
        again = dict(_wanted(self._parts, sorted({*numbers} - self._waiting.keys())))
        again |= {number: self._waiting.pop(number) for number in {*numbers} - again.keys()}
        return [again[number] for number in numbers]


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
