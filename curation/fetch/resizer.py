"""img2dataset's resizer. The pixel care has been done where the bytes arrived; this hands it over."""

from __future__ import annotations

from typing import BinaryIO, Protocol

Resized = tuple[bytes | None, int | None, int | None, int | None, int | None, str | None]
"""Bytes, width, height, original width, original height, and why there are none."""


class Settles(Protocol):
    """A shard under way, as the resizer sees it."""

    def resized(self, row: int) -> Resized: ...


class RowResizer:
    """Takes the stream that the opener answered with, which holds the row's number.

    img2dataset resizes in one thread a shard. Decoding there would leave all cores but one idle, so each
    row's pixels are prepared in the thread that fetched it.
    """

    def __init__(self, run: Settles) -> None:
        self._run = run

    def __call__(self, img_stream: BinaryIO, blurring_bbox_list: object = None) -> Resized:
        return self._run.resized(int(img_stream.read()))
