"""How much may be decoded at the same time, so that memory is bounded by a number and not by luck."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class DecodeRoom:
    """Lets few images be decoded at once, large ones one by one.

    At most ``pixels`` pixels in at most ``images`` images; one that alone is larger waits until it is alone.
    """

    def __init__(self, pixels: int = 64_000_000, images: int = 0) -> None:
        self._most = pixels
        self._free = pixels
        self._images = threading.Semaphore(images or (os.cpu_count() or 1) + 1)
        self._changed = threading.Condition()

    @contextmanager
    def __call__(self, pixels: int) -> Iterator[None]:
        need = min(pixels, self._most)
        with self._images:
            with self._changed:
                self._changed.wait_for(lambda: self._free >= need)
                self._free -= need
            try:
                yield
            finally:
                with self._changed:
                    self._free += need
                    self._changed.notify_all()
