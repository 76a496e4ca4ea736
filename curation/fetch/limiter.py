"""Limits how many pixels are decoded at the same time, and with them the memory of a worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from curation.core.cores import cores


class DecodeLimiter:
    """Lets at most ``images`` images of together at most ``pixels`` pixels be decoded at once.

    An image that is larger than ``pixels`` waits until it is the only one.
    """

    def __init__(self, pixels: int = 64_000_000, images: int = 0) -> None:
        self._limit = pixels
        self._free = pixels
        self._images = threading.Semaphore(images or cores() + 1)
        self._changed = threading.Condition()

    def has_capacity(self, pixels: int) -> bool:
        """Whether so many pixels may be decoded now."""
        return self._free >= min(pixels, self._limit)

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Wait for capacity, and give it back at the end."""
        need = min(pixels, self._limit)
        with self._images:
            with self._changed:
                self._changed.wait_for(lambda: self.has_capacity(need))
                self._free -= need
            try:
                yield
            finally:
                with self._changed:
                    self._free += need
                    self._changed.notify_all()
