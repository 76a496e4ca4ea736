"""How likely text in a picture is a watermark: from what it says, how faint it is, and where it stands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from curation.images.picture import Picture
    from curation.scores.models.text_lines import Line

FAINT_CONFIDENCE = 0.6
"""Lowest confidence of a line that is looked at: faint text over a picture is read with less than a sign is."""

# Agencies, as their marks and bylines spell them; letters and digits only, small.
_AGENCIES = (
    *("shutterstock", "gettyimages", "istockphoto", "istock", "alamy", "adobestock", "dreamstime", "depositphotos"),
    *("123rf", "bigstock", "fotolia", "canstockphoto", "stocksy", "pond5", "vectorstock", "freepik", "eyeem"),
    *("stockphoto", "photocase", "panthermedia", "agefotostock", "picfair", "vecteezy", "colourbox", "imagebroker"),
    *("视觉中国", "图虫", "摄图网", "千图网", "包图网", "昵图网", "pixta", "watermark"),
)
_RIGHTS = re.compile(r"©|\(c\) ?\d{4}|\bcopyright\b|all rights reserved|\bdo not copy\b|\bsample\b.*\bimage\b", re.I)
_ADDRESS = re.compile(
    r"\bwww\.|https?:|\b[a-z0-9-]{3,}\.(?:com|net|org|info|co\.uk|ru|cn|de|jp)\b|(?:^|\s)@\w{3,}", re.I
)
_FAINT, _PLAIN = 60.0, 130.0  # grey levels between letters and ground: surely faint, surely not
_REPEATED = 3
_FEWEST = 4  # letters and digits of a line that is looked at for faintness and repetition: fewer are often no text
_TILTED = 10.0  # degrees from level and upright
_EDGE = 0.12  # of a side


def watermark(picture: Picture, lines: Sequence[Line], more: Sequence[str] = ()) -> float:
    """1 less the product of (1 - w) over the lines; ``more`` are further words that show a mark wherever they stand.

    w of a line is the largest of: 0.95 for an agency's name; 0.7 for an address and 0.5 for a mark of rights, both
    along an edge or faint, 0.3 elsewhere; 0.8 for a line that comes three times; and for another one 0.7 times how
    faint it is (1 up to 60 grey levels between letters and ground, 0 from 130 on), the half of it where it stands
    neither tilted, across the middle nor along an edge.
    """
    known = tuple(filter(None, (*_AGENCIES, *map(_squeezed, more))))
    times = Counter(_squeezed(line.text) for line in lines)
    left = 1.0
    for line in lines:
        left *= 1 - _weight(picture, line, known, times[_squeezed(line.text)])
    return 1 - left


def _weight(picture: Picture, line: Line, known: Sequence[str], times: int) -> float:
    squeezed, faint, edge = _squeezed(line.text), _faintness(picture, line), _along_an_edge(picture, line)
    if any(phrase in squeezed for phrase in known):
        return 0.95
    placed = edge or _tilted(line) or _across_the_middle(picture, line)
    found = [0.0]
    if len(squeezed) >= _FEWEST:
        found.append(0.7 * faint * (1.0 if placed else 0.5))
        if times >= _REPEATED:
            found.append(0.8)
    if _ADDRESS.search(line.text):
        found.append(0.7 if edge or faint > 0.5 else 0.3)
    if _RIGHTS.search(line.text):
        found.append(0.5 if edge or faint > 0.5 else 0.3)
    return max(found)


def _squeezed(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _faintness(picture: Picture, line: Line) -> float:
    """From the median luma of letters and ground within the box, told apart by Otsu's threshold; 1 is faint."""
    height, width = picture.luma.shape
    left, top = np.clip(np.floor(line.corners.min(0)).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(line.corners.max(0)).astype(int), (left + 1, top + 1), (width, height))
    inside = np.ascontiguousarray(picture.luma[top:bottom, left:right])
    threshold, _ = cv2.threshold(inside, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    light, dark = inside[inside > threshold], inside[inside <= threshold]
    if not len(light) or not len(dark):
        return 1.0
    step = float(np.median(light)) - float(np.median(dark))
    return float(np.clip((_PLAIN - step) / (_PLAIN - _FAINT), 0, 1))


def _tilted(line: Line) -> bool:
    (x0, y0), (x1, y1) = line.corners[0], line.corners[1]
    degrees = abs(float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))) % 90
    return min(degrees, 90 - degrees) > _TILTED


def _along_an_edge(picture: Picture, line: Line) -> bool:
    height, width = picture.luma.shape
    x, y = line.corners.mean(0)
    return bool(min(x, width - x) < _EDGE * width or min(y, height - y) < _EDGE * height)


def _across_the_middle(picture: Picture, line: Line) -> bool:
    height, width = picture.luma.shape
    x, y = line.corners.mean(0)
    wide = float(np.ptp(line.corners[:, 0])) > 0.3 * width
    return bool(wide and abs(x - width / 2) < 0.15 * width and abs(y - height / 2) < 0.15 * height)
