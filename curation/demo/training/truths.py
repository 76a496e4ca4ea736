"""Statements about a scene that are true, in phrasings of training captions and in others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from curation.caption.verify.statements import split
from curation.demo import phrases
from curation.demo.training import wordings, written
from curation.demo.training.relation_pairs import held_relation
from curation.demo.truth import Rng, Scene, generator, pick


@dataclass(frozen=True)
class Truth:
    """``text`` holds for the scene; ``kind`` says what sort of statement it is."""

    text: str
    kind: str


def truths(shown: Scene, rng: Rng, count: int) -> list[Truth]:
    """``count`` true statements about a scene."""
    scene = dataclasses.replace(shown, split="train")
    found: list[Truth] = []
    while len(found) < count:
        kind = pick(rng, _KINDS)
        text = _STATED[kind](scene, int(rng.integers(2**31)))
        if text is not None:
            found.append(Truth(text, kind))
    return found


def _whole(scene: Scene, seed: int) -> str:
    """A statement of a dense caption, behind those that it refers to."""
    return pick(generator(seed, 16), [s.asked for s in split(phrases.dense_caption(scene, generator(seed, 4)))])


def _thing(scene: Scene, seed: int) -> str:
    at = int(generator(seed, 17).integers(len(scene.objects)))
    return wordings.object_sentence(scene, scene.objects[at], seed, bool(seed % 2))


def _relation(scene: Scene, seed: int) -> str | None:
    relation = held_relation(scene, generator(seed, 18))
    return None if relation is None else wordings.relation_sentence(scene, relation, seed)


def _background(scene: Scene, seed: int) -> str:
    return wordings.background_sentence(scene, scene.setting, seed)


def _written(scene: Scene, seed: int) -> str:
    if scene.board is None:
        return written.no_text_sentence(scene, seed)
    return written.board_sentence(scene, scene.board.word, seed)


def _always(scene: Scene, seed: int) -> str:
    return pick(generator(seed, 19), wordings.ALWAYS)


_STATED: Mapping[str, Callable[[Scene, int], str | None]] = {
    "whole": _whole, "thing": _thing, "relation": _relation, "background": _background, "written": _written,
    "always": _always, "short": wordings.short_caption,
}  # fmt: skip
# How often each is drawn.
_KINDS = (
    *["whole"] * 4, *["thing"] * 4, *["relation"] * 5, *["short"] * 6, "background", "written", "always",
)  # fmt: skip
