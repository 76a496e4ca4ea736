"""Lines of text in a picture: the seam to RapidOCR, the only module that imports it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.scores.models.extras import check_installed, file_of, identity
from schemas.score_models import Device

_DETECTOR, _RECOGNISER = "models/PP-OCRv6_det_small.onnx", "models/PP-OCRv6_rec_small.onnx"
_LEAST = 0.5  # confidence below which RapidOCR itself forgets a line
_SMALLEST = 8  # pixels of a side; no letter can be read in less


@dataclass(frozen=True)
class Line:
    """A line of text: what it says, how sure the model is (0..1), and its corners, (4, 2) of x and y in pixels."""

    text: str
    confidence: float
    corners: NDArray[np.float32]


def weights() -> str:
    """Which weights read. Raises ``ModelError`` where the extra is not installed."""
    check_installed("ocr", "ocr", (("rapidocr", "rapidocr"), ("onnxruntime", "onnxruntime")))
    return ", ".join(identity(file_of("rapidocr", name)) for name in (_DETECTOR, _RECOGNISER))


class Reader:
    """Finds and reads lines of text. Threads may share one; they take turns."""

    def __init__(self, side: int, device: Device) -> None:
        """``side``: pixels to which the shorter side of a smaller picture is enlarged. Raises ``ModelError``."""
        from rapidocr import RapidOCR

        from curation.scores.models.onnx import providers

        engine = "EngineConfig.onnxruntime"
        self._turn = threading.Lock()
        self._read: Any = RapidOCR(
            params={
                # The paths are named: without them, RapidOCR fetches a file whose hash is not that of its list.
                "Det.model_path": str(file_of("rapidocr", _DETECTOR)),
                "Rec.model_path": str(file_of("rapidocr", _RECOGNISER)),
                "Det.limit_side_len": side,
                "Global.use_cls": False,  # whether a line stands on its head: seldom, and a third model
                "Global.text_score": _LEAST,
                "Global.log_level": "error",
                f"{engine}.intra_op_num_threads": 1,
                f"{engine}.inter_op_num_threads": 1,
                f"{engine}.use_cuda": len(providers("scores.ocr.device", device)) > 1,
            }
        )

    def lines(self, pixels: NDArray[np.uint8]) -> Sequence[Line]:
        """The lines of a picture (H, W, 3; blue, green, red), from above, and from the left within a row."""
        if min(pixels.shape[:2]) < _SMALLEST:
            return []
        with self._turn:
            found = self._read(np.ascontiguousarray(pixels))
        if found.txts is None or found.boxes is None:
            return []
        return [
            Line(_plain(text), float(confidence), np.asarray(corners, np.float32))
            for text, confidence, corners in zip(found.txts, found.scores, found.boxes, strict=True)
        ]


def _plain(text: str) -> str:
    """On one line, without characters that cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
