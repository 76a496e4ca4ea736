"""Reads an AVIF's header with Pillow, and from its boxes (ISO/IEC 14496-12) what Pillow does not say."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import AvifImagePlugin, Image

from curation.images import cicp, exif
from curation.images.facts import Header, PixelsRejected, Seen
from schemas.reasons import Reason

_MAX_MARKS = 64  # of Exif blocks; one is common, and camera makers' notes hold a few more
_MAX_BOXES = 4096
_WITHIN = {b"meta": 4, b"iprp": 0, b"ipco": 0}  # boxes to look into, and how many bytes stand before their content


def read_avif(data: bytes) -> Header:
    """Raises ``PixelsRejected``: UNDECODABLE, TRUNCATED, or TOO_MANY_PIXELS by Pillow's own limit."""
    seen = Seen("avif")
    if _overlapping(data):
        raise PixelsRejected(Reason.UNDECODABLE, "its Exif claims more bytes than there are", seen)
    missing: str | None = None
    space = None
    for kind, start, end in _boxes(data, 0, len(data)):
        if end > len(data):
            missing = f"the AVIF ends within its box {kind!r}"
        elif kind == b"colr" and data[start : start + 4] == b"nclx":
            space = data[start + 4 : start + 8]
    try:
        with AvifImagePlugin.AvifImageFile(io.BytesIO(data)) as image:
            block = image.info.get("exif")
            profile = image.info.get("icc_profile")
            if not profile and space is not None and len(space) == 4:
                profile = cicp.profile(space[1] | space[0] << 8, space[3] | space[2] << 8)
            return Header(
                "avif",
                image.width,
                image.height,
                data,
                animated=image.n_frames > 1,
                orientation=exif.orientation(block if isinstance(block, bytes) else b""),
                profile=profile,
                missing=missing,
            )
    except Image.DecompressionBombError as error:
        raise PixelsRejected(Reason.TOO_MANY_PIXELS, str(error), seen) from error
    except Exception as error:
        reason = Reason.TRUNCATED if missing else Reason.UNDECODABLE
        raise PixelsRejected(reason, missing or f"{type(error).__name__}: {error}", seen) from error


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, start and end of the content of boxes, and of those in ``_WITHIN`` what they contain."""
    left = [(start, end)]
    for _ in range(_MAX_BOXES):
        while left and left[-1][0] + 8 > left[-1][1]:
            left.pop()
        if not left:
            return
        at, last = left.pop()
        size, kind, content = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, content = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        following = at + size if size >= 8 else last  # 0: up to the end
        left.append((following, last))
        yield kind, content, following
        if kind in _WITHIN:
            left.append((content + _WITHIN[kind], min(following, last)))


def _overlapping(data: bytes) -> bool:
    """Whether an Exif block in the data has tags that share bytes: Pillow would copy each of them.

    A file of many such blocks, or of one with countless tags, counts as such: to look at all would cost time.
    """
    looked = 0
    for mark in (b"II*\0", b"MM\0*"):
        at = data.find(mark)
        while at >= 0:
            looked += 1
            if looked > _MAX_MARKS:
                return True
            try:
                if exif.first_directory(data, at).bytes_claimed > len(data):
                    return True
            except exif.TooManyTags:
                return True
            except ValueError:
                pass
            at = data.find(mark, at + 1)
    return False
