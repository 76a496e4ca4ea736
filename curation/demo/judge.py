"""Compares a text with a scene's truth: which facts it states, and which of its claims are false."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curation.demo.claims import MANY, Aspect, Claim, claims
from curation.demo.truth import Scene
from curation.demo.vocabulary import BACKDROPS

_CANONICAL = {"right of": "left of", "below": "above", "in front of": "behind"}


@dataclass(frozen=True)
class Judgement:
    """``facts`` are the scene's, ``stated`` those of them that the text states; ``true`` and ``false`` its claims."""

    facts: frozenset[Claim]
    stated: frozenset[Claim]
    true: frozenset[Claim]
    false: frozenset[Claim]

    @property
    def recall(self) -> float:
        """Share of the scene's facts that the text states."""
        return len(self.stated) / len(self.facts)

    @property
    def hallucination(self) -> float:
        """Share of the text's claims that the scene does not support; 0 for a text that claims nothing."""
        claimed = len(self.true) + len(self.false)
        return len(self.false) / claimed if claimed else 0.0

    def recall_of(self, aspect: Aspect) -> float | None:
        """Recall of the facts of one aspect; None if the scene has none."""
        facts = [f for f in self.facts if f.aspect == aspect]
        return sum(f in self.stated for f in facts) / len(facts) if facts else None


def facts(scene: Scene) -> frozenset[Claim]:
    """Everything that a dense caption of the scene states."""
    return frozenset(_facts(scene))


def _facts(scene: Scene) -> Iterator[Claim]:
    for o in scene.objects:
        yield Claim("object", o.kind, "")
        yield Claim("colour", o.kind, o.colour)
        yield Claim("count", o.kind, str(o.count))
        yield Claim("size", o.kind, o.size)
        yield Claim("place", o.kind, o.place)
    for r in scene.relations:
        one, other, name = scene.objects[r.subject].kind, scene.objects[r.object].kind, r.name
        if name in _CANONICAL:
            one, other, name = other, one, _CANONICAL[name]
        yield Claim("relation", one, name, other)
    yield Claim("background", "", scene.setting.kind)
    for tone in scene.setting.tones:
        yield Claim("tone", "", tone)
    if scene.board:
        yield Claim("text", "", scene.board.word)


def judge(scene: Scene, text: str) -> Judgement:
    """Reads the text's claims and splits them into true and false ones.

    All claims about an object that is not in the scene count as one false claim, the object itself.
    """
    stated_claims = {c for c in claims(text) if c.aspect in _SCENE_WIDE or _is_there(scene, c)}
    true = frozenset(c for c in stated_claims if holds(scene, c))
    everything = facts(scene)
    stated = frozenset(f for f in everything if any(_covers(c, f) for c in true))
    return Judgement(everything, stated, true, frozenset(stated_claims - true))


_SCENE_WIDE: tuple[Aspect, ...] = ("object", "background", "tone", "text", "absent", "no text")


def _is_there(scene: Scene, claim: Claim) -> bool:
    named = (claim.subject, claim.other) if claim.other else (claim.subject,)
    return all(scene.object_of(k) is not None for k in named)


def holds(scene: Scene, claim: Claim) -> bool:
    """Whether the scene supports the claim."""
    thing = scene.object_of(claim.subject)
    match claim.aspect:
        case "object":
            return thing is not None
        case "absent":
            return thing is None
        case "colour":
            return thing is not None and thing.colour == claim.value
        case "size":
            return thing is not None and thing.size == claim.value
        case "count":
            return thing is not None and (thing.count > 1 if claim.value == MANY else str(thing.count) == claim.value)
        case "place":
            return thing is not None and _fits(claim.value, thing.place)
        case "relation":
            return scene.holds(claim.subject, claim.value, claim.other)
        case "background":
            return claim.value in (scene.setting.kind, *BACKDROPS[scene.setting.kind].allows)
        case "tone":
            return claim.value in scene.setting.tones
        case "text":
            return scene.board is not None and scene.board.word == claim.value
        case "no text":
            return scene.board is None


def _fits(said: str, place: str) -> bool:
    return all(s in ("any", p) for s, p in zip(said.split(), place.split(), strict=True))


def _covers(claim: Claim, fact: Claim) -> bool:
    if claim.aspect == fact.aspect == "place":
        # "On the left" alone is the usual way to say that something is halfway up on the left.
        row, column = claim.value.split()
        said = f"{row if row != 'any' else 'middle'} {column if column != 'any' else 'centre'}"
        return (claim.subject, said) == (fact.subject, fact.value)
    return claim == fact
