"""A release as an iterable of images with mixed captions, for training code to import::

    from torch.utils.data import DataLoader
    from curation.loader import load

    train = load("runs/refined", split="train", captions={"dense": 0.5, "alt_text": 0.5}, seed=0)
    for epoch in range(10):
        train.set_epoch(epoch)
        for sample in DataLoader(train, batch_size=None, num_workers=4):
            sample["image"], sample["caption"], sample["caption_kind"], sample["json"]

``train.bucketed(8)`` yields batches instead, of images of one size each (see ``curation.load.buckets``).
With ``features=True`` a sample has the hidden states of its caption too (see ``curation.load.features``).
"""

from __future__ import annotations

import logging
import multiprocessing.context
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import numpy as np
import torch
import webdataset as wds
from torch.utils.data import IterableDataset

from curation.load.bucketed import BucketedRelease
from curation.load.buckets import Buckets, opened
from curation.load.cache import TarCache
from curation.load.captions import PREFERRED, Captions, draw_caption
from curation.load.features import Packed, pack, pad
from curation.load.kinds import must_have_kinds
from curation.load.shards import IMAGES, Even, Part, annotation_of, count_samples, find_shards, part_of, parts, share
from curation.load.sidecar import FeaturesForm, Sidecar
from curation.load.stream import Order, Sample, Samples

__all__ = [
    "BucketedRelease",
    "Buckets",
    "Packed",
    "ReleaseDataset",
    "Sample",
    "draw_caption",
    "find_shards",
    "load",
    "pack",
    "pad",
]

Decode = Literal["pil", "tensor", "bytes"]

log = logging.getLogger(__name__)


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
    even: Even = "repeat",
    features: bool | FeaturesForm = False,
    dropout: float = 0.0,
    shuffle_tags: Collection[str] = (),
    keep_tags: int = 1,
    cache: str | None = None,
    cache_bytes: int = 100_000_000_000,
    columns: Collection[str] | None = None,
) -> ReleaseDataset:
    """The samples of a split, each with one caption.

    ``captions`` gives weights to kinds of caption, ``alt_text`` and ``preferred`` (the .txt); the default is the
    preferred caption of every sample. The draw depends on (seed, epoch, sample_id) alone. Kinds that a sample
    lacks do not take part; a sample that has none of them has its preferred caption.

    ``shuffle`` is the size of the shuffle buffer in samples, 0 for the release's own order. Samples are divided
    among ranks (those of torch.distributed by default) and DataLoader workers, whatever the number of shards.

    ``even`` says what ranks do with samples that do not divide by their number. "repeat": all ranks read equally
    many, so that none waits for another, and a few samples twice, as torch's DistributedSampler does. "drop": all
    ranks read equally many, and a few samples are left out. "none": every sample exactly once, for evaluation;
    some ranks read one more than others.

    ``decode``: True or "pil" an RGB image, "tensor" a uint8 tensor (3, height, width), False or "bytes" the file;
    ``transform`` is applied to that.

    ``features``: True or "pad" adds the hidden states of the drawn caption, ``features`` (tokens, width) with zeros up
    to the longest that the release allows, and ``features_mask`` (tokens,), true where there is a token. "valid" adds
    the states of the valid tokens alone, for ``pad`` and ``pack`` to make a batch of.

    ``dropout`` is the share of captions that are dropped (kind ``dropped``, an empty text, the features of the empty
    prompt). ``shuffle_tags`` names kinds of caption whose tags come in another order each epoch, but for the first
    ``keep_tags``; features cannot follow them.

    ``cache`` is a local folder for copies of the tars of a release in an object store, of ``cache_bytes`` together
    at most; what was not used for longest makes room. Ranks, workers and runs of one machine may share it.

    ``columns`` names what of the .json a sample keeps, None where it has no such thing; default all. With ``()`` and
    the preferred caption alone no .json is parsed: the caption is the .txt, its kind ``preferred``.

    Raises ``RootError`` when there is no such split, no features, or too few samples to drop some, ``ValueError`` for
    weights that cannot be drawn from, that name a kind which no sample has (where metadata beside the tars tells), or
    that draw captions that were not encoded.
    """
    drawn = Captions(dict(captions or {"preferred": 1.0}), seed, dropout, frozenset(shuffle_tags), keep_tags)
    if (rank is None) != (world_size is None):
        raise ValueError("name both rank and world_size, or neither")
    if rank is not None and world_size is not None and not 0 <= rank < world_size:
        raise ValueError(f"rank is {rank}; with world_size {world_size}, 0 to {world_size - 1} were expected")
    if even not in ("repeat", "drop", "none"):
        raise ValueError(f'even is {even!r}; "repeat", "drop" or "none" was expected')
    form: Decode = ("pil" if decode else "bytes") if isinstance(decode, bool) else decode
    if form not in ("pil", "tensor", "bytes"):
        raise ValueError(f'decode is {decode!r}; "pil", "tensor" or "bytes" was expected')
    shards = find_shards(root_or_release_url, split)
    place = None if rank is None or world_size is None else (rank, world_size)
    if features is not False and shuffle_tags:
        raise ValueError("shuffle_tags makes captions that were not encoded; leave it out, or features")
    sidecar = Sidecar.of(features, shards, drawn.weights)
    must_have_kinds(root_or_release_url, shards, drawn.weights)
    return ReleaseDataset(
        *(shards, drawn, shuffle, seed, epoch, place, form, transform, even),
        sidecar=sidecar,
        cache=None if cache is None else TarCache(cache, cache_bytes),
        columns=None if columns is None else tuple(columns),
    )


class ReleaseDataset(IterableDataset[Sample]):
    """Yields dicts of image, caption, caption_kind and json. Made by ``load``."""

    def __init__(
        self,
        shards: list[str],
        captions: Captions,
        shuffle: int,
        seed: int,
        epoch: int,
        place: tuple[int, int] | None,
        form: Decode,
        transform: Callable[[Any], Any] | None,
        even: Even,
        *,
        sidecar: Sidecar | None = None,
        cache: TarCache | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self.shards = shards
        self._captions = captions
        self._shuffle = shuffle
        self.seed = seed
        # In shared memory, so that workers that outlive an epoch see the next one.
        self._epoch = torch.tensor([epoch]).share_memory_()  # type: ignore[no-untyped-call]
        self._place = place
        self._form: Decode = form
        self._transform = transform
        self._even: Even = even
        self._sidecar = sidecar
        self.cache = cache
        self._columns = columns
        self._counts: dict[str, int] = {}
        place = place or _place_in_group()
        if place is not None and place[1] > 1:  # else in each worker and epoch anew
            self._share(*place)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle in another order and draw other captions from the next iteration on."""
        self._epoch[0] = epoch

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration reads."""
        return int(self._epoch[0])

    def empty_prompt(self) -> Sample:
        """``features`` and ``features_mask`` of the empty prompt, in the samples' form.

        Raises ``ValueError`` for a dataset that was loaded without features.
        """
        if self._sidecar is None:
            raise ValueError("this dataset has no features; load it with features=True")
        return self._sidecar.of_caption(self.shards[0], "")

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        # A worker that is spawned belongs to no process group: its rank is that of the process that starts it.
        if self._place is None and multiprocessing.context.get_spawning_popen() is not None:
            state["_place"] = _place_in_group()
        return state

    def bucketed(self, batch: int, buckets: Buckets | None = None) -> BucketedRelease:
        """Batches of ``batch`` samples whose images have one size; give them to a DataLoader with ``batch_size=None``.

        Each is a dict as of the samples, with tensors stacked and all else in lists, and what SDXL conditions on:
        ``original_size``, ``crop_top_left`` and ``target_size`` (int64 (batch, 2), height or top first). Images are
        resized to cover the bucket of the nearest aspect, cropped, and then as ``decode`` and ``transform`` say.

        ``even`` is as for samples: all ranks have equally many batches. Of samples that fill no batch at the end,
        "drop" leaves them out, and "repeat" fills it up from its bucket; with "none" it is smaller.

        Raises ``ValueError`` where the dataset yields files instead of images.
        """
        if self._form == "bytes":
            raise ValueError('buckets need images; load the release with decode="pil" or "tensor"')
        if batch < 1:
            raise ValueError(f"batch is {batch}; 1 or more was expected")
        return BucketedRelease(self, buckets or Buckets(), batch)

    def __iter__(self) -> Samples:
        return self.through(self._finish)

    def through(self, finish: Callable[[Sample, int], Sample]) -> Samples:
        """What this process, or this worker, reads in the next iteration, as ``finish`` makes it of a tar's members by
        extension (``url`` is the tar's) and the epoch."""
        return Samples(self.order(), self._parts, finish)

    def order(self) -> Order:
        """What this process, or this worker of a DataLoader, reads in the next iteration."""
        rank, world_size, worker, workers = wds.utils.pytorch_worker_info()
        if self._place is not None:
            rank, world_size = self._place
        return Order(
            *(tuple(self.shards), self._shuffle, self.seed, self.epoch, self._even),
            *(rank, world_size, worker, workers),
        )

    def state_dict(self) -> dict[str, Any]:
        """The epoch. Where in it a worker is, its iterator says (``Samples.state_dict``)."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on in the epoch of a state; see ``Samples.load_state_dict`` for the place in it."""
        self.set_epoch(int(state["epoch"]))

    def _parts(self, order: Order, *, counted: bool) -> list[Part]:
        """What a worker reads, in the order of its tars; ``counted`` says that counts are needed."""
        shards = order.of_shards()
        if order.world_size == order.workers == 1 and not counted:
            return [Part(url, cache=self.cache) for url in shards]
        own = self._share(order.rank, order.world_size)
        first, count = part_of(*own, order.workers, order.worker)
        return parts(shards, [self._counts[url] for url in shards], first, count, self.cache)

    def _share(self, rank: int, world_size: int) -> tuple[int, int]:
        """The first sample of a rank and how many it reads, by the counts, which are read once."""
        if not self._counts:
            self._counts = dict(zip(self.shards, count_samples(self.shards), strict=True))
        total = sum(self._counts.values())
        if self._even == "none" and total % world_size:
            log.warning(
                '%d samples do not divide by %d ranks: with even="none" some ranks read one sample more than others',
                *(total, world_size),
            )
        return share(total, world_size, rank, self._even)

    def _finish(self, sample: Sample, epoch: int) -> Sample:
        found = self.told(sample, epoch)
        data = found["image"]
        if data is not None:
            found["image"] = self.prepared(data if self._form == "bytes" else opened(data))
        return found

    def prepared(self, image: Any) -> Any:
        """An RGB image, or a file, in the form in which it is yielded."""
        if self._form == "tensor":
            image = torch.from_numpy(np.array(image).transpose(2, 0, 1).copy())
        return image if self._transform is None else self._transform(image)

    def told(self, sample: Sample, epoch: int) -> Sample:
        """A sample as it is yielded, but with its image as a file."""
        data = next((sample[extension] for extension in IMAGES if extension in sample), None)
        caption, kind, annotation = self._texts(sample, epoch)
        found = {"image": data, "caption": caption, "caption_kind": kind, "json": annotation}
        return found if self._sidecar is None else found | self._sidecar.of_caption(sample["url"], caption)

    def _texts(self, sample: Sample, epoch: int) -> tuple[str, str, dict[str, Any]]:
        """The drawn caption, its kind, and what is kept of the .json."""
        if self._columns == () and self._captions.preferred_alone:
            return sample["txt"].decode(), PREFERRED, {}
        annotation = annotation_of(sample, sample["url"])
        caption, kind = self._captions.draw(annotation, epoch)
        if self._columns is not None:
            annotation = {name: annotation.get(name) for name in self._columns}
        return caption, kind, annotation


def _place_in_group() -> tuple[int, int] | None:
    """Rank and world size of this process where it has joined a group of torch.distributed."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
