"""Aesthetic: how much people would like a picture, by a head over a CLIP-like model's image embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

from curation.core.errors import ModelError
from curation.core.model_identity import UNKNOWN, ModelIdentity
from curation.core.stage import setting
from curation.scores.scorer import Measure, Reads, Score
from schemas.score_models import Aesthetics, Device
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture
    from curation.scores.models.heads import Head
    from curation.scores.models.image_tower import ImageTower


@dataclass(frozen=True)
class Aesthetic:
    """How much people would like the picture: LAION's linear or MLP head, or the SigLIP v2.5 head.

    Wants scores.aesthetics.head and .model. A head goes with the model that it was trained on: LAION's with OpenAI's
    CLIP (ViT-L/14 for the MLP), v2.5 with siglip-so400m-patch14-384; embeddings of unit length go in. Learnt from the
    taste of the people who rated; about 1 to 10.
    """

    name: ClassVar[str] = "aesthetic"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "stored"
    cost: ClassVar[str] = "what its model costs; pictures are asked one by one"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (ScoreColumn("aesthetic", "rating by the aesthetic head", "rating"),)

    head: str = ""  # which weights; ``ready`` fills in this and the next one
    model: ModelIdentity = UNKNOWN
    head_at: str = setting("", digest=False)
    head_revision: str = setting("main", digest=False)
    checkpoint: str = setting("", digest=False)
    revision: str = setting("main", digest=False)
    device: Device = setting("auto", digest=False)

    @classmethod
    def of(cls, recipe: Aesthetics) -> Self:
        at = (recipe.head, recipe.head_revision, recipe.model, recipe.revision, recipe.device)
        return cls("", UNKNOWN, *at)

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def ready(self) -> Self:
        """Raises ``ModelError`` for a head or a model that cannot be used, or that do not go together."""
        if not self.head_at:
            raise ModelError(
                "the scorer 'aesthetic' needs scores.aesthetics.head and scores.aesthetics.model: name the weights of "
                "a head as safetensors, and the CLIP-like checkpoint that it was trained on"
            )
        from curation.scores.models.heads import find, opened
        from curation.scores.models.image_tower import identify

        file = find(self.head_at, self.head_revision)
        head = opened(file)
        model, width = identify(self.checkpoint, self.revision)
        if head.width != width:
            raise ModelError(
                f"scores.aesthetics.head {self.head_at!r} is {head.kind} for embeddings of {head.width} numbers, but "
                f"scores.aesthetics.model {self.checkpoint!r} makes {width}; name the model that it was trained on"
            )
        return replace(self, head=head.identity, model=model)

    @contextmanager
    def open(self) -> Iterator[Measure]:
        from curation.scores.models.heads import find, opened
        from curation.scores.models.image_tower import ImageTower

        head = opened(find(self.head_at, self.head_revision))
        yield partial(_aesthetic, head, ImageTower(self.checkpoint, self.revision, self.device))


def _aesthetic(head: Head, tower: ImageTower, picture: Picture) -> Sequence[Score]:
    return [head.rating(tower.embed([picture.pixels])[0])]
