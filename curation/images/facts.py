"""Facts that a header states about an image, and the exception that rejects it: what the other files build on."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason

MAX_PROFILE = 4 << 20
"""Maximum bytes of a colour profile; the largest profiles in use, for printing presses, are smaller."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Format and size of a rejected image, as far as known. Pixels, before orientation."""

    format: str | None = None
    width: int | None = None
    height: int | None = None


class PixelsRejected(Exception):
    """The bytes become no image. ``seen`` holds the format and size that were known by then."""

    def __init__(self, reason: Reason, detail: str, seen: Seen | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.seen = seen or Seen()


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a JPEG: its identifier and its sampling factors."""

    identifier: int
    across: int
    down: int


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Frame and layout of a JPEG.

    ``process`` is the frame's marker (0xC0 baseline, 0xC2 progressive …) and ``bits`` the sample precision.
    ``restart`` is the restart interval in coding units, 0 for none. ``end`` is where the coded data end in ``body``.
    ``one_scan`` says that a single sequential scan holds all components. ``plain`` says that every reader
    understands the file: 8 bits, Huffman coded, in order, with an end marker.
    """

    process: int
    bits: int
    components: tuple[Component, ...]
    restart: int
    end: int
    one_scan: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class Header:
    """Facts about one image; sizes in pixels, before orientation. ``body`` is what the decoder receives.

    ``profile`` is an ICC profile, ``white`` the largest sample value, and ``inverted`` says that it means black.
    ``key`` is the transparent grey or (red, green, blue) in the file's own samples, of ``depth`` bits.
    ``frame`` is the part (left, top, right, bottom) of the canvas that the picture covers, if not all of it.
    ``optional_alpha`` says that an alpha channel of zeros alone means that there is none.
    ``missing`` states why the data seem to be cut short, if they do; it becomes the detail of a rejection.
    """

    format: str
    width: int
    height: int
    body: bytes
    animated: bool = False
    orientation: int = 1
    profile: bytes | None = None
    depth: int = 8
    white: int = 255
    inverted: bool = False
    key: int | tuple[int, int, int] | None = None
    frame: tuple[int, int, int, int] | None = None
    optional_alpha: bool = False
    missing: str | None = None
    jpeg: Jpeg | None = None

    @property
    def seen(self) -> Seen:
        return Seen(self.format, self.width, self.height)

    def rejected(self, reason: Reason, detail: str) -> PixelsRejected:
        """The exception to raise about this image."""
        return PixelsRejected(reason, detail, self.seen)
