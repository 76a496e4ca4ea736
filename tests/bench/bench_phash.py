"""pHash of pixels that are already decoded, against imagehash.phash; the values are asserted to be equal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import imagehash
from PIL import Image

from curation.images.phash import phash, warm_up
from tests.support.images import natural

SHAPES = {"square": (512, 512), "landscape": (683, 512), "portrait": (512, 683), "tall": (512, 910)}


def rate(hashed: Callable[[Any], Any], pictures: Sequence[Any], seconds: float = 1.0) -> float:
    """Pictures a second of processor time, the best of three; one thread, so that neighbours do not count."""
    best = 0.0
    for _ in range(3):
        started, count = time.process_time(), 0
        while time.process_time() - started < seconds:
            for picture in pictures:
                hashed(picture)
            count += len(pictures)
        best = max(best, count / (time.process_time() - started))
    return best


def main() -> None:
    warm_up()
    for name, (width, height) in SHAPES.items():
        arrays = [natural(width, height, seed=n) for n in range(8)]
        images = [Image.fromarray(a) for a in arrays]
        for array, image in zip(arrays, images, strict=True):
            if phash(array) != int(str(imagehash.phash(image)), 16):
                raise AssertionError(f"{name}: the hashes differ")
        ours, theirs = rate(phash, arrays), rate(imagehash.phash, images)
        print(f"phash_{name} ratio={ours / theirs:.2f} ours={ours:.0f}/s theirs={theirs:.0f}/s", flush=True)


if __name__ == "__main__":
    main()
