"""The one exception of the pixel care: there is no image to export, and why."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class Seen:
    """What the header told before the image was turned down; sizes in pixels, before orientation."""

    format: str | None = None
    width: int | None = None
    height: int | None = None


class PixelsRejected(Exception):
    """These bytes become no image. ``seen`` holds what the header told by then."""

    def __init__(self, reason: Reason, detail: str, seen: Seen | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.seen = seen or Seen()
