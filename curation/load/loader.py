"""What training code imports: a release as an iterable of images with mixed captions.

from torch.utils.data import DataLoader
from curation.loader import load

train = load("runs/refined", split="train", captions={"dense": 0.5, "alt_text": 0.5}, seed=0)
for epoch in range(10):
    train.set_epoch(epoch)
    for sample in DataLoader(train, batch_size=None, num_workers=4):
        sample["image"], sample["caption"], sample["caption_kind"], sample["json"]
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing.context
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal

import fsspec
import numpy as np
import torch
import webdataset as wds
from PIL import Image
from torch.utils.data import IterableDataset
from webdataset.tariterators import group_by_keys, tar_file_expander

from curation.core.errors import RootError

Decode = Literal["pil", "tensor", "bytes"]
Sample = dict[str, Any]

_SHARD = re.compile(r"(?P<split>[a-z]+)-\d{6,}\.tar")


def load(
    root_or_release_url: str,
    split: str = "train",
    captions: Mapping[str, float] | None = None,
    *,
    shuffle: int = 1000,
    seed: int = 0,
    epoch: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
    decode: bool | Decode = True,
    transform: Callable[[Any], Any] | None = None,
) -> ReleaseDataset:
    """The samples of a split, each with one caption.

    ``captions`` weighs kinds of caption, ``alt_text`` and ``preferred`` (the .txt) against each other; without
    it every sample has its preferred one. A sample's draw depends on (seed, epoch, sample_id) alone; kinds
    that it lacks do not take part, and where it has none of them it has its preferred one.

    ``shuffle`` is the size of the shuffle buffer in samples, 0 for the release's own order. Samples are
    divided among ranks (those of torch.distributed by default) and DataLoader workers, by shards where there
    are enough of them; each is read exactly once an epoch, and ranks may differ by some samples.

    ``decode``: True or "pil" an RGB image, "tensor" a uint8 tensor (3, height, width), False or "bytes" the JPEG;
    ``transform`` is applied to that. Raises ``RootError`` when there is no such split, ``ValueError`` for weights
    that cannot be drawn from.
    """
    weights = dict(captions or {"preferred": 1.0})
    if any(w < 0 for w in weights.values()) or not sum(weights.values()) > 0:
        raise ValueError(f"captions are weights of 0 or more with a positive sum, not {weights}")
    if (rank is None) != (world_size is None):
        raise ValueError("name both rank and world_size, or neither")
    if rank is not None and world_size is not None and not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is none of the {world_size} ranks from 0")
    decoder = {True: "pil", False: "bytes"}.get(decode, decode) if isinstance(decode, bool) else decode
    shards = find_shards(root_or_release_url, split)
    place = None if rank is None or world_size is None else (rank, world_size)
    return ReleaseDataset(shards, weights, shuffle, seed, epoch, place, _DECODERS[str(decoder)], transform)


def find_shards(root_or_release_url: str, split: str) -> list[str]:
    """The URLs of a split's tars in order. Raises ``RootError`` naming the splits there are."""
    fs, path = fsspec.core.url_to_fs(root_or_release_url)
    folder = path.rstrip("/")
    for candidate in (f"{folder}/release", folder):
        if not fs.isdir(candidate):
            continue
        names = (str(f).rstrip("/").rsplit("/", 1)[-1] for f in fs.ls(candidate, detail=False))
        tars = sorted(n for n in names if _SHARD.fullmatch(n))
        found = [n for n in tars if n.rsplit("-", 1)[0] == split]
        if found:
            return [str(fs.unstrip_protocol(f"{candidate}/{n}")) for n in found]
        if tars:
            splits = sorted({n.rsplit("-", 1)[0] for n in tars})
            raise RootError(f"{root_or_release_url} has no split {split!r}; it has {splits}")
    raise RootError(f"{root_or_release_url} holds no release: no tar such as train-000000.tar is there")


def draw_caption(annotation: Mapping[str, Any], weights: Mapping[str, float], seed: int, epoch: int) -> tuple[str, str]:
    """The caption of a sample in an epoch, and its kind, from the sample's .json."""
    preferred = (str(annotation["caption"]), str(annotation["caption_kind"]))
    there: dict[str, tuple[str, str]] = {k: (t, k) for k, t in annotation.get("captions", {}).items()}
    if str(annotation["alt_text"]).strip():
        there["alt_text"] = (str(annotation["alt_text"]), "alt_text")
    there.setdefault(preferred[1], preferred)  # news has one kind only, which is not told twice
    there["preferred"] = preferred
    possible = [(kind, weight) for kind, weight in sorted(weights.items()) if weight > 0 and kind in there]
    point = _fraction(seed, epoch, annotation["sample_id"]) * sum(weight for _, weight in possible)
    for kind, weight in possible:
        point -= weight
        if point < 0:
            return there[kind]
    return there[possible[-1][0]] if possible else preferred


class ReleaseDataset(IterableDataset[Sample]):
    """Yields dicts of image, caption, caption_kind and json. Made by ``load``."""

    def __init__(
        self,
        shards: list[str],
        weights: Mapping[str, float],
        shuffle: int,
        seed: int,
        epoch: int,
        place: tuple[int, int] | None,
        decode: Callable[[bytes], Any],
        transform: Callable[[Any], Any] | None,
    ) -> None:
        self.shards = shards
        self._weights = dict(weights)
        self._shuffle = shuffle
        self._seed = seed
        # In shared memory, so that workers that outlive an epoch see the next one.
        self._epoch = torch.tensor([epoch]).share_memory_()  # type: ignore[no-untyped-call]
        self._place = place
        self._decode = decode
        self._transform = transform

    def set_epoch(self, epoch: int) -> None:
        """Shuffles anew and draws other captions from the next iteration on."""
        self._epoch[0] = epoch

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        # A worker that is spawned belongs to no process group: its rank is that of the process that starts it.
        if self._place is None and multiprocessing.context.get_spawning_popen() is not None:
            state["_place"] = _place_in_group()
        return state

    def __iter__(self) -> Iterator[Sample]:
        epoch = int(self._epoch[0])
        rank, world_size, worker, workers = wds.utils.pytorch_worker_info()
        if self._place is not None:
            rank, world_size = self._place
        consumer, consumers = rank * workers + worker, world_size * workers
        shards = list(self.shards)
        if self._shuffle:
            random.Random(f"{self._seed}:{epoch}").shuffle(shards)  # noqa: S311  # an order, not a secret
        by_shard = len(shards) >= consumers
        samples = _read(islice(shards, consumer, None, consumers) if by_shard else shards)
        if not by_shard:
            samples = islice(samples, consumer, None, consumers)
        if self._shuffle > 1:
            chance = random.Random(f"{self._seed}:{epoch}:{consumer}")  # noqa: S311
            samples = wds.filters.shuffle(self._shuffle, initial=self._shuffle, rng=chance)(samples)
        return (self._finish(sample, epoch) for sample in samples)

    def _finish(self, sample: Sample, epoch: int) -> Sample:
        annotation = json.loads(sample["json"])
        caption, kind = draw_caption(annotation, self._weights, self._seed, epoch)
        image = self._decode(sample["jpg"]) if "jpg" in sample else None
        if image is not None and self._transform is not None:
            image = self._transform(image)
        return {"image": image, "caption": caption, "caption_kind": kind, "json": annotation}


def _place_in_group() -> tuple[int, int] | None:
    """Rank and world size of this process where it has joined a group of torch.distributed."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def _read(urls: Iterable[str]) -> Iterator[Sample]:
    # A file opened here may have any name; webdataset would look for braces and protocols in it.
    for url in urls:
        fs, path = fsspec.core.url_to_fs(url)
        with fs.open(path, "rb") as stream:
            yield from group_by_keys(tar_file_expander([{"url": url, "stream": stream}]))


def _fraction(seed: int, epoch: int, sample_id: str) -> float:
    digest = hashlib.sha256(f"{seed}:{epoch}:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2.0**48


def _pil(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _tensor(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.array(_pil(data)).transpose(2, 0, 1).copy())


def _bytes(data: bytes) -> bytes:
    return data


_DECODERS: dict[str, Callable[[bytes], Any]] = {"pil": _pil, "tensor": _tensor, "bytes": _bytes}
