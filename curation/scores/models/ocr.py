"""OCR: the text in a picture, where it stands, in which script and language, and whether it is a watermark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

from curation.core.stage import setting
from curation.scores.scorer import Measure, Reads, Score
from schemas.score_models import Device
from schemas.score_models import Ocr as OcrSettings
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture
    from curation.scores.models.text_lines import Line, Reader

_MOST_TEXT = 4000  # characters of a picture's text that are kept
_MOST_PLACES = 200
_LETTERS, _DIGITS = 2, 4  # fewest of a line that counts: single ones are read into windows, wheels and branches


@dataclass(frozen=True)
class Ocr:
    """Text in the picture: places, share of the area, words, script, language, and how likely it is a watermark.

    Read by PP-OCRv6 (small; of PaddleOCR, converted by RapidOCR; code and weights Apache-2.0), which the package
    rapidocr carries: no network. A line counts with enough confidence and two letters or four digits. The script is
    that of most letters; the language is guessed from texts of 20 letters and more, and unknown otherwise.
    ``watermark`` is a heuristic of our own, see ``watermarks``: names of stock agencies, marks of rights, addresses,
    repetition, and faint text across the middle or along an edge.
    """

    name: ClassVar[str] = "ocr"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "stored"
    cost: ClassVar[str] = "0.9 s of one core an image of 512 pixels"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("text_places", "places where text stands", "places", 0),
        ScoreColumn("text_share", "share of the area that text covers", "share", 0, 1),
        ScoreColumn("text_words", "words, in scripts without spaces characters", "words", 0),
        ScoreColumn("watermark", "how likely text is a watermark", "", 0, 1),
        ScoreColumn("text_script", "script of most letters", kind="label"),
        ScoreColumn("text_language", "language by its code, guessed from 20 letters and more", kind="label"),
        ScoreColumn("text_read", "the text, a line for each place, from above", kind="text"),
        ScoreColumn(
            "text_boxes", "JSON: left, top, right and bottom of each place, in shares of width and height", kind="text"
        ),
    )

    min_confidence: float = 0.9
    side: int = 736
    stock_phrases: tuple[str, ...] = ()
    models: str = ""  # which weights read; ``ready`` fills it in
    device: Device = setting("auto", digest=False)

    @classmethod
    def of(cls, recipe: OcrSettings) -> Self:
        return cls(recipe.min_confidence, recipe.side, tuple(recipe.stock_phrases), device=recipe.device)

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def ready(self) -> Self:
        """Raises ``ModelError`` where the extra is not installed, or a GPU is asked for that onnxruntime cannot use."""
        from curation.scores.models.onnx import providers
        from curation.scores.models.text_lines import weights

        found = weights()
        providers("scores.ocr.device", self.device)
        return replace(self, models=found)

    @contextmanager
    def open(self) -> Iterator[Measure]:
        from curation.scores.models.text_lines import Reader

        yield partial(_ocr, self, Reader(self.side, self.device))


def _ocr(scorer: Ocr, reader: Reader, picture: Picture) -> Sequence[Score]:
    from curation.scores.models.watermarks import FAINT_CONFIDENCE, watermark
    from curation.scores.models.writing import language_of, script_of, words_in

    found = reader.lines(picture.pixels)
    lines = [line for line in found if line.confidence >= scorer.min_confidence and _counts(line.text)]
    # A faint mark is read with less confidence than a sign, so that more is looked at for marks than is counted.
    marks = [line for line in found if line.confidence >= FAINT_CONFIDENCE and _counts(line.text)]
    likely = watermark(picture, marks, scorer.stock_phrases)
    text = "\n".join(line.text for line in lines)
    if not lines:
        return [0.0, 0.0, 0.0, likely, None, None, "", "[]"]
    return [
        *(float(len(lines)), _share(picture, lines), float(words_in(text)), likely),
        *(script_of(text), language_of(text), text[:_MOST_TEXT]),
        json.dumps([_box(picture, line) for line in lines[:_MOST_PLACES]]),
    ]


def _counts(text: str) -> bool:
    return sum(c.isalpha() for c in text) >= _LETTERS or sum(c.isdigit() for c in text) >= _DIGITS


def _share(picture: Picture, lines: Sequence[Line]) -> float:
    """The share of the pixels that lie within a line's corners, those in several counted once."""
    import cv2
    import numpy as np

    covered = np.zeros(picture.pixels.shape[:2], np.uint8)
    for line in lines:
        cv2.fillConvexPoly(covered, np.round(line.corners).astype(np.int32), 1)
    return cv2.countNonZero(covered) / covered.size


def _box(picture: Picture, line: Line) -> list[float]:
    height, width = picture.pixels.shape[:2]
    (left, top), (right, bottom) = line.corners.min(0), line.corners.max(0)
    within = (left / width, top / height, right / width, bottom / height)
    return [round(min(1.0, max(0.0, float(share))), 4) for share in within]
