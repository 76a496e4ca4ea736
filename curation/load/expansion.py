"""Training tuples of a release of expansion data: a window with its mask, and what is said of it::

    from torch.utils.data import DataLoader
    from curation.load.expansion import load_windows

    train = load_windows("runs/expansion", split="train", size=512, seed=0)
    for epoch in range(10):
        train.set_epoch(epoch)
        for batch in DataLoader(train, batch_size=16, num_workers=4, collate_fn=list):
            batch[0]["visible"], batch[0]["mask"], batch[0]["target"], batch[0]["global"], batch[0]["local"]

Which window of a picture is cut out is drawn anew each epoch.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset

from curation.core.errors import RootError
from curation.load.captions import fraction
from curation.load.loader import ReleaseDataset, Sample, load
from curation.load.shards import Even
from curation.load.sidecar import Sights
from curation.load.stream import Samples

if TYPE_CHECKING:
    from schemas.visual import Look

_GREY = 127  # what stands in the place of pixels that are to be painted


def load_windows(
    root_or_release_url: str,
    split: str = "train",
    *,
    size: int = 512,
    shuffle: int = 1000,
    seed: int = 0,
    epoch: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
    even: Even = "repeat",
    visual: Look | None = None,
) -> WindowDataset:
    """The pictures of a split, each with one of its windows, drawn by (seed, epoch, sample_id) alone.

    A sample is a dict of ``target`` (the window, scaled: uint8, (3, size, size)), ``mask`` (uint8, (1, size, size): 1
    where the target is to be painted), ``visible`` (the target, grey under the mask), the texts ``global`` and
    ``local``, ``side``, ``imagined`` (captions of what lies beyond the picture on that side, from its edge outwards)
    and ``json``.

    ``visual`` (visible, window or picture: see ``visual.looks`` of the recipe) adds ``visual``: what a vision model saw
    of that, its states (tokens, width).

    Other arguments are those of ``curation.loader.load``, and so is what it raises; a release without images or
    windows, or without visual features where they are asked for, raises ``RootError``.
    """
    if size < 1:
        raise ValueError(f"size is {size}; at least 1 pixel was expected")
    release = load(
        root_or_release_url,
        split,
        shuffle=shuffle,
        seed=seed,
        epoch=epoch,
        rank=rank,
        world_size=world_size,
        decode=False,
        even=even,
    )
    return WindowDataset(release, size, seed, None if visual is None else Sights(visual, release.shards))


class WindowDataset(IterableDataset[Sample]):
    """Yields training tuples. Made by ``load_windows``."""

    def __init__(self, release: ReleaseDataset, size: int, seed: int, sights: Sights | None = None) -> None:
        self.release = release
        self._size = size
        self._seed = seed
        self._sights = sights

    def set_epoch(self, epoch: int) -> None:
        """Shuffle in another order and draw other windows from the next iteration on."""
        self.release.set_epoch(epoch)

    def __iter__(self) -> Samples:
        return self.release.through(self._tuple)

    def state_dict(self) -> dict[str, Any]:
        """As that of ``curation.load.loader.ReleaseDataset``."""
        return self.release.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As that of ``curation.load.loader.ReleaseDataset``."""
        self.release.load_state_dict(state)

    def _tuple(self, members: Sample, epoch: int) -> Sample:
        sample = self.release.told(members, epoch)
        annotation, data = sample["json"], sample["image"]
        windows = annotation.get("windows")
        if not windows or data is None:
            raise RootError(
                f"sample {annotation.get('sample_id')} has no {'image' if windows else 'windows'}; expected a release "
                "of expansion data with images"
            )
        window = windows[int(fraction(self._seed, epoch, f"window:{annotation['sample_id']}") * len(windows))]
        target, mask = _cut(data, window["box"], window["mask_box"], self._size)
        seen = {} if self._sights is None else {"visual": self._sights.of_window(members["url"], annotation, window)}
        return {
            "visible": torch.where(mask.bool(), torch.tensor(_GREY, dtype=torch.uint8), target),
            "mask": mask,
            "target": target,
            "global": annotation["global_caption"],
            "local": window["local_caption"],
            "side": window["side"],
            "imagined": _beyond(annotation, window["side"]),
            "json": annotation,
            **seen,
        }


def _beyond(annotation: Mapping[str, Any], side: str) -> list[str]:
    found = sorted((i["index"], i["caption"]) for i in annotation.get("imagined") or () if i["side"] == side)
    return [caption for _, caption in found]


def _cut(data: bytes, box: Sequence[int], mask_box: Sequence[int], size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The window scaled to ``size``, and its mask. A pixel that is partly to be painted is painted."""
    left, top, right, bottom = box
    with Image.open(io.BytesIO(data)) as image:
        part = image.crop((left, top, right, bottom)).convert("RGB")
    target = np.asarray(part.resize((size, size), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    scale = size / (right - left)
    x0, y0 = int((mask_box[0] - left) * scale), int((mask_box[1] - top) * scale)
    x1, y1 = -int((left - mask_box[2]) * scale // 1), -int((top - mask_box[3]) * scale // 1)
    mask = torch.zeros((1, size, size), dtype=torch.uint8)
    mask[:, y0:y1, x0:x1] = 1
    return torch.from_numpy(target.copy()), mask
