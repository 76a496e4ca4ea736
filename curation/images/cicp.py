"""Colour spaces that a file names by numbers (ITU-T H.273, "CICP") as ICC profiles, so that there is one way to sRGB.

PNG states them in its cICP chunk, AVIF in an nclx box. Brightness beyond that of a white page (203 cd/m², ITU-R
BT.2408) is cut off: an export of 8 bits has no room for it.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Red, green, blue and white as chromaticities x, y.
_D65 = (0.3127, 0.3290)
_PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
# BT.709, BT.601, sRGB and BT.2020 share one curve here: pictures that name the former are made on sRGB screens.
_AS_SRGB = frozenset({1, 6, 13, 14, 15})
_UNSPECIFIED = 2
_STEPS = 1024
_PAGE = 203.0
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@lru_cache(maxsize=32)
def profile(primaries: int, transfer: int) -> bytes | None:
    """The ICC profile of these numbers; None for sRGB, and for numbers that are unspecified or not known here."""
    if primaries == _UNSPECIFIED and transfer != _UNSPECIFIED:
        primaries = 1
    curve = _curve(transfer if transfer != _UNSPECIFIED else 13)
    if primaries not in _PRIMARIES or curve is None or (primaries == 1 and transfer in _AS_SRGB | {_UNSPECIFIED}):
        return None
    samples = np.rint(np.clip(curve, 0, 1) * 65535).astype(">u2").tobytes()
    trc = b"curv" + bytes(4) + struct.pack(">I", _STEPS) + samples
    columns = _to_d50(_PRIMARIES[primaries])
    tags = [
        (b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"CICP\0" + bytes(78)),
        (b"cprt", b"text" + bytes(4) + b"CC0\0"),
        (b"wtpt", _xyz(_D50)),
        *((name, _xyz(columns[:, n])) for n, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))),
        *((name, trc) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    return _file(tags)


def _curve(transfer: int) -> NDArray[np.float64] | None:
    """Light by sample value, 1 for a white page."""
    v = np.linspace(0, 1, _STEPS)
    curve: NDArray[np.float64]
    if transfer in _AS_SRGB:
        curve = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    elif transfer in (4, 5, 8):
        curve = v ** {4: 2.2, 5: 2.8, 8: 1.0}[transfer]
    elif transfer == 16:  # SMPTE ST 2084
        root = v ** (1 / 78.84375)
        curve = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        curve = curve * 10_000 / _PAGE
    elif transfer == 18:  # ARIB STD-B67 on a display of 1,000 cd/m², whose system gamma is 1.2
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(v <= 0.5, v * v / 3, (np.exp((v - c) / a) + b) / 12)
        curve = scene**1.2 * 1000 / _PAGE
    else:
        return None
    return curve


def _to_d50(chromaticities: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """The XYZ of red, green and blue as columns, adapted to the white of the profile connection space."""
    *colours, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in chromaticities)
    matrix = np.stack(colours, axis=1)
    matrix = matrix * np.linalg.solve(matrix, white)
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix
    return adapted


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _file(tags: list[tuple[bytes, bytes]]) -> bytes:
    """A version 2 display profile (ICC.1:2001-04, section 6)."""
    table, body = struct.pack(">I", len(tags)), b""
    at = 128 + 4 + 12 * len(tags)
    for name, value in tags:
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", *(round(float(v) * 65536) for v in _D50))
    return head.ljust(128, b"\0") + table + body
