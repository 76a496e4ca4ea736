"""Pairs of statements about the relation of two objects."""

from __future__ import annotations

import dataclasses

from curation.demo.changes import absent, other, with_object
from curation.demo.training import wordings
from curation.demo.training.pair import Pair, never_true
from curation.demo.truth import Relation, Rng, Scene, pick
from curation.demo.vocabulary import COLOURS, INVERSE


def held_relation(scene: Scene, rng: Rng) -> Relation | None:
    """A relation that holds between two of the scene's objects."""
    if len(scene.objects) < 2:
        return None
    if scene.relations and rng.random() < 0.7:
        return scene.relations[int(rng.integers(len(scene.relations)))]
    one, two = (int(i) for i in rng.permutation(len(scene.objects))[:2])
    held = [n for n in INVERSE if scene.holds(scene.objects[one].kind, n, scene.objects[two].kind)]
    return Relation(one, pick(rng, held), two) if held else None


def turned_relation(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    """A relation, and one of the same objects that does not hold."""
    relation = held_relation(scene, rng)
    if relation is None:
        return None
    kinds = scene.objects[relation.subject].kind, scene.objects[relation.object].kind
    name = INVERSE[relation.name] if rng.random() < 0.7 else pick(rng, tuple(INVERSE))
    # What is nearly level is neither true nor false.
    if scene.holds(kinds[0], name, kinds[1]) or not _doubtless(scene, kinds, name):
        return None
    wrong = Relation(relation.subject, name, relation.object)
    return Pair(
        wordings.relation_sentence(scene, relation, seed), wordings.relation_sentence(scene, wrong, seed), "relation"
    )


def _doubtless(scene: Scene, kinds: tuple[str, str], name: str) -> bool:
    """Whether a relation that does not hold is false beyond doubt."""
    if name in ("behind", "in front of"):
        return True
    a, b = (scene.object_of(k) for k in kinds)
    assert a is not None and b is not None
    gap = {"left of": b.x - a.x, "right of": a.x - b.x, "above": b.y - a.y, "below": a.y - b.y}[name]
    return gap < 0


def foreign_reference(scene: Scene, stranger: Scene, rng: Rng, seed: int) -> Pair | None:
    """A relation that names a thing, or a colour of it, that is not there."""
    if not scene.relations:
        return None
    relation = scene.relations[int(rng.integers(len(scene.relations)))]
    at = relation.subject if rng.random() < 0.5 else relation.object
    thing = scene.objects[at]
    if rng.random() < 0.5:
        changed = dataclasses.replace(thing, kind=absent(scene, rng))
    else:
        changed = dataclasses.replace(thing, colour=other(rng, tuple(COLOURS), thing.colour))
    if never_true(thing, changed):
        return None
    one, two = (
        wordings.relation_sentence(scene, relation, seed),
        wordings.relation_sentence(with_object(scene, at, changed), relation, seed),
    )
    return Pair(one, two, "relation") if one != two else None
