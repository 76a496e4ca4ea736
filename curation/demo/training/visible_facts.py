"""What a tower can tell of a scene: the scene without all that it does not tell surely.

A captioner that is taught to state everything guesses where it cannot see. One that is taught to state what its
own tower tells, in this very step, learns to leave the rest unsaid: "a small blue object", "a guitar" without a
size, "something is written on a board".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from curation.demo.phrases import SOMETHING
from curation.demo.training.corpus import KIND_NUMBERS
from curation.demo.training.targets import CHANNELS
from curation.demo.truth import Scene, SceneObject

# From which probability on the tower counts as sure.
SURE = 0.9
_CHANNEL = {name: at for at, name in enumerate(CHANNELS)}
_KIND, _WORD = _CHANNEL["kind"], _CHANNEL["word"]


@torch.no_grad()
def witnessed(
    scenes: Sequence[Scene], told: Sequence[torch.Tensor], truth: torch.Tensor, sure: float = SURE
) -> list[Scene]:
    """The scenes as the tower saw them: without the kinds, colours, sizes, places and written words that it does not
    tell with a probability of ``sure``. ``told`` are its logits (n, patches, classes) a channel, ``truth`` the
    classes (n, channels, patches)."""
    chances = [t.float().log_softmax(dim=-1).cpu() for t in told]
    there = truth.cpu()
    return [_reduced(scene, _Sight([c[at] for c in chances], there[at], sure)) for at, scene in enumerate(scenes)]


@dataclasses.dataclass(frozen=True)
class _Sight:
    """One picture: log-probabilities (patches, classes) a channel, and the true classes (channels, patches)."""

    told: list[torch.Tensor]
    truth: torch.Tensor
    sure: float

    def tells(self, channel: str, patches: torch.Tensor) -> bool:
        """Whether these patches together tell the truth surely: the product of what each of them tells."""
        if not len(patches):
            return False
        at = _CHANNEL[channel]
        true = int(self.truth[at, patches].mode().values)
        together = self.told[at][patches].mean(dim=0).softmax(dim=0)
        return true >= 0 and float(together[true]) >= self.sure

    def patches(self, channel: int, value: int | None = None) -> torch.Tensor:
        truth = self.truth[channel]
        return torch.nonzero(truth > 0 if value is None else truth == value).flatten()


def _reduced(scene: Scene, sight: _Sight) -> Scene:
    patches = [sight.patches(_KIND, KIND_NUMBERS[o.kind]) for o in scene.objects]
    objects = tuple(_told(o, sight, at) for o, at in zip(scene.objects, patches, strict=True))
    # "The object is above the object" says nothing.
    clear = [r for r in scene.relations if any(objects[at].kind != SOMETHING for at in (r.subject, r.object))]
    board = scene.board
    if board and not sight.tells("word", sight.patches(_WORD)):
        board = dataclasses.replace(board, word="")
    return dataclasses.replace(scene, objects=objects, relations=tuple(clear), board=board)


def _told(thing: SceneObject, sight: _Sight, patches: torch.Tensor) -> SceneObject:
    return dataclasses.replace(
        thing,
        kind=thing.kind if sight.tells("kind", patches) else SOMETHING,
        colour=thing.colour if sight.tells("colour", patches) else "",
        size=thing.size if sight.tells("size", patches) else "",
        place=thing.place if sight.tells("place", patches) else "",
    )
