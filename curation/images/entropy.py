"""Follows a JPEG's Huffman codes to the end, without pixels, to tell whether any coded data are missing.

ITU-T T.81, annexes F (sequential) and G (progressive). Decoders do not tell: they fill what is missing with grey or
leave it coarse. A sequential file of one or three components in one scan needs none of this (see ``jpeg``);
progressive files, several scans and four components do. Arithmetic coding is not followed.
"""

from __future__ import annotations

import enum
import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.images.facts import Component, Header, Jpeg
from curation.images.huffman import AC, AC_MORE, ALL, DC, DC_MORE, PAD, TABLE, fill_table, follow
from curation.images.jpeg import HUFFMAN, PROGRESSIVE, RESTART, SCAN, TABLES, read_jpeg, segments

Bytes = NDArray[np.uint8]


class Coded(enum.IntEnum):
    """What is known about a JPEG's coded data."""

    WHOLE = 0
    SHORT = 1  # they end before the picture does
    DAMAGED = 2  # they hold a code that no table defines
    UNKNOWN = 3  # coded in a way that is not followed here


_LOCAL = threading.local()


def _workspace() -> NDArray[np.uint16]:
    """Room for eight tables, the same for all images of a thread: fresh memory costs more than filling it."""
    if not hasattr(_LOCAL, "tables"):
        _LOCAL.tables = np.zeros((8, TABLE), np.uint16)
    tables: NDArray[np.uint16] = _LOCAL.tables
    return tables


class _Follower:
    """Tables and progress of one file, scan after scan."""

    def __init__(self, data: bytes, header: Header, jpeg: Jpeg) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.jpeg = jpeg
        self.size = header.width, header.height
        self.tables = _workspace()  # four for DC, four for AC
        self.defined: set[int] = set()
        self.restart = jpeg.restart
        self.widest = max(c.across for c in jpeg.components), max(c.down for c in jpeg.components)
        # The bits still missing of each coefficient; 99 as long as none of them came.
        self.lacking = np.full((len(jpeg.components), 64), 99, np.int64)
        self.nonzero: dict[int, NDArray[np.uint64]] = {}  # by component; a bit for each coefficient of a block
        self.unused = np.zeros(0, np.uint64)
        self.buffer = np.zeros(0, np.uint8)

    def blocks(self, component: Component) -> tuple[int, int]:
        """Blocks across and down that hold some of the picture."""
        (width, height), (widest, highest) = self.size, self.widest
        return _over(_over(width * component.across, widest), 8), _over(_over(height * component.down, highest), 8)

    def define_tables(self, body: bytes) -> None:
        while len(body) >= 17:
            counts = np.frombuffer(body[1:17], np.uint8)
            used = int(counts.sum())
            symbols = np.frombuffer(body[17 : 17 + used], np.uint8)
            if len(symbols) == used:
                table = (body[0] >> 4 & 1) * 4 + (body[0] & 3)
                self.defined.add(table)
                fill_table(counts, symbols, self.tables[table])
            body = body[17 + used :]

    def scan(self, header: bytes, at: int, *, follow: bool) -> Coded:
        """Notes what a scan holds, and follows its coded data, which begin at ``at``, if asked to.

        ``header`` is its segment without marker and length.
        """
        count = header[0] if header else 0
        if not 1 <= count <= 4 or len(header) < 2 * count + 4:
            return Coded.SHORT
        first, last, precision = header[2 * count + 1 : 2 * count + 4]
        known = {c.identifier: n for n, c in enumerate(self.jpeg.components)}
        chosen = [(known.get(header[1 + 2 * n], -1), header[2 + 2 * n]) for n in range(count)]
        if any(n < 0 for n, _ in chosen):
            return Coded.DAMAGED
        if not self.buffer.size:
            self.buffer = np.zeros(len(self.data) - at + PAD, np.uint8)
        progressive = self.jpeg.process == PROGRESSIVE
        more, lacking = precision >> 4 > 0, precision & 15 if progressive else 0
        if not progressive:
            kind, first, last = ALL, 0, 63
        elif first == 0:
            kind, last = DC_MORE if more else DC, 0
        elif count == 1:
            kind, last = AC_MORE if more else AC, min(last, 63)
        else:
            return Coded.DAMAGED
        for n, _ in chosen:
            self.lacking[n, first : last + 1] = lacking
        return self._follow(chosen, kind, (first, last), at) if follow else Coded.WHOLE

    def no_flags(self, units: int) -> NDArray[np.uint64]:
        """Placeholder flags: the kernel reads only their number."""
        if self.unused.size < units:
            self.unused = np.zeros(units, np.uint64)
        return self.unused[:units]

    def whole(self) -> bool:
        """Whether every bit of every coefficient came."""
        return not self.lacking.any()

    def _follow(self, chosen: list[tuple[int, int]], kind: int, band: tuple[int, int], at: int) -> Coded:
        alone = len(chosen) == 1
        components = [self.jpeg.components[n] for n, _ in chosen]
        if alone:
            across, down = self.blocks(components[0])
        else:
            across, down = (_over(length, 8 * most) for length, most in zip(self.size, self.widest, strict=True))
        repeats = [1 if alone else c.across * c.down for c in components]
        dc = np.repeat([tables >> 4 & 3 for _, tables in chosen], repeats)
        ac = np.repeat([4 + (tables & 3) for _, tables in chosen], repeats)
        if kind in (AC, AC_MORE):
            nonzero = self.nonzero.setdefault(chosen[0][0], np.zeros(across * down, np.uint64))
        else:
            nonzero = self.no_flags(across * down)
        needed = {*(dc.tolist() if kind in (ALL, DC) else ()), *(ac.tolist() if kind not in (DC, DC_MORE) else ())}
        if not needed <= self.defined:
            return Coded.UNKNOWN  # left to the standard's tables, as some cameras do
        return Coded(
            follow(self.data, at, self.buffer, self.tables, dc, ac, nonzero, np.array(band), self.restart, kind)
        )


def _over(length: int, by: int) -> int:
    """A quotient, rounded up."""
    return -(-length // by)


def coded_data(header: Header) -> Coded:
    """Whether the JPEG's coded data hold all of its picture, whatever markers follow them."""
    jpeg = header.jpeg
    if jpeg is None or jpeg.process not in HUFFMAN or jpeg.bits != 8:
        return Coded.UNKNOWN
    if not jpeg.components or any(not 1 <= n <= 4 for c in jpeg.components for n in (c.across, c.down)):
        return Coded.UNKNOWN
    data = header.body[: jpeg.end]
    follower = _Follower(data, header, jpeg)
    found = Coded.WHOLE
    for marker, start, end in segments(data):
        body = data[start + 4 : end]
        if marker == TABLES:
            follower.define_tables(body)
        elif marker == RESTART:
            follower.restart = int.from_bytes(body[:2], "big")
        elif marker == SCAN:
            # Behind the first fault, only what further scans hold still counts.
            one = follower.scan(body, end, follow=found == Coded.WHOLE)
            found = found or one
    return found if follower.whole() else Coded.SHORT


def warm_up() -> None:
    """Compiles the kernels, which takes some seconds, so that no image has to wait for it."""
    _, made = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    coded_data(read_jpeg(made.tobytes()))
