"""Buckets of image sizes: batches of one size each, without squeezing pictures into squares.

An image goes into the bucket whose aspect is nearest to its own, is resized to cover it, and cropped. Sizes are those
of SDXL's training: sides are multiples of a step, and all have about the same number of pixels.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Crop = Literal["center", "random"]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Buckets:
    """``pixels`` of an image at most, width times height; sides are multiples of ``step``; no side is more than
    ``max_aspect`` times the other. ``crop`` says which part of an image is kept that is longer than its bucket.

    Raises ``ValueError`` for sizes that cannot be.
    """

    pixels: int = 1024 * 1024
    step: int = 64
    max_aspect: float = 2.0
    crop: Crop = "center"

    def __post_init__(self) -> None:
        if self.step < 1 or self.pixels < self.step**2:
            raise ValueError(f"pixels is {self.pixels}, step {self.step}; step is 1 or more, pixels its square or more")
        if self.max_aspect < 1:
            raise ValueError(f"max_aspect is {self.max_aspect}; 1 or more was expected")
        if self.crop not in ("center", "random"):
            raise ValueError(f'crop is {self.crop!r}; "center" or "random" was expected')

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each bucket in pixels, from the tallest to the widest."""
        side = math.isqrt(self.pixels)
        found = {(side // self.step * self.step,) * 2}
        for width in range(self.step, side + 1, self.step):
            height = self.pixels // width // self.step * self.step
            if height <= self.max_aspect * width:
                found |= {(width, height), (height, width)}
        return tuple(sorted(found, key=lambda size: (size[0] / size[1], size)))

    def of(self, widths: Numbers, heights: Numbers) -> Numbers:
        """The number of the bucket for each image, by its size in pixels."""
        aspects = np.log([width / height for width, height in self.sizes])
        own = np.log(widths / heights)
        return np.searchsorted((aspects[1:] + aspects[:-1]) / 2, own)

    def fitted(self, image: Image.Image, bucket: int, chance: float) -> tuple[Image.Image, tuple[int, int]]:
        """An image at the size of a bucket, and where its part begins in the resized one: (top, left) in pixels.

        ``chance``, 0 to below 1, is where a random crop lies.
        """
        width, height = self.sizes[bucket]
        scale = max(width / image.width, height / image.height)
        size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
        if size != image.size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        at = 0.5 if self.crop == "center" else chance
        # One of the two is 0, so that one number serves both.
        left, top = int(at * (size[0] - width + 1)), int(at * (size[1] - height + 1))
        if self.crop == "center":
            left, top = (size[0] - width) // 2, (size[1] - height) // 2
        return image.crop((left, top, left + width, top + height)), (top, left)


def opened(data: bytes) -> Image.Image:
    """The RGB image in a file."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def stacked(values: list[Any]) -> Any:
    """Tensors of one shape as one tensor; a list of anything else stays one."""
    import torch

    same = all(isinstance(v, torch.Tensor) for v in values) and len({v.shape for v in values}) == 1
    return torch.stack(values) if same else values
