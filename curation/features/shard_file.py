"""Writes the files of states in ``release/features/`` and ``release/visual/``.

``curation.load.features`` says what they hold, and reads them.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.core.closing import Closing
from curation.load.features import Words

_CODES = {"float16": "F16", "bfloat16": "BF16"}


class FeaturesWriter(Closing):
    """Writes a file at a local path, caption by caption in any order; no more than one caption is in memory."""

    def __init__(
        self,
        path: Path,
        hashes: Sequence[bytes],
        lengths: Sequence[int],
        cut: Sequence[int],
        *,
        images: Sequence[bytes] | None = None,
        width: int,
        stored: str,
        metadata: Mapping[str, str],
    ) -> None:
        """``hashes`` are sorted and different; ``lengths`` and ``cut`` are tokens of each, stored and left out.

        With ``images``, the sha256 of each look's image, it is a file of looks, of which nothing is cut.
        """
        self._row = width * 2
        self._offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        keys, offsets = ("U8", _rows(hashes)), ("I64", self._offsets)
        if images is None:
            tables = {"captions": keys, "offsets": offsets, "cut": ("I64", np.array(cut, "<i8"))}
        else:
            tables = {"looks": keys, "images": ("U8", _rows(images)), "offsets": offsets}
        header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
        at = 0
        for name, (code, array) in tables.items():
            header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
            at += array.nbytes
        rows = int(self._offsets[-1])
        end = at + rows * self._row
        header["states"] = {"dtype": _CODES[stored], "shape": [rows, width], "data_offsets": [at, end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        begin = struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for _, array in tables.values())
        self._begin = len(begin)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._open = True
        self._write(0, begin)

    def put(self, number: int, words: Words) -> None:
        """The states of a caption as 16-bit words (tokens, width)."""
        first, last = int(self._offsets[number]), int(self._offsets[number + 1])
        if words.nbytes != (last - first) * self._row:
            raise ValueError(f"caption {number} has {words.nbytes} bytes of states; expected {last - first} tokens")
        self._write(self._begin + first * self._row, words.tobytes())

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._file)

    def _write(self, at: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            done = os.pwrite(self._file, rest, at)
            rest, at = rest[done:], at + done


def _rows(hashes: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), "u1").reshape(len(hashes), 32)
